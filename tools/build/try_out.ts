/** Starts a new executable once: one that does not start is not left in `dist/`. */

import { BuildError } from "./build_error.ts";
import type { Target } from "./targets.ts";

const TIMEOUT_MS = 30_000;

/**
 * What it says to `--version`; `null` if it is made for another system than this one.
 *
 * @throws {BuildError} if it fails; the file is then removed
 */
export async function tryOut(target: Target): Promise<string | null> {
  if (target.triple !== Deno.build.target) return null;
  try {
    const { success, stdout, stderr } = await new Deno.Command(`${Deno.cwd()}/${target.file}`, {
      args: ["--version"],
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
    return new TextDecoder().decode(stdout).trim();
  } catch (cause) {
    await Deno.remove(target.file);
    const fact = cause instanceof Error ? cause.message : String(cause);
    throw new BuildError(`Cannot start "${target.file}": ${fact}`, { cause });
  }
}
