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
export async function commandsOfScan(manager: Manager, waiting: number): Promise<AskedCommand[]> {
  const system = realSystem();
  const asked: AskedCommand[] = [];
  const runCommand: RunCommand = async (argv, options) => {
    const result = await system.runCommand(argv, options);
    asked.push({ argv: [...argv], code: result.code });
    return result;
  };
  const { updates } = await SCANNERS[manager]().scan({ ...system, runCommand }, {});
  if (updates.length === waiting) return asked;
  throw new Error(`Cannot measure ${manager}: it finds ${updates.length} updates, not ${waiting}`);
}

/** Runs commands one after the other; what they take together, in ms. */
export async function timeCommands(commands: readonly AskedCommand[]): Promise<number> {
  const startedMs = performance.now();
  for (const command of commands) await runAlone(command, { LC_ALL: "C.UTF-8" });
  return performance.now() - startedMs;
}

/** Runs `pennon scan` once; what it takes from its start to its end, in ms. */
export async function timeScan(
  manager: Manager,
  { executable, state }: { executable: string | null; state: string },
): Promise<number> {
  const scan = ["scan", "--only", manager, "--json", "--state-dir", state];
  const source = ["run", "-A", "--no-prompt", new URL("main.ts", ROOT).pathname];
  const argv = executable === null ? [Deno.execPath(), ...source, ...scan] : [executable, ...scan];
  const startedMs = performance.now();
  await runAlone({ argv, code: 0 }, { NO_COLOR: "1" });
  return performance.now() - startedMs;
}

/** Runs a program and reads what it prints, as whoever asks it does. */
async function runAlone(
  { argv, code: expected }: AskedCommand,
  more: Record<string, string>,
): Promise<void> {
  const [program = "", ...args] = argv;
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: Deno.env.get("HOME") ?? "/", ...more };
  const child = new Deno.Command(program, { args, clearEnv: true, env, stdin: "null" });
  const { code, stderr } = await child.output();
  if (code === expected) return;
  throw new Error(`Cannot measure "${program}": exit ${code}: ${new TextDecoder().decode(stderr)}`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}
