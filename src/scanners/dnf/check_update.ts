/** Reads dnf's own list of updates, which goes by its priorities, and of what would be replaced. */

import { isDnfChatter } from "./chatter.ts";
import { outputLines } from "../output_lines.ts";
import { parseNameAndEvr, type RpmPackage } from "./rpm_packages.ts";

/** A package, and the repository that it would come from. */
export interface ListedRpm {
  readonly package: RpmPackage;
  readonly repository: string;
}

/** A package that would come in the place of others. */
export interface ObsoletingRpm extends ListedRpm {
  readonly replaces: readonly RpmPackage[];
}

/** The whole list. A package that several repositories have is in it once for each. */
export interface CheckedUpdates {
  /** In dnf's order: of the same version, it takes the first. */
  readonly upgrades: readonly ListedRpm[];
  readonly obsoletes: readonly ObsoletingRpm[];
  /** How many lines were no row. */
  readonly unparsed: number;
}

/** How dnf ends where its list is not empty. */
const HAS_UPDATES = 100;

/** What a row says: a package, from where, and whether it is the one that goes. */
interface Row extends ListedRpm {
  readonly isReplaced: boolean;
}

/**
 * Reads `check-update` of dnf 4 and `check-upgrade` of dnf 5: a row for each update and, below a
 * heading, a row for each new package and, indented, one for each that it replaces.
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

/** As `parseCheckUpdate`; `undefined` if dnf says by its exit code that more is there. */
export function readCheckUpdate(text: string, code: number): CheckedUpdates | undefined {
  const checked = parseCheckUpdate(text);
  const isEmpty = checked.upgrades.length + checked.obsoletes.length === 0;
  return isEmpty && code === HAS_UPDATES ? undefined : checked;
}

function pairRows(
  rows: readonly (Row | undefined)[],
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

function parseRows(lines: readonly string[]): (Row | undefined)[] {
  const short = lines.filter((line) => line.length <= LONGEST_ROW && !isDnfChatter(line));
  return joinWrapped(short).filter(isRowLike).map(parseRow);
}

/** A longer line is no row: name, version and repository have limits of their own. */
const LONGEST_ROW = 4_000;

/** A package's name with its architecture, which a row begins with. */
const NAME = /^[A-Za-z0-9_][\w.+-]{0,254}\.[a-z0-9_]{1,32}$/;

/** A sentence is no row, and no row is lost with it: plugins print theirs among them. */
function isRowLike(line: string): boolean {
  const [name = "", evr = "", ...rest] = line.trim().split(/\s+/);
  return NAME.test(name) && (rest.length <= COLUMNS - 2 || /^[^-]+-[^-]+$/.test(evr));
}

/** Name, version, repository. */
const COLUMNS = 3;

/**
 * Where a column is too long for 80 characters dnf goes on below it, to a pipe too. Such a line is
 * indented, and has no more than the columns that are missing.
 */
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

function parseRow(line: string): Row | undefined {
  const [name = "", evr = "", repository = "", ...rest] = line.trim().split(/\s+/);
  const package_ = parseNameAndEvr(name, evr);
  const isReplaced = /^\s{4}/.test(line);
  // Where a package that goes came from is not always known.
  if (!package_ || rest.length > 0 || (repository === "" && !isReplaced)) return undefined;
  return repository.length > 255 ? undefined : { package: package_, repository, isReplaced };
}
