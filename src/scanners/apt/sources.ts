/**
 * The enabled sources of apt: which there are, what their Release files say, and which package lists
 * are on disk. `apt-get --print-uris update` names them all and fetches nothing.
 */

import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { filledLists, marksSecurity, parseRelease, type Release } from "./releases.ts";
import { outputLines } from "../output_lines.ts";
import type { ScanSource } from "../scanner.ts";

/** An enabled source: a suite of an archive. */
export interface AptSource {
  /** `http://deb.debian.org/debian bookworm`, without a user part; a flat archive's address alone. */
  readonly name: string;
  /** Address of its Release file's directory, without a user part, with a slash at the end. */
  readonly address: string;
  /** How its files in apt's folder of lists begin. */
  readonly prefix: string;
  /** Its package lists as apt calls them on disk; none where it offers source code alone. */
  readonly lists: readonly string[];
}

/** The enabled sources, in apt's order. */
export interface AptSources {
  readonly sources: readonly AptSource[];
  readonly unparsed: number;
}

const URI_LINE = /'(.+)' (\S+) \d+ ?\S*$/;
const RELEASE_FILE = /(?:In)?Release$/;

/** Reads `apt-get --print-uris update`: of each source the Release file, then what hangs on it. */
export function parseSources(text: string): AptSources {
  const { lines, dropped } = outputLines(text);
  const sources = new Map<string, AptSource & { readonly lists: string[] }>();
  const others: string[] = [];
  let unparsed = dropped;
  for (const line of lines) {
    if (!line.startsWith("'")) continue;
    const [, uri = "", file = ""] = URI_LINE.exec(line) ?? [];
    if (file === "" || file.includes("/")) {
      unparsed += 1;
    } else if (RELEASE_FILE.test(file)) {
      const address = withoutUser(uri).replace(/[^/]*$/, "");
      const prefix = file.replace(RELEASE_FILE, "");
      if (!sources.has(prefix)) {
        sources.set(prefix, { name: nameOf(address), address, prefix, lists: [] });
      }
    } else others.push(file);
  }
  const longestFirst = [...sources.values()].toSorted((a, b) => b.prefix.length - a.prefix.length);
  for (const file of others) {
    if (!/_Packages$/.test(file)) continue;
    longestFirst.find(({ prefix }) => file.startsWith(prefix))?.lists.push(file);
  }
  return { sources: [...sources.values()], unparsed };
}

/** The part between `//` and `@`: apt itself leaves it out of all but the addresses that it prints. */
function withoutUser(uri: string): string {
  return uri.replace(/^([^/]*:\/\/)[^/]*@/, "$1");
}

function nameOf(address: string): string {
  const [, site, suite] = /(.*)\/dists\/(.+)\//.exec(address) ?? [];
  return site === undefined ? address : `${site} ${suite}`;
}

/** A medium (`cdrom:`) is read when somebody puts it into a drive; no scan asks for it. */
export function isMedium({ address }: AptSource): boolean {
  return address.startsWith("cdrom:");
}

/** Whether updates can come from it, and a fetch can get its lists. */
export function isAsked(source: AptSource): boolean {
  return source.lists.length > 0 && !isMedium(source);
}

/**
 * The source that apt means by `SITE SUITE`, `SITE SUITE/COMPONENT` or, of a flat archive,
 * `SITE DIRECTORY/`: so it calls package files and what it fetches.
 */
export function findSource(
  sources: ReadonlyMap<string, AptSource>,
  site: string,
  rest: string,
): AptSource | undefined {
  const flat = sources.get(`${site.replace(/\/$/, "")}/${rest}`);
  if (flat) return flat;
  let suite = rest;
  while (suite !== "") {
    const found = sources.get(`${site.replace(/\/$/, "")}/dists/${suite}/`);
    if (found) return found;
    suite = suite.slice(0, Math.max(0, suite.lastIndexOf("/")));
  }
  return undefined;
}

/** For `findSource`. */
export function byAddress(sources: readonly AptSource[]): ReadonlyMap<string, AptSource> {
  return new Map(sources.map((source) => [source.address, source]));
}

/** What is on disk of a source's lists. */
export interface SourceLists {
  /** `null`: there is no Release file, or it cannot be read. */
  readonly release: Release | null;
  readonly hasRelease: boolean;
  /** Whether anything vouches for what its lists say. */
  readonly isSigned: boolean;
  /** When its archive published what is here; `null` without a Release file. */
  readonly publishedMs: number | null;
  /**
   * When the archive had what is here, by its own files: the date in its Release file, and the time of
   * that file, or of lists without one, which apt takes over from the archive. It was fetched later.
   */
  readonly timesMs: readonly number[];
  /** Whether there is any list of packages. */
  readonly hasPackages: boolean;
  /** Lists that its Release file has something in, and that are not here. */
  readonly absent: readonly string[];
  /** Why its Release file was not read. */
  readonly unreadable: string | null;
}

const PURPOSE = "look at the package lists";

