/** Chooses the package lists that an apt scan reads, the host's or private ones, and fetches those where due. */

import type { System } from "../../system/system.ts";
import { CLOCK_SLACK_MS, REFETCH_MS } from "../private_files.ts";
import { attempt, oldestAgeS, ScanError, type ScanOptions, type ScanSource } from "../scanner.ts";
import { AptCommands, type AptOptions, type AskOptions } from "./commands.ts";
import {
  type AptPlaces,
  inspectLists,
  isCurrentCache,
  joinReleases,
  judgeSource,
  listFiles,
  listsFetchedMs,
  newestPlausible,
  type Releases,
  type SourceFetch,
  type SourceLists,
} from "./lists.ts";
import {
  type FetchRecord,
  type FetchStatuses,
  hostCacheFile,
  hostSettings,
  isDue,
  keyOf,
  NO_RECORD,
  parseOutcomes,
  preparePrivateDirectory,
  privateCacheFile,
  type PrivateDirectory,
  privateSettings,
  readFetchRecord,
  recordOutcomes,
  releaseSettings,
  writeFetchRecord,
} from "./private_lists.ts";
import { type AptSource, isAsked, parseSources } from "./sources.ts";

export interface ChosenLists extends AskOptions {
  readonly places: AptPlaces;
  readonly sources: readonly ScanSource[];
  readonly releases: Releases;
  /** Whether there is a list without a signature. */
  readonly mayBeUnsigned: boolean;
  /** Whether apt need not build its cache first, so that several commands can run at once. */
  readonly hasCache: boolean;
  readonly privateDirectory: PrivateDirectory | null;
  readonly gaps: readonly string[];
  readonly notes: readonly string[];
}

interface ListView {
  readonly places: AptPlaces;
  readonly lists: ReadonlyMap<string, SourceLists>;
  readonly sources: readonly ScanSource[];
}

type ChoiceContext = Awaited<ReturnType<typeof openChoice>>;

/** The reason for a source that answers while the host has not fetched its newest lists. */
const BEHIND = "its lists are behind what it offers now";

/**
 * Chooses the host's lists, refreshed on request if the agent is root. Where they are old or incomplete,
 * or where only root may refresh them, chooses private lists of all sources that answer. The result names
 * each source that does not answer, with the reason.
 */
export async function chooseLists(
  system: System,
  scanOptions: ScanOptions,
  options: AptOptions,
): Promise<ChosenLists> {
  const { refresh = false } = scanOptions;
  const context = await openChoice(system, scanOptions, options);
  const { directory, places, hostAccess, nowMs } = context;
  const fetchedMs = await listsFetchedMs(system, places);
  let record = directory
    ? withoutObsolete(await readFetchRecord(system, directory.path), fetchedMs)
    : NO_RECORD;
  const update = async (changes: Partial<FetchRecord>) => {
    record = { ...record, ...changes };
    if (directory) await writeFetchRecord(system, directory.path, record);
  };
  if (refresh && system.machine.userId() === 0) {
    const { statuses, problems } = await refreshHostLists(context);
    await update({ host: statuses });
    return await describeChoice(context, await viewHostLists(context, statuses), {
      ...hostAccess,
      problems,
    });
  }
  let host = await viewHostLists(context, record.host);
  if (directory === null) {
    const problems = refresh ? ["Cannot refresh the package lists: only root may"] : [];
    return await describeChoice(context, host, { ...hostAccess, problems });
  }
  if (!refresh && mayBeCurrent(host, nowMs, fetchedMs)) {
    const { statuses, refused } = await checkHostLists(context, directory, host, record.host);
    if (statuses !== record.host) {
      await update({ host: statuses });
      host = await viewHostLists(context, statuses);
    }
    if (!needsPrivateLists(context, host, refused)) {
      return await describeChoice(context, host, hostAccess);
    }
  }
  const fetched = await fetchPrivateLists(context, directory, { host, known: record.own, refresh });
  if (fetched.statuses !== record.own) await update({ own: fetched.statuses });
  if (!isPrivateBetter(context, host, fetched)) {
    return await describeChoice(context, withFailures(context, host, fetched.statuses), hostAccess);
  }
  const [settings, cacheFile] = [privateSettings(directory), privateCacheFile(directory)];
  return await describeChoice(context, fetched.view, { settings, cacheFile });
}

