/** Describes every enabled repository as a source: answered or not, how old, whether it marks security. */

import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { quoteWords } from "../../redact.ts";
import type { DnfRepository } from "./repositories.ts";
import type { ScanSource } from "../scanner.ts";

const PURPOSE = "look at dnf's package lists";

/** Directories looked at: a cache keeps those of repositories that are long gone. */
const MOST_DIRECTORIES = 2_000;

const LONGEST_URL = 500;

/** Clocks of a file system and of a mirror may be this far off. */
const SLACK_MS = 5_000;

/**
 * So far ahead of this host's clock may lists be dated: one of the two clocks may take local time for
 * UTC. Of what is further ahead a wrong clock wrote the date, or this one is wrong: no age is known.
 */
const AHEAD_MS = 24 * 3_600_000;

/** What this scan knows besides what dnf says of a repository. */
export interface SourceFacts {
  readonly nowMs: number;
  /** Why repositories could not be fetched, by id. */
  readonly failures: ReadonlyMap<string, string>;
  /** When this scan began to fetch; `null` where it fetched nothing. */
  readonly fetchedFromMs: number | null;
  /** Whether it fetched the lists of every repository, and not only of those past their time. */
  readonly isRefresh: boolean;
  /** Which repositories have a list of advisories; one that is not in it is unknown. */
  readonly tellsSecurity: ReadonlyMap<string, boolean>;
}

/** The sources, in dnf's order. */
export function describeSources(
  repositories: readonly DnfRepository[],
  facts: SourceFacts,
): ScanSource[] {
  return repositories.map((repository) => {
    const { id, url, expiryMs, hasLists } = repository;
    const fetchedMs = believed(repository, facts);
    const ageMs = hasLists && fetchedMs !== null ? Math.max(0, facts.nowMs - fetchedMs) : null;
    const expiresAtMs = hasLists && fetchedMs !== null ? fetchedMs + expiryMs : null;
    return {
      name: id,
      url: url === null ? null : quoteWords(url, LONGEST_URL),
      ...judge({ ...repository, fetchedMs }, ageMs, facts, fetchedMs !== repository.fetchedMs),
      metadataAgeS: ageMs === null ? null : Math.round(ageMs / 1_000),
      expiresAtMs: expiresAtMs === Infinity ? null : expiresAtMs,
      tellsSecurity: hasLists ? facts.tellsSecurity.get(id) ?? null : null,
    };
  });
}

function believed(
  { fetchedMs }: DnfRepository,
  { nowMs }: Pick<SourceFacts, "nowMs">,
): number | null {
  return fetchedMs !== null && fetchedMs - nowMs > AHEAD_MS ? null : fetchedMs;
}

function judge(
  { id, hasLists, expiryMs }: DnfRepository,
  ageMs: number | null,
  { nowMs, failures, fetchedFromMs, isRefresh }: SourceFacts,
  isAhead: boolean,
): Pick<ScanSource, "result" | "why"> {
  const isFresh = ageMs !== null && fetchedFromMs !== null &&
    ageMs <= nowMs - fetchedFromMs + SLACK_MS;
  if (isFresh) return { result: "ok", why: null };
  const failure = failures.get(id);
  const old = ageMs === null ? "" : `; its package lists are ${describeAge(ageMs)} old`;
  if (failure !== undefined) {
    return { result: "failed", why: `cannot be fetched: ${failure}${old}` };
  }
  if (!hasLists) {
    return fetchedFromMs === null
      ? { result: "missing", why: "its package lists were never fetched" }
      : { result: "failed", why: "its package lists could not be fetched" };
  }
  if (isRefresh) return { result: "failed", why: `its package lists were not fetched anew${old}` };
  if (expiryMs === Infinity) return { result: "ok", why: null };
  if (isAhead) {
    const why = "its package lists are dated in the future: a clock is or was wrong";
    return { result: "old", why };
  }
  if (ageMs === null) return { result: "old", why: "the age of its package lists is not known" };
  if (ageMs <= Math.max(expiryMs, SLACK_MS)) return { result: "ok", why: null };
  const limit = `over its limit of ${describeAge(expiryMs)}`;
  return { result: "old", why: `its package lists are ${describeAge(ageMs)} old, ${limit}` };
}

/** The age of the oldest lists; `null` if none is known. */
export function oldestAgeS(sources: readonly ScanSource[]): number | null {
  const known = sources.flatMap(({ metadataAgeS }) => metadataAgeS === null ? [] : [metadataAgeS]);
  return known.length === 0 ? null : Math.max(...known);
}

/** `3 days`, `30 h`, `5 min`. */
export function describeAge(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return hours >= 1 ? `${hours} h` : `${Math.floor(ms / 60_000)} min`;
}

/** Behind a repository's id in the name of its lists' directory: a number made of where it is. */
const PLACE_NUMBER = /-[0-9a-f]{16}$/;

/**
 * Which repositories have a list of advisories among their package lists. Of one that moved, and has
 * several directories, the one that was fetched last counts.
 */
export async function readTellsSecurity(
  { files }: Pick<System, "files">,
  cacheDirectory: string | null,
  repositories: readonly Pick<DnfRepository, "id">[],
): Promise<Map<string, boolean>> {
  const found = new Map<string, { isTelling: boolean; fetchedMs: number }>();
  if (cacheDirectory === null) return new Map();
  const wanted = new Set(repositories.map(({ id }) => id));
  const names = await listOrNothing(files, cacheDirectory);
  const own = names.filter((name) => PLACE_NUMBER.test(name) && wanted.has(idOf(name)))
    .slice(0, MOST_DIRECTORIES);
  await Promise.all(own.map(async (name) => {
    const directory = `${cacheDirectory}/${name}/repodata`;
    const lists = await listOrNothing(files, directory);
    const primary = lists.find((list) => /primary\.(?:xml|sqlite)/.test(list));
    if (primary === undefined) return;
    const facts = await files.inspect(PURPOSE, `${directory}/${primary}`).catch(() => undefined);
    const fetchedMs = facts?.modifiedMs ?? -Infinity;
    const before = found.get(idOf(name));
    if (before !== undefined && before.fetchedMs >= fetchedMs) return;
    const isTelling = lists.some((list) => /updateinfo/.test(list));
    found.set(idOf(name), { isTelling, fetchedMs });
  }));
  return new Map([...found].map(([id, { isTelling }]) => [id, isTelling]));
}

function idOf(directory: string): string {
  return directory.replace(PLACE_NUMBER, "");
}

/** A file beside the repositories' directories is no directory. */
async function listOrNothing(files: System["files"], directory: string): Promise<string[]> {
  try {
    return await files.list(PURPOSE, directory);
  } catch (error) {
    if (error instanceof FileError) return [];
    throw error;
  }
}
