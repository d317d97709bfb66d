/**
 * `deno task bench:scan`: what `pennon scan` takes beside the very commands of its package manager
 * that it runs, one after the other, and, of CPU, beside what apt itself takes to decide on an upgrade.
 * Needs root's rights: a made host is mounted over this one, in a mount namespace of its own. Exits 1
 * if a target is missed.
 *
 * `--only apt` or `--only dnf` measures that one alone; `--updates 141` that number alone; `--no-cache`
 * a host whose apt keeps no cache on disk, as images for containers do; `--rounds 3` less often.
 */

import { parseArgs } from "@std/cli/parse-args";
import { findExecutable } from "./bench_agent.ts";
import { median } from "./statistics.ts";
import { makeHost, type Manager, missingFor } from "./scan_host.ts";
import {
  commandsOfScan,
  type Cost,
  costOf,
  costOfCommands,
  costOfScan,
  FLOORS,
  scanCommand,
} from "./scan_times.ts";
import { TenthOfACore } from "./tenth_of_a_core.ts";

const ROOT = new URL("../../", import.meta.url);

/** A scan takes at most so many times what its commands take. */
const TARGET = 1.15;

/** Of CPU at most so many times what `apt-get` takes to decide, and `apt` to list, for so many updates. */
const CPU_TARGETS: Readonly<Record<number, { decide: number; list?: number }>> = {
  141: { decide: 1.6, list: 4 },
  600: { decide: 1.6 },
};

const SIZES: Readonly<Record<Manager, readonly number[]>> = {
  apt: [0, 141, 600, 2_001],
  dnf: [0, 100, 2_000],
};

/** By turns a scan and its commands; dnf's take ten times as long as apt's. */
const ROUNDS: Readonly<Record<Manager, number>> = { apt: 11, dnf: 5 };

/** What a host is to be covered with, for the namespace's own process. */
const PLAN = "bench.json";

interface Plan {
  readonly manager: Manager;
  readonly updates: number;
  readonly covered: Readonly<Record<string, string>>;
  readonly prepare: readonly string[];
  readonly rounds: number;
}

async function main(words: string[]): Promise<number> {
  const { inside, only, updates, rounds, "no-cache": isBare } = parseArgs(words, {
    string: ["inside", "only", "updates", "rounds"],
    boolean: ["no-cache"],
  });
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
    else {
      const sizes = updates === undefined ? SIZES[manager] : [Number(updates)];
      const wanted = rounds === undefined ? ROUNDS[manager] : Number(rounds);
      missed += await measure(manager, { sizes, rounds: wanted, isBare: isBare === true });
    }
  }
  console.log(missed === 0 ? "Every target holds." : "NOT every target holds.");
  return missed === 0 ? 0 : 1;
}

/** Measures for every size; answers how often the target was missed. */
async function measure(
  manager: Manager,
  { sizes, rounds, isBare }: { sizes: readonly number[]; rounds: number; isBare: boolean },
): Promise<number> {
  let missed = 0;
  for (const updates of sizes) {
    await using host = await makeHost(manager, updates);
    if (isBare) await keepNoCache(host.path);
    const { covered, prepare } = host;
    const plan: Plan = { manager, updates, covered, prepare, rounds };
    await Deno.writeTextFile(`${host.path}/${PLAN}`, JSON.stringify(plan));
    const { code, stdout, stderr } = await inNamespace("--inside", host.path);
    if (code > 1) throw new Error(`Cannot measure: ${stderr.trim()}`);
    for (const line of stdout.trim().split("\n")) {
      console.log(`${manager} ${String(updates).padStart(5)} updates: ${line}`);
    }
    missed += code;
  }
  return missed;
}

