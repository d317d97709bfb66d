/**
 * RedFlag's own agent on this host: where it keeps its configuration, as which user it runs, and whether
 * it runs or will run again. Facts from RedFlag 0.2.9.3 (`install.sh`, `constants/paths.go`,
 * `instancelock/`) and 0.1.18.
 */

import { CommandError } from "../system/process.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { windowsDirectory } from "../windows_directory.ts";

type Host = Pick<System, "os" | "files" | "readEnvironment" | "runCommand">;

/** The places of its `config.json`, newest layout first; none on a Mac, where no server takes it. */
export function redflagConfigPaths(os: System["os"]): readonly string[] {
  switch (os) {
    case "linux":
      return [
        "/etc/redflag/agent/config.json",
        "/etc/redflag/config.json",
        "/etc/aggregator/config.json",
      ];
    case "windows":
      return [
        "C:\\ProgramData\\RedFlag\\agent\\config.json",
        "C:\\ProgramData\\RedFlag\\config.json",
        "C:\\ProgramData\\Aggregator\\config.json",
      ];
    case "macos":
      return [];
  }
}

/** Its user and group on Linux. */
export const REDFLAG_USER = "redflag-agent";

/** The number of its user; `null` where there is none, and on Windows. Never rejects. */
export async function findRedflagUser({ os, files }: Host): Promise<number | null> {
  if (os !== "linux") return null;
  try {
    const text = await files.readText("look for RedFlag's user", "/etc/passwd") ?? "";
    const found = new RegExp(`^${REDFLAG_USER}:[^:]*:(\\d{1,10}):`, "m").exec(text);
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
}

/**
 * Whether RedFlag's agent may use its identity. `runs`: it runs now, or will after the next start of this
 * host; `fact` and `remedy` complete a message. `unknown`: nothing says that it does, but `why` kept
 * something from being asked.
 */
export type RedflagActivity =
  | { readonly kind: "stopped" }
  | { readonly kind: "runs"; readonly fact: string; readonly remedy: string }
  | { readonly kind: "unknown"; readonly why: string };

/** Time limit of each program. */
const PROGRAM_MS = 10_000;

/** Asks the service manager and, on Linux, the list of processes. Never rejects. */
export async function findRedflagActivity(host: Host): Promise<RedflagActivity> {
  switch (host.os) {
    case "linux": {
      const service = await findLinuxService(host);
      if (service.kind === "runs") return service;
      const process = await findProcess(host);
      return process.kind === "stopped" ? service : process;
    }
    case "windows":
      return await findWindowsService(host);
    case "macos":
      return { kind: "stopped" };
  }
}

const UNIT = "redflag-agent.service";
const LINUX_REMEDY = "stop it for good: sudo systemctl disable --now redflag-agent";

/** Between two attempts of a service that is started again and again it is `activating`. */
const ACTIVE = /^(?:active|activating|reloading|refreshing|deactivating)$/;
const NOT_ACTIVE = /^(?:inactive|failed|unknown)$/;
const ENABLED = /^enabled(?:-runtime)?$/;

/** By systemctl(1), whose words are the same in every language. */
async function findLinuxService(host: Host): Promise<RedflagActivity> {
  // Where systemd is not the running init system (sd_booted(3)), as in a container, it starts nothing.
  if (await findFirst(host, ["/run/systemd/system"]) === undefined) return { kind: "stopped" };
  const program = await findFirst(host, ["/usr/bin/systemctl", "/bin/systemctl"]);
  if (program === undefined) return { kind: "unknown", why: "there is no systemctl" };
  const active = await readWord(host, [program, "is-active", UNIT]);
  if (ACTIVE.test(active)) {
    return { kind: "runs", fact: `its service is ${active}`, remedy: LINUX_REMEDY };
  }
  const enabled = await readWord(host, [program, "is-enabled", UNIT]);
  if (ENABLED.test(enabled)) {
    const fact = "its service is stopped, but enabled: it would start again with this host";
    return { kind: "runs", fact, remedy: LINUX_REMEDY };
  }
  if (NOT_ACTIVE.test(active)) return { kind: "stopped" };
  return { kind: "unknown", why: `"${program} is-active ${UNIT}" gave no answer` };
}

async function findFirst({ files }: Host, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    try {
      if (await files.inspect("look for systemd", path) !== undefined) return path;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
    }
  }
  return undefined;
}

/** The first line of what a program prints, whatever its exit code; "" if it does not end by itself. */
async function readWord({ runCommand }: Host, argv: readonly string[]): Promise<string> {
  try {
    const { stdout } = await runCommand(argv, { timeoutMs: PROGRAM_MS, maxOutputBytes: 4_096 });
    return stdout.split("\n", 1)[0]?.trim() ?? "";
  } catch (error) {
    if (error instanceof CommandError) return "";
    throw error;
  }
}

/** Its name as the kernel has it, which cuts names after 15 characters. */
const PROCESS_NAME = "redflag-agent";

