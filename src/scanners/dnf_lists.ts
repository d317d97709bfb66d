/** Tells how old the package lists are that dnf answered from. */

import type { RunResult } from "../system/process.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { KeptLists } from "./dnf_old_lists.ts";

const PURPOSE = "look at dnf's package lists";

/** Repositories looked at: a cache keeps those of others that are long gone. */
const MOST_REPOSITORIES = 500;

/** What dnf 4 says of it on stderr, whoever asks; a list that was fetched just now goes unsaid. */
const CHECKED =
  /^Last metadata expiration check: (?:(\d{1,6}) days?, )?(\d{1,2}):(\d\d):(\d\d) ago/m;

/** The age that a command told, in ms; `null` if it told none. */
export function toldAgeMs({ stderr }: Pick<RunResult, "stderr">): number | null {
  const [, days = "0", hours, minutes, seconds] = CHECKED.exec(stderr) ?? [];
  if (hours === undefined) return null;
  const wholeHours = Number(days) * 24 + Number(hours);
  return ((wholeHours * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000;
}

/** A folder of a repository's lists: its id, and a number made of where it is. */
const LISTS_FOLDER = /^(.+)-[0-9a-f]{16}$/;

/**
 * When the lists of these repositories were last found to be up to date. One without lists is left
 * out; of one that moved, and has several, the newest count.
 */
export async function keptLists(
  { files }: Pick<System, "files">,
  cacheDirectory: string,
  repositories: readonly string[],
): Promise<KeptLists[]> {
  try {
    const names = await files.list(PURPOSE, cacheDirectory);
    const wanted = new Set(repositories);
    const folders = Map.groupBy(
      names.filter((name) => wanted.has(idOf(name))).slice(0, MOST_REPOSITORIES),
      idOf,
    );
    const kept = await Promise.all([...folders].map(async ([repository, own]) => {
      const times = await Promise.all(own.map((name) => listTimes(files, cacheDirectory, name)));
      return { repository, fetchedMs: Math.max(...times.flat()) };
    }));
    return kept.filter(({ fetchedMs }) => fetchedMs > -Infinity);
  } catch (error) {
    if (error instanceof FileError) return [];
    throw error;
  }
}

function idOf(folder: string): string {
  return LISTS_FOLDER.exec(folder)?.[1] ?? "";
}

/**
 * When a list was last found to be up to date; `null` if that is not known. Dnf sets the time of the
 * list of packages then, and leaves that of the index as it is.
 */
export async function newestListMs(
  { files }: Pick<System, "files">,
  cacheDirectory: string,
): Promise<number | null> {
  try {
    const names = (await files.list(PURPOSE, cacheDirectory)).slice(0, MOST_REPOSITORIES);
    const times = await Promise.all(names.map((name) => listTimes(files, cacheDirectory, name)));
    const known = times.flat();
    return known.length > 0 ? Math.max(...known) : null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

async function listTimes(
  files: System["files"],
  cacheDirectory: string,
  name: string,
): Promise<number[]> {
  const folder = `${cacheDirectory}/${name}/repodata`;
  const primaries = (await namesIn(files, folder)).filter((list) => /primary\.xml/.test(list));
  const facts = await Promise.all(
    primaries.map((list) => files.inspect(PURPOSE, `${folder}/${list}`)),
  );
  return facts.filter((fact) => fact !== undefined).map((fact) => fact.modifiedMs);
}

/** A file beside the repositories' folders is no folder. */
async function namesIn(files: System["files"], folder: string): Promise<string[]> {
  try {
    return await files.list(PURPOSE, folder);
  } catch (error) {
    if (error instanceof FileError) return [];
    throw error;
  }
}
