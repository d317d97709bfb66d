/** How long a scan takes, and how long the commands that it runs take by themselves. */

import { aptScanner } from "../../src/scanners/apt.ts";
import { realSystem } from "../../src/system/real.ts";

const ROOT = new URL("../../", import.meta.url);

/** Runs the scanner's own commands again, one after the other; what they take together, in ms. */
export async function timeCommands(): Promise<number> {
  const system = realSystem();
  const asked: string[][] = [];
  await aptScanner().scan({
    ...system,
    runCommand: (argv, options) => {
      asked.push([...argv]);
      return system.runCommand(argv, options);
    },
  }, {});
  const startedMs = performance.now();
  for (const argv of asked) await runAlone(argv, { LC_ALL: "C.UTF-8" });
  return performance.now() - startedMs;
}

/** Runs `pennon scan` once; what it takes from its start to its end, in ms. */
export async function timeScan(executable: string | null, state: string): Promise<number> {
  const scan = ["scan", "--only", "apt", "--json", "--state-dir", state];
  const source = ["run", "-A", "--no-prompt", new URL("main.ts", ROOT).pathname];
  const argv = executable === null ? [Deno.execPath(), ...source, ...scan] : [executable, ...scan];
  const startedMs = performance.now();
  await runAlone(argv, { NO_COLOR: "1" });
  return performance.now() - startedMs;
}

/** Runs a program and reads what it prints, as whoever asks it does. */
async function runAlone(argv: readonly string[], more: Record<string, string>): Promise<void> {
  const [program = "", ...args] = argv;
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: Deno.env.get("HOME") ?? "/", ...more };
  const child = new Deno.Command(program, { args, clearEnv: true, env, stdin: "null" });
  const { success, stderr } = await child.output();
  if (!success) throw new Error(`Cannot measure "${program}": ${new TextDecoder().decode(stderr)}`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? NaN)) / 2;
}
