/**
 * What the executable may do, compiled into it: the only list of it. A file, program or variable
 * that the agent needs and that is not here is refused, so this changes with the code.
 *
 * It keeps mistakes small; it is no wall against an attacker who runs code in the agent: the
 * package managers it may start can do anything. That wall is the service manager's sandbox.
 */

import type { Target } from "./targets.ts";

/** Programs by absolute path: no PATH is searched, and an absent one costs nothing. */
const PROGRAMS = {
  linux: [
    "/bin/kill",
    "/usr/bin/apt-cache",
    "/usr/bin/apt-get",
    "/usr/bin/df",
    "/usr/bin/dnf",
    "/usr/bin/dnf5",
    "/usr/bin/dpkg-query",
    "/usr/bin/gzip",
    "/usr/bin/ps",
    "/usr/bin/rpm",
  ],
  macos: ["/bin/df", "/bin/kill", "/bin/ps"],
};

/**
 * The state folder and the configuration are where the user says, so writing is free but for what
 * belongs to the system and to its package managers.
 */
const NEVER_WRITTEN = {
  linux: [
    "/bin",
    "/boot",
    "/dev",
    "/etc/apt",
    "/etc/dnf",
    "/etc/group",
    "/etc/gshadow",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/yum.repos.d",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/apt",
    "/var/lib/dnf",
    "/var/lib/dpkg",
    "/var/lib/rpm",
  ],
  macos: ["/System", "/bin", "/dev", "/etc", "/private/etc", "/sbin", "/usr"],
};

/** Variables of the environment. `PENNON_*` are the agent's own. */
const VARIABLES = [
  "HOME",
  "HTTPS_PROXY",
  "HTTP_PROXY",
  "NO_COLOR",
  "NO_PROXY",
  "PENNON_*",
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

/** The flags of `deno compile` for a target. */
export function permissionFlags(target: Target): string[] {
  const common = ["--no-prompt", "--allow-net", "--allow-read", `--allow-sys=${FACTS.join()}`];
  if (target.os === "windows") {
    return [
      ...common,
      "--allow-write",
      `--allow-env=${[...VARIABLES, ...WINDOWS_VARIABLES].join()}`,
      // winget lies in a folder named after its version, and powershell runs anything anyway.
      "--allow-run",
    ];
  }
  return [
    ...common,
    "--allow-write",
    `--deny-write=${NEVER_WRITTEN[target.os].join()}`,
    `--allow-env=${VARIABLES.join()}`,
    `--allow-run=${PROGRAMS[target.os].join()}`,
  ];
}
