/** Chooses the package lists that a scan reads: dnf's own, or private ones that the agent fetches. */

import * as v from "valibot";
import type { System } from "../../system/system.ts";
import {
  readPrivateFile,
  REFETCH_MS,
  retryPauseMs,
  unlessFileError,
  writePrivateFile,
} from "../private_files.ts";
import {
  attempt,
  cannot,
  oldestAgeS,
  ScanError,
  type ScanOptions,
  type ScanSource,
} from "../scanner.ts";
import { dnfFailure, fetchFailures } from "./commands.ts";
import { askOptional, type DnfContext } from "./questions.ts";
import {
  describeSources,
  type DnfRepository,
  type FetchResult,
  findAdvisoryLists,
} from "./repositories.ts";

const FETCH = "fetch dnf's package lists";

/** Fetching package lists waits for mirrors. */
const FETCH_TIMEOUT_MS = 300_000;

export interface ChosenDnfLists {
  /** The program and the options that precede each command. */
  readonly program: readonly string[];
  /** Every enabled repository; empty if dnf could not list them. */
  readonly sources: readonly ScanSource[];
  /** The same repositories as dnf reports them. */
  readonly repositories: readonly DnfRepository[];
  readonly plugins: readonly string[];
}

/**
 * Chooses the lists. With `refresh` it fetches dnf's lists first. A user's lists belong to the user: it
 * fetches them if they are missing, expired or a day old. Root's lists belong to the host: if they are
 * missing or expired, it fetches private lists below the agent's cache directory. `dnfCache` is dnf's
 * cache directory if dnf does not report it; `null` if unknown. Throws `ScanError` if no repository
 * has lists.
 */
export async function chooseLists(
  system: System,
  context: DnfContext,
  dnfCache: string | null,
  { refresh = false, cacheDirectory }: ScanOptions,
): Promise<ChosenDnfLists> {
  const isRoot = system.machine.userId() === 0;
  const directory = cacheDirectory?.startsWith("/") ? `${cacheDirectory}/dnf` : undefined;
  let fetched = refresh ? await fetchLists(system, context, ["--refresh"]) : NOT_FETCHED;
  let lists = await readLists(system, context, dnfCache, fetched);
  if (lists === null) {
    return { program: context.program, sources: [], repositories: [], plugins: [] };
  }
  const isSound = lists.sources.every(({ result }) => result === "ok");
  const isStale = !isSound || (oldestAgeS(lists.sources) ?? Infinity) * 1_000 > REFETCH_MS;
  if (!refresh && !isRoot && lists.sources.length > 0 && isStale) {
    fetched = await fetchDue(system, context, directory, lists.repositories, ["--refresh"]);
    lists = await readLists(system, context, dnfCache, fetched) ?? lists;
  }
  if (!refresh && isRoot && !isSound && directory !== undefined) {
    const own = await readPrivateLists(system, context, directory, lists.repositories);
    if (own !== null && isBetter(own.sources, lists.sources)) lists = own;
  }
  requireLists(lists, fetched);
  return lists;
}

type Fetched = FetchResult & { readonly error: ScanError | null };

const NOT_FETCHED: Fetched = {
  failures: new Map(),
  fetchedFromMs: null,
  isRefresh: false,
  error: null,
};

async function fetchLists(
  { clock }: System,
  { commands, program, dialect }: DnfContext,
  options: readonly string[],
): Promise<Fetched> {
  const fetch = { fetchedFromMs: clock.nowMs(), isRefresh: options.includes("--refresh") };
  const argv = [...program, ...options, ...dialect.fetch];
  const run = () => commands.run(FETCH, argv, { timeoutMs: FETCH_TIMEOUT_MS });
  const result = await attempt(run);
  if (result instanceof ScanError) return { ...fetch, failures: new Map(), error: result };
  const failures = fetchFailures(result.stderr);
  const facts = [...failures].map(([repository, why]) => `${repository}: ${why}`);
  // Dnf exits with 0 if every repository may fail; only its messages name the failures.
  const error = result.code !== 0
    ? dnfFailure(FETCH, result)
    : facts.length > 0
    ? dnfFailure(FETCH, { ...result, code: 1 }, facts)
    : null;
  return { ...fetch, failures, error };
}

/** Reads dnf's report about its repositories; `null`, and a gap, if there is none. */
async function readLists(
  system: System,
  context: DnfContext,
  dnfCache: string | null,
  fetched: FetchResult,
): Promise<ChosenDnfLists | null> {
  const action = "list the repositories";
  const report = await askOptional(context, action, context.dialect.repositories);
  if (report === undefined) return null;
  const { repositories, plugins } = report;
  const directory = report.cacheDirectory ?? dnfCache;
  const hasAdvisories = await findAdvisoryLists(system, directory, repositories);
  const failures = byId(fetched.failures, repositories);
  const facts = { ...fetched, nowMs: system.clock.nowMs(), failures, hasAdvisories };
  const sources = describeSources(repositories, facts);
  return { program: context.program, repositories, plugins, sources };
}

