/** Scans for updates with apt, on Debian, Ubuntu and what is made from them. */

import type { System } from "../system/system.ts";
import { changelogPaths, parseChangelogs } from "./apt_changelogs.ts";
import { APT_GET, AptCommands, type AptOptions, DPKG_QUERY } from "./apt_commands.ts";
import { ReplacedListsError } from "./apt_failure.ts";
import { parseInstalled } from "./apt_installed.ts";
import { chooseLists } from "./apt_list_source.ts";
import { type AptPlaces, haveLists, mayBeUnsigned, stateStamp } from "./apt_lists.ts";
import { parsePolicy } from "./apt_policy.ts";
import { parseReleases } from "./apt_releases.ts";
import { parseShow } from "./apt_show.ts";
import { parseSimulation } from "./apt_simulation.ts";
import {
  type AptState,
  describeUpdates,
  findWaiting,
  tellEffects,
  tellGaps,
} from "./apt_updates.ts";
import { parseFiles, tellUntrusted } from "./apt_untrusted.ts";
import { type ScanAnswer, ScanError, type Scanner, type ScanOptions } from "./scanner.ts";
import type { Update } from "./scanner.ts";

/**
 * The scanner. It needs no rights and takes no lock. Only with `refresh` and root's rights does it
 * fetch the host's package lists, as `apt-get update` does.
 */
export function aptScanner(options: AptOptions = {}): Scanner {
  return {
    name: "apt",
    isAvailable,
    scan: (system, scanOptions) => scanApt(system, scanOptions, options),
  };
}

/** Some systems have an `apt-get` that drives another package manager than dpkg. */
async function isAvailable({ files }: System): Promise<boolean> {
  try {
    const programs = [APT_GET, DPKG_QUERY];
    const facts = await Promise.all(programs.map((path) => files.inspect("look for apt", path)));
    return facts.every((fact) => fact !== undefined);
  } catch {
    return false;
  }
}

async function scanApt(
  system: System,
  scanOptions: ScanOptions,
  options: AptOptions,
): Promise<ScanAnswer> {
  const source = await chooseLists(system, scanOptions, options);
  const { places, warnings } = source;
  const newCommands = () => new AptCommands(system, options, source);
  const reading = await readTwiceAtMost(system, places, newCommands);
  const hasLists = await haveLists(system, places);
  const untold = hasLists ? [] : ['There are no package lists yet: run "apt-get update"'];
  const gaps = [...warnings, ...untold, ...reading.gaps];
  return {
    updates: reading.updates,
    gaps,
    notes: reading.notes,
    metadataAgeS: hasLists && source.ageMs !== null ? Math.round(source.ageMs / 1_000) : null,
  };
}

interface Reading {
  readonly updates: readonly Update[];
  readonly gaps: readonly string[];
  /** What is to be known besides, though no update is missing. */
  readonly notes: readonly string[];
}

/** Asks everything, and once more if packages or package lists changed while it was asked. */
async function readTwiceAtMost(
  system: System,
  places: AptPlaces,
  newCommands: () => AptCommands,
): Promise<Reading> {
  try {
    const reading = await readWhileStill(system, places, newCommands());
    if (reading) return reading;
  } catch (error) {
    if (!(error instanceof ReplacedListsError)) throw error;
  }
  const reading = await readWhileStill(system, places, newCommands());
  if (reading) return reading;
  const fact = "packages or package lists keep changing meanwhile";
  throw new ScanError(`Cannot scan with apt: ${fact}`, { reason: "locked" });
}

/** Asks everything; `undefined` if what was asked about changed in the meantime. */
async function readWhileStill(
  system: System,
  places: AptPlaces,
  commands: AptCommands,
): Promise<Reading | undefined> {
  const before = await stateStamp(system, places);
  try {
    const reading = await read(commands, await mayBeUnsigned(system, places));
    return await stateStamp(system, places) === before ? reading : undefined;
  } catch (error) {
    const isAboutState = error instanceof ScanError && error.reason === "permanent";
    // Of a state that is half old and half new apt may say anything.
    if (isAboutState && await stateStamp(system, places) !== before) return undefined;
    throw error;
  }
}

async function read(commands: AptCommands, isUnsigned: boolean): Promise<Reading> {
  // Two questions at a time: a third would only take the cores from those that are waited for.
  const [packages, offers] = await all([readPackages(commands), readOffers(commands)]);
  const state: AptState = { ...packages, ...offers };
  const waiting = findWaiting(state);
  const wanted = waiting.map(({ name, availableVersion }) => `${name}=${availableVersion}`);
  const mayBeUntrusted = isUnsigned && waiting.length > 0;
  const [show, untrusted, changelogs] = await all([
    commands.showPackages(wanted),
    ifAnswered(
      () => mayBeUntrusted ? commands.queryUntrusted() : Promise.resolve(""),
      parseFiles,
    ),
    ifAnswered(
      () => commands.readChangelogs(changelogPaths(waiting, state.installed)),
      parseChangelogs,
    ),
  ]);
  const shown = parseShow(show);
  const updates = describeUpdates(waiting, state, { shown, changelogs });
  const gaps = [...commands.warnings, ...tellGaps(state, shown)];
  const notes = [
    ...tellEffects(state),
    ...tellUntrusted(waiting, state.policies, untrusted),
  ];
  return { updates, gaps, notes };
}

/** The installed packages, and what apt knows of each. */
async function readPackages(
  commands: AptCommands,
): Promise<Pick<AptState, "installed" | "policies">> {
  const installed = parseInstalled(await commands.queryInstalled());
  if (installed.packages.size === 0) {
    const fact = "dpkg-query tells of no installed package";
    throw new ScanError(`Cannot scan with apt: ${fact}`, { reason: "permanent" });
  }
  const policies = parsePolicy(await commands.queryPolicies([...installed.packages.keys()]));
  if (policies.packages.size === 0) {
    const fact = "the answer of apt-cache policy is not understood";
    throw new ScanError(`Cannot scan with apt: ${fact}`, { reason: "permanent" });
  }
  return { installed, policies };
}

/** What an upgrade would do, and whose the package files are. */
async function readOffers(
  commands: AptCommands,
): Promise<Pick<AptState, "simulation" | "releases">> {
  const simulated = await commands.simulateUpgrade();
  const simulation = simulated === null ? null : parseSimulation(simulated);
  return { simulation, releases: parseReleases(await commands.queryReleases()) };
}

/** For what tells more than apt's own list does: without an answer nothing is missing. */
async function ifAnswered<T>(ask: () => Promise<string>, parse: (text: string) => T): Promise<T> {
  try {
    return parse(await ask());
  } catch (error) {
    if (error instanceof ScanError) return parse("");
    throw error;
  }
}

/** Like `Promise.all`, but none goes on unseen when another has failed. */
async function all<T extends readonly unknown[]>(
  work: readonly [...{ [K in keyof T]: Promise<T[K]> }],
): Promise<T> {
  await Promise.allSettled(work);
  return await Promise.all(work) as unknown as T;
}
