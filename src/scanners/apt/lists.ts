/** Apt's state on disk: the package lists of each source, their age, and whether apt's cache is current. */

import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { CLOCK_SLACK_MS, listNames, unlessFileError } from "../private_files.ts";
import type { ScanSource } from "../scanner.ts";
import {
  type AptSource,
  byAddress,
  filledLists,
  findSource,
  isAsked,
  marksSecurity,
  parseRelease,
  type Release,
} from "./sources.ts";

/** Apt's directories, without a trailing slash. */
export interface AptPlaces {
  readonly aptStateDirectory: string;
  readonly aptCacheDirectory: string;
  readonly dpkgDirectory: string;
}

const PURPOSE = "look at the package lists";

/** When `path` last changed; `null`: it does not exist, or may not be inspected. */
export function modifiedMs({ files }: Pick<System, "files">, path: string): Promise<number | null> {
  return unlessFileError(
    async () => (await files.inspect(PURPOSE, path))?.modifiedMs ?? null,
    null,
  );
}

/** Paths of the files in a directory whose names begin so; none where it cannot be read. */
export async function listFiles(
  system: Pick<System, "files">,
  directory: string,
  prefixes: readonly string[],
): Promise<string[]> {
  const names = await listNames(system, PURPOSE, directory);
  return names.filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
    .map((name) => `${directory}/${name}`);
}

/**
 * When the directory of the host's lists, or a stamp of theirs, last changed; `null` if unknown. This is
 * when the host may have fetched something, not proof that any source was fetched: any file that comes or
 * goes changes the directory. `lists/partial` does not count: a failed attempt changes it as well.
 */
export async function listsFetchedMs(
  system: Pick<System, "files">,
  { aptStateDirectory }: Pick<AptPlaces, "aptStateDirectory">,
): Promise<number | null> {
  const paths = [
    `${aptStateDirectory}/lists`,
    `${aptStateDirectory}/periodic/update-success-stamp`,
  ];
  const times = await Promise.all(paths.map((path) => modifiedMs(system, path)));
  const known = times.filter((time) => time !== null);
  return known.length > 0 ? Math.max(...known) : null;
}

/** A text that changes when the lists are replaced or packages installed. */
export async function stateStamp(
  system: Pick<System, "files">,
  places: AptPlaces,
): Promise<string> {
  return (await stateTimes(system, places)).join(" ");
}

function stateTimes(
  system: Pick<System, "files">,
  { aptStateDirectory, dpkgDirectory }: AptPlaces,
): Promise<(number | null)[]> {
  const paths = [`${aptStateDirectory}/lists`, `${dpkgDirectory}/status`];
  return Promise.all(paths.map((path) => modifiedMs(system, path)));
}

/** Whether apt built its cache at `file` from the present lists and packages. */
export async function isCurrentCache(
  system: Pick<System, "files">,
  places: AptPlaces,
  file: string,
): Promise<boolean> {
  const cachedMs = await modifiedMs(system, file);
  if (cachedMs === null) return false;
  // A missing file is older than any cache.
  return (await stateTimes(system, places)).every((time) => Number(time) <= cachedMs);
}

export interface SourceLists {
  /** `null`: there is no Release file, or it cannot be read. */
  readonly release: Release | null;
  readonly hasRelease: boolean;
  /** Whether a signature covers its lists. */
  readonly isSigned: boolean;
  /** When its archive published these lists; `null` without a Release file. */
  readonly publishedMs: number | null;
  /** The date in its Release file, and that file's time, or the lists', which apt copies from the archive. */
  readonly timesMs: readonly number[];
  /** Whether there is any list of packages. */
  readonly hasPackages: boolean;
  /** Lists that are not empty by its Release file, and that are missing here. */
  readonly absent: readonly string[];
  /** Why its Release file was not read. */
  readonly unreadable: string | null;
}

/** The largest Release file that is read: Debian's sid has 250 kB. */
const MAX_RELEASE_BYTES = 4_194_304;

/** Inspects the lists of sources in a directory, by prefix. File errors are part of the result. */
export async function inspectLists(
  system: Pick<System, "files">,
  directory: string,
  sources: readonly AptSource[],
): Promise<ReadonlyMap<string, SourceLists>> {
  const names = new Set(await listNames(system, PURPOSE, directory));
  const found = new Map<string, SourceLists>();
  for (const source of sources) {
    found.set(source.prefix, await inspectSource(system, directory, names, source));
  }
  return found;
}

/** Extensions of lists that apt keeps packed. */
const PACKED = ["", ".lz4", ".gz", ".xz", ".bz2", ".zst", ".lzma"];

