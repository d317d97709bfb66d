/** Chooses which package lists an apt scan reads: the host's, or some of the agent's own. */

import type { System } from "../../system/system.ts";
import { AptCommands, type AptOptions, type AskOptions } from "./commands.ts";
import {
  BEHIND,
  type Choice,
  fetchOwn,
  hasLists,
  proveHosts,
  refreshHosts,
  type View,
  viewHosts,
} from "./list_source.ts";
import { type AptPlaces, isCurrentCache, listsFetchedMs } from "./lists.ts";
import {
  hostCacheFile,
  hostSettings,
  type OwnDirectory,
  prepareOwnDirectory,
  privateCacheFile,
  privateSettings,
} from "./own_directory.ts";
import {
  type Fetched,
  type FetchRecord,
  keepFetchRecord,
  keyOf,
  NO_RECORD,
  readFetchRecord,
  REFETCH_MS,
} from "./private_lists.ts";
import { type AptSource, isAsked, joinReleases, parseSources, type Releases } from "./sources.ts";
import type { ScanOptions, ScanSource } from "../scanner.ts";

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
  if (!refresh && mayBeYoung(hosts, choice.nowMs, fetchedMs)) {
    const { known, refused } = await proveHosts(choice, own, hosts, kept.host);
    if (known !== kept.host) {
      kept = { ...kept, host: known };
      await keepFetchRecord(system, own.path, kept);
      hosts = await viewHosts(choice, known);
    }
    if (!needsOwn(choice, hosts, refused)) return await asHosts(hosts);
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

/**
 * Whether every source is there, and it is worth asking each of them whether what the host has is all.
 * Where the folder of lists did not change for a day, the host has fetched nothing: then lists of the
 * agent's own are fetched at once.
 */
function mayBeYoung({ sources }: View, nowMs: number, folderMs: number | null): boolean {
  const isExpired = ({ expiresAtMs }: ScanSource) => expiresAtMs !== null && expiresAtMs < nowMs;
  return nowMs - Number(folderMs) < REFETCH_MS &&
    sources.every((source) =>
      source.result !== "missing" && (source.result !== "old" || !isExpired(source))
    );
}

/**
 * Whether lists of the agent's own may tell more than the host's: a source that has just failed fails
 * once more, and one that refuses this user would as well.
 */
function needsOwn(
  { sources }: Choice,
  hosts: View,
  refused: ReadonlySet<string>,
): boolean {
  const isRefused = new Map(sources.map((source) => [source.address, refused.has(keyOf(source))]));
  return hosts.sources.some(({ result, why, url, metadataAgeS }) => {
    if (result === "not_asked" || isRefused.get(url ?? "")) return false;
    if (result === "failed") return why === BEHIND;
    // Of lists that are ok the age is known.
    return result !== "ok" || Number(metadataAgeS) * 1_000 >= REFETCH_MS;
  });
}

/** What was found out about the host's lists before the host fetched some anew holds no more. */
function withoutObsolete(record: FetchRecord, fetchedMs: number | null): FetchRecord {
  const host = Object.entries(record.host).filter(([, { why, tried_ms }]) =>
    why === null || Number(fetchedMs) <= tried_ms
  );
  return { ...record, host: Object.fromEntries(host) };
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
