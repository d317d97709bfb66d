/** The enabled repositories, and each as a source of the scan: its result, its age, its advisories. */

import { quoteWords } from "../../redact.ts";
import type { System } from "../../system/system.ts";
import { CLOCK_SLACK_MS, listNames } from "../private_files.ts";
import type { ScanSource } from "../scanner.ts";

/** An enabled repository as dnf reports it, after variables and overrides. */
export interface DnfRepository {
  readonly id: string;
  /** The display name. Dnf 5 reports a repository's failures under it. */
  readonly name: string;
  /** Where it is fetched from, possibly with secrets; `null` if dnf does not report it. */
  readonly url: string | null;
  readonly hasLists: boolean;
  /** When dnf last verified that those are current; `null` if unknown. */
  readonly fetchedMs: number | null;
  /** How long dnf uses them before it fetches again (`metadata_expire`); `Infinity` is forever. */
  readonly expiryMs: number;
}

export interface DnfRepositories {
  readonly repositories: readonly DnfRepository[];
  /** Where dnf stores their lists; `null` if it does not report it. */
  readonly cacheDirectory: string | null;
  /** The plugins that it loads; empty for dnf 5, which does not report them. */
  readonly plugins: readonly string[];
}

/** Further repositories are ignored. */
export const MAX_REPOSITORIES = 1_000;

/** The default of `metadata_expire` (dnf.conf(5)). */
export const DEFAULT_EXPIRY_MS = 48 * 3_600_000;

export const REPOSITORY_ID = /^[A-Za-z0-9_.:-]{1,255}$/;

/** The repository that a plugin of dnf 4 makes of packages on this host; it offers no updates. */
export const LOCAL_REPOSITORY = "_dnf_local";

/** Whether `id` is a valid id of a repository that can offer updates. */
export function isSourceId(id: string): boolean {
  return REPOSITORY_ID.test(id) && id !== LOCAL_REPOSITORY;
}

const PURPOSE = "look at dnf's package lists";

/** Directories that are inspected: a cache also has those of removed repositories. */
const MAX_DIRECTORIES = 2_000;

const MAX_URL_LENGTH = 500;

/** How far the clocks of a file system and of a mirror may differ. */
const SLACK_MS = 5_000;

/** The fetching of package lists by this scan. */
export interface FetchResult {
  /** Why repositories could not be fetched: by id, or as `fetchFailures` returns them. */
  readonly failures: ReadonlyMap<string, string>;
  /** When this scan started to fetch; `null` if it fetched nothing. */
  readonly fetchedFromMs: number | null;
  /** Whether it fetched the lists of every repository, and not only expired ones. */
  readonly isRefresh: boolean;
}

/** What the scan knows about repositories besides dnf's report; the failures are by id. */
export interface SourceFacts extends FetchResult {
  readonly nowMs: number;
  /** Whether repositories have advisories, by id; unknown for other ids. */
  readonly hasAdvisories: ReadonlyMap<string, boolean>;
}

/** Describes the repositories as sources, in dnf's order. */
export function describeSources(
  repositories: readonly DnfRepository[],
  facts: SourceFacts,
): ScanSource[] {
  return repositories.map((repository) => {
    const { id, url, expiryMs, hasLists } = repository;
    const isAhead = Number(repository.fetchedMs) - facts.nowMs > CLOCK_SLACK_MS;
    const fetchedMs = hasLists && !isAhead ? repository.fetchedMs : null;
    const ageMs = fetchedMs === null ? null : Math.max(0, facts.nowMs - fetchedMs);
    const expiresAtMs = fetchedMs === null ? null : fetchedMs + expiryMs;
    return {
      name: id,
      url: url === null ? null : quoteWords(url, MAX_URL_LENGTH),
      ...judge(repository, ageMs, facts, isAhead),
      metadataAgeS: ageMs === null ? null : Math.round(ageMs / 1_000),
      expiresAtMs: expiresAtMs === Infinity ? null : expiresAtMs,
      marksSecurity: hasLists ? facts.hasAdvisories.get(id) ?? null : null,
    };
  });
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

/** `3 days`, `30 h`, `5 min`. */
export function describeAge(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return hours >= 1 ? `${hours} h` : `${Math.floor(ms / 60_000)} min`;
}

/** The hash of the URL that follows a repository's id in the name of its cache directory. */
const URL_HASH = /-[0-9a-f]{16}$/;

/**
 * Determines which repositories have advisories among their package lists. If a repository has several
 * directories, because its URL changed, the one that was fetched last counts.
 */
export async function findAdvisoryLists(
  { files }: Pick<System, "files">,
  cacheDirectory: string | null,
  repositories: readonly Pick<DnfRepository, "id">[],
): Promise<Map<string, boolean>> {
  const found = new Map<string, { hasAdvisories: boolean; fetchedMs: number }>();
  if (cacheDirectory === null) return new Map();
  const wanted = new Set(repositories.map(({ id }) => id));
  const names = await listNames({ files }, PURPOSE, cacheDirectory);
  const own = names.filter((name) => URL_HASH.test(name) && wanted.has(idOf(name)))
    .slice(0, MAX_DIRECTORIES);
  await Promise.all(own.map(async (name) => {
    const directory = `${cacheDirectory}/${name}/repodata`;
    // A path that is no directory has no entries: the cache also contains files.
    const lists = await listNames({ files }, PURPOSE, directory);
    const primary = lists.find((name) => /primary\.(?:xml|sqlite)/.test(name));
    if (primary === undefined) return;
    const facts = await files.inspect(PURPOSE, `${directory}/${primary}`).catch(() => undefined);
    const fetchedMs = facts?.modifiedMs ?? -Infinity;
    const before = found.get(idOf(name));
    if (before !== undefined && before.fetchedMs >= fetchedMs) return;
    const hasAdvisories = lists.some((name) => /updateinfo/.test(name));
    found.set(idOf(name), { hasAdvisories, fetchedMs });
  }));
  return new Map([...found].map(([id, { hasAdvisories }]) => [id, hasAdvisories]));
}

function idOf(directory: string): string {
  return directory.replace(URL_HASH, "");
}
