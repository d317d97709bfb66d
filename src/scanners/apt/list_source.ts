/**
 * Looks at the package lists of an apt scan, the host's and the agent's own, and fetches them: what is
 * known of each enabled source in them.
 */

import type { System } from "../../system/system.ts";
import { AptCommands, type AptOptions } from "./commands.ts";
import { type AptPlaces, listFiles } from "./lists.ts";
import { type OwnDirectory, privateSettings, releaseSettings } from "./own_directory.ts";
import {
  type Fetched,
  isDue,
  keyOf,
  readOutcomes,
  recordOutcomes,
  REFETCH_MS,
} from "./private_lists.ts";
import {
  type AptSource,
  CLOCK_SLACK_MS,
  inspectLists,
  isAsked,
  joinReleases,
  judgeSource,
  newestBelieved,
  type SourceFetch,
  type SourceLists,
} from "./sources.ts";
import { ScanError, type ScanSource } from "../scanner.ts";

/** Lists in one place, as they are. */
export interface View {
  readonly places: AptPlaces;
  readonly lists: ReadonlyMap<string, SourceLists>;
  readonly sources: readonly ScanSource[];
}

/** What a scan has at hand while it chooses. */
export interface Choice {
  readonly system: System;
  readonly options: AptOptions;
  readonly signal: AbortSignal | undefined;
  readonly places: AptPlaces;
  readonly sources: readonly AptSource[];
  readonly nowMs: number;
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

/**
 * The host's lists. How old a source's are only its own files say, and what is `known` of it. The time
 * of their folder is that of any file which came or went: another source's, or none's.
 */
export function viewHosts(
  choice: Choice,
  known: Readonly<Record<string, Fetched>>,
): Promise<View> {
  const { places, nowMs } = choice;
  return look(choice, places, (source, { timesMs }) => {
    const own = known[keyOf(source)];
    const fetchedMs = own?.fetched_ms ?? null;
    return {
      fetchedMs: newestBelieved(fetchedMs === null ? timesMs : [...timesMs, fetchedMs], nowMs),
      isProven: own?.why === null,
      failure: own?.why ?? null,
    };
  });
}

/** Root's own refresh, as a person's: with the host's hooks, into the host's lists. */
export async function refreshHosts({ system, options, signal, sources, nowMs }: Choice) {
  try {
    const result = await new AptCommands(system, options, { signal }).update();
    const host = recordOutcomes({}, readOutcomes(result, sources), nowMs);
    return { host, problems: [] };
  } catch (error) {
    if (!(error instanceof ScanError) || signal?.aborted) throw error;
    return { host: {}, problems: [error.message] };
  }
}

/** What is said of a source that answers, and of which the host has not fetched what it offers. */
export const BEHIND = "its lists are behind what it offers now";

/** What came of asking sources for their Release files alone. */
export interface Proof {
  readonly known: Readonly<Record<string, Fetched>>;
  /** By `keyOf`, those that do not answer this user, and may answer root. */
  readonly refused: ReadonlySet<string>;
}

/**
 * Asks sources whose lists say nothing of the last day whether they have newer ones: of those that
 * have none, the host's lists are in date, however long ago they were published.
 */
export async function proveHosts(
  { system, options, signal, sources, nowMs }: Choice,
  own: OwnDirectory,
  { lists, sources: judged }: View,
  known: Readonly<Record<string, Fetched>>,
): Promise<Proof> {
  const listsOf = (source: AptSource) => lists.get(source.prefix);
  const ages = new Map(judged.map(({ url, metadataAgeS }) => [url, metadataAgeS]));
  const isYoung = ({ address }: AptSource) =>
    Number(ages.get(address) ?? Infinity) * 1_000 < REFETCH_MS;
  const doubtful = sources.filter((source) =>
    isAsked(source) && listsOf(source)?.hasRelease && !isYoung(source)
  );
  const refused = new Set<string>();
  if (!doubtful.some((source) => isDue(known[keyOf(source)], nowMs))) return { known, refused };
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
    if (outcomes.get(key) !== null) continue;
    // A mirror may be behind what the host has from another one.
    const isNewest = newestMs <= hereMs && hereMs <= nowMs + CLOCK_SLACK_MS;
    if (hereMs < newestMs) outcomes.set(key, BEHIND);
    // Of two that cannot be compared nothing is known.
    else if (!isNewest) outcomes.delete(key);
  }
  const isRoot = system.machine.userId() === 0;
  for (const [key, why] of outcomes) {
    // Root may have a password for it.
    if (isRoot || !/\b40[137]\b|denied/i.test(`${why}`)) continue;
    outcomes.delete(key);
    refused.add(key);
  }
  return { known: { ...known, ...recordOutcomes(known, outcomes, nowMs) }, refused };
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
export async function fetchOwn(
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

export function hasLists({ lists }: View, { prefix }: AptSource): boolean {
  const found = lists.get(prefix);
  return found !== undefined && (found.hasRelease || found.hasPackages);
}
