/** How one generation of dnf is queried; the parsers and the severities that both generations share. */

import type { RunOptions } from "../../system/process.ts";
import { redact } from "../../redact.ts";
import { stripControls } from "../../strip_controls.ts";
import { type RebootState, SEVERITIES, type Severity } from "../../update.ts";
import { joinNames } from "../../wording.ts";
import { compareVersionNumbers, outputLines } from "../programs.ts";
import type { DnfRepositories } from "./repositories.ts";
import {
  isDnfChatter,
  type OfferedRpm,
  type PackageList,
  parseNameAndEvr,
  type RpmPackage,
} from "./rpm.ts";

/** An advisory, and one package that fixes it. */
export interface AdvisoryRow {
  readonly id: string;
  readonly isSecurity: boolean;
  /** `null` if the advisory has none, or one that is not among the server's four words. */
  readonly severity: Severity | null;
  /** The advisory's own word for its severity if it is not one of the server's four. */
  readonly ownWord: string | null;
  readonly package: RpmPackage;
}

export interface AdvisoryDetails extends Pick<AdvisoryRow, "id" | "severity" | "ownWord"> {
  /** The CVEs that it lists as fixed. */
  readonly listed: readonly string[];
  /** The CVEs in its title, its bugs or its description: Fedora's advisories list none. */
  readonly mentioned: readonly string[];
}

/** A version of dnf: `[4, 14, 0]`, `[5, 2, 6, 2]`. */
export type DnfVersion = readonly number[];

export interface DnfQuestion<Answer> extends Pick<RunOptions, "environment"> {
  /** The command and its arguments, without the program's common options. */
  readonly command: readonly string[];
  /** The exit codes that come with an answer. */
  readonly codes: readonly number[];
  /** Parses the output; `undefined` if it is not an answer. */
  read(stdout: string, code: number, stderr: string): Answer | undefined;
}

export interface DnfDialect {
  /** Precede every command. */
  readonly options: readonly string[];
  /** Precede every command of a user other than root. */
  readonly userOptions: readonly string[];
  /** Make a command store its package lists in `directory`, without changes to the host's state. */
  privateListOptions(directory: string): readonly string[];
  /** Fetches the package lists that have expired. */
  readonly fetch: readonly string[];
  /** Lists the updates; stderr names the repositories that it ignored. */
  readonly offered: DnfQuestion<PackageList<OfferedRpm>>;
  /** Lift `excludepkgs`; `includepkgs` stays in force. */
  readonly liftExcludes: readonly string[];
  readonly liftLocks: readonly string[];
  /**
   * Where version locks act: only on commands that resolve dependencies (dnf 4's plugin), or on every
   * command; there, `liftLocks` lifts `includepkgs` as well (dnf 5).
   */
  readonly locksActOn: "updates" | "everything";
  /** Lists the advisories of packages newer than the installed ones. */
  readonly advisories: DnfQuestion<PackageList<AdvisoryRow>>;
  /** Describes those advisories; `null` if this version has no output that can be parsed. */
  readonly details: DnfQuestion<readonly AdvisoryDetails[]> | null;
  /** Lists what dnf itself would update, and the packages that would replace others. */
  readonly updates: DnfQuestion<CheckedUpdates>;
  /** Lists the packages that would replace others; `null` if `updates` lists them all. */
  readonly replacing: DnfQuestion<CheckedUpdates> | null;
  /** Lists every enabled repository. */
  readonly repositories: DnfQuestion<DnfRepositories>;
  /** Restricts `repoquery` to packages of security advisories, of one severity if one is given. */
  securityFilter(severity?: Severity): readonly string[];
  /** Sets the format of `repoquery`'s rows. */
  queryFormat(format: string): readonly string[];
  /** Whether the host requires a restart; `null` if the answer does not say. */
  readonly reboot: DnfQuestion<RebootState | null>;
  /** Root's cache directory if the setting `system_cachedir` does not name another. */
  readonly systemCache: string;
  /** A user's cache directory below the home directory; `null` if its name is not fixed. */
  readonly userCache: string | null;
}

