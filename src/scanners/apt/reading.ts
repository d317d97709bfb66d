/** Reads everything that a scan reports from apt and dpkg, at a moment at which nothing changes. */

import type { System } from "../../system/system.ts";
import type { Update } from "../../update.ts";
import { cannot, oldestAgeS, ScanError } from "../scanner.ts";
import { changelogPaths, fetchChangelogs, parseChangelogs } from "./changelogs.ts";
import { AptCommands, type AptOptions, ReplacedListsError } from "./commands.ts";
import type { ChosenLists } from "./list_choice.ts";
import { stateStamp } from "./lists.ts";
import {
  type InstalledPackages,
  parseInstalled,
  parsePolicy,
  parseShow,
  type Policies,
} from "./packages.ts";
import { readSecurityData, type SecurityData } from "./security_data.ts";
import {
  describeGaps,
  describeSideEffects,
  describeUntrusted,
  describeUpdates,
  findUndescribed,
  parsePackageFiles,
} from "./updates.ts";
import { type AptState, findWaiting, parseUpgrade } from "./upgrade.ts";

/** The result of reading. */
export interface Reading {
  readonly updates: readonly Update[];
  readonly gaps: readonly string[];
  /** Other facts for the reader, though no update is missing. */
  readonly notes: readonly string[];
}

/** The lists to read, and what else to read. */
interface ReadOptions {
  readonly lists: ChosenLists;
  readonly options: AptOptions;
  /** Whether to fetch the changelogs of waiting updates. */
  readonly isFetching: boolean;
}

/** Reads everything, and once more if packages or package lists changed meanwhile. */
export async function readWithRetry(system: System, options: ReadOptions): Promise<Reading> {
  try {
    const reading = await readIfUnchanged(system, options);
    if (reading) return reading;
  } catch (error) {
    if (!(error instanceof ReplacedListsError)) throw error;
  }
  const reading = await readIfUnchanged(system, options);
  if (reading) return reading;
  throw cannot("scan with apt", "packages or package lists keep changing meanwhile", "locked");
}

/** Reads everything; `undefined` if packages or package lists changed meanwhile. */
async function readIfUnchanged(
  system: System,
  options: ReadOptions,
): Promise<Reading | undefined> {
  const { places } = options.lists;
  const before = await stateStamp(system, places);
  try {
    const reading = await read(system, options);
    return await stateStamp(system, places) === before ? reading : undefined;
  } catch (error) {
    const isAboutState = error instanceof ScanError && error.reason === "permanent";
    // If the state is half old and half new, apt may report anything.
    if (isAboutState && await stateStamp(system, places) !== before) return undefined;
    throw error;
  }
}

async function read(
  system: System,
  { lists, options, isFetching }: ReadOptions,
): Promise<Reading> {
  const commands = new AptCommands(system, options, lists);
  const { untrusted: known, ...state } = await readState(commands, lists);
  const waiting = findWaiting(state);
  const undescribed = findUndescribed(waiting, state)
    .map(({ name, availableVersion }) => `${name}=${availableVersion}`);
  const failures: string[] = [];
  const [shown, untrusted, changelogs] = await all([
    parseIfAnswered(() => commands.showPackages(undescribed), parseShow, failures),
    known ?? readUntrusted(commands, lists.mayBeUnsigned && waiting.length > 0),
    parseIfAnswered(
      () => commands.readChangelogs(changelogPaths(waiting, state.installed)),
      parseChangelogs,
    ),
  ]);
  const security = await findSecurityData(system, lists, options);
  const installed = { origin: "a changelog on this host", changelogs };
  const details = { shown, security, changelogs: [installed] };
  const described = describeUpdates(waiting, state, details);
  const { privateDirectory: directory } = lists;
  const updates = isFetching && directory
    ? describeUpdates(waiting, state, {
      ...details,
      changelogs: [installed, {
        origin: "apt-get changelog",
        changelogs: await fetchChangelogs(system, commands, { directory, updates: described }),
      }],
    })
    : described;
  return {
    updates,
    gaps: [...commands.gaps, ...describeGaps(state, waiting, shown)],
    notes: [
      ...describeSideEffects(state),
      ...describeUntrusted(waiting, state.policies, untrusted),
      // Sizes and the like are missing because of these, and no update is.
      ...failures,
      ...commands.notes,
    ],
  };
}

function findSecurityData(
  system: System,
  { sources, places: { dpkgDirectory } }: ChosenLists,
  { hostDirectory = "" }: AptOptions,
): Promise<SecurityData[]> {
  const isUnknown = sources.some(({ result, metadataAgeS }) =>
    result !== "not_asked" && metadataAgeS === null
  );
  const ageS = isUnknown ? null : oldestAgeS(sources);
  return readSecurityData(system, {
    hostDirectory,
    dpkgDirectory,
    // An age is in whole seconds, rounded down.
    listsFetchedMs: ageS === null ? null : system.clock.nowMs() - (ageS + 1) * 1_000,
  });
}

/** The package files that no signature covers; none unless `isNeeded`. */
function readUntrusted(commands: AptCommands, isNeeded: boolean): Promise<ReadonlySet<string>> {
  return parseIfAnswered(
    async () => isNeeded ? await commands.queryUntrusted() : "",
    parsePackageFiles,
  );
}

/**
 * Reads the installed packages, apt's policies and its decision on an upgrade. `untrusted` is `null` unless
 * the policies already show that an update waits: apt computes its decision for a second, and the command
 * runs in that time.
 */
async function readState(
  commands: AptCommands,
  lists: ChosenLists,
): Promise<AptState & { untrusted: ReadonlySet<string> | null }> {
  const installed = parseInstalled(await commands.queryInstalled());
  if (installed.packages.size === 0) {
    throw cannot("scan with apt", "dpkg-query lists no installed package", "permanent");
  }
  commands.extendTimeout(installed.packages.size);
  const names = [...installed.packages.keys()];
  const asked = commands.queryPolicies(names).then(parsePolicy);
  const decide = async () => {
    const decided = await commands.decideUpgrade();
    return typeof decided === "string" ? parseUpgrade(decided) : decided;
  };
  const [policies, untrusted, decision] = await all([
    asked,
    asked.then((policies) =>
      lists.mayBeUnsigned && hasOtherCandidate(installed, policies)
        ? readUntrusted(commands, true)
        : null
    ),
    // Without a cache both commands would build it: the second one waits for the first's.
    lists.hasCache ? decide() : asked.then(decide),
  ]);
  if (policies.packages.size === 0) {
    throw cannot("scan with apt", "the answer of apt-cache policy is not understood", "permanent");
  }
  return { installed, policies, decision, releases: lists.releases, untrusted };
}

function hasOtherCandidate({ packages }: InstalledPackages, policies: Policies): boolean {
  return [...packages].some(([name, { version }]) => {
    const candidate = policies.packages.get(name)?.candidate ?? null;
    return candidate !== null && candidate !== version;
  });
}

/** For details only: without an answer no update is missing, and the result is that of an empty one. */
async function parseIfAnswered<T>(
  ask: () => Promise<string>,
  parse: (text: string) => T,
  failures: string[] = [],
): Promise<T> {
  try {
    return parse(await ask());
  } catch (error) {
    if (!(error instanceof ScanError) || error instanceof ReplacedListsError) throw error;
    failures.push(error.message);
    return parse("");
  }
}

/** Like `Promise.all`, but waits for all of them even if one fails. */
async function all<T extends readonly unknown[]>(
  work: readonly [...{ [K in keyof T]: T[K] | Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(work);
  return Promise.all(work) as Promise<unknown> as Promise<T>;
}
