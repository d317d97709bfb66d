/**
 * `deno task sim:mutants`: puts each mistake into a copy of the source and wants the simulator to see it.
 * A word chooses those with it in their name; `--rotate` a third of them, by the commit's name.
 */

import { applyEdit, type Mutant, MUTANTS } from "./mutants.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** What a copy needs to run the simulator. */
const PARTS = ["src", "tests/sim", "tests/fakes", "tests/scanners", "tests/fixtures", "types"];
const FILES = ["deno.json", "deno.lock"];

/** Seeds that are tried, few and then more: most mistakes show at once. */
const ROUNDS = [["--seeds", "20"], ["--from", "21", "--seeds", "180"]];
const DAYS = "10";

/** A round takes a fifteenth of this on two idle cores; a mistake that has the agent spin never ends by itself. */
const LIMIT_MS = 300_000;
const LONG_LIMIT_MS = 600_000;

/** The first violation that the simulator found; `null`: the mistake went through. */
async function hunt(mutant: Mutant): Promise<string | null> {
  const folder = await Deno.makeTempDir({ prefix: "pennon-mutant-" });
  try {
    await copySource(folder);
    for (const edit of mutant.edits) {
      const path = `${folder}/${edit.file}`;
      await Deno.writeTextFile(path, applyEdit(await Deno.readTextFile(path), edit));
    }
    const scenarios = await run(folder, "tests/sim/scenarios.ts", []);
    if (scenarios !== null) return scenarios;
    for (const [index, seeds] of ROUNDS.entries()) {
      const limitMs = index === 0 ? LIMIT_MS : LONG_LIMIT_MS;
      const found = await run(folder, "tests/sim/main.ts", [...seeds, "--days", DAYS], limitMs);
      if (found !== null) return found;
    }
    return null;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function copySource(folder: string): Promise<void> {
  for (const part of PARTS) await copyFolder(`${ROOT}${part}`, `${folder}/${part}`);
  for (const file of FILES) await Deno.copyFile(`${ROOT}${file}`, `${folder}/${file}`);
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

async function run(folder: string, script: string, args: readonly string[], limitMs = LIMIT_MS) {
  const signal = AbortSignal.timeout(limitMs);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--no-check", "--allow-read=.", script, ...args],
    cwd: folder,
    signal,
  }).output();
  if (code === 0) return null;
  if (signal.aborted) return `no end within ${limitMs / 1_000} s: the agent spins`;
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return /^(Seed|Scenario) .*$/m.exec(text)?.[0] ?? `exit ${code}: ${text.slice(0, 300)}`;
}

/** Commits take turns: so many of them in a row try all mistakes, if chance is even. */
const SHARES = 3;

async function shareOfCommit(): Promise<readonly Mutant[]> {
  const args = ["rev-parse", "HEAD"];
  const { success, stdout } = await new Deno.Command("git", { args, cwd: ROOT }).output();
  if (!success) throw new Error("Cannot choose by the commit: git does not know it");
  const share = parseInt(new TextDecoder().decode(stdout).slice(0, 8), 16) % SHARES;
  return MUTANTS.filter((_, index) => index % SHARES === share);
}

if (import.meta.main) {
  const [wanted] = Deno.args;
  const mutants = wanted === "--rotate"
    ? await shareOfCommit()
    : MUTANTS.filter(({ name }) => wanted === undefined || name.includes(wanted));
  const missed: string[] = [];
  for (const mutant of mutants) {
    const found = await hunt(mutant);
    console.log(
      `${found === null ? "MISSED " : "caught "} ${mutant.name}: ${found ?? "by nothing"}`,
    );
    if (found === null) missed.push(mutant.name);
  }
  console.log(`${mutants.length - missed.length} of ${mutants.length} mistakes caught`);
  Deno.exit(missed.length === 0 && mutants.length > 0 ? 0 : 1);
}
