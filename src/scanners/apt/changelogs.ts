/**
 * Changelogs of waiting updates, for the CVEs and advisories in them and their urgency: those on this
 * host, and those that `apt-get changelog` fetches. An update's own changelog is installed only with it,
 * but another package of the same source may already have that version here.
 */

import * as v from "valibot";
import { LOCAL_LIMITS } from "../../json.ts";
import type { System } from "../../system/system.ts";
import { findCves, type Update } from "../../update.ts";
import { readPrivateFile, writePrivateFile } from "../private_files.ts";
import { outputLines } from "../programs.ts";
import { attempt, ScanError } from "../scanner.ts";
import type { AptCommands } from "./commands.ts";
import { compareDebianVersions, type InstalledPackages } from "./packages.ts";
import type { PrivateDirectory } from "./private_lists.ts";
import type { WaitingUpdate } from "./upgrade.ts";

const changelogEntry = v.object({
  version: v.string(),
  /** `low`, `medium`, `high`, `emergency` or `critical`: Debian Policy, 5.6.17. */
  urgency: v.string(),
  cves: v.array(v.string()),
  /** `DSA-…`, `DLA-…`, `USN-…`. */
  advisories: v.array(v.string()),
});

type ChangelogEntry = v.InferOutput<typeof changelogEntry>;

/** Entries by source package, in the order of the changelog: the newest first. */
export type Changelogs = ReadonlyMap<string, readonly ChangelogEntry[]>;

/** Changelogs with where they were read: `the changelog of another package on this host`. */
export interface ChangelogOrigin {
  readonly origin: string;
  readonly changelogs: Changelogs;
}

/** Changelogs on this host that are read; the first packages win. */
const MAX_SOURCES = 40;

/** deb-changelog(5): `package (version) distributions; metadata`. */
const HEADING = /^([a-z0-9][a-z0-9+.-]+) \(([^()\s]+)\) [^;]+;(.*)/;
const URGENCIES = ["low", "medium", "high", "emergency", "critical"];
const URGENCY = new RegExp(`\\burgency=(${URGENCIES.join("|")})\\b`, "i");
const ADVISORY = /\b(?:DSA|DLA|USN)-\d{1,6}-\d{1,3}\b/g;

/** The files to read, one per source: that of its package which is furthest ahead of the update's. */
export function changelogPaths(
  waiting: readonly WaitingUpdate[],
  { packages }: InstalledPackages,
): string[] {
  const bySource = Map.groupBy(packages.values(), ({ sourcePackage }) => sourcePackage);
  const paths = new Map<string, string>();
  for (const { name, currentVersion } of waiting) {
    const source = packages.get(name)?.sourcePackage;
    const siblings = source === undefined ? [] : bySource.get(source) ?? [];
    const ahead = siblings.filter(({ version }) =>
      compareDebianVersions(sourceVersion(version), sourceVersion(currentVersion)) > 0
    );
    const [first] = ahead.toSorted((a, b) => compareDebianVersions(b.version, a.version));
    if (first) paths.set(first.sourcePackage, `/usr/share/doc/${first.name}/changelog.Debian.gz`);
  }
  return [...paths.values()].slice(0, MAX_SOURCES);
}

/** Parses concatenated changelogs; ignores lines before the first heading. */
export function parseChangelogs(text: string): Changelogs {
  const found = new Map<string, ChangelogEntry[]>();
  let entry: ChangelogEntry | null = null;
  for (const line of outputLines(text).lines) {
    const [, source = "", version = "", rest = ""] = HEADING.exec(line) ?? [];
    if (source !== "") {
      const urgency = URGENCY.exec(rest)?.[1]?.toLowerCase() ?? "low";
      entry = { version, urgency, cves: [], advisories: [] };
      found.set(source, [...found.get(source) ?? [], entry]);
    } else if (entry && /^\s/.test(line)) {
      entry.cves.push(...findCves(line));
      entry.advisories.push(...line.match(ADVISORY) ?? []);
    }
  }
  return found;
}

/**
 * Returns the facts from the versions between the two of an update, with the urgency of the most urgent
 * one; nothing unless the changelog has the waiting version (`isKnown`): it may be an older one.
 */
export function changelogFacts(
  changelogs: Changelogs,
  source: string,
  { currentVersion, availableVersion }: Pick<WaitingUpdate, "currentVersion" | "availableVersion">,
) {
  const current = sourceVersion(currentVersion);
  const available = sourceVersion(availableVersion);
  const entries = changelogs.get(source) ?? [];
  const isKnown = entries.some(({ version }) => version === available);
  const between = entries.filter(({ version }) =>
    isKnown && compareDebianVersions(version, current) > 0 &&
    compareDebianVersions(version, available) <= 0
  );
  const urgencies = between.map(({ urgency }) => URGENCIES.indexOf(urgency));
  return {
    cves: [...new Set(between.flatMap(({ cves }) => cves))],
    advisories: [...new Set(between.flatMap(({ advisories }) => advisories))],
    urgency: URGENCIES[Math.max(-1, ...urgencies)] ?? null,
    isKnown,
  };
}

/** A rebuilt package has the source's version with `+bN` appended. */
export function sourceVersion(version: string): string {
  return version.replace(/\+b\d+$/, "");
}

interface ChangelogRequest {
  readonly key: string;
  readonly source: string;
  /** For `apt-get changelog`. */
  readonly argument: string;
  /** Entries up to this version are not needed. */
  readonly currentVersion: string;
}

const cachedChangelog = v.object({
  tried_ms: v.number(),
  /** `null`: the changelog was not available. */
  entries: v.nullable(v.array(changelogEntry)),
});

