/**
 * Which package lists an apt scan reads, the host's or some of the agent's own, and what is known of
 * each enabled source in them.
 */

import type { System } from "../system/system.ts";
import { AptCommands, type AptOptions, type AskOptions } from "./apt_commands.ts";
import { type AptPlaces, isCurrentCache, listFiles, listsFetchedMs } from "./apt_lists.ts";
import {
  hostCacheFile,
  hostSettings,
  type OwnDirectory,
  prepareOwnDirectory,
  privateCacheFile,
  privateSettings,
  releaseSettings,
} from "./apt_own_directory.ts";
import {
  type Fetched,
  type FetchRecord,
  isDue,
  keepFetchRecord,
  keyOf,
  NO_RECORD,
  readFetchRecord,
  readOutcomes,
  recordOutcomes,
  REFETCH_MS,
} from "./apt_private_lists.ts";
import {
  type AptSource,
  inspectLists,
  isAsked,
  joinReleases,
  judgeSource,
  parseSources,
  type Releases,
  type SourceFetch,
  type SourceLists,
} from "./apt_sources.ts";
import { ScanError, type ScanOptions, type ScanSource } from "./scanner.ts";

/** The lists that a scan reads. */
export interface ListSource extends AskOptions {
  readonly places: AptPlaces;
  readonly sources: readonly ScanSource[];
  readonly releases: Releases;
  /** Whether a list is among them that nothing vouches for. */
  readonly mayBeUnsigned: boolean;
  /** Apt need not build its cache first: several questions can be asked at once. */
  readonly hasCache: boolean;
  readonly ownDirectory: OwnDirectory | null;
  readonly gaps: readonly string[];
  readonly notes: readonly string[];
}

/** Lists in one place, as they are. */
interface View {
  readonly places: AptPlaces;
  readonly lists: ReadonlyMap<string, SourceLists>;
  readonly sources: readonly ScanSource[];
}

/** What a scan has at hand while it chooses. */
interface Choice {
  readonly system: System;
  readonly options: AptOptions;
  readonly signal: AbortSignal | undefined;
  readonly places: AptPlaces;
  readonly sources: readonly AptSource[];
  readonly nowMs: number;
}

/**
 * The host's own lists, refreshed if root asks for it. Where they are old or incomplete, or where
 * nobody but root may refresh them, lists of the agent's own, of all sources that answer. Each source
 * that does not is told with its reason.
 */
export async function chooseLists(
  system: System,
  { refresh = false, cacheDirectory, signal }: ScanOptions,
  options: AptOptions,
): Promise<ListSource> {
  const places: AptPlaces = {
    aptStateDirectory: options.aptStateDirectory ?? "/var/lib/apt",
    aptCacheDirectory: options.aptCacheDirectory ?? "/var/cache/apt",
    dpkgDirectory: options.dpkgDirectory ?? "/var/lib/dpkg",
  };
  const prepared = await prepareOwnDirectory(system, cacheDirectory);
  const own = typeof prepared === "string" ? null : prepared;
  const cacheFile = own && !await isCurrentCache(system, places, hostsCache(places))
    ? hostCacheFile(own)
    : null;
  const settings = own ? hostSettings(own, cacheFile) : [];
  const commands = new AptCommands(system, options, { settings, signal });
  const { sources, unparsed } = parseSources(await commands.listSources());
  const choice: Choice = { system, options, signal, places, sources, nowMs: system.clock.nowMs() };
  const gaps = [...commands.losses, ...tellSources(sources, unparsed)];
  const notes = own === null && cacheDirectory?.startsWith("/") ? [String(prepared)] : [];
  const fetchedMs = await listsFetchedMs(system, places);
  const record = own
    ? withoutObsolete(await readFetchRecord(system, own.path), fetchedMs)
    : NO_RECORD;
  const shared = { ownDirectory: own, signal, notes: [...notes, ...commands.notes] };
  const asHosts = async (view: View, more: readonly string[] = []): Promise<ListSource> => ({
    ...shared,
    ...await finish(choice, view, cacheFile ?? hostsCache(places)),
    settings,
    gaps: [...gaps, ...more],
  });
  if (refresh && system.machine.userId() === 0) {
    const { host, problems } = await refreshHosts(choice);
    if (own) await keepFetchRecord(system, own.path, { ...record, host });
    return await asHosts(await viewHosts(choice, host), problems);
  }
  let hosts = await viewHosts(choice, record.host);
  if (own === null) {
    const refused = refresh ? ["Cannot refresh the package lists: only root may"] : [];
    return await asHosts(hosts, refused);
  }
  let kept = record;
  if (!refresh && isYoung(hosts)) {
    const host = await proveHosts(choice, own, hosts, kept.host);
    if (host !== kept.host) {
      kept = { ...kept, host };
      await keepFetchRecord(system, own.path, kept);
      hosts = await viewHosts(choice, host);
    }
    if (!needsOwn(hosts)) return await asHosts(hosts);
  }
  const { fetched, view } = await fetchOwn(choice, own, { hosts, known: kept.own, refresh });
  if (fetched !== kept.own) await keepFetchRecord(system, own.path, { ...kept, own: fetched });
  if (!isBetter(choice, { own: view, hosts, fetched })) {
    return await asHosts(withFailures(choice, hosts, fetched));
  }
  return {
    ...shared,
    ...await finish(choice, view, privateCacheFile(own)),
    settings: privateSettings(own),
    gaps,
  };
}

