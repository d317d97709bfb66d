/** The version of Deno that compiles every executable and is the runtime inside it. */

import { BuildError } from "./build_error.ts";
import { runTool } from "./run.ts";

/** The tests run on this version too (`.ci/run`), and the bases in `pypi_base.ts` belong to it. */
export const SHIPPED_DENO = "2.6.8";

/** npm's package of it has about 45 MB. */
const FETCH_TIMEOUT_MS = 300_000;

/** A program and the arguments that come before its own. */
export type ToolCommand = readonly [string, ...string[]];

/**
 * The command that runs the shipped Deno: the Deno that runs the build, if it is that version, else
 * the one that npm's `npx` fetches.
 *
 * @throws {BuildError} if it cannot be run
 */
export async function shippedDeno(): Promise<ToolCommand> {
  if (Deno.version.deno === SHIPPED_DENO) return [Deno.execPath()];
  const [program, ...args] = ["npx", "-y", `deno@${SHIPPED_DENO}`] as const;
  const { success, output } = await runTool(program, [...args, "--version"], {
    timeoutMs: FETCH_TIMEOUT_MS,
  });
  if (success && output.includes(`deno ${SHIPPED_DENO} `)) return [program, ...args];
  throw new BuildError(
    `Cannot run Deno ${SHIPPED_DENO} with npx, and this is Deno ${Deno.version.deno}: ` +
      `${output.trim()}\n` +
      `Next: install Node.js with npm, or run the build with Deno ${SHIPPED_DENO}`,
  );
}