async function inspectSource(
  { files }: Pick<System, "files">,
  directory: string,
  names: ReadonlySet<string>,
  { prefix, lists }: AptSource,
): Promise<SourceLists> {
  const isHere = (list: string) => PACKED.some((ending) => names.has(list + ending));
  const here = lists.filter(isHere);
  const [inRelease, plain] = [`${prefix}InRelease`, `${prefix}Release`];
  const name = names.has(inRelease) ? inRelease : plain;
  const shared = {
    hasRelease: names.has(name),
    isSigned: name === inRelease || names.has(`${plain}.gpg`),
    hasPackages: here.length > 0,
  };
  const none = { ...shared, release: null, publishedMs: null, absent: [], unreadable: null };
  const listTimes = async () => {
    const packed = here.flatMap((list) => PACKED.map((ending) => list + ending));
    const facts = await Promise.all(
      packed.filter((file) => names.has(file))
        .map((file) => files.inspect(PURPOSE, `${directory}/${file}`)),
    );
    return facts.flatMap((fact) => fact === undefined ? [] : [fact.modifiedMs]);
  };
  try {
    const path = `${directory}/${name}`;
    const read = await files.readTextAndFacts(PURPOSE, path, { maxBytes: MAX_RELEASE_BYTES });
    if (!read) return { ...none, hasRelease: false, timesMs: await listTimes() };
    const release = parseRelease(read.text);
    const paths = lists.filter((list) => !isHere(list))
      .map((list) => list.slice(prefix.length).replaceAll("_", "/").replace(/%5f/g, "_"))
      // Where the archive says so, the other lists contain the packages of no architecture.
      .filter((path) => !/\/binary-all\//.test(path));
    return {
      ...shared,
      release,
      publishedMs: release.dateMs ?? read.facts.modifiedMs,
      timesMs: [...release.dateMs === null ? [] : [release.dateMs], read.facts.modifiedMs],
      absent: paths.length === 0 ? [] : [...filledLists(read.text, paths)],
      unreadable: null,
    };
  } catch (error) {
    if (error instanceof FileError) return { ...none, timesMs: [], unreadable: error.message };
    throw error;
  }
}

/** When and how a source was last asked. */
export interface SourceFetch {
  /** When its lists were last fetched, or were the archive's newest; `null`: unknown. */
  readonly fetchedMs: number | null;
  /** Whether apt itself accepted these lists as valid when it last asked. */
  readonly isProven: boolean;
  /** Why the source did not answer when it was last asked. */
  readonly failure: string | null;
}

/** Age at which lists are old if apt has not asked for newer ones since, and they do not say themselves. */
const MAX_AGE_MS = 48 * 3_600_000;

/** The newest plausible time; else the least implausible one; `null` if there is none. */
export function newestPlausible(timesMs: readonly number[], nowMs: number): number | null {
  const plausible = timesMs.filter((time) => time <= nowMs + CLOCK_SLACK_MS);
  if (plausible.length > 0) return Math.max(...plausible);
  return timesMs.length > 0 ? Math.min(...timesMs) : null;
}

/** What a scan that reads these lists reports of a source. */
export function judgeSource(
  source: AptSource,
  lists: SourceLists,
  fetch: SourceFetch,
  { enabled, nowMs }: { enabled: readonly Release[]; nowMs: number },
): ScanSource {
  const hasLists = lists.hasRelease || lists.hasPackages;
  const claimedMs = hasLists && fetch.fetchedMs !== null ? nowMs - fetch.fetchedMs : null;
  const isAhead = claimedMs !== null && claimedMs < -CLOCK_SLACK_MS;
  const ageMs = isAhead ? null : claimedMs;
  const expiresAtMs = lists.release?.validUntilMs ?? null;
  const facts = {
    name: source.name,
    url: source.address,
    why: null,
    metadataAgeS: ageMs === null ? null : Math.max(0, Math.floor(ageMs / 1_000)),
    expiresAtMs,
    marksSecurity: lists.release === null ? null : marksSecurity(lists.release, enabled),
  };
  if (!isAsked(source)) return { ...facts, result: "not_asked" };
  if (fetch.failure !== null) return { ...facts, result: "failed", why: fetch.failure };
  if (!hasLists) {
    return { ...facts, result: "missing", why: 'no package lists yet: run "apt-get update"' };
  }
  if (lists.unreadable !== null) return { ...facts, result: "failed", why: lists.unreadable };
  if (lists.absent.length > 0) {
    return { ...facts, result: "missing", why: `no ${lists.absent.join(", ")} among its lists` };
  }
  if (expiresAtMs !== null && expiresAtMs < nowMs && !fetch.isProven) {
    const day = new Date(expiresAtMs).toISOString().slice(0, 10);
    return { ...facts, result: "old", why: `its lists expired on ${day}` };
  }
  if (ageMs === null || ageMs > MAX_AGE_MS) {
    const age = isAhead
      ? "dated in the future: a clock is or was wrong"
      : ageMs === null
      ? "of unknown age"
      : `${Math.floor(ageMs / 3_600_000)} hours old, by their own dates`;
    return { ...facts, result: "old", why: `its lists are ${age}` };
  }
  return { ...facts, result: "ok" };
}

/** The releases of the package files that `apt-cache policy` names. */
export interface Releases {
  /** `undefined`: the file belongs to no source, or the source has no Release file. */
  of(file: string): Release | undefined;
  readonly enabled: readonly Release[];
}

/** Joins package files to the Release files of their sources. */
export function joinReleases(
  sources: readonly AptSource[],
  lists: ReadonlyMap<string, SourceLists>,
): Releases {
  const addresses = byAddress(sources);
  const known = new Map<string, Release | undefined>();
  const releaseOf = (source: AptSource | undefined) =>
    (source && lists.get(source.prefix)?.release) ?? undefined;
  return {
    of(file) {
      if (!known.has(file)) known.set(file, releaseOf(sourceOfFile(addresses, file)));
      return known.get(file);
    },
    enabled: sources.map(releaseOf).filter((release) => release !== undefined),
  };
}

/** `SITE SUITE/COMPONENT ARCHITECTURE Packages`; a flat archive's has neither of the two. */
function sourceOfFile(
  addresses: ReadonlyMap<string, AptSource>,
  file: string,
): AptSource | undefined {
  const words = file.replace(/ Packages$/, "").split(" ");
  for (const count of [words.length - 1, words.length]) {
    // The name of a medium contains blanks.
    const [site, rest] = [words.slice(0, count - 1).join(" "), words[count - 1]];
    const found = rest === undefined ? undefined : findSource(addresses, site, rest);
    if (found) return found;
  }
  return undefined;
}
