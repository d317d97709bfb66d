/** Chooses which package lists a dnf scan reads: those that dnf has, or some of the agent's own. */

import * as v from "valibot";
import { decodeJson } from "../../json.ts";
import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { type Asking, askOr, type DnfRun } from "./questions.ts";
import { FETCH_TIMEOUT_MS } from "./commands.ts";
import { dnfFailure, fetchFailures } from "./failure.ts";
import type { DnfRepositories, DnfRepository } from "./repositories.ts";
import { describeSources, oldestAgeS, readTellsSecurity, type SourceFacts } from "./sources.ts";
import { ScanError, type ScanOptions, type ScanSource } from "../scanner.ts";

const FETCH = "fetch dnf's package lists";

/** A user's own lists are fetched anew when they are older. */
const STALE_S = 24 * 3_600;

/** A repository that failed is not asked again for so long, which doubles up to a day. */
const FIRST_PAUSE_MS = 3_600_000;
const LONGEST_PAUSE_MS = 24 * 3_600_000;

/** Where dnf's lists are, if it does not say so itself; `null` is not known. */
export interface ListPlaces {
  readonly cacheDirectory: string | null;
}

/** The lists that a scan reads. */
export interface ChosenLists {
  /** The program with everything that is put before each command. */
  readonly program: readonly string[];
  /** Every enabled repository; empty where dnf could not be asked for them. */
  readonly sources: readonly ScanSource[];
  /** The same as dnf has them. */
  readonly repositories: readonly DnfRepository[];
  /** Plugins that dnf loads. */
  readonly plugins: readonly string[];
}

/**
 * The lists that dnf has, fetched anew if that is asked for. Lists of a user are the user's own, and
 * are fetched if they are missing, past their limit or a day old. Root's are the host's: where they are
 * missing or past their limit, the agent fetches lists of its own below `cacheDirectory`. Throws
 * `ScanError` if no repository has lists at all.
 */
export async function chooseLists(
  system: System,
  asking: Asking,
  places: ListPlaces,
  { refresh = false, cacheDirectory }: ScanOptions,
): Promise<ChosenLists> {
  const isRoot = system.machine.userId() === 0;
  const directory = cacheDirectory?.startsWith("/") ? `${cacheDirectory}/dnf` : undefined;
  let fetched = refresh ? await fetchLists(system, asking, ["--refresh"]) : NOT_FETCHED;
  let lists = await readLists(system, asking, places, fetched);
  if (lists === null) return { ...NO_LISTS, program: asking.program };
  const isSound = lists.sources.every(({ result }) => result === "ok");
  const isStale = !isSound || (oldestAgeS(lists.sources) ?? Infinity) > STALE_S;
  if (!refresh && !isRoot && lists.sources.length > 0 && isStale) {
    const flags = ["--refresh"];
    fetched = await fetchPatiently(system, asking, directory, { flags, ...lists });
    lists = await readLists(system, asking, places, fetched) ?? lists;
  }
  if (!refresh && isRoot && !isSound && directory !== undefined) {
    const own = await readPrivately(system, asking, directory, lists);
    if (own !== null && isBetter(own.sources, lists.sources)) lists = own;
  }
  refuseNothing(lists, fetched);
  return lists;
}

/** Dnf could not be asked for them. */
const NO_LISTS = { sources: [], repositories: [], plugins: [] };

/** What came of fetching. */
interface Fetched {
  readonly failures: ReadonlyMap<string, string>;
  /** When that began; `null`: nothing was fetched. */
  readonly fromMs: number | null;
  /** Whether the lists of every repository were to be fetched, and not only those past their time. */
  readonly isRefresh: boolean;
  /** Why nothing could be fetched at all. */
  readonly error: ScanError | null;
}

const NOT_FETCHED: Fetched = {
  failures: new Map(),
  fromMs: null,
  isRefresh: false,
  error: null,
};

async function fetchLists(
  { clock }: System,
  { commands, program, dialect }: DnfRun,
  flags: readonly string[],
): Promise<Fetched> {
  const fetch = { fromMs: clock.nowMs(), isRefresh: flags.includes("--refresh") };
  try {
    const argv = [...program, ...flags, ...dialect.fetch];
    const result = await commands.run(FETCH, argv, { timeoutMs: FETCH_TIMEOUT_MS });
    const failures = fetchFailures(result.stderr);
    const told = [...failures].map(([repository, why]) => `${repository}: ${why}`);
    // With every repository allowed to fail dnf ends well; the reason is in its words.
    const error = result.code !== 0
      ? dnfFailure(FETCH, result)
      : told.length > 0
      ? dnfFailure(FETCH, { ...result, code: 1 }, told)
      : null;
    return { ...fetch, failures, error };
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
    return { ...fetch, failures: new Map(), error };
  }
}

/** Reads what dnf says of its repositories; `null`, and a gap, if it does not. */
async function readLists(
  system: System,
  asking: Asking,
  places: ListPlaces,
  { failures, fromMs, isRefresh }: Fetched,
): Promise<ChosenLists | null> {
  const told = await askOr(asking, "list the repositories", asking.dialect.repositories);
  if (told === undefined) return null;
  const { repositories, plugins } = told;
  const tellsSecurity = await readTellsSecurity(system, placeOf(places, told), repositories);
  const facts: SourceFacts = {
    nowMs: system.clock.nowMs(),
    failures: byId(failures, repositories),
    fetchedFromMs: fromMs,
    isRefresh,
    tellsSecurity,
  };
  const sources = describeSources(repositories, facts);
  return { program: asking.program, repositories, plugins, sources };
}

