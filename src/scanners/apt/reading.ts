/** Reads everything that a scan reports from apt and dpkg, at a moment at which nothing changes. */

import type { System } from "../../system/system.ts";
import { waitForAll } from "../programs.ts";
import { attempt, cannot, oldestAgeS, type ScanAnswer, ScanError } from "../scanner.ts";
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

/** The part of a scan's answer that depends on the lists. */
type Reading = Required<Pick<ScanAnswer, "updates" | "gaps" | "notes">>;

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
  const reading = await attempt(() => read(system, options));
  if (reading instanceof ScanError && reading.reason !== "permanent") throw reading;
  // If the state is half old and half new, apt may report anything.
  if (await stateStamp(system, places) !== before) return undefined;
  if (reading instanceof ScanError) throw reading;
  return reading;
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
  const [shown, untrusted, changelogs] = await waitForAll([
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
  const [policies, untrusted, decision] = await waitForAll([
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
  const text = await attempt(ask);
  if (!(text instanceof ScanError)) return parse(text);
  if (text instanceof ReplacedListsError) throw text;
  failures.push(text.message);
  return parse("");
}
