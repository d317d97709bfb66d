/**
 * What the changelogs on this host tell of an update: the holes it closes, and how urgent it is. An
 * update's own changelog comes only with it; but where another package of the same source is at that
 * version already, its changelog is here.
 */

import type { InstalledPackage, InstalledPackages } from "./installed.ts";
import type { WaitingUpdate } from "./updates.ts";
import { compareDebianVersions } from "./debian_version.ts";
import { outputLines } from "../output_lines.ts";

/** One version in a changelog. */
export interface ChangelogEntry {
  readonly version: string;
  /** `low`, `medium`, `high`, `emergency` or `critical`: Debian Policy, 5.6.17. */
  readonly urgency: string;
  readonly cves: readonly string[];
  /** `DSA-…`, `DLA-…`, `USN-…`. */
  readonly advisories: readonly string[];
}

/** Entries by source package, in the order they came: the newest first. */
export type Changelogs = ReadonlyMap<string, readonly ChangelogEntry[]>;

/** Changelogs with where they were read: `the changelog of another package on this host`. */
export interface ChangelogOrigin {
  readonly origin: string;
  readonly changelogs: Changelogs;
}

/** What is told of one update. */
export interface ChangelogFacts {
  readonly cves: readonly string[];
  readonly advisories: readonly string[];
  /** Of several versions on the way the most urgent one's; `null`: no changelog tells. */
  readonly urgency: string | null;
  /** Whether a changelog has the version that waits. */
  readonly isKnown: boolean;
}

/** So many sources are looked up, those whose package comes first. */
const MOST_SOURCES = 40;

/** deb-changelog(5): `package (version) distributions; metadata`. */
const HEADING = /^([a-z0-9][a-z0-9+.-]+) \(([^()\s]+)\) [^;]+;(.*)/;
const URGENCY = /\burgency=(low|medium|high|emergency|critical)\b/i;
const URGENCIES = ["low", "medium", "high", "emergency", "critical"];
const CVE = /\bCVE-\d{4}-\d{4,10}\b/g;
const ADVISORY = /\b(?:DSA|DLA|USN)-\d{1,6}-\d{1,3}\b/g;

/** The files to read, one a source: that of its package that is furthest ahead of what waits. */
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
    if (first) paths.set(first.sourcePackage, pathOf(first));
  }
  return [...paths.values()].slice(0, MOST_SOURCES);
}

function pathOf({ name }: InstalledPackage): string {
  return `/usr/share/doc/${name}/changelog.Debian.gz`;
}

/** Reads changelogs, one after the other; lines before the first heading belong to nothing. */
export function parseChangelogs(text: string): Changelogs {
  const found = new Map<string, ChangelogEntry[]>();
  let entry: { version: string; urgency: string; cves: string[]; advisories: string[] } | null =
    null;
  for (const line of outputLines(text).lines) {
    const [, source = "", version = "", rest = ""] = HEADING.exec(line) ?? [];
    if (source !== "") {
      const urgency = URGENCY.exec(rest)?.[1]?.toLowerCase() ?? "low";
      entry = { version, urgency, cves: [], advisories: [] };
      found.set(source, [...found.get(source) ?? [], entry]);
    } else if (entry && /^\s/.test(line)) {
      entry.cves.push(...line.match(CVE) ?? []);
      entry.advisories.push(...line.match(ADVISORY) ?? []);
    }
  }
  return found;
}

/**
 * What lies between the two versions of an update. Nothing is told where the changelog does not have
 * the version that waits: it is another source's, or an older one.
 */
export function changelogFacts(
  changelogs: Changelogs,
  source: string,
  { currentVersion, availableVersion }: { currentVersion: string; availableVersion: string },
): ChangelogFacts {
  const current = sourceVersion(currentVersion);
  const available = sourceVersion(availableVersion);
  const entries = changelogs.get(source) ?? [];
  const isThere = entries.some(({ version }) => version === available);
  const between = !isThere
    ? []
    : entries.filter(({ version }) =>
      compareDebianVersions(version, current) > 0 &&
      compareDebianVersions(version, available) <= 0
    );
  const urgencies = between.map(({ urgency }) => URGENCIES.indexOf(urgency));
  return {
    cves: unique(between.flatMap(({ cves }) => cves)),
    advisories: unique(between.flatMap(({ advisories }) => advisories)),
    urgency: URGENCIES[Math.max(-1, ...urgencies)] ?? null,
    isKnown: isThere,
  };
}

/** A package that was only built anew has the source's version with `+bN` behind it. */
export function sourceVersion(version: string): string {
  return version.replace(/\+b\d+$/, "");
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