/** A test's dnf may have another root than the scanner: what is set counts more than what it says. */
function placeOf({ cacheDirectory }: ListPlaces, told: DnfRepositories): string | null {
  return told.cacheDirectory ?? cacheDirectory;
}

/** What the agent remembers of the last fetch. */
const memory = v.object({
  triedMs: v.number(),
  inARow: v.number(),
  failures: v.record(v.string(), v.string()),
});

type Memory = v.InferOutput<typeof memory>;

const NO_MEMORY: Memory = { triedMs: -Infinity, inARow: 0, failures: {} };

/** Lists of the agent's own, below `directory`; dnf fetches those of which the time is up. */
async function readPrivately(
  system: System,
  asking: Asking,
  directory: string,
  { repositories }: Pick<ChosenLists, "repositories">,
): Promise<ChosenLists | null> {
  const lists = `${directory}/lists`;
  const own: Asking = {
    ...asking,
    program: [...asking.program, ...asking.dialect.privateLists(lists)],
    // What fails there is no gap of the host's own lists.
    gaps: [],
  };
  try {
    await system.files.makeDirectory("make private package lists", lists, { mode: 0o700 });
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
  const fetched = await fetchPatiently(system, own, directory, {
    flags: [],
    repositories,
  });
  return await readLists(system, own, { cacheDirectory: lists }, fetched);
}

/** Fetches, but for what failed a short while ago; that is kept below `directory`, if there is one. */
async function fetchPatiently(
  system: System,
  run: DnfRun,
  directory: string | undefined,
  { flags, repositories }: Pick<ChosenLists, "repositories"> & {
    readonly flags: readonly string[];
  },
): Promise<Fetched> {
  if (directory === undefined) return await fetchLists(system, run, flags);
  const path = `${directory}/fetched.json`;
  const nowMs = system.clock.nowMs();
  const before = await readMemory(system, path);
  const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (before.inARow - 1), LONGEST_PAUSE_MS);
  const sinceMs = nowMs - before.triedMs;
  const isPaused = before.inARow > 0 && sinceMs >= 0 && sinceMs < pauseMs;
  const paused = new Map(isPaused ? Object.entries(before.failures) : []);
  if (isPaused && paused.size === 0) return NOT_FETCHED;
  const without = repositories.filter(({ id }) => paused.has(id))
    .map(({ id }) => `--disablerepo=${id}`);
  const fetched = await fetchLists(system, run, [...without, ...flags]);
  const failures = new Map([...paused, ...byId(fetched.failures, repositories)]);
  await remember(system, path, {
    triedMs: isPaused ? before.triedMs : nowMs,
    inARow: isPaused ? before.inARow : fetched.error === null ? 0 : before.inARow + 1,
    failures: Object.fromEntries([...failures].slice(0, MOST_FAILURES)),
  });
  return { ...fetched, failures };
}

/** Failures that are remembered. */
const MOST_FAILURES = 100;

async function remember({ files }: System, path: string, state: Memory): Promise<void> {
  const purpose = "remember fetching package lists";
  try {
    await files.makeDirectory(purpose, path.slice(0, path.lastIndexOf("/")), { mode: 0o700 });
    await files.writeText(purpose, path, JSON.stringify(state), { mode: 0o600 });
  } catch (error) {
    // Without it, the repository is asked again at the next scan.
    if (!(error instanceof FileError)) throw error;
  }
}

async function readMemory({ files }: System, path: string): Promise<Memory> {
  try {
    const text = await files.readText("read about fetching package lists", path);
    const read = decodeJson(memory, text ?? "null");
    return read.ok ? read.value : NO_MEMORY;
  } catch (error) {
    if (error instanceof FileError) return NO_MEMORY;
    throw error;
  }
}

/** Dnf 5 cuts names in its progress to the width of a column; shorter ones are whole. */
const SHORTEST_CUT = 20;

/**
 * Failures by the repositories' ids. Dnf 5 tells them by name, and of a long one its beginning: where
 * several begin like that, each may be meant.
 */
function byId(
  failures: ReadonlyMap<string, string>,
  repositories: readonly DnfRepository[],
): Map<string, string> {
  return new Map([...failures].flatMap(([told, why]) => {
    const exact = repositories.filter(({ id, name }) => id === told || name === told);
    const meant = exact.length > 0 || told.length < SHORTEST_CUT
      ? exact
      : repositories.filter(({ name }) => name.startsWith(told));
    return meant.map(({ id }) => [id, why] as const);
  }));
}

/**
 * Whether the agent's own lists are better than the host's: more of them are in date, and no more than
 * half of what the host's answer is lost.
 */
function isBetter(own: readonly ScanSource[], hosts: readonly ScanSource[]): boolean {
  const sound = (sources: readonly ScanSource[]) =>
    sources.filter(({ result }) => result === "ok").length;
  const answering = (sources: readonly ScanSource[]) =>
    sources.filter(({ metadataAgeS }) => metadataAgeS !== null).length;
  return sound(own) > sound(hosts) && answering(own) * 2 >= answering(hosts);
}

/** Dnf is content with repositories that all lack lists, and would list no update. */
function refuseNothing({ repositories, sources }: ChosenLists, { error }: Fetched): void {
  if (sources.length === 0) {
    const fact = "there are no enabled repositories";
    throw new ScanError(`Cannot scan with dnf: ${fact}`, { reason: "permanent" });
  }
  if (repositories.some(({ hasLists }) => hasLists)) return;
  if (error !== null) throw error;
  const causes = sources.flatMap(({ name, result, why }) =>
    result === "failed" ? [`${name}: ${why}`] : []
  );
  const fact = causes[0] ?? 'there are no package lists yet: run "dnf makecache"';
  throw new ScanError(`Cannot list updates with dnf: ${fact}`, { reason: "transient" });
}
