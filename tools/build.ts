/**
 * `deno task build`: makes the executable in `dist/`, least permissions compiled in.
 *
 * `--target NAME` for another system than Linux x64, `--check` to build twice and compare. What was
 * made is told on stdout, progress on stderr. Writes to `dist/` and `.cache/` alone.
 */

import { parseArgs } from "@std/cli/parse-args";
import { BuildError } from "./build/build_error.ts";
import { compile } from "./build/compile.ts";
import { sha256Of } from "./build/digest.ts";
import { SHIPPED_DENO } from "./build/shipped_deno.ts";
import { tryOut } from "./build/try_out.ts";
import { describeTarget, type Target, TARGETS } from "./build/targets.ts";

const USAGE = `Usage: deno task build [--target NAME] [--check]
Targets: ${TARGETS.map((target) => target.triple).join(", ")}`;

async function main(args: readonly string[]): Promise<number> {
  const flags = parseArgs(args, {
    string: ["target"],
    boolean: ["check", "help"],
    default: { target: "x86_64-unknown-linux-gnu" },
    unknown: (argument) => misuse(`no such argument "${argument}"`),
  });
  if (flags["help"]) {
    console.log(USAGE);
    return 0;
  }
  const target = describeTarget(String(flags["target"]));
  if (!target) misuse(`no such target "${flags["target"]}"`);
  await build(target);
  return flags["check"] ? await buildAgain(target) : 0;
}

/** Answers the sha256 of what it made, and prints it with all there is to say. */
async function build(target: Target): Promise<string> {
  const startMs = performance.now();
  const base = await compile(target, (progress) => console.error(progress));
  const version = await tryOut(target);
  const tookS = ((performance.now() - startMs) / 1_000).toFixed(1);
  const sha256 = await sha256Of(target.file);
  const { size } = await Deno.stat(target.file);
  console.log(`file    ${target.file}`);
  console.log(`deno    ${SHIPPED_DENO}`);
  console.log(`base    ${base}`);
  if (version !== null) console.log(`says    ${version}`);
  console.log(`size    ${size} bytes`);
  console.log(`sha256  ${sha256}`);
  console.log(`time    ${tookS} s`);
  return sha256;
}

async function buildAgain(target: Target): Promise<number> {
  const first = await sha256Of(target.file);
  const second = await build(target);
  const verdict = first === second ? "identical" : `different: ${first}, ${second}`;
  console.log(`check   two builds are ${verdict}`);
  return first === second ? 0 : 1;
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
