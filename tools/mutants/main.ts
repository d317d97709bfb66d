/** `deno task mutants`: makes small mistakes in the sources and counts how many the tests notice. */

import { fileURLToPath } from "node:url";
import { seededRandom } from "../fleet/chance.ts";
import { ACCEPTED } from "./accepted.ts";
import { choose, type Mutant } from "./choose.ts";
import { ImportGraph } from "./import_graph.ts";
import { applyEdit } from "./mutation.ts";
import { mutationsOf } from "./operators.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import {
  excerptOf,
  type Fate,
  findAccepted,
  formatReport,
  formatSurvivor,
  mayReach,
  type Result,
  scoresOf,
} from "./report.ts";
import {
  type Durations,
  hasNamespaces,
  limitFor,
  measure,
  runTests,
  stopAllTests,
} from "./run_tests.ts";
import { Sandbox, sourcesIn } from "./sandbox.ts";
import { type Stage, stagesFor } from "./tests_of.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/[\\/]$/, "");

/** A mutation with all that is needed to try it. */
interface Trial {
  readonly mutant: Mutant;
  readonly text: string;
  readonly stages: readonly Stage[];
}

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === null) {
    console.log(USAGE);
    return 0;
  }
  if (typeof options === "string") return misused(options);
  const texts = await readSources(options.only);
  if (texts.size === 0) return misused(`there is no source below "${options.only}"`);
  const seed = options.seed ?? await seedOfCommit();
  const mutants = [...texts].flatMap(([file, text]) =>
    mutationsOf(text).map((mutation): Mutant => ({ file, ...mutation }))
  );
  const chosen = choose(mutants, options.count, seededRandom(seed));
  console.log(`${chosen.length} of ${mutants.length} mutations, seed ${seed}`);
  if (options.isListing) {
    for (const mutant of chosen) console.log(formatSurvivor(shownOf(mutant, texts)));
    return 0;
  }
  const trials = await trialsOf(chosen, texts);
  const results = await tryAll(trials, options);
  if (results === null) return 1;
  console.log(formatReport(results));
  const scores = scoresOf(results);
  if (options.jsonFile !== null) {
    const text = JSON.stringify({ seed, count: chosen.length, scores, results }, null, 2);
    await Deno.writeTextFile(options.jsonFile, `${text}\n`);
  }
  const all = scores.at(-1);
  if (all === undefined) return 1;
  const isReached = all.percent >= options.goal;
  // With so few, chance alone makes ten per cent.
  const isTolerated = options.seed === null && mayReach(all, options.goal);
  const verdict = isReached ? "reached" : isTolerated ? "not disproved by so few" : "missed";
  console.log(`${all.percent.toFixed(1)} % killed, the goal is ${options.goal} %: ${verdict}`);
  return isReached || isTolerated ? 0 : 1;
}

function misused(fact: string): number {
  console.error(`Cannot run mutants: ${fact}\n\n${USAGE}`);
  return 2;
}