function hostsCache({ aptCacheDirectory }: AptPlaces): string {
  return `${aptCacheDirectory}/pkgcache.bin`;
}

function tellSources(sources: readonly AptSource[], unparsed: number): string[] {
  return [
    ...sources.some(isAsked) ? [] : ["No package source is enabled: no update can be known"],
    ...unparsed > 0 ? [`Package sources that were not understood: ${unparsed}`] : [],
  ];
}

async function finish({ system, sources }: Choice, view: View, cacheFile: string) {
  const releases = joinReleases(sources, view.lists);
  const mayBeUnsigned = [...view.lists.values()].some(({ hasPackages, isSigned }) =>
    hasPackages && !isSigned
  );
  const hasCache = await isCurrentCache(system, view.places, cacheFile);
  return { places: view.places, sources: view.sources, releases, mayBeUnsigned, hasCache };
}

/** Looks at lists, and judges each source by what is known of its last fetch. */
async function look(
  { system, sources, nowMs }: Choice,
  places: AptPlaces,
  fetchOf: (source: AptSource, lists: SourceLists) => SourceFetch,
): Promise<View> {
  const lists = await inspectLists(system, `${places.aptStateDirectory}/lists`, sources);
  const { enabled } = joinReleases(sources, lists);
  const judged = sources.flatMap((source) => {
    const found = lists.get(source.prefix);
    return found ? [judgeSource(source, found, fetchOf(source, found), { enabled, nowMs })] : [];
  });
  return { places, lists, sources: judged };
}

async function viewHosts(
  choice: Choice,
  known: Readonly<Record<string, Fetched>>,
): Promise<View> {
  const { system, places, nowMs } = choice;
  const allMs = await listsFetchedMs(system, places);
  return await look(choice, places, (source, { publishedMs }) => {
    const own = known[keyOf(source)];
    const failure = own?.why ?? null;
    // That others were fetched lately says nothing of one that fails.
    const isSuspect = failure !== null && nowMs - Number(allMs) < REFETCH_MS;
    const hostsMs = isSuspect ? publishedMs : allMs;
    const times = [hostsMs, own?.fetched_ms ?? null].filter((time) => time !== null);
    return {
      fetchedMs: times.length > 0 ? Math.max(...times) : null,
      isProven: own?.why === null,
      failure,
    };
  });
}