/** Parses `dnf --version`: a bare number from dnf 4, `dnf5 version …` from dnf 5. */
export function parseDnfVersion(text: string): DnfVersion | undefined {
  for (const line of outputLines(text).lines) {
    const number = /^(?:dnf5 version )?(\d{1,5}(?:\.\d{1,5}){1,3})$/.exec(line.trim())?.[1];
    if (number !== undefined) return number.split(".").map(Number);
  }
  return undefined;
}

export function isAtLeast(version: DnfVersion, least: DnfVersion): boolean {
  return compareVersionNumbers(version, least) >= 0;
}

/** A package, and the repository that it would come from. */
export interface ListedRpm {
  readonly package: RpmPackage;
  readonly repository: string;
}

/** A package that would replace others. */
export interface ObsoletingRpm extends ListedRpm {
  readonly replaces: readonly RpmPackage[];
}

/** Dnf's own list of updates. A package in several repositories occurs once for each. */
export interface CheckedUpdates {
  /** In dnf's order: of equal versions, dnf installs the first. */
  readonly upgrades: readonly ListedRpm[];
  readonly obsoletes: readonly ObsoletingRpm[];
  readonly unparsed: number;
}

/** The exit code of dnf if its list is not empty. */
const HAS_UPDATES = 100;

interface TableRow extends ListedRpm {
  readonly isReplaced: boolean;
}

/**
 * Parses the table of `check-update` (dnf 4) and `check-upgrade` (dnf 5): a row per update and, below
 * a heading, a row per new package, followed by an indented row for each package that it replaces.
 */
export function parseCheckUpdate(text: string): CheckedUpdates {
  const { lines, dropped } = outputLines(text);
  const heading = lines.findIndex((line) => /^Obsoleting packages\s*$/i.test(line));
  const end = heading < 0 ? lines.length : heading;
  const above = parseRows(lines.slice(0, end));
  const upgrades = above.filter((row) => row !== undefined).filter((row) => !row.isReplaced)
    .map(({ package: package_, repository }) => ({ package: package_, repository }));
  const below = pairRows(parseRows(lines.slice(end)));
  const unparsed = dropped + above.length - upgrades.length + below.unparsed;
  return { upgrades, obsoletes: below.obsoletes, unparsed };
}

/** As `parseCheckUpdate`; `undefined` if the list is empty although the exit code reports updates. */
export function readCheckUpdate(text: string, code: number): CheckedUpdates | undefined {
  const checked = parseCheckUpdate(text);
  const isEmpty = checked.upgrades.length + checked.obsoletes.length === 0;
  return isEmpty && code === HAS_UPDATES ? undefined : checked;
}

function pairRows(
  rows: readonly (TableRow | undefined)[],
): Pick<CheckedUpdates, "obsoletes" | "unparsed"> {
  const found: { package: RpmPackage; repository: string; replaces: RpmPackage[] }[] = [];
  let unparsed = 0;
  for (const row of rows) {
    if (row?.isReplaced && found.length > 0) found.at(-1)?.replaces.push(row.package);
    else if (row && !row.isReplaced) {
      found.push({ package: row.package, repository: row.repository, replaces: [] });
    } else unparsed += 1;
  }
  return { obsoletes: found.filter(({ replaces }) => replaces.length > 0), unparsed };
}

function parseRows(lines: readonly string[]): (TableRow | undefined)[] {
  const short = lines.filter((line) => line.length <= MAX_ROW_LENGTH && !isDnfChatter(line));
  return joinWrapped(short).filter(isRowLike).map(parseRow);
}

/** A longer line is not a row of a table: each of its columns has its own limit. */
export const MAX_ROW_LENGTH = 4_000;

/** The first column of a row: name and architecture. */
const NAME = /^[A-Za-z0-9_][\w.+-]{0,254}\.[a-z0-9_]{1,32}$/;

const COLUMNS = 3;

/** Plugins print sentences among the rows; they do not count as unparsed rows. */
function isRowLike(line: string): boolean {
  const [name = "", evr = "", ...rest] = line.trim().split(/\s+/);
  return NAME.test(name) && (rest.length <= COLUMNS - 2 || /^[^-]+-[^-]+$/.test(evr));
}