/** As `docker-clean` has it, which images of Debian for containers bring. */
async function keepNoCache(path: string): Promise<void> {
  const settings = 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n';
  await Deno.writeTextFile(`${path}/etc/apt/apt.conf.d/docker-clean`, settings);
  for (const name of ["pkgcache.bin", "srcpkgcache.bin"]) {
    await Deno.remove(`${path}/var/cache/apt/${name}`).catch(() => {});
  }
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
  const { manager, updates, rounds } = plan;
  const [executable, state] = [await findExecutable(), `${path}/state`];
  const commands = await commandsOfScan(manager, { waiting: updates, state });
  const costs: { scan: Cost; commands: Cost; decide: Cost; list: Cost }[] = [];
  for (let round = 0; round <= rounds; round++) {
    const cost = {
      commands: await costOfCommands(commands),
      scan: await costOfScan(manager, { executable, state }),
      decide: await floorOf(manager, "decide"),
      list: await floorOf(manager, "list"),
    };
    if (round > 0) costs.push(cost); // The first one warms the caches.
  }
  return report(plan, costs) + (updates >= SLOW_FROM ? await tryOnATenth(plan, state) : 0);
}

/** A host with so many updates is the one that must answer where there is next to no CPU. */
const SLOW_FROM = 600;

/** Scans once on a tenth of a core; answers 1 if that ends without a list that is whole. */
async function tryOnATenth({ manager, updates }: Plan, state: string): Promise<number> {
  if (manager !== "apt" || updates > SLOW_FROM) return 0;
  using group = TenthOfACore.make();
  if (group === null) {
    console.log("on a tenth of a core: NOT measured, no control group can be made here");
    return 0;
  }
  const script = 'echo $$ > "$0"; exec "$@"';
  const [program = "", ...args] = scanCommand(manager, {
    executable: await findExecutable(),
    state,
  });
  const startedMs = performance.now();
  const argv = ["-c", script, group.processes, program, ...args];
  const { stdout } = await run("/usr/bin/bash", argv);
  const tookS = ((performance.now() - startedMs) / 1_000).toFixed(0);
  const [scan] = JSON.parse(stdout).scanners;
  const isWhole = scan.result === "ok" && scan.updates.length === updates;
  console.log(
    `on a tenth of a core: ${scan.result}, ${scan.updates.length} updates in ${tookS} s ` +
      `(${isWhole ? "holds" : "MISSED"})`,
  );
  return isWhole ? 0 : 1;
}

const NOTHING: Cost = { wallMs: NaN, cpuMs: NaN };

async function floorOf(manager: Manager, floor: keyof typeof FLOORS): Promise<Cost> {
  return manager === "apt" ? await costOf(FLOORS[floor], { LC_ALL: "C.UTF-8" }) : NOTHING;
}

/** Prints what was measured; answers 1 if a target was missed. */
function report(
  { manager, updates }: Plan,
  costs: readonly Readonly<Record<"scan" | "commands" | "decide" | "list", Cost>>[],
): number {
  const ratio = (of: (cost: (typeof costs)[number]) => number) => median(costs.map(of));
  const ms = (of: (cost: (typeof costs)[number]) => number) => ratio(of).toFixed(0);
  const targets = CPU_TARGETS[updates];
  const rows: [what: string, ratio: number, target: number | undefined][] = [
    [
      `${ms(({ scan }) => scan.wallMs)} ms, its commands ${ms((each) => each.commands.wallMs)} ms`,
      ratio(({ scan, commands }) => scan.wallMs / commands.wallMs),
      TARGET,
    ],
  ];
  if (manager === "apt") {
    const cpu = `CPU ${ms(({ scan }) => scan.cpuMs)} ms`;
    rows.push(
      [
        `${cpu}, to decide ${ms(({ decide }) => decide.cpuMs)} ms`,
        ratio(({ scan, decide }) => scan.cpuMs / decide.cpuMs),
        targets?.decide,
      ],
      [
        `${cpu}, to list ${ms(({ list }) => list.cpuMs)} ms`,
        ratio(({ scan, list }) => scan.cpuMs / list.cpuMs),
        targets?.list,
      ],
    );
  }
  for (const [what, found, target] of rows) {
    const verdict = target === undefined
      ? ""
      : ` (at most ${target} x: ${found <= target ? "holds" : "MISSED"})`;
    console.log(`scan ${what}: ${found.toFixed(2)} x${verdict}`);
  }
  return rows.some(([, found, target]) => target !== undefined && !(found <= target)) ? 1 : 0;
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

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(2);
  }
}
