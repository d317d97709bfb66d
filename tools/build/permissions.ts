/**
 * What the executable may do, compiled into it: the only list of it, but for the directories that
 * may be written, which `main.ts` names at each start. A program, variable or fact that the agent
 * needs and that is not here is refused, so this changes with the code.
 *
 * What this stops and what it does not is in docs/security.md: the package managers that the agent
 * may start can do anything, so the wall against code in the agent is the service manager's sandbox.
 */

import { HOOK_PROGRAMS } from "../../src/config/locations.ts";
import type { Target } from "./targets.ts";

/** Those of the administrator: the agent checks their owners before each start (decision 0045). */
const HOOKS = Object.values(HOOK_PROGRAMS);

/** Programs by absolute path: no PATH is searched, and an absent one costs nothing. */
const PROGRAMS = {
  linux: [
    "/bin/kill",
    "/bin/systemctl",
    "/usr/bin/apt-cache",
    "/usr/bin/apt-get",
    // For files below /proc and /sys, which Deno opens with every permission only.
    "/usr/bin/cat",
    "/usr/bin/cp",
    "/usr/bin/df",
    "/usr/bin/dnf",
    "/usr/bin/dnf5",
    "/usr/bin/dpkg-query",
    "/usr/bin/gzip",
    // The agent's own lines, for `pennon diagnostics`.
    "/usr/bin/journalctl",
    "/usr/bin/ps",
    "/usr/bin/rpm",
    "/usr/bin/lsblk",
    "/usr/bin/systemctl",
    // The account of the service.
    "/usr/bin/systemd-sysusers",
  ],
  macos: ["/bin/df", "/bin/kill", "/bin/launchctl", "/bin/ps", "/usr/sbin/ioreg"],
};

/** Variables of the environment. `PENNON_*` are the agent's own. */
const VARIABLES = [
  "HOME",
  "HTTPS_PROXY",
  "HTTP_PROXY",
  // systemd's, for the priority of lines in its journal.
  "JOURNAL_STREAM",
  // systemd's, for the agent's state and signs of life.
  "NOTIFY_SOCKET",
  "NO_COLOR",
  "NO_PROXY",
  "PENNON_*",
  "TERM",
  "WATCHDOG_USEC",
  "XDG_CONFIG_HOME",
  "XDG_STATE_HOME",
  "http_proxy",
  "https_proxy",
  "no_proxy",
];

/** Those that a program on Windows is started with, besides the above. */
const WINDOWS_VARIABLES = [
  "ALLUSERSPROFILE",
  "APPDATA",
  "COMMONPROGRAMFILES",
  "COMMONPROGRAMFILES(X86)",
  "COMMONPROGRAMW6432",
  "COMSPEC",
  "LOCALAPPDATA",
  "PATH",
  "PATHEXT",
  "PROCESSOR_ARCHITECTURE",
  "PROGRAMDATA",
  "PROGRAMFILES",
  "PROGRAMFILES(X86)",
  "PROGRAMW6432",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "USERPROFILE",
  "WINDIR",
];

/** Facts about the machine, by Deno's names of them. */
const FACTS = [
  "cpus",
  "hostname",
  "networkInterfaces",
  "osRelease",
  "osUptime",
  "statfs",
  "systemMemoryInfo",
  "uid",
];

/** What root changes to become the account of the service: newer versions of Deno have no such name. */
const ACCOUNT_CALLS = ["setgid", "setuid"];

/** The flags of `deno compile` for a target. */
export function permissionFlags(target: Target): string[] {
  const common = [
    "--no-prompt",
    "--allow-net",
    "--allow-read",
    // Of the main thread, which gives it up when it has started the worker with less (main.ts).
    "--allow-write",
    "--unstable-worker-options",
    // Datagrams to systemd's socket.
    "--unstable-net",
    `--allow-sys=${[...FACTS, ...target.os === "linux" ? ACCOUNT_CALLS : []].join()}`,
  ];
  if (target.os === "windows") {
    return [
      ...common,
      `--allow-env=${[...VARIABLES, ...WINDOWS_VARIABLES].join()}`,
      // winget lies in a folder named after its version, and powershell runs anything anyway.
      "--allow-run",
    ];
  }
  return [
    ...common,
    `--allow-env=${VARIABLES.join()}`,
    `--allow-run=${[...PROGRAMS[target.os], ...HOOKS].join()}`,
  ];
}
