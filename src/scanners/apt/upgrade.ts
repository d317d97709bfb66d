/**
 * Reads what `apt-get --print-uris -V dist-upgrade` answers: apt's own decision, package by package,
 * and what it would download. Pure. The words are those of the C locale, in apt 2.0 to 3.3.
 */

import { type AptName, isAptName, isArchitecture, isName, isVersion } from "./name.ts";
import { outputLines } from "../output_lines.ts";

/** A package that would be replaced by another version of itself. */
export interface VersionChange {
  readonly name: AptName;
  readonly currentVersion: string;
  readonly newVersion: string;
}

/** A file that apt would download. */
export interface Download {
  readonly architecture: string;
  readonly sizeBytes: number;
}

/** What apt decided. New packages are no updates, and left out. */
export interface UpgradeDecision {
  /** Upgrades, and downgrades where priorities ask for them. */
  readonly changes: readonly VersionChange[];
  readonly removals: readonly AptName[];
  /** Not upgraded: dependencies, holds, and in apt 2 phasing too. */
  readonly keptBack: ReadonlySet<AptName>;
  /** Not upgraded because of phasing; apt 3 has a list of its own for them. */
  readonly deferred: ReadonlySet<AptName>;
  /** By `name=version`, with the name as apt writes a package of the host's own architecture. */
  readonly downloads: readonly (Download & { readonly name: string; readonly version: string })[];
  /** What makes the decision doubtful: apt's own count is another, or is not there. */
  readonly doubts: readonly string[];
  /** Lines that are apt's and yet could not be read. */
  readonly unparsed: number;
}

type Section = "upgraded" | "downgraded" | "removed" | "new" | "kept" | "deferred";

const SECTIONS: ReadonlyMap<string, Section> = new Map([
  ["The following packages will be upgraded:", "upgraded"],
  ["The following packages will be DOWNGRADED:", "downgraded"],
  ["The following packages will be REMOVED:", "removed"],
  ["The following NEW packages will be installed:", "new"],
  ["The following packages have been kept back:", "kept"],
  ["The following upgrades have been deferred due to phasing:", "deferred"],
]);

/** A heading, or a warning that a list follows: of lists that are not in `SECTIONS` rows are not looked at. */
const HEADING = /^\S.*[:!]$/;

const ROW = /^ {3}(\S+?)\*? \((?:(\S+) => )?(\S+)\)$/;

const TOTALS =
  /^(\d+) upgraded, (\d+) newly installed, (?:\d+ re-?installed, )?(?:(\d+) downgraded, )?(\d+) to remove and (\d+) not upgraded\.$/;

/** What stands behind the URI, which is not kept: it may hold a password. */
const DOWNLOAD = /' ([^_\s]+)_([^_\s]+)_([^_\s]+)\.u?deb (\d{1,15}) ?\S*$/;

/** Reads a decision; lines that are neither a list's nor a download are not looked at. */
export function parseUpgrade(text: string): UpgradeDecision {
  const { lines, dropped } = outputLines(text);
  const rows: Record<Section, VersionChange[]> = {
    upgraded: [],
    downgraded: [],
    removed: [],
    new: [],
    kept: [],
    deferred: [],
  };
  const downloads: UpgradeDecision["downloads"][number][] = [];
  let section: Section | null = null;
  let totals: RegExpExecArray | null = null;
  let unparsed = dropped;
  for (const line of lines) {
    if (line.startsWith("   ")) {
      if (section === null) continue;
      const row = parseRow(line, section);
      if (row) rows[section].push(row);
      else unparsed += 1;
    } else if (line.startsWith("'")) {
      const download = parseDownload(line);
      if (download) downloads.push(download);
    } else if (HEADING.test(line)) {
      section = SECTIONS.get(line) ?? null;
    } else if (TOTALS.test(line)) {
      totals = TOTALS.exec(line);
      section = null;
    }
  }
  const names = (list: readonly VersionChange[]) => list.map(({ name }) => name);
  return {
    changes: [...rows.upgraded, ...rows.downgraded],
    removals: names(rows.removed),
    keptBack: new Set(names(rows.kept)),
    deferred: new Set(names(rows.deferred)),
    downloads,
    doubts: findDoubts(totals, rows),
    unparsed,
  };
}

function parseRow(line: string, section: Section): VersionChange | undefined {
  const [, name = "", currentVersion, newVersion = ""] = ROW.exec(line) ?? [];
  if (!isAptName(name) || !isVersion(newVersion)) return undefined;
  const isAlone = section === "removed" || section === "new";
  if (currentVersion === undefined) {
    return isAlone ? { name, currentVersion: newVersion, newVersion } : undefined;
  }
  return isVersion(currentVersion) ? { name, currentVersion, newVersion } : undefined;
}

/** `name_version_architecture.deb`, with `%3a` for the colon of an epoch. */
function parseDownload(line: string) {
  const [, ...found] = DOWNLOAD.exec(line) ?? [];
  const [name = "", version = "", architecture = "", size = ""] = found.map(decodePercent);
  if (!isName(name) || !isVersion(version) || !isArchitecture(architecture)) return undefined;
  return { name, version, architecture, sizeBytes: Number(size) };
}

function decodePercent(text: string): string {
  return text.replace(
    /%([0-9a-fA-F]{2})/g,
    (_, code: string) => String.fromCharCode(parseInt(code, 16)),
  );
}

/** Apt counts what it lists: a list that was misread has another count. */
function findDoubts(
  totals: RegExpExecArray | null,
  rows: Record<Section, readonly VersionChange[]>,
): string[] {
  if (totals === null) return ["apt-get's answer has no totals: it may be incomplete"];
  const counted = totals.slice(1).map((count) => Number(count ?? 0));
  const read = [
    rows.upgraded.length,
    rows.new.length,
    rows.downgraded.length,
    rows.removed.length,
    rows.kept.length + rows.deferred.length,
  ];
  if (counted.every((count, index) => count === read[index])) return [];
  const tell = (counts: readonly number[]) =>
    `${counts[0]} upgraded, ${counts[1]} new, ${counts[2]} downgraded, ${counts[3]} removed, ` +
    `${counts[4]} not upgraded`;
  return [`apt-get counts ${tell(counted)}; read were ${tell(read)}`];
}