/** Root's own refresh, as a person's: with the host's hooks, into the host's lists. */
async function refreshHosts({ system, options, signal, sources, nowMs }: Choice) {
  try {
    const result = await new AptCommands(system, options, { signal }).update();
    const host = recordOutcomes({}, readOutcomes(result, sources), nowMs);
    return { host, problems: [] };
  } catch (error) {
    if (!(error instanceof ScanError) || signal?.aborted) throw error;
    return { host: {}, problems: [error.message] };
  }
}

/** Whether every source is there, and none is older than a day as far as the host itself tells. */
function isYoung({ sources }: View): boolean {
  return sources.every(({ result, metadataAgeS }) =>
    result === "not_asked" || result === "failed" ||
    // Of lists that are ok the age is known.
    (result === "ok" && Number(metadataAgeS) * 1_000 < REFETCH_MS)
  );
}

/** What is said of a source that answers, and of which the host has not fetched what it offers. */
const BEHIND = "its lists are behind what it offers now";

/**
 * Whether lists of the agent's own may tell more than young ones of the host's: a source that has just
 * failed fails once more.
 */
function needsOwn({ sources }: View): boolean {
  return sources.some(({ why }) => why === BEHIND);
}

/** What was found out about the host's lists before the host fetched some anew holds no more. */
function withoutObsolete(record: FetchRecord, fetchedMs: number | null): FetchRecord {
  const host = Object.entries(record.host).filter(([, { why, tried_ms }]) =>
    why === null || Number(fetchedMs) <= tried_ms
  );
  return { ...record, host: Object.fromEntries(host) };
}

/**
 * Asks sources whose lists say nothing of the last day whether they have newer ones: of those that
 * answer so, the host's lists are in date, however long ago they were published. That another source's
 * lists are young proves nothing: one that fails keeps its old ones.
 */
async function proveHosts(
  { system, options, signal, sources, nowMs }: Choice,
  own: OwnDirectory,
  { lists }: View,
  known: Readonly<Record<string, Fetched>>,
): Promise<Readonly<Record<string, Fetched>>> {
  const listsOf = (source: AptSource) => lists.get(source.prefix);
  const doubtful = sources.filter((source) =>
    isAsked(source) && nowMs - (listsOf(source)?.publishedMs ?? Infinity) >= REFETCH_MS
  );
  if (!doubtful.some((source) => isDue(known[keyOf(source)], nowMs))) return known;
  const outcomes = await askSources(
    new AptCommands(system, options, { settings: releaseSettings(own), signal }),
    doubtful,
    signal,
  );
  const seen = await inspectLists(system, `${own.path}/releases`, doubtful);
  for (const source of doubtful) {
    const [newestMs = NaN, hereMs = NaN] = [seen.get(source.prefix), listsOf(source)]
      .map((found) => found?.release?.dateMs ?? NaN);
    const key = keyOf(source);
    const isBehind = hereMs < newestMs && nowMs - newestMs >= REFETCH_MS;
    if (isBehind && outcomes.get(key) === null) outcomes.set(key, BEHIND);
  }
  const isRoot = system.machine.userId() === 0;
  for (const [key, why] of outcomes) {
    // Root may have a password for it.
    if (!isRoot && /\b40[137]\b|denied/i.test(`${why}`)) outcomes.delete(key);
  }
  return { ...known, ...recordOutcomes(known, outcomes, nowMs) };
}

/** `sources` are asked, all of them. */
async function askSources(
  commands: AptCommands,
  sources: readonly AptSource[],
  signal: AbortSignal | undefined,
): Promise<Map<string, string | null>> {
  try {
    return readOutcomes(await commands.update(), sources);
  } catch (error) {
    if (!(error instanceof ScanError) || signal?.aborted) throw error;
    return new Map(sources.map((source) => [keyOf(source), error.message]));
  }
}