/** Prepares the private directory (`null`: there is none), and lists the enabled sources. */
async function openChoice(
  system: System,
  { cacheDirectory, signal }: ScanOptions,
  options: AptOptions,
) {
  const places: AptPlaces = {
    aptStateDirectory: options.aptStateDirectory ?? "/var/lib/apt",
    aptCacheDirectory: options.aptCacheDirectory ?? "/var/cache/apt",
    dpkgDirectory: options.dpkgDirectory ?? "/var/lib/dpkg",
  };
  const prepared = await preparePrivateDirectory(system, cacheDirectory);
  const [directory, problems] = typeof prepared === "string" ? [null, [prepared]] : [prepared, []];
  const aptCacheFile = `${places.aptCacheDirectory}/pkgcache.bin`;
  const ownCacheFile = directory && !await isCurrentCache(system, places, aptCacheFile)
    ? hostCacheFile(directory)
    : null;
  const settings = directory ? hostSettings(directory, ownCacheFile) : [];
  const hostAccess = { settings, cacheFile: ownCacheFile ?? aptCacheFile };
  const commandsWith = (settings: readonly string[]) =>
    new AptCommands(system, options, { settings, signal });
  const commands = commandsWith(settings);
  const { sources, unparsed } = parseSources(await commands.listSources());
  const gaps = [
    ...commands.gaps,
    ...sources.some(isAsked) ? [] : ["No package source is enabled: no update can be known"],
    ...unparsed > 0 ? [`Package sources that were not understood: ${unparsed}`] : [],
  ];
  const notes = [...problems, ...commands.notes];
  const nowMs = system.clock.nowMs();
  const shared = { system, places, hostAccess, directory, nowMs, signal };
  return { ...shared, sources, gaps, notes, commandsWith };
}

async function describeChoice(
  context: ChoiceContext,
  { places, lists, sources }: ListView,
  { settings, cacheFile, problems = [] }: {
    settings: readonly string[];
    cacheFile: string;
    problems?: readonly string[];
  },
): Promise<ChosenLists> {
  const { system, directory: privateDirectory, signal, notes } = context;
  return {
    places,
    sources,
    releases: joinReleases(context.sources, lists),
    mayBeUnsigned: [...lists.values()].some((found) => found.hasPackages && !found.isSigned),
    hasCache: await isCurrentCache(system, places, cacheFile),
    settings,
    signal,
    privateDirectory,
    gaps: [...context.gaps, ...problems],
    notes,
  };
}

/** Inspects lists, and judges each source by its last fetch. */
async function viewLists(
  { system, sources, nowMs }: ChoiceContext,
  places: AptPlaces,
  fetchOf: (source: AptSource, lists: SourceLists) => SourceFetch,
): Promise<ListView> {
  const lists = await inspectLists(system, `${places.aptStateDirectory}/lists`, sources);
  const { enabled } = joinReleases(sources, lists);
  const judged = sources.flatMap((source) => {
    const found = lists.get(source.prefix);
    return found ? [judgeSource(source, found, fetchOf(source, found), { enabled, nowMs })] : [];
  });
  return { places, lists, sources: judged };
}

/** The host's lists. Their directory's time says nothing of a source: any file that comes or goes sets it. */
function viewHostLists(context: ChoiceContext, statuses: FetchStatuses): Promise<ListView> {
  const { places, nowMs } = context;
  return viewLists(context, places, (source, { timesMs }) => {
    const { fetched_ms = null, why } = statuses[keyOf(source)] ?? {};
    return {
      fetchedMs: newestPlausible(fetched_ms === null ? timesMs : [...timesMs, fetched_ms], nowMs),
      isProven: why === null,
      failure: why ?? null,
    };
  });
}

function viewPrivateLists(
  context: ChoiceContext,
  { path }: PrivateDirectory,
  statuses: FetchStatuses,
): Promise<ListView> {
  const places = { ...context.places, aptStateDirectory: path };
  return viewLists(context, places, (source, { publishedMs }) => {
    const { fetched_ms, why } = statuses[keyOf(source)] ?? {};
    return { fetchedMs: fetched_ms ?? publishedMs, isProven: why === null, failure: why ?? null };
  });
}