const changelogCache = v.object({
  version: v.literal(1),
  changelogs: v.record(v.string(), cachedChangelog),
});

type CachedChangelog = v.InferOutput<typeof cachedChangelog>;

const FILE = "changelogs.json";
const PURPOSE = "cache changelogs";

/** Changelogs that one scan fetches; the next scan continues. */
const MAX_FETCHED = 40;

/** Changelogs in the cache, and how much of each. */
const MAX_CACHED = 500;
const MAX_ENTRIES = 100;
const MAX_NAMES = 200;

/** Time after which an unavailable changelog is requested again. */
const RETRY_MS = 24 * 3_600_000;

/** Time limit for all of them together: a slow server does not delay the scan further. */
const TIME_LIMIT_MS = 60_000;

/** If one is missing, apt prints none at all. Each further round is without the missing ones. */
const MAX_ROUNDS = 3;

/** Apt's message about a changelog that it did not get. */
const UNAVAILABLE = /Changelog unavailable for (\S+=\S+)/g;

/**
 * Returns the changelogs of updates that name no CVE yet, from the cache or from the distributors'
 * servers, each version of a source fetched once. Security updates come first; sources that do not mark
 * security updates are left out, since they publish no changelogs either.
 */
export async function fetchChangelogs(
  system: Pick<System, "files" | "clock">,
  commands: AptCommands,
  { directory, updates }: { directory: PrivateDirectory; updates: readonly Update[] },
): Promise<Changelogs> {
  const nowMs = system.clock.nowMs();
  const path = `${directory.path}/${FILE}`;
  const options = { purpose: PURPOSE, schema: changelogCache, limits: LOCAL_LIMITS };
  const cached = (await readPrivateFile(system, path, options))?.changelogs ?? {};
  const requests = findRequests(updates);
  const due = requests.filter(({ key }) => isDue(cached[key], nowMs));
  const asked = due.slice(0, MAX_FETCHED);
  const fetched = await fetchAvailable(system, commands, asked);
  // If none came, the servers are out of reach: the others are not requested until tomorrow either.
  const tried = fetched === null ? due : asked;
  const all: Record<string, CachedChangelog> = { ...cached };
  for (const request of tried) {
    all[request.key] = { tried_ms: nowMs, entries: fetched && entriesFor(request, fetched) };
  }
  const current = Object.fromEntries(
    requests.flatMap(({ key }) => all[key] ? [[key, all[key]] as const] : []).slice(0, MAX_CACHED),
  );
  if (tried.length > 0) {
    const value = { version: 1, changelogs: current };
    await writePrivateFile(system, path, { purpose: PURPOSE, value });
  }
  return new Map(requests.flatMap(({ key, source }) => {
    const entries = current[key]?.entries;
    return entries ? [[source, entries] as const] : [];
  }));
}

function isDue(cached: CachedChangelog | undefined, nowMs: number): boolean {
  if (cached === undefined) return true;
  return cached.entries === null && Math.abs(nowMs - cached.tried_ms) >= RETRY_MS;
}

/** One request per source: for the update with the oldest current version. */
function findRequests(updates: readonly Update[]): ChangelogRequest[] {
  const requests = new Map<string, ChangelogRequest>();
  const bySecurity = updates.toSorted((a, b) => Number(b.security) - Number(a.security));
  for (const update of bySecurity) {
    const { sourcePackage: source, availableVersion, architecture, currentVersion } = update;
    if (update.security === null || update.cves.length > 0) continue;
    if (source === null || currentVersion === null) continue;
    const key = `${source} ${sourceVersion(availableVersion)}`;
    const before = requests.get(key);
    if (before && compareDebianVersions(before.currentVersion, currentVersion) <= 0) continue;
    const isAll = architecture === null || architecture === "all";
    const name = isAll ? update.package : `${update.package}:${architecture}`;
    requests.set(key, { key, source, argument: `${name}=${availableVersion}`, currentVersion });
  }
  return [...requests.values()];
}

/** Fetches all changelogs that are available; `null` if none is. */
async function fetchAvailable(
  { clock }: Pick<System, "clock">,
  commands: AptCommands,
  requests: readonly ChangelogRequest[],
): Promise<Changelogs | null> {
  const startedMs = clock.monotonicMs();
  let names = requests.map(({ argument }) => argument);
  for (let round = 0; round < MAX_ROUNDS && names.length > 0; round++) {
    const leftMs = TIME_LIMIT_MS - (clock.monotonicMs() - startedMs);
    if (leftMs < 1_000) return null;
    const result = await attempt(() => commands.fetchChangelogs(names, leftMs));
    if (result instanceof ScanError) return null;
    if (result.code === 0) return parseChangelogs(result.stdout);
    const missing = new Set([...result.stderr.matchAll(UNAVAILABLE)].map(([, name]) => name));
    // Apt omits the host's own architecture.
    const others = names.filter((name) =>
      !missing.has(name) && !missing.has(name.replace(/:[^=]*/, ""))
    );
    if (others.length === names.length) return null;
    names = others;
  }
  return null;
}

function entriesFor(
  { source, currentVersion }: ChangelogRequest,
  changelogs: Changelogs,
): ChangelogEntry[] | null {
  const entries = changelogs.get(source);
  if (!entries) return null;
  return entries.filter(({ version }) => compareDebianVersions(version, currentVersion) > 0)
    .slice(0, MAX_ENTRIES).map(({ cves, advisories, ...entry }) => ({
      ...entry,
      cves: cves.slice(0, MAX_NAMES),
      advisories: advisories.slice(0, MAX_NAMES),
    }));
}
