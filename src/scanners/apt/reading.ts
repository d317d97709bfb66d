/** Asks apt and dpkg all that an answer is made of, at a moment at which nothing changes. */

import type { System } from "../../system/system.ts";
import { changelogPaths, parseChangelogs } from "./changelogs.ts";
import type { AptCommands } from "./commands.ts";
import { ReplacedListsError } from "./failure.ts";
import { fetchChangelogs } from "./fetched_changelogs.ts";
import { type InstalledPackages, parseInstalled } from "./installed.ts";
import type { ListSource } from "./list_choice.ts";
import { stateStamp } from "./lists.ts";
import { parsePolicy, type Policies } from "./policy.ts";
import { readSecurityData, type SecurityData } from "./security_data.ts";
import { parseShow } from "./show.ts";
import { parseFiles, tellUntrusted } from "./untrusted.ts";
import {
  type AptState,
  describeUpdates,
  findUndescribed,
  findWaiting,
  tellEffects,
  tellGaps,
} from "./updates.ts";
import { parseUpgrade } from "./upgrade.ts";
import { ScanError } from "../scanner.ts";
import type { Update } from "../../update.ts";

export interface Reading {
  readonly updates: readonly Update[];
  readonly gaps: readonly string[];
  /** What is to be known besides, though no update is missing. */
  readonly notes: readonly string[];
}

/** The lists to read, and what else there is to be read. */
export interface ReadOptions extends ListSource {
  /** Whether changelogs may be fetched for what waits. */
  readonly isFetching: boolean;
  /** Before each path of the host's own files. */
  readonly hostDirectory: string;
}

/** The age of the oldest lists that are read, of those whose age is known; `null`: of none it is. */
export function oldestAgeS(lists: ListSource): number | null {
  const ages = agesOf(lists).filter((age) => age !== null);
  return ages.length > 0 ? Math.max(...ages) : null;
}

function agesOf({ sources }: ListSource): (number | null)[] {
  return sources.filter(({ result }) => result !== "not_asked")
    .map(({ metadataAgeS }) => metadataAgeS);
}

/** Asks everything, and once more if packages or package lists changed while it was asked. */
export async function readTwiceAtMost(
  system: System,
  lists: ReadOptions,
  newCommands: () => AptCommands,
): Promise<Reading> {
  try {
    const reading = await readWhileStill(system, lists, newCommands());
    if (reading) return reading;
  } catch (error) {
    if (!(error instanceof ReplacedListsError)) throw error;
  }
  const reading = await readWhileStill(system, lists, newCommands());
  if (reading) return reading;
  const fact = "packages or package lists keep changing meanwhile";
  throw new ScanError(`Cannot scan with apt: ${fact}`, { reason: "locked" });
}

/** Asks everything; `undefined` if what was asked about changed in the meantime. */
async function readWhileStill(
  system: System,
  lists: ReadOptions,
  commands: AptCommands,
): Promise<Reading | undefined> {
  const before = await stateStamp(system, lists.places);
  try {
    const reading = await read(system, commands, lists);
    return await stateStamp(system, lists.places) === before ? reading : undefined;
  } catch (error) {
    const isAboutState = error instanceof ScanError && error.reason === "permanent";
    // Of a state that is half old and half new apt may say anything.
    if (isAboutState && await stateStamp(system, lists.places) !== before) return undefined;
    throw error;
  }
}

async function read(system: System, commands: AptCommands, lists: ReadOptions): Promise<Reading> {
  const { untrusted: known, ...state } = await readState(commands, lists);
  const waiting = findWaiting(state);
  const wanted = findUndescribed(waiting, state)
    .map(({ name, availableVersion }) => `${name}=${availableVersion}`);
  const missing: string[] = [];
  const [shown, untrusted, changelogs] = await all([
    ifAnswered(() => commands.showPackages(wanted), parseShow, missing),
    known ?? readUntrusted(commands, lists.mayBeUnsigned && waiting.length > 0),
    ifAnswered(
      () => commands.readChangelogs(changelogPaths(waiting, state.installed)),
      parseChangelogs,
    ),
  ]);
  const security = await findSecurityData(system, lists);
  const installed = { origin: "a changelog on this host", changelogs };
  const details = { shown, security, changelogs: [installed] };
  const described = describeUpdates(waiting, state, details);
  const { ownDirectory: directory, isFetching } = lists;
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
    gaps: [...commands.losses, ...tellGaps(state, waiting, shown)],
    notes: [
      ...tellEffects(state),
      ...tellUntrusted(waiting, state.policies, untrusted),
      // Without it sizes and the like are missing, and no update is.
      ...missing,
      ...commands.notes,
    ],
  };
}

function findSecurityData(system: System, lists: ReadOptions): Promise<SecurityData[]> {
  const ageS = agesOf(lists).includes(null) ? null : oldestAgeS(lists);
  return readSecurityData(system, {
    hostDirectory: lists.hostDirectory,
    dpkgDirectory: lists.places.dpkgDirectory,
    // An age is told in whole seconds, rounded down.
    listsFetchedMs: ageS === null ? null : system.clock.nowMs() - (ageS + 1) * 1_000,
  });
}

/** The package files that no signature vouches for; none where nothing is to be asked. */
function readUntrusted(commands: AptCommands, asks: boolean): Promise<ReadonlySet<string>> {
  return ifAnswered(async () => asks ? await commands.queryUntrusted() : "", parseFiles);
}

/**
 * The installed packages, what apt knows of each, and what it would do with them. `untrusted` is `null`
 * unless the policies already show that an update waits: apt computes its decision for a second, and
 * the question is asked in that time.
 */
async function readState(
  commands: AptCommands,
  lists: ListSource,
): Promise<AptState & { untrusted: ReadonlySet<string> | null }> {
  const installed = parseInstalled(await commands.queryInstalled());
  if (installed.packages.size === 0) {
    const fact = "dpkg-query tells of no installed package";
    throw new ScanError(`Cannot scan with apt: ${fact}`, { reason: "permanent" });
  }
  commands.allowFor(installed.packages.size);
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
    // Without a cache both would build it, each for itself: the second one waits for the first's.
    lists.hasCache ? decide() : asked.then(decide),
  ]);
  if (policies.packages.size === 0) {
    const fact = "the answer of apt-cache policy is not understood";
    throw new ScanError(`Cannot scan with apt: ${fact}`, { reason: "permanent" });
  }
  return { installed, policies, decision, releases: lists.releases, untrusted };
}

function hasOtherCandidate({ packages }: InstalledPackages, policies: Policies): boolean {
  return [...packages].some(([name, { version }]) => {
    const candidate = policies.packages.get(name)?.candidate ?? null;
    return candidate !== null && candidate !== version;
  });
}

/** For what tells more than apt's own list does: without an answer no update is missing. */
async function ifAnswered<T>(
  ask: () => Promise<string>,
  parse: (text: string) => T,
  missing: string[] = [],
): Promise<T> {
  try {
    return parse(await ask());
  } catch (error) {
    if (!(error instanceof ScanError) || error instanceof ReplacedListsError) throw error;
    missing.push(error.message);
    return parse("");
  }
}

/** Like `Promise.all`, but none goes on unseen when another has failed. */
async function all<T extends readonly unknown[]>(
  work: readonly [...{ [K in keyof T]: T[K] | Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(work);
  return Promise.all(work) as Promise<unknown> as Promise<T>;
}