function hasLists({ lists }: ListView, { prefix }: AptSource): boolean {
  const found = lists.get(prefix);
  return found !== undefined && (found.hasRelease || found.hasPackages);
}

/** Refreshes the host's lists, as an administrator does: with the host's hooks. Only for root. */
async function refreshHostLists({ commandsWith, signal, sources, nowMs }: ChoiceContext) {
  const result = await attempt(() => commandsWith([]).update(), signal);
  return result instanceof ScanError
    ? { statuses: {}, problems: [result.message] }
    : { statuses: recordOutcomes({}, parseOutcomes(result, sources), nowMs), problems: [] };
}

/** Whether no source is missing or expired, and the host may have fetched lists within a day. */
function mayBeCurrent({ sources }: ListView, nowMs: number, directoryMs: number | null): boolean {
  const isExpired = ({ expiresAtMs }: ScanSource) => expiresAtMs !== null && expiresAtMs < nowMs;
  return nowMs - Number(directoryMs) < REFETCH_MS &&
    sources.every((source) =>
      source.result !== "missing" && (source.result !== "old" || !isExpired(source))
    );
}

/**
 * Asks sources whose lists are not from the last day for their Release files alone. If a source has
 * nothing newer, the host's lists are current, however long ago they were published. Returns the statuses
 * and, by `keyOf`, the sources that refuse this user and may answer root.
 */
async function checkHostLists(
  context: ChoiceContext,
  directory: PrivateDirectory,
  { lists, sources: judged }: ListView,
  known: FetchStatuses,
): Promise<{ statuses: FetchStatuses; refused: ReadonlySet<string> }> {
  const { system, sources, nowMs } = context;
  const listsOf = (source: AptSource) => lists.get(source.prefix);
  const ages = new Map(judged.map(({ url, metadataAgeS }) => [url, metadataAgeS]));
  const isYoung = ({ address }: AptSource) =>
    Number(ages.get(address) ?? Infinity) * 1_000 < REFETCH_MS;
  const unproven = sources.filter((source) =>
    isAsked(source) && listsOf(source)?.hasRelease && !isYoung(source)
  );
  const refused = new Set<string>();
  if (!unproven.some((source) => isDue(known[keyOf(source)], nowMs))) {
    return { statuses: known, refused };
  }
  const outcomes = await askSources(context, releaseSettings(directory), unproven);
  const seen = await inspectLists(system, `${directory.path}/releases`, unproven);
  for (const source of unproven) {
    const [newestMs = NaN, hereMs = NaN] = [seen.get(source.prefix), listsOf(source)]
      .map((found) => found?.release?.dateMs ?? NaN);
    const key = keyOf(source);
    if (outcomes.get(key) !== null) continue;
    // A mirror may be behind the lists that the host has from another one.
    const isNewest = newestMs <= hereMs && hereMs <= nowMs + CLOCK_SLACK_MS;
    if (hereMs < newestMs) outcomes.set(key, BEHIND);
    // Two dates that cannot be compared prove nothing.
    else if (!isNewest) outcomes.delete(key);
  }
  const isRoot = system.machine.userId() === 0;
  for (const [key, why] of outcomes) {
    // Root may have a password for it.
    if (isRoot || !/\b40[137]\b|denied/i.test(`${why}`)) continue;
    outcomes.delete(key);
    refused.add(key);
  }
  return { statuses: { ...known, ...recordOutcomes(known, outcomes, nowMs) }, refused };
}

/** Runs `apt-get update` with these settings, and returns the outcomes of `sources` by `keyOf`. */
async function askSources(
  { commandsWith, signal }: ChoiceContext,
  settings: readonly string[],
  sources: readonly AptSource[],
): Promise<Map<string, string | null>> {
  const result = await attempt(() => commandsWith(settings).update(), signal);
  return result instanceof ScanError
    ? new Map(sources.map((source) => [keyOf(source), result.message]))
    : parseOutcomes(result, sources);
}

