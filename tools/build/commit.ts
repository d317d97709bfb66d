/** Which commit the sources are of. */

import { runTool } from "./run.ts";

/** Everything that decides what an executable is; other files may differ from the commit. */
const INPUTS = [
  "main.ts",
  "src",
  "types",
  "deno.json",
  "deno.lock",
  "tools/build",
  "tools/build.ts",
];

const GIT_TIMEOUT_MS = 30_000;

/** The commit, in hex, and whether what goes into an executable differs from it. */
export interface SourceState {
  /** `null` outside of a clone. */
  readonly commit: string | null;
  readonly isDirty: boolean;
}

/** Asks git about the sources in `folder`. */
export async function readSourceState(folder = "."): Promise<SourceState> {
  const commit = await git(folder, ["rev-parse", "--verify", "HEAD"]);
  // An unpacked archive may lie inside of another project's clone.
  const above = await git(folder, ["rev-parse", "--show-prefix"]);
  if (commit === null || above !== "") return { commit: null, isDirty: false };
  const changes = await git(folder, ["status", "--porcelain", "--", ...INPUTS]);
  return { commit, isDirty: changes !== "" };
}

/** What git prints; `null` if it fails. */
async function git(folder: string, args: readonly string[]): Promise<string | null> {
  const options = { timeoutMs: GIT_TIMEOUT_MS, folder };
  const { success, output } = await runTool("git", args, options);
  return success ? output.trim() : null;
}
