/** Compiles the program for a target: the plain way, else with the base out of npm. */

import { BuildError } from "./build_error.ts";
import { bundle, LICENSES } from "./bundle.ts";
import { NPM_BASE_VERSION, npmBase } from "./npm_base.ts";
import { permissionFlags } from "./permissions.ts";
import { runTool, type ToolResult } from "./run.ts";
import { stageSources } from "./stage.ts";
import type { Target } from "./targets.ts";
import { V8_FLAGS } from "./v8_flags.ts";

const ENTRY = "main.ts";

/** A folder for what is not finished: `dist/` holds whole executables only. */
const WORKSHOP = ".cache/build";
const STAGE = `${WORKSHOP}/sources`;
const BUNDLE = `${WORKSHOP}/bundle`;

/** Modules are a few MB; a base is about 40. */
const FETCH_TIMEOUT_MS = 300_000;
const COMPILE_TIMEOUT_MS = 300_000;

const NEXT_STEP =
  "Build where Deno can download its base executables, or name one of this system " +
  "and of this version of Deno in DENORT_BIN";

/** A Deno to be run, and what its environment needs besides. */
interface Compiler {
  readonly argv: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Makes the target's file and says which way.
 *
 * @throws {BuildError} if it cannot be made; a file of an earlier build is then gone
 */
export async function compile(target: Target, tell: (progress: string) => void): Promise<string> {
  const imports = await stageSources(STAGE);
  await Deno.mkdir("dist", { recursive: true });
  // What is there afterwards is of this build, or not there.
  await Deno.remove(target.file).catch(() => {});
  const own: Compiler = { argv: [Deno.execPath()], environment: {} };
  await fetchModules(own);
  await bundle({ folder: STAGE, entry: ENTRY, imports, into: BUNDLE });
  tell(`compiling for ${target.triple} with Deno ${Deno.version.deno}`);
  const plain = await compileWith(own, target);
  if (plain.success) return `deno compile, Deno ${Deno.version.deno}`;
  const why = gistOf(plain.output);
  if (target.triple !== "x86_64-unknown-linux-gnu") {
    throw new BuildError(`Cannot compile for "${target.triple}": ${why}\n${NEXT_STEP}`);
  }
  tell(`not the plain way: ${why}`);
  return await compileWithNpmBase(target, tell);
}

async function compileWithNpmBase(
  target: Target,
  tell: (progress: string) => void,
): Promise<string> {
  const base = await npmBase(tell);
  tell(`compiling for ${target.triple} with Deno ${NPM_BASE_VERSION} and its base out of npm`);
  const compiler: Compiler = {
    argv: Deno.version.deno === NPM_BASE_VERSION
      ? [Deno.execPath()]
      : ["npx", "-y", `deno@${NPM_BASE_VERSION}`],
    environment: { DENORT_BIN: `${Deno.cwd()}/${base}` },
  };
  const { success, output } = await compileWith(compiler, target);
  if (success) return `deno compile, Deno ${NPM_BASE_VERSION}, base out of npm`;
  throw new BuildError(`Cannot compile for "${target.triple}": ${gistOf(output)}`);
}

/** Nothing but what the lock file names, into `node_modules` beside the sources. */
async function fetchModules(compiler: Compiler): Promise<void> {
  const args = ["cache", "--quiet", "--frozen", ENTRY];
  const options = { timeoutMs: FETCH_TIMEOUT_MS, folder: STAGE };
  const { success, output } = await runCompiler(compiler, args, options);
  if (!success) throw new BuildError(`Cannot fetch modules of "${ENTRY}": ${gistOf(output)}`);
}

async function compileWith(compiler: Compiler, target: Target): Promise<ToolResult> {
  // Its own name: Deno writes the file's name into the executable.
  const made = `${Deno.cwd()}/${WORKSHOP}/${target.file.slice("dist/".length)}`;
  const args = [
    "compile",
    // The bundle is all there is; the project's own would bring its packages in once more.
    "--no-config",
    "--no-lock",
    "--cached-only",
    // There are no types in it, and 2.4.2 would ask npm for Node's.
    "--no-check",
    // Else the executable keeps, and believes, a file of a well-known name in the temporary folder.
    "--no-code-cache",
    V8_FLAGS,
    `--env-file=${Deno.cwd()}/tools/build/executable.env`,
    ...permissionFlags(target),
    `--include=${LICENSES}`,
    `--target=${target.triple}`,
    `--output=${made}`,
    ENTRY.replace(".ts", ".js"),
  ];
  try {
    const options = { timeoutMs: COMPILE_TIMEOUT_MS, folder: BUNDLE };
    const result = await runCompiler(compiler, args, options);
    if (result.success) await Deno.rename(made, target.file);
    return result;
  } finally {
    await Deno.remove(made).catch(() => {});
  }
}

async function runCompiler(
  compiler: Compiler,
  args: readonly string[],
  options: { timeoutMs: number; folder: string },
): Promise<ToolResult> {
  const [program, ...first] = compiler.argv;
  const { environment } = compiler;
  return await runTool(program, [...first, ...args], { ...options, environment });
}

/** Deno's error, or its outermost cause and its innermost, out of all it wrote. */
function gistOf(output: string): string {
  const [said = ""] = output.split("\nStack backtrace");
  const lines = said.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const causes = lines.filter((line) => /^\d+: /.test(line))
    .map((line) => line.replace(/^\d+: /, "").replace(/\.$/, ""));
  if (causes.length > 0) return [...new Set([causes[0], causes.at(-1)])].join(": ");
  const error = lines.find((line) => line.startsWith("error: "));
  return error?.slice("error: ".length) ?? lines.at(-1) ?? "no word";
}