async function readSources(only: string): Promise<Map<string, string>> {
  const paths = (await sourcesIn(ROOT, "src")).filter((path) => path.startsWith(only));
  const texts = await Promise.all(paths.map((path) => Deno.readTextFile(`${ROOT}/${path}`)));
  return new Map(paths.map((path, index) => [path, texts[index] ?? ""]));
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(`${ROOT}/${path}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The first 32 bits of the commit's name. */
async function seedOfCommit(): Promise<number> {
  const { success, stdout } = await new Deno.Command("git", {
    args: ["rev-parse", "HEAD"],
    cwd: ROOT,
  }).output();
  if (!success) throw new Error("Cannot take the seed from the commit: git does not know it");
  return parseInt(new TextDecoder().decode(stdout).slice(0, 8), 16);
}

async function trialsOf(
  mutants: readonly Mutant[],
  texts: ReadonlyMap<string, string>,
): Promise<Trial[]> {
  const graph = new ImportGraph(readIfThere);
  const tests = (await sourcesIn(ROOT, "tests")).filter((path) => path.endsWith("_test.ts"));
  const isReal = await hasNamespaces();
  if (!isReal) console.log("No process namespaces here (root on Linux): no tests on real parts");
  const trials: Trial[] = [];
  for (const mutant of mutants) {
    const stages = await stagesFor(mutant.file, tests, graph);
    const possible = stages.filter((stage) => isReal || !stage.isReal);
    trials.push({ mutant, text: texts.get(mutant.file) ?? "", stages: possible });
  }
  return trials;
}

/** Tries all, several at a time; `null` if the tests fail without any mutation. */
async function tryAll(trials: readonly Trial[], { jobs }: Options): Promise<Result[] | null> {
  const sandboxes = await Promise.all(Array.from({ length: jobs }, () => Sandbox.make(ROOT)));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      stopAllTests();
      for (const { folder } of sandboxes) Deno.removeSync(folder, { recursive: true });
      Deno.exit(130);
    });
  }
  try {
    const durations = await measureAll(trials, sandboxes);
    if (durations === null) return null;
    const results: Result[] = [];
    await share([...trials.entries()], sandboxes, async ([index, trial], sandbox) => {
      const result = await tryOne(trial, sandbox, durations);
      results[index] = result;
      const { fate, file, line, operator, tookMs } = result;
      const seconds = (tookMs / 1_000).toFixed(1);
      console.log(`${fate.padEnd(8)} ${seconds.padStart(6)} s  ${file}:${line} (${operator})`);
      if (fate === "survived") console.log(formatSurvivor(result));
    });
    return results;
  } finally {
    for (const sandbox of sandboxes) await sandbox.remove();
  }
}

/** Runs every test file that is needed as it is: how long it takes is the measure for the mutations. */
async function measureAll(
  trials: readonly Trial[],
  sandboxes: readonly Sandbox[],
): Promise<Durations | null> {
  const files = new Set(trials.flatMap(({ stages }) => stages.flatMap((stage) => stage.files)));
  console.log(`${files.size} test files without a mutation`);
  const durations: Durations = new Map();
  const failed: string[] = [];
  await share([...files], sandboxes, async (file, sandbox) => {
    const tookMs = await measure(file, sandbox.folder);
    if (tookMs === null) failed.push(file);
    else durations.set(file, tookMs);
  });
  if (failed.length === 0) return durations;
  console.error(`Cannot run mutants: these fail without a mutation: ${failed.join(", ")}`);
  return null;
}

/** One piece of work at a time for each sandbox. */
async function share<T>(
  items: readonly T[],
  sandboxes: readonly Sandbox[],
  work: (item: T, sandbox: Sandbox) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  await Promise.all(sandboxes.map(async (sandbox) => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      await work(item, sandbox);
    }
  }));
}

async function tryOne(
  { mutant, text, stages }: Trial,
  sandbox: Sandbox,
  durations: Durations,
): Promise<Result> {
  const startedMs = performance.now();
  const shown = shownOf(mutant, new Map([[mutant.file, text]]));
  const fate = await sandbox.with(mutant.file, applyEdit(text, mutant), async () => {
    for (const stage of stages) {
      const limitMs = limitFor(stage, durations);
      const end = await runTests(stage, { folder: sandbox.folder, limitMs });
      if (end !== "passed") return end === "failed" ? "killed" : end;
    }
    return "survived";
  });
  const tookMs = performance.now() - startedMs;
  if (fate !== "survived") return { ...shown, fate, tookMs };
  const accepted = findAccepted(ACCEPTED, shown);
  if (accepted === undefined) return { ...shown, fate, tookMs };
  return { ...shown, fate: "accepted", reason: accepted.reason, tookMs };
}

function shownOf(mutant: Mutant, texts: ReadonlyMap<string, string>): Result {
  const { file, line, operator } = mutant;
  const excerpt = excerptOf(texts.get(file) ?? "", mutant);
  const fate: Fate = "survived";
  return { file, line, operator, ...excerpt, fate, tookMs: 0 };
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`mutants: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
