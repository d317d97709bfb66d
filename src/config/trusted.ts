/** Reads files that the agent is to rely on, and looks at whom they belong to on the way. */

import { FileError, type FileFacts, type PathTrace } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { type FileUse, trustProblems } from "../trusted_path.ts";

type Deps = Pick<System, "files" | "machine">;

/** What is wrong with a file's owner, mode or directories; messages are for people. */
export interface Distrust {
  /** Any of these, and the file is not to be used. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** What to look at. */
export interface TrustedFile {
  /** For messages: `the configuration`, `tls.key_file`. */
  readonly name: string;
  readonly path: string;
  readonly use: FileUse;
  /** @default the port's, 1 MiB */
  readonly maxBytes?: number;
}

/**
 * The text of a file and what is wrong with it; `undefined` if there is none. Owner and mode are those
 * of the open file that the text came from. The way to it is looked at afterwards: where only trusted
 * users own and can write it, nobody else can have put another file there before. Throws `FileError`.
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

/**
 * What is wrong with the owner or mode of a directory, or with the way to it, whether it is there or
 * yet to be made.
 */
export async function checkStateDirectory(deps: Deps, path: string): Promise<Distrust> {
  return await distrust(deps, { name: "the state directory", path, use: "state directory" });
}

/** `facts` are those of the file, where it is open; else they are those of whatever is there now. */
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
    // A disk that is sick must not end an agent; but nothing is read for root that was not looked at.
    return facts !== undefined && userId === 0
      ? { errors: [error.message], warnings: [] }
      : { errors: [], warnings: [`${name} may not be safe: ${error.message}`] };
  }
}

/** The way, with the file that is open at its end; it stands for whatever has its path by now. */
function withFacts(trace: PathTrace, path: string, facts: FileFacts | undefined): PathTrace {
  if (facts === undefined) return trace;
  const end = trace.isWhole ? trace.steps.at(-1)?.path ?? path : path;
  return { steps: [...trace.steps, { path: end, ...facts }], isWhole: true };
}