/** Whether private lists may be better: a source that has just failed or refused would do so again. */
function needsPrivateLists(
  { sources }: ChoiceContext,
  host: ListView,
  refused: ReadonlySet<string>,
): boolean {
  const isRefused = new Map(sources.map((source) => [source.address, refused.has(keyOf(source))]));
  return host.sources.some(({ result, why, url, metadataAgeS }) => {
    if (result === "not_asked" || isRefused.get(url ?? "")) return false;
    if (result === "failed") return why === BEHIND;
    // The age of lists that are ok is known.
    return result !== "ok" || Number(metadataAgeS) * 1_000 >= REFETCH_MS;
  });
}

type PrivateLists = { readonly statuses: FetchStatuses; readonly view: ListView };

/** Fetches private lists where that is due, and inspects them. */
async function fetchPrivateLists(
  context: ChoiceContext,
  directory: PrivateDirectory,
  { host, known, refresh }: { host: ListView; known: FetchStatuses; refresh: boolean },
): Promise<PrivateLists> {
  const { system, sources, nowMs } = context;
  const asked = sources.filter(isAsked);
  const before = await viewPrivateLists(context, directory, known);
  const isLost = (source: AptSource) => {
    const status = known[keyOf(source)];
    return !hasLists(before, source) && status?.why === null &&
      nowMs - status.tried_ms >= REFETCH_MS / 24;
  };
  const isWanted = refresh ||
    asked.some((source) => isDue(known[keyOf(source)], nowMs) || isLost(source));
  if (!isWanted) return { statuses: known, view: before };
  const settings = privateSettings(directory);
  const statuses = recordOutcomes(known, await askSources(context, settings, asked), nowMs);
  const view = await viewPrivateLists(context, directory, statuses);
  const missing = asked.filter((source) => hasLists(host, source) && !hasLists(view, source));
  const isUseful = asked.some((source) => hasLists(view, source));
  if (missing.length === 0 || !isUseful) return { statuses, view };
  // The host's lists of a source that fails are old, and better than none.
  const hostDirectory = `${host.places.aptStateDirectory}/lists`;
  const paths = await listFiles(system, hostDirectory, missing.map(({ prefix }) => prefix));
  const copy = () => context.commandsWith(settings).copy(paths, `${directory.path}/lists/`);
  await attempt(copy, context.signal);
  return { statuses, view: await viewPrivateLists(context, directory, statuses) };
}

/** Removes what is obsolete since the host has fetched lists: the failures that were found before. */
function withoutObsolete(record: FetchRecord, fetchedMs: number | null): FetchRecord {
  const host = Object.entries(record.host).filter(([, { why, tried_ms }]) =>
    why === null || Number(fetchedMs) <= tried_ms
  );
  return { ...record, host: Object.fromEntries(host) };
}

/** Whether the private lists are better: of no fewer sources (a medium does not count), and none older. */
function isPrivateBetter(
  { sources }: ChoiceContext,
  host: ListView,
  { statuses, view }: PrivateLists,
): boolean {
  if (Object.values(statuses).every(({ fetched_ms }) => fetched_ms === null)) return false;
  const asked = sources.filter(isAsked);
  const count = (view: ListView) => asked.filter((source) => hasLists(view, source)).length;
  if (count(view) !== count(host)) return count(view) > count(host);
  const bad = ({ sources }: ListView) =>
    sources.filter(({ result }) => result !== "ok" && result !== "not_asked").length;
  if (bad(view) !== bad(host)) return bad(view) < bad(host);
  return (oldestAgeS(view.sources) ?? 0) <= (oldestAgeS(host.sources) ?? 0);
}

/** The host's lists, with the reasons why newer ones could not be fetched. */
function withFailures(
  { sources }: ChoiceContext,
  host: ListView,
  statuses: FetchStatuses,
): ListView {
  const reasons = new Map(sources.map((source) => [source.address, statuses[keyOf(source)]?.why]));
  return {
    ...host,
    sources: host.sources.map((source) => {
      const why = reasons.get(source.url ?? "") ?? null;
      return why === null || source.result === "not_asked"
        ? source
        : { ...source, result: "failed", why };
    }),
  };
}
