/** Compiles the program for a target with the shipped Deno. */

import type { Build } from "../../src/version.ts";
import type { Base } from "./base.ts";
import { BuildError } from "./build_error.ts";
import { bundle, LICENSES } from "./bundle.ts";
import { readSourceState, type SourceState } from "./commit.ts";
import { permissionFlags } from "./permissions.ts";
import { runTool, type ToolResult } from "./run.ts";
import { SHIPPED_DENO, shippedDeno, type ToolCommand } from "./shipped_deno.ts";
import { stageSources } from "./stage.ts";
import type { Target } from "./targets.ts";
import { V8_FLAGS } from "./v8_flags.ts";

const ENTRY = "main.ts";

/** A folder for what is not finished: `dist/` holds whole executables only. */
const WORKSHOP = ".cache/build";
const STAGE = `${WORKSHOP}/sources`;
const BUNDLE = `${WORKSHOP}/bundle`;

/** Modules are a few MB. */
const FETCH_TIMEOUT_MS = 300_000;
const COMPILE_TIMEOUT_MS = 300_000;

/** How one of Deno's commands runs. */
interface RunOptions {
  readonly timeoutMs: number;
  readonly folder: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What is the same for all targets of a build. */
export interface Workshop {
  readonly deno: ToolCommand;
  readonly imports: Readonly<Record<string, string>>;
  readonly source: SourceState;
}

/**
 * Copies the sources and fetches their packages.
 *
 * @throws {BuildError} if the shipped Deno or a package cannot be had
 */
export async function prepareWorkshop(): Promise<Workshop> {
  const source = await readSourceState();
  const imports = await stageSources(STAGE);
  const deno = await shippedDeno();
  await fetchModules(deno);
  return { deno, imports, source };
}

/**
 * Makes the target's file on a base.
 *
 * @throws {BuildError} if it cannot be made; a file of an earlier build is then gone
 */
export async function compile(target: Target, base: Base, workshop: Workshop): Promise<void> {
  const { deno, imports, source } = workshop;
  await Deno.mkdir("dist", { recursive: true });
  // What is there afterwards is of this build, or not there.
  await Deno.remove(target.file).catch(() => {});
  const build: Build = { ...source, deno: SHIPPED_DENO, base: base.kind };
  const constants = { PENNON_BUILD: build };
  await bundle({ folder: STAGE, entry: ENTRY, imports, constants, into: BUNDLE });
  const { success, output } = await compileWith(deno, target, { DENORT_BIN: base.path });
  if (success) return;
  throw new BuildError(`Cannot compile for "${target.triple}": ${gistOf(output)}`);
}

/** Fetches what the lock file names and nothing else, into `node_modules` beside the sources. */
async function fetchModules(deno: ToolCommand): Promise<void> {
  const args = ["cache", "--quiet", "--frozen", ENTRY];
  const options = { timeoutMs: FETCH_TIMEOUT_MS, folder: STAGE };
  const { success, output } = await runDeno(deno, args, options);
  if (!success) throw new BuildError(`Cannot fetch modules of "${ENTRY}": ${gistOf(output)}`);
}

async function compileWith(
  deno: ToolCommand,
  target: Target,
  environment: Readonly<Record<string, string>>,
): Promise<ToolResult> {
  // Its own name: Deno writes the file's name into the executable.
  const made = `${Deno.cwd()}/${WORKSHOP}/${target.file.slice("dist/".length)}`;
  const args = [
    "compile",
    // The bundle is all there is; the project's own would bring its packages in once more.
    "--no-config",
    "--no-lock",
    "--cached-only",
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
    const options = { timeoutMs: COMPILE_TIMEOUT_MS, folder: BUNDLE, environment };
    const result = await runDeno(deno, args, options);
    if (result.success) await Deno.rename(made, target.file);
    return result;
  } finally {
    await Deno.remove(made).catch(() => {});
  }
}

async function runDeno(
  [program, ...first]: ToolCommand,
  args: readonly string[],
  options: RunOptions,
): Promise<ToolResult> {
  return await runTool(program, [...first, ...args], options);
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
