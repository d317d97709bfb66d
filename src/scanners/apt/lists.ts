/** Looks at apt's state on disk: when the host's lists were fetched, whether its cache is of use. */

import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";

/** Apt's state on disk; folders without a trailing slash. */
export interface AptPlaces {
  readonly aptStateDirectory: string;
  readonly aptCacheDirectory: string;
  readonly dpkgDirectory: string;
}

const PURPOSE = "look at the package lists";

/**
 * When the folder of the host's lists, or a stamp of theirs, last changed; `null` if that is not known.
 * It says when the host may have fetched something, and of no source that it was fetched: any file that
 * comes or goes changes the folder. `lists/partial` says nothing: a try that fails changes it as well.
 */
export async function listsFetchedMs(
  { files }: Pick<System, "files">,
  { aptStateDirectory }: Pick<AptPlaces, "aptStateDirectory">,
): Promise<number | null> {
  const paths = [
    `${aptStateDirectory}/lists`,
    `${aptStateDirectory}/periodic/update-success-stamp`,
  ];
  const times = await Promise.all(paths.map((path) => modifiedMs({ files }, path)));
  const known = times.filter((time) => time !== null);
  return known.length > 0 ? Math.max(...known) : null;
}

/** A text that changes when the lists are replaced or packages installed. */
export async function stateStamp(
  { files }: Pick<System, "files">,
  places: AptPlaces,
): Promise<string> {
  return (await stateTimes({ files }, places)).join(" ");
}

function stateTimes(
  system: Pick<System, "files">,
  { aptStateDirectory, dpkgDirectory }: AptPlaces,
): Promise<(number | null)[]> {
  const paths = [`${aptStateDirectory}/lists`, `${dpkgDirectory}/status`];
  return Promise.all(paths.map((path) => modifiedMs(system, path)));
}

/** Whether apt's cache at `file` was made of what lists and packages are there now. */
export async function isCurrentCache(
  system: Pick<System, "files">,
  places: AptPlaces,
  file: string,
): Promise<boolean> {
  const cachedMs = await modifiedMs(system, file);
  if (cachedMs === null) return false;
  // What is not there is as old as anything.
  return (await stateTimes(system, places)).every((time) => Number(time) <= cachedMs);
}

/** Names in a folder that begin so, as paths; none where it cannot be read. */
export async function listFiles(
  { files }: Pick<System, "files">,
  directory: string,
  prefixes: readonly string[],
): Promise<string[]> {
  try {
    const names = await files.list(PURPOSE, directory);
    return names.filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
      .map((name) => `${directory}/${name}`);
  } catch (error) {
    if (error instanceof FileError) return [];
    throw error;
  }
}

/** When `path` last changed; `null`: it is not there, or may not be looked at. */
export async function modifiedMs(
  { files }: Pick<System, "files">,
  path: string,
): Promise<number | null> {
  try {
    return (await files.inspect(PURPOSE, path))?.modifiedMs ?? null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}