/** Fetches lists of the agent's own where that is due, and looks at them. */
async function fetchOwn(
  choice: Choice,
  own: OwnDirectory,
  { hosts, known, refresh }: {
    hosts: View;
    known: Readonly<Record<string, Fetched>>;
    refresh: boolean;
  },
): Promise<{ fetched: Readonly<Record<string, Fetched>>; view: View }> {
  const { system, options, signal, sources, nowMs } = choice;
  const places = { ...choice.places, aptStateDirectory: own.path };
  const viewOwn = (fetched: Readonly<Record<string, Fetched>>) =>
    look(choice, places, (source, { publishedMs }) => {
      const own = fetched[keyOf(source)];
      return {
        fetchedMs: own?.fetched_ms ?? publishedMs,
        isProven: own?.why === null,
        failure: own?.why ?? null,
      };
    });
  const asked = sources.filter(isAsked);
  const before = await viewOwn(known);
  const isMissing = (source: AptSource) => {
    const own = known[keyOf(source)];
    return !hasLists(before, source) && own?.why === null &&
      nowMs - own.tried_ms >= REFETCH_MS / 24;
  };
  const isWanted = refresh ||
    asked.some((source) => isDue(known[keyOf(source)], nowMs) || isMissing(source));
  if (!isWanted) return { fetched: known, view: before };
  const commands = new AptCommands(system, options, { settings: privateSettings(own), signal });
  const outcomes = await askSources(commands, asked, signal);
  const fetched = recordOutcomes(known, outcomes, nowMs);
  let view = await viewOwn(fetched);
  const lost = asked.filter((source) => hasLists(hosts, source) && !hasLists(view, source));
  const isOfUse = asked.some((source) => hasLists(view, source));
  if (lost.length > 0 && isOfUse) {
    // What the host knows of a source that fails is old, and better than nothing.
    const directory = `${hosts.places.aptStateDirectory}/lists`;
    const paths = await listFiles(system, directory, lost.map(({ prefix }) => prefix));
    try {
      await commands.copy(paths, `${own.path}/lists/`);
    } catch (error) {
      if (!(error instanceof ScanError) || signal?.aborted) throw error;
    }
    view = await viewOwn(fetched);
  }
  return { fetched, view };
}

function hasLists({ lists }: View, { prefix }: AptSource): boolean {
  const found = lists.get(prefix);
  return found !== undefined && (found.hasRelease || found.hasPackages);
}

/**
 * Whether the agent's own lists tell more than the host's: of no fewer sources, and not of older ones.
 * Those that no update comes from do not count: a medium's lists are the host's alone.
 */
function isBetter(
  { sources }: Choice,
  { own, hosts, fetched }: {
    own: View;
    hosts: View;
    fetched: Readonly<Record<string, Fetched>>;
  },
): boolean {
  if (Object.values(fetched).every(({ fetched_ms }) => fetched_ms === null)) return false;
  const asked = sources.filter(isAsked);
  const count = (view: View) => asked.filter((source) => hasLists(view, source)).length;
  if (count(own) !== count(hosts)) return count(own) > count(hosts);
  const bad = ({ sources }: View) =>
    sources.filter(({ result }) => result !== "ok" && result !== "not_asked").length;
  if (bad(own) !== bad(hosts)) return bad(own) < bad(hosts);
  return oldestS(own) <= oldestS(hosts);
}

function oldestS({ sources }: View): number {
  const asked = sources.filter(({ result }) => result !== "not_asked");
  return Math.max(0, ...asked.map(({ metadataAgeS }) => metadataAgeS ?? 0));
}

/** The host's lists, with what came of asking for newer ones. */
function withFailures(
  { sources }: Choice,
  hosts: View,
  fetched: Readonly<Record<string, Fetched>>,
): View {
  const reasons = new Map(sources.map((source) => [source.address, fetched[keyOf(source)]?.why]));
  return {
    ...hosts,
    sources: hosts.sources.map((source) => {
      const why = reasons.get(source.url ?? "") ?? null;
      return why === null || source.result === "not_asked"
        ? source
        : { ...source, result: "failed", why };
    }),
  };
}
