/**
 * `deno task bench:scan`: what `pennon scan` takes beside the very commands of its package manager
 * that it runs, one after the other, for 0, 100 and 2,000 updates. Needs root's rights: a made host
 * is mounted over this one, in a mount namespace of its own. Exits 1 if a target is missed.
 *
 * `--only apt` or `--only dnf` measures that one alone.
 */

import { parseArgs } from "@std/cli/parse-args";
import { makeHost, type Manager, missingFor } from "./scan_host.ts";
import { commandsOfScan, median, timeCommands, timeScan } from "./scan_times.ts";

const ROOT = new URL("../../", import.meta.url);

/** A scan takes at most so many times what its commands take. */
const TARGET = 1.15;

const SIZES = [0, 100, 2_000];

/** By turns a scan and its commands; dnf's take ten times as long as apt's. */
const ROUNDS: Readonly<Record<Manager, number>> = { apt: 21, dnf: 5 };

/** What a host is to be covered with, for the namespace's own process. */
const PLAN = "bench.json";

interface Plan {
  readonly manager: Manager;
  readonly updates: number;
  readonly covered: Readonly<Record<string, string>>;
  readonly prepare: readonly string[];
}

async function main(words: string[]): Promise<number> {
  const { inside, only } = parseArgs(words, { string: ["inside", "only"] });
  if (typeof inside === "string") return await measureInside(inside);
  const executable = await findExecutable();
  console.log(
    `Scanner: ${executable ?? "from source, slower to start: make dist/ with task build"}`,
  );
  let missed = 0;
  for (const manager of ["apt", "dnf"] as const) {
    if (only !== undefined && only !== manager) continue;
    const missing = await missingFor(manager);
    if (missing.length > 0) console.log(`${manager}: NOT measured, no ${missing.join(", ")} here`);
    else missed += await measure(manager);
  }
  console.log(missed === 0 ? "Every target holds." : "NOT every target holds.");
  return missed === 0 ? 0 : 1;
}

/** Measures for every size; answers how often the target was missed. */
async function measure(manager: Manager): Promise<number> {
  let missed = 0;
  for (const updates of SIZES) {
    await using host = await makeHost(manager, updates);
    const { covered, prepare } = host;
    const plan: Plan = { manager, updates, covered, prepare };
    await Deno.writeTextFile(`${host.path}/${PLAN}`, JSON.stringify(plan));
    const { code, stdout, stderr } = await inNamespace("--inside", host.path);
    if (code > 1) throw new Error(`Cannot measure: ${stderr.trim()}`);
    console.log(`${manager} ${String(updates).padStart(5)} updates: ${stdout.trim()}`);
    missed += code;
  }
  return missed;
}

/** Runs this very script in a mount namespace of its own. */
async function inNamespace(...args: string[]) {
  const script = [Deno.execPath(), "run", "-A", "--no-prompt", new URL(import.meta.url).pathname];
  return await run("/usr/bin/unshare", [
    "--mount",
    "--propagation",
    "private",
    ...script,
    ...args,
  ]);
}

/** Runs in the namespace: covers what is the host's, and measures by turns. */
async function measureInside(path: string): Promise<number> {
  const plan: Plan = JSON.parse(await Deno.readTextFile(`${path}/${PLAN}`));
  for (const [place, cover] of Object.entries(plan.covered)) {
    await mustRun("/usr/bin/mount", ["--bind", cover, place]);
  }
  const [program, ...args] = plan.prepare;
  if (program !== undefined) await mustRun(program, args);
  const { manager, updates } = plan;
  const executable = await findExecutable();
  const commands = await commandsOfScan(manager, updates);
  const rounds: { scanMs: number; commandsMs: number }[] = [];
  for (let round = 0; round <= ROUNDS[manager]; round++) {
    const commandsMs = await timeCommands(commands);
    const scanMs = await timeScan(manager, { executable, state: `${path}/state` });
    if (round > 0) rounds.push({ scanMs, commandsMs }); // The first one warms the caches.
  }
  const ratio = median(rounds.map(({ scanMs, commandsMs }) => scanMs / commandsMs));
  const scanMs = median(rounds.map((round) => round.scanMs));
  const commandsMs = median(rounds.map((round) => round.commandsMs));
  console.log(
    `scan ${scanMs.toFixed(0)} ms, its commands ${commandsMs.toFixed(0)} ms: ` +
      `${ratio.toFixed(2)} x (at most ${TARGET} x: ${ratio <= TARGET ? "holds" : "MISSED"})`,
  );
  return ratio <= TARGET ? 0 : 1;
}

async function mustRun(program: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(program, args);
  if (code !== 0) throw new Error(`Cannot measure: ${program} ${args.join(" ")}: ${stderr.trim()}`);
}

async function run(program: string, args: readonly string[]) {
  const command = new Deno.Command(program, { args: [...args], cwd: ROOT, stdin: "null" });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The executable as the build made it, or `null`. */
async function findExecutable(): Promise<string | null> {
  const { pathname } = new URL("dist/pennon-linux-x64", ROOT);
  return await Deno.stat(pathname).then(() => pathname, () => null);
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(2);
  }
}