/** Joins rows that dnf wraps at 80 characters: a continuation is indented, with the missing columns. */
function joinWrapped(lines: readonly string[]): string[] {
  const joined: string[] = [];
  let missing = 0;
  for (const line of lines) {
    const words = line.trim().split(/\s+/).length;
    if (words <= missing && /^\s/.test(line)) {
      joined.push(`${joined.pop()} ${line}`);
      missing -= words;
    } else {
      joined.push(line);
      missing = NAME.test(line.trim().split(/\s+/)[0] ?? "") ? COLUMNS - words : 0;
    }
  }
  return joined;
}

function parseRow(line: string): TableRow | undefined {
  const [name = "", evr = "", repository = "", ...rest] = line.trim().split(/\s+/);
  const package_ = parseNameAndEvr(name, evr);
  const isReplaced = /^\s{4}/.test(line);
  // The origin of an installed package that is replaced may be unknown.
  if (!package_ || rest.length > 0 || (repository === "" && !isReplaced)) return undefined;
  return repository.length > 255 ? undefined : { package: package_, repository, isReplaced };
}

/** Parses `needs-restarting -r`; `null` without one of its sentences: its exit code is 1 for errors as well. */
export function parseRebootText(stdout: string): RebootState | null {
  const { lines } = outputLines(`${stdout}\n`);
  const updated = lines.flatMap((line) =>
    /^ {2}\* ([A-Za-z0-9_.+-]{1,255})$/.exec(line)?.[1] ?? []
  );
  if (lines.some((line) => /^Reboot is required to fully utilize these updates/.test(line))) {
    return rebootState(true, updated);
  }
  const isNot = lines.some((line) => /^Reboot should not be necessary/.test(line));
  return isNot ? rebootState(false, []) : null;
}

/** How many plugins, repositories or packages a message names. */
export const MAX_NAMES = 5;

/** States what `needs-restarting` reported; `updated` are the packages that require the restart. */
export function rebootState(isRequired: boolean, updated: readonly string[]): RebootState {
  const source = "dnf needs-restarting";
  if (!isRequired) return { isRequired, reason: `${source}: not necessary` };
  const names = updated.length > 0 ? `: ${joinNames(updated, MAX_NAMES)}` : "";
  return { isRequired, reason: `${source}: updated since the host was started${names}` };
}

/** Amazon Linux has this word where the others have "moderate". */
const OTHER_WORDS: ReadonlyMap<string, Severity> = new Map([["medium", "moderate"]]);

/** Values that stand for no severity. */
const NO_SEVERITY = ["", "none", "unknown"];

const MAX_WORD_LENGTH = 40;

/** Reads an advisory's word for its severity, in any case. */
export function readSeverity(text: string): Pick<AdvisoryRow, "severity" | "ownWord"> {
  const original = redact(stripControls(text)).trim();
  const word = original.toLowerCase();
  const known = SEVERITIES.find((severity) => severity === word);
  const isOwn = known === undefined && !NO_SEVERITY.includes(word);
  const severity = known ?? OTHER_WORDS.get(word) ?? null;
  return { severity, ownWord: isOwn ? original.slice(0, MAX_WORD_LENGTH) : null };
}

/** The highest severity; `null` if no row has one. */
export function highestSeverity(rows: readonly Pick<AdvisoryRow, "severity">[]): Severity | null {
  return SEVERITIES.find((severity) => rows.some((row) => row.severity === severity)) ?? null;
}

/** Whether `id` is printable and has up to 200 characters; it may contain inner spaces. */
export function isAdvisoryId(id: string): boolean {
  return /^[!-~](?:[ -~]{0,198}[!-~])?$/.test(id);
}

/** Groups details by advisory; combines those of several repositories. */
export function mergeDetails(details: readonly AdvisoryDetails[]): Map<string, AdvisoryDetails> {
  const merged = new Map<string, AdvisoryDetails>();
  for (const one of details) {
    const before = merged.get(one.id);
    merged.set(
      one.id,
      before === undefined ? one : {
        id: one.id,
        severity: highestSeverity([before, one]),
        ownWord: before.ownWord ?? one.ownWord,
        listed: [...new Set([...before.listed, ...one.listed])],
        mentioned: [...new Set([...before.mentioned, ...one.mentioned])],
      },
    );
  }
  return merged;
}

/** Whether a reference is a CVE: advisories also list their own id and bare numbers. */
export function isCveReference(id: string): boolean {
  return /^CVE-[\w-]{1,40}$/.test(id);
}
