/** Reads which packages would be replaced by others of another name, out of dnf's table of updates. */

import { isDnfChatter } from "./dnf_chatter.ts";
import { outputLines } from "./output_lines.ts";
import { type PackageList, parseNameAndEvr, type RpmPackage } from "./rpm_packages.ts";

/** A package that would come in the place of others. */
export interface ObsoletingRpm {
  readonly package: RpmPackage;
  readonly repository: string;
  readonly replaces: readonly RpmPackage[];
}

/** What a row says: a package, from where, and whether it is the one that goes. */
interface Row {
  readonly package: RpmPackage;
  readonly repository: string;
  readonly isReplaced: boolean;
}

/**
 * Reads `check-update` of dnf 4 and `check-upgrade` of dnf 5: what stands below the second heading,
 * a row for each new package and, indented, one for each that it replaces.
 */
export function parseObsoletes(text: string): PackageList<ObsoletingRpm> {
  const { lines, dropped } = outputLines(text);
  const heading = lines.findIndex((line) => /^Obsoleting packages\s*$/i.test(line));
  if (heading < 0) return { packages: [], unparsed: dropped };
  const below = joinWrapped(lines.slice(heading + 1).filter((line) => !isDnfChatter(line)));
  const rows = below.map(parseRow);
  const packages: { package: RpmPackage; repository: string; replaces: RpmPackage[] }[] = [];
  let unparsed = dropped;
  for (const row of rows) {
    if (row?.isReplaced && packages.length > 0) packages.at(-1)?.replaces.push(row.package);
    else if (row && !row.isReplaced) {
      packages.push({ package: row.package, repository: row.repository, replaces: [] });
    } else unparsed += 1;
  }
  return { packages: packages.filter(({ replaces }) => replaces.length > 0), unparsed };
}

/** An old dnf breaks a row behind a name that is too long for its 80 columns. */
function joinWrapped(lines: readonly string[]): string[] {
  const joined: string[] = [];
  let begun = "";
  for (const line of lines) {
    if (begun === "" && /^\s*\S+\s*$/.test(line)) {
      begun = line.trimEnd();
      continue;
    }
    joined.push(begun === "" ? line : `${begun} ${line.trim()}`);
    begun = "";
  }
  return begun === "" ? joined : [...joined, begun];
}

function parseRow(line: string): Row | undefined {
  const [name = "", evr = "", repository = "", ...rest] = line.trim().split(/\s+/);
  const package_ = parseNameAndEvr(name, evr);
  const isReplaced = /^\s{4}/.test(line);
  // Where a package that goes came from is not always known.
  if (!package_ || rest.length > 0 || (repository === "" && !isReplaced)) return undefined;
  return { package: package_, repository, isReplaced };
}
