/** Reads files that the agent trusts, and checks who owns and can write them. */

import { FileError, type FileFacts, type PathTrace } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { type FileUse, trustProblems } from "../trusted_path.ts";

type Deps = Pick<System, "files" | "machine">;

/** Problems with a file's owner, mode or directories, for people. */
interface Distrust {
  /** With any of these the file must not be used. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** The file to check. */
interface TrustedFile {
  /** For messages: `the configuration`, `tls.key_file`. */
  readonly name: string;
  readonly path: string;
  readonly use: FileUse;
  /** @default the port's, 1 MiB */
  readonly maxBytes?: number;
}

/**
 * Returns the text of a file and its problems; `undefined` if there is none. Owner and mode are those of
 * the open file. The path to it is checked afterwards: if only trusted users own and can write its
 * directories, no other user can have placed another file there before. Throws `FileError`.
 */
export async function readTrusted(
  deps: Deps,
  file: TrustedFile,
): Promise<{ readonly text: string } & Distrust | undefined> {
  const { name, path, maxBytes } = file;
  const limit = maxBytes === undefined ? {} : { maxBytes };
  const read = await deps.files.readTextAndFacts(`read ${name}`, path, limit);
  if (read === undefined) return undefined;
  return { text: read.text, ...await distrust(deps, file, read.facts) };
}

/** Checks owner and mode of the state directory and of the path to it, even if it does not exist yet. */
export async function checkStateDirectory(deps: Deps, path: string): Promise<Distrust> {
  return await distrust(deps, { name: "the state directory", path, use: "state directory" });
}

/** `facts`: those of the open file, if there is one; else those of what the path leads to now. */
async function distrust(
  { files, machine }: Deps,
  { name, path, use }: TrustedFile,
  facts?: FileFacts,
): Promise<Distrust> {
  const userId = machine.userId();
  try {
    const trace = await files.trace(`look at the way to ${name}`, path);
    const problems = trustProblems(withFacts(trace, path, facts), { userId, use });
    const texts = (areRefused: boolean) =>
      problems.filter(({ isRefused }) => isRefused === areRefused).map(({ text }) => text);
    return {
      errors: texts(true).map((text) => `Cannot trust ${name}: ${text}`),
      warnings: texts(false).map((text) => `${name} is not safe: ${text}`),
    };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    // A failing disk must not end the agent; but root uses no file that could not be checked.
    return facts !== undefined && userId === 0
      ? { errors: [error.message], warnings: [] }
      : { errors: [], warnings: [`${name} may not be safe: ${error.message}`] };
  }
}

/** The path, with the open file at its end in place of what the path leads to now. */
function withFacts(trace: PathTrace, path: string, facts: FileFacts | undefined): PathTrace {
  if (facts === undefined) return trace;
  const end = trace.isWhole ? trace.steps.at(-1)?.path ?? path : path;
  return { steps: [...trace.steps, { path: end, ...facts }], isWhole: true };
}
