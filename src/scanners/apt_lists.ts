/** Looks at the package lists on disk: how old they are, whether there are any, whether they stay. */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

/** Apt's state on disk; both folders without a trailing slash. */
export interface AptPlaces {
  readonly aptStateDirectory: string;
  readonly dpkgDirectory: string;
}

const PURPOSE = "look at the package lists";

/** A list of packages, packed or not. */
const PACKAGES = /_Packages(\.\w+)?$/;

/**
 * When the lists were last fetched; `null` if that is not known.
 *
 * Times of the lists themselves are those at which the archive published them. Where nothing new was
 * found only a stamp tells of the attempt, and only some systems keep one.
 */
export async function listsFetchedMs(
  { files }: System,
  { aptStateDirectory }: AptPlaces,
): Promise<number | null> {
  const paths = [
    `${aptStateDirectory}/lists`,
    `${aptStateDirectory}/lists/partial`,
    `${aptStateDirectory}/periodic/update-success-stamp`,
  ];
  const times = await Promise.all(paths.map((path) => modifiedMs({ files }, path)));
  const known = times.filter((time) => time !== null);
  return known.length > 0 ? Math.max(...known) : null;
}

/** Whether package lists were ever fetched: without them apt knows of no update, and says so of none. */
export async function haveLists(
  { files }: System,
  { aptStateDirectory }: AptPlaces,
): Promise<boolean> {
  const names = await listNames({ files }, aptStateDirectory);
  return names.some((name) => name.endsWith("Release") || PACKAGES.test(name));
}

/**
 * Whether nobody may have signed what a list says. The source of such a list can be trusted all the
 * same, because its owner said so: only apt tells, and takes a while.
 */
export async function mayBeUnsigned(
  { files }: System,
  { aptStateDirectory }: AptPlaces,
): Promise<boolean> {
  const names = await listNames({ files }, aptStateDirectory);
  const releases = names.filter((name) => /_(In)?Release$/.test(name));
  if (releases.some((name) => name.endsWith("_Release") && !names.includes(`${name}.gpg`))) {
    return true;
  }
  // A source may even do without a Release file.
  const starts = releases.map((name) => name.replace(/(In)?Release$/, ""));
  const isOfRelease = (name: string) => starts.some((start) => name.startsWith(start));
  return names.some((name) => PACKAGES.test(name) && !isOfRelease(name));
}

async function listNames(
  { files }: Pick<System, "files">,
  aptStateDirectory: string,
): Promise<string[]> {
  try {
    return await files.list(PURPOSE, `${aptStateDirectory}/lists`);
  } catch (error) {
    if (error instanceof FileError) return [];
    throw error;
  }
}

/** A text that changes when the lists are replaced or packages installed. */
export async function stateStamp({ files }: System, places: AptPlaces): Promise<string> {
  const paths = [`${places.aptStateDirectory}/lists`, `${places.dpkgDirectory}/status`];
  const times = await Promise.all(paths.map((path) => modifiedMs({ files }, path)));
  return times.join(" ");
}

async function modifiedMs(
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