const fetchState = v.object({
  triedMs: v.number(),
  inARow: v.number(),
  failures: v.record(v.string(), v.string()),
});

type FetchState = v.InferOutput<typeof fetchState>;

/** Reads private lists below `directory`; dnf fetches the expired ones of them first. */
async function readPrivateLists(
  system: System,
  context: DnfContext,
  directory: string,
  repositories: readonly DnfRepository[],
): Promise<ChosenDnfLists | null> {
  const lists = `${directory}/lists`;
  const own: DnfContext = {
    ...context,
    program: [...context.program, ...context.dialect.privateListOptions(lists)],
    // A failure of the private lists is not a gap of the host's lists.
    gaps: [],
  };
  const purpose = "make private package lists";
  const make = () => system.files.makeDirectory(purpose, lists, { mode: 0o700 });
  if (!await unlessFileError(() => make().then(() => true), false)) return null;
  const fetched = await fetchDue(system, own, directory, repositories, []);
  return await readLists(system, own, lists, fetched);
}

/** Fetches the lists, except those that failed recently; the state file is below `directory`. */
async function fetchDue(
  system: System,
  context: DnfContext,
  directory: string | undefined,
  repositories: readonly DnfRepository[],
  options: readonly string[],
): Promise<Fetched> {
  if (directory === undefined) return await fetchLists(system, context, options);
  const path = `${directory}/fetched.json`;
  const nowMs = system.clock.nowMs();
  const purpose = "read about fetching package lists";
  const before = await readPrivateFile(system, path, { purpose, schema: fetchState }) ??
    { triedMs: -Infinity, inARow: 0, failures: {} };
  const sinceMs = nowMs - before.triedMs;
  const isPaused = before.inARow > 0 && sinceMs >= 0 && sinceMs < retryPauseMs(before.inARow);
  const paused = new Map(isPaused ? Object.entries(before.failures) : []);
  if (isPaused && paused.size === 0) return NOT_FETCHED;
  const without = repositories.filter(({ id }) => paused.has(id))
    .map(({ id }) => `--disablerepo=${id}`);
  const fetched = await fetchLists(system, context, [...without, ...options]);
  const failures = new Map([...paused, ...byId(fetched.failures, repositories)]);
  const value: FetchState = {
    triedMs: isPaused ? before.triedMs : nowMs,
    inARow: isPaused ? before.inARow : fetched.error === null ? 0 : before.inARow + 1,
    failures: Object.fromEntries([...failures].slice(0, MAX_FAILURES)),
  };
  const saving = "remember fetching package lists";
  const make = () => system.files.makeDirectory(saving, directory, { mode: 0o700 });
  await unlessFileError(make, undefined);
  await writePrivateFile(system, path, { purpose: saving, value });
  return { ...fetched, failures };
}

/** Failures that the state file stores. */
const MAX_FAILURES = 100;

/** Dnf 5 truncates names in its progress to the width of a column; shorter names are complete. */
const SHORTEST_TRUNCATED = 20;

/** Maps failures to ids. Dnf 5 reports names, and truncates a long one: it then counts for all that match. */
function byId(
  failures: ReadonlyMap<string, string>,
  repositories: readonly DnfRepository[],
): Map<string, string> {
  return new Map([...failures].flatMap(([key, why]) => {
    const exact = repositories.filter(({ id, name }) => id === key || name === key);
    const matching = exact.length > 0 || key.length < SHORTEST_TRUNCATED
      ? exact
      : repositories.filter(({ name }) => name.startsWith(key));
    return matching.map(({ id }) => [id, why] as const);
  }));
}

/** Whether the private lists are better: more are current, and half as many repositories have lists. */
function isBetter(own: readonly ScanSource[], hosts: readonly ScanSource[]): boolean {
  const current = (sources: readonly ScanSource[]) =>
    sources.filter(({ result }) => result === "ok").length;
  const dated = (sources: readonly ScanSource[]) =>
    sources.filter(({ metadataAgeS }) => metadataAgeS !== null).length;
  return current(own) > current(hosts) && dated(own) * 2 >= dated(hosts);
}

/** Throws if no repository has lists: dnf would succeed and list no updates. */
function requireLists({ repositories, sources }: ChosenDnfLists, { error }: Fetched): void {
  if (sources.length === 0) {
    throw cannot("scan with dnf", "there are no enabled repositories", "permanent");
  }
  if (repositories.some(({ hasLists }) => hasLists)) return;
  if (error !== null) throw error;
  const failed = sources.find(({ result }) => result === "failed");
  const fact = failed
    ? `${failed.name}: ${failed.why}`
    : 'there are no package lists yet: run "dnf makecache"';
  throw cannot("list updates with dnf", fact, "transient");
}
