/**
 * `deno task build`: makes executables in `dist/`, least permissions compiled in.
 *
 * For Linux x64, or the targets that are named, or all. `--check` builds each twice and compares. What
 * was made is printed on stdout, progress on stderr. Writes to `dist/` and `.cache/` alone.
 */

import { parseArgs } from "@std/cli/parse-args";
import { type Base, obtainBase, releaseObjections } from "./build/base.ts";
import { BuildError } from "./build/build_error.ts";
import { compile, prepareWorkshop, type Workshop } from "./build/compile.ts";
import { sha256Of } from "./build/digest.ts";
import { inspectExecutable } from "./build/inspect.ts";
import { SHIPPED_DENO } from "./build/shipped_deno.ts";
import { tryOut } from "./build/try_out.ts";
import { describeTarget, type Target, TARGETS } from "./build/targets.ts";

const USAGE = `Usage: deno task build [options]

  --target NAME          build for this target; may be given several times (linux-x64)
  --all                  build for all targets
  --check                build each twice, and end with 1 unless the two are identical
  --release              refuse what must not be released: sources that differ from their commit, and
                         a base that is not Deno's own download with a pinned SHA-256
  --allow-foreign-base   with --release: allow the base from PyPI, or the one in DENORT_BIN
  --help

Targets: ${TARGETS.map(({ name }) => name).join(", ")}`;

async function main(args: readonly string[]): Promise<number> {
  const flags = parseArgs(args, {
    string: ["target"],
    collect: ["target"],
    boolean: ["all", "check", "release", "allow-foreign-base", "help"],
    unknown: (argument) => misuse(`no such argument "${argument}"`),
  });
  if (flags["help"]) {
    console.log(USAGE);
    return 0;
  }
  const names = [flags["target"] ?? []].flat().map(String);
  if (flags["all"] && names.length > 0) misuse('give either "--all" or "--target"');
  if (names.length === 0) names.push("linux-x64");
  const targets = flags["all"]
    ? TARGETS
    : names.map((name) => describeTarget(name) ?? misuse(`no such target "${name}"`));
  const workshop = await prepareWorkshop();
  let worst = 0;
  let isReachable = true;
  for (const target of targets) {
    const base = await obtainBase(target, {
      named: Deno.env.get("DENORT_BIN"),
      isReachable,
      onProgress: (progress) => console.error(progress),
    });
    isReachable &&= base.kind !== "pypi";
    if (flags["release"]) {
      await refuseForRelease(target, base, workshop, flags["allow-foreign-base"] === true);
    }
    const first = await build(target, base, workshop);
    if (!flags["check"]) continue;
    const second = await build(target, base, workshop);
    const isSame = first === second;
    console.log(
      `check   two builds are ${isSame ? "identical" : `different: ${first}, ${second}`}`,
    );
    if (!isSame) worst = 1;
  }
  return worst;
}

async function refuseForRelease(
  target: Target,
  base: Base,
  { source }: Workshop,
  allowForeignBase: boolean,
): Promise<void> {
  const objections = releaseObjections(base, source, { allowForeignBase });
  if (objections.length === 0) return;
  // An executable of an earlier build must not be taken for the release's.
  await Deno.remove(target.file).catch(() => {});
  throw new BuildError(`Cannot release "${target.file}": ${objections.join("; ")}`);
}

/** Answers the SHA-256 of what it made, and prints it with all there is to say. */
async function build(target: Target, base: Base, workshop: Workshop): Promise<string> {
  console.error(`compiling ${target.file} with Deno ${SHIPPED_DENO}; base: ${base.origin}`);
  const startMs = performance.now();
  await compile(target, base, workshop);
  const facts = await inspectExecutable(target);
  const said = await tryOut(target);
  const tookS = ((performance.now() - startMs) / 1_000).toFixed(1);
  const sha256 = await sha256Of(target.file);
  const { size } = await Deno.stat(target.file);
  console.log(`file    ${target.file}`);
  console.log(`deno    ${SHIPPED_DENO}`);
  console.log(`base    ${base.origin}`);
  console.log(`commit  ${workshop.source.commit ?? "unknown"}${dirtyMark(workshop)}`);
  console.log(`format  ${facts}`);
  console.log(`says    ${said?.replaceAll("\n", "; ") ?? "not run: it is for another system"}`);
  console.log(`size    ${size} bytes`);
  console.log(`sha256  ${sha256}`);
  console.log(`time    ${tookS} s`);
  return sha256;
}

function dirtyMark({ source }: Workshop): string {
  return source.isDirty ? ", dirty" : "";
}

function misuse(fact: string): never {
  throw new BuildError(`Cannot build: ${fact}\n${USAGE}`, { exitCode: 2 });
}

if (import.meta.main) {
  try {
    // Paths in the build's files are relative to the project.
    Deno.chdir(new URL("..", import.meta.url));
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    Deno.exit(error.exitCode);
  }
}