/** The largest Release file that is read: Debian's sid has 250 kB. */
const MAX_RELEASE_BYTES = 4_194_304;

/** Looks at the lists of sources in a folder, by prefix. Only file problems are part of the answer. */
export async function inspectLists(
  system: Pick<System, "files">,
  directory: string,
  sources: readonly AptSource[],
): Promise<ReadonlyMap<string, SourceLists>> {
  const names = await listNames(system, directory);
  const found = new Map<string, SourceLists>();
  for (const source of sources) {
    found.set(source.prefix, await inspectSource(system, directory, names, source));
  }
  return found;
}

async function listNames(
  { files }: Pick<System, "files">,
  directory: string,
): Promise<ReadonlySet<string>> {
  try {
    return new Set(await files.list(PURPOSE, directory));
  } catch (error) {
    if (error instanceof FileError) return new Set();
    throw error;
  }
}

/** What apt may have packed a list with. */
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
    const wanted = new Map(
      lists.filter((list) => !isHere(list)).map((list) => [
        list.slice(prefix.length).replaceAll("_", "/").replace(/%5f/g, "_"),
        list,
      ]),
    );
    // Lists of no architecture are part of the others, where the archive says so.
    const paths = [...wanted.keys()].filter((path) => !/\/binary-all\//.test(path));
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

/** What is known of when and how a source was last asked. */
export interface SourceFetch {
  /** When its lists were last fetched, or found to be the archive's newest; `null`: not known. */
  readonly fetchedMs: number | null;
  /** Whether apt itself took what is here for valid when it last asked. */
  readonly isProven: boolean;
  /** Why it did not answer when it was last asked. */
  readonly failure: string | null;
}

/** Lists of which so long nobody has asked for newer ones are old, if they do not say themselves. */
export const LIMIT_MS = 48 * 3_600_000;

/**
 * So far ahead may a time be of this host's clock: one of the two may take local time for UTC. What is
 * further ahead was written by a wrong clock, or this one is wrong: nothing is known of its age.
 */
export const CLOCK_SLACK_MS = 24 * 3_600_000;

/** The newest of times that can be believed; else one that cannot; `null` if there is none. */
export function newestBelieved(timesMs: readonly number[], nowMs: number): number | null {
  const believed = timesMs.filter((time) => time <= nowMs + CLOCK_SLACK_MS);
  if (believed.length > 0) return Math.max(...believed);
  return timesMs.length > 0 ? Math.min(...timesMs) : null;
}

/** What a scan that reads these lists says of a source. */
export function judgeSource(
  source: AptSource,
  lists: SourceLists,
  fetch: SourceFetch,
  { enabled, nowMs }: { enabled: readonly Release[]; nowMs: number },
): ScanSource {
  const hasLists = lists.hasRelease || lists.hasPackages;
  const toldMs = hasLists && fetch.fetchedMs !== null ? nowMs - fetch.fetchedMs : null;
  const isAhead = toldMs !== null && toldMs < -CLOCK_SLACK_MS;
  const ageMs = isAhead ? null : toldMs;
  const expiresAtMs = lists.release?.validUntilMs ?? null;
  const told = {
    name: source.name,
    url: source.address,
    why: null,
    metadataAgeS: ageMs === null ? null : Math.max(0, Math.floor(ageMs / 1_000)),
    expiresAtMs,
    tellsSecurity: lists.release === null ? null : marksSecurity(lists.release, enabled),
  };
  if (!isAsked(source)) return { ...told, result: "not_asked" };
  if (fetch.failure !== null) return { ...told, result: "failed", why: fetch.failure };
  if (!hasLists) {
    return { ...told, result: "missing", why: 'no package lists yet: run "apt-get update"' };
  }
  if (lists.unreadable !== null) return { ...told, result: "failed", why: lists.unreadable };
  if (lists.absent.length > 0) {
    return { ...told, result: "missing", why: `no ${lists.absent.join(", ")} among its lists` };
  }
  if (expiresAtMs !== null && expiresAtMs < nowMs && !fetch.isProven) {
    return { ...told, result: "old", why: `its lists expired on ${dayOf(expiresAtMs)}` };
  }
  if (ageMs === null || ageMs > LIMIT_MS) {
    const age = isAhead
      ? "dated in the future: a clock is or was wrong"
      : ageMs === null
      ? "of unknown age"
      : `${Math.floor(ageMs / 3_600_000)} hours old, as far as they tell`;
    return { ...told, result: "old", why: `its lists are ${age}` };
  }
  return { ...told, result: "ok" };
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Whose the package files are that `apt-cache policy` names. */
export interface Releases {
  /** `undefined`: it belongs to no source, or the source says nothing of itself. */
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
    // The name of a medium has blanks.
    const [site, rest] = [words.slice(0, count - 1).join(" "), words[count - 1]];
    const found = rest === undefined ? undefined : findSource(addresses, site, rest);
    if (found) return found;
  }
  return undefined;
}
