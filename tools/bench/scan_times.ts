/** How long a scan takes, and how long the commands that it runs take by themselves. */

import { aptScanner } from "../../src/scanners/apt.ts";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import type { RunCommand } from "../../src/system/process.ts";
import { realSystem } from "../../src/system/real.ts";
import type { Manager } from "./scan_host.ts";

const ROOT = new URL("../../", import.meta.url);

const SCANNERS = { apt: aptScanner, dnf: dnfScanner };

/** A command that a scan ran, and how it ended: dnf ends with 100 where there are updates. */
export interface AskedCommand {
  readonly argv: readonly string[];
  readonly code: number;
}

/** The commands that a scan runs on this host, where so many updates are to be found. */
export async function commandsOfScan(
  manager: Manager,
  { waiting, state }: { waiting: number; state: string },
): Promise<AskedCommand[]> {
  const system = realSystem();
  const asked: AskedCommand[] = [];
  const runCommand: RunCommand = async (argv, options) => {
    const result = await system.runCommand(argv, options);
    asked.push({ argv: [...argv], code: result.code });
    return result;
  };
  const scan = async () => {
    asked.length = 0;
    const options = { cacheDirectory: `${state}/cache` };
    return await SCANNERS[manager]().scan({ ...system, runCommand }, options);
  };
  // The first scan of a day asks more than the next ones do.
  await scan();
  const { updates } = await scan();
  if (updates.length === waiting) return asked;
  throw new Error(`Cannot measure ${manager}: it finds ${updates.length} updates, not ${waiting}`);
}

/** What something took: time that passed, and CPU, of what it started too. */
export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** Runs commands one after the other; what they take together. */
export async function costOfCommands(commands: readonly AskedCommand[]): Promise<Cost> {
  const costs: Cost[] = [];
  for (const command of commands) costs.push(await costOf(command, { LC_ALL: "C.UTF-8" }));
  return {
    wallMs: costs.reduce((sum, { wallMs }) => sum + wallMs, 0),
    cpuMs: costs.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  };
}

/** What apt itself takes to decide on an upgrade, and to list what has a newer version. */
export const FLOORS = {
  decide: { argv: ["/usr/bin/apt-get", "-q=1", "--print-uris", "-V", "dist-upgrade"], code: 0 },
  list: { argv: ["/usr/bin/apt", "list", "--upgradable"], code: 0 },
} as const;

/** `pennon scan`, of the executable or from source. */
export function scanCommand(
  manager: Manager,
  { executable, state }: { executable: string | null; state: string },
): string[] {
  const scan = ["scan", "--only", manager, "--json", "--state-dir", state];
  const source = ["run", "-A", "--no-prompt", new URL("main.ts", ROOT).pathname];
  return executable === null ? [Deno.execPath(), ...source, ...scan] : [executable, ...scan];
}

/** Runs `pennon scan` once. */
export async function costOfScan(
  manager: Manager,
  how: { executable: string | null; state: string },
): Promise<Cost> {
  return await costOf({ argv: scanCommand(manager, how), code: 0 }, { NO_COLOR: "1" });
}

/** Runs a program and throws away what it prints; bash counts what it and its children took. */
export async function costOf(
  { argv, code: expected }: AskedCommand,
  more: Readonly<Record<string, string>> = {},
): Promise<Cost> {
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: Deno.env.get("HOME") ?? "/", ...more };
  const script = 'TIMEFORMAT="%3R %3U %3S"; time "$@" >/dev/null 2>&1';
  const child = new Deno.Command("/usr/bin/bash", {
    args: ["-c", script, "bash", ...argv],
    clearEnv: true,
    env,
    stdin: "null",
  });
  const { code, stderr } = await child.output();
  const [, ...times] = /^([\d.]+) ([\d.]+) ([\d.]+)$/m.exec(new TextDecoder().decode(stderr)) ?? [];
  if (code !== expected || times.length !== 3) {
    throw new Error(`Cannot measure "${argv.slice(0, 3).join(" ")}": exit ${code}`);
  }
  const [wallS = 0, userS = 0, systemS = 0] = times.map(Number);
  return { wallMs: wallS * 1_000, cpuMs: (userS + systemS) * 1_000 };
}