/**
 * The beginning of its `/proc/<id>/stat`, proc_pid_stat(5). A process can name itself, but not so long that
 * its name would hold such a line. One that has ended and is not yet waited for (Z) uses nothing.
 */
const PROCESS_STAT = new RegExp(`^(\\d+) \\(${PROCESS_NAME}\\) (?!Z)`, "m");

/** So many processes are looked at with one program; a line has some 300 bytes, and 1,000 at most. */
const PROCESSES_AT_ONCE = 1_000;
const MAX_PROCESS_OUTPUT_BYTES = 1_048_576;

/** By the names in `/proc`, where a process of a container stands as well. */
async function findProcess(host: Host): Promise<RedflagActivity> {
  const { files, runCommand } = host;
  try {
    const names = await files.list("list the processes", "/proc");
    const ids = names.filter((name) => /^\d+$/.test(name));
    for (let from = 0; from < ids.length; from += PROCESSES_AT_ONCE) {
      const paths = ids.slice(from, from + PROCESSES_AT_ONCE).map((id) => `/proc/${id}/stat`);
      // Through a program: Deno opens nothing below /proc. A process that has ended is no failure.
      const { stdout } = await runCommand(["/usr/bin/cat", ...paths], {
        timeoutMs: PROGRAM_MS,
        maxOutputBytes: MAX_PROCESS_OUTPUT_BYTES,
      });
      const [, id] = PROCESS_STAT.exec(stdout) ?? [];
      if (id === undefined) continue;
      const fact = `a process "${PROCESS_NAME}" runs`;
      return { kind: "runs", fact, remedy: `end it: kill ${id}. Or: ${LINUX_REMEDY}` };
    }
    return { kind: "stopped" };
  } catch (error) {
    if (error instanceof CommandError || error instanceof FileError) {
      return { kind: "unknown", why: error.message };
    }
    throw error;
  }
}

const SERVICE = "RedFlagAgent";
const WINDOWS_REMEDY =
  `stop it for good: sc.exe stop ${SERVICE}, then sc.exe config ${SERVICE} start= disabled`;

/** `ERROR_SERVICE_DOES_NOT_EXIST`, the exit code of `sc.exe`. */
const NO_SERVICE = 1_060;

async function findWindowsService(host: Host): Promise<RedflagActivity> {
  const directory = windowsDirectory(host);
  if (directory === undefined) return { kind: "unknown", why: "SystemRoot is no directory" };
  const program = `${directory}\\System32\\sc.exe`;
  const ask = async (verb: "query" | "qc") => {
    const options = { timeoutMs: PROGRAM_MS, maxOutputBytes: 65_536 };
    return await host.runCommand([program, verb, SERVICE], options);
  };
  try {
    const state = await ask("query");
    if (state.code === NO_SERVICE) return { kind: "stopped" };
    const running = state.code === 0 ? parseServiceState(state.stdout) : null;
    if (running === null) {
      return { kind: "unknown", why: `"sc.exe query ${SERVICE}" gave no state (${state.code})` };
    }
    if (running !== "STOPPED") {
      return { kind: "runs", fact: `its service is ${running}`, remedy: WINDOWS_REMEDY };
    }
    const start = parseServiceStart((await ask("qc")).stdout);
    if (start === "DISABLED" || start === "DEMAND_START") return { kind: "stopped" };
    const fact = "its service is stopped, but not disabled: it would start again with this host";
    return { kind: "runs", fact, remedy: WINDOWS_REMEDY };
  } catch (error) {
    if (error instanceof CommandError) return { kind: "unknown", why: error.message };
    throw error;
  }
}

const STATES = [
  "STOPPED",
  "START_PENDING",
  "STOP_PENDING",
  "RUNNING",
  "CONTINUE_PENDING",
  "PAUSE_PENDING",
  "PAUSED",
];

/**
 * The state of a service in the output of `sc.exe query`; `null` if it is not there exactly once. Only
 * the name of the field is translated; the number (`SERVICE_STATUS.dwCurrentState`) and its word are not.
 */
export function parseServiceState(stdout: string): string | null {
  return parseServiceField(stdout, STATES, 1);
}

const STARTS = ["BOOT_START", "SYSTEM_START", "AUTO_START", "DEMAND_START", "DISABLED"];

/** How a service starts, in the output of `sc.exe qc`; `null` if it is not there exactly once. */
export function parseServiceStart(stdout: string): string | null {
  return parseServiceField(stdout, STARTS, 0);
}

function parseServiceField(stdout: string, words: readonly string[], first: number): string | null {
  const pattern = /^ +\S[^:\r\n]{0,60}: +(\d) +([A-Z_]+)(?: +\([A-Z_ ]+\))? *\r*$/gm;
  const found = [...stdout.matchAll(pattern)].filter(([, number, word]) =>
    words[Number(number) - first] === word
  );
  return found.length === 1 ? found[0]?.[2] ?? null : null;
}
