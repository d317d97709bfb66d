/** Reads `dnf updateinfo list`: which updates an advisory is about, and how bad it says they are. */

import { outputLines } from "./output_lines.ts";
import { type PackageList, parseNevra, type RpmPackage } from "./rpm_packages.ts";
import type { Severity } from "./scanner.ts";

/** One line: an advisory's id, or a CVE's, and a package that closes it. */
export interface AdvisoryRow {
  readonly id: string;
  readonly isSecurity: boolean;
  /** `null` where the advisory has none, or one in words of its own. */
  readonly severity: Severity | null;
  readonly package: RpmPackage;
}

/** From bad to worse. */
const SEVERITIES: readonly Severity[] = ["low", "moderate", "important", "critical"];

/** What dnf 4 writes for advisories that are not about security. */
const OTHER_TYPES = new Set(["bugfix", "enhancement", "newpackage", "unknown"]);

const SECURITY_SUFFIX = "/Sec.";

/** Reads rows `id type package`. Ids are in nobody's scheme: any word will do. */
export function parseAdvisories(text: string): PackageList<AdvisoryRow> {
  const { lines, dropped } = outputLines(text);
  const filled = lines.filter((line) => line.trim() !== "");
  const packages = filled.map(parseRow).filter((row) => row !== undefined);
  return { packages, unparsed: dropped + filled.length - packages.length };
}

function parseRow(line: string): AdvisoryRow | undefined {
  const words = line.trim().split(/\s+/);
  const [id = "", ...rest] = words;
  const nevra = parseNevra(rest.pop() ?? "");
  // A severity may be free text, and hold blanks.
  const type = rest.join(" ");
  const isSecurity = type.endsWith(SECURITY_SUFFIX);
  if (!nevra || !(isSecurity || OTHER_TYPES.has(type))) return undefined;
  const word = type.slice(0, -SECURITY_SUFFIX.length).toLowerCase();
  const severity = isSecurity ? SEVERITIES.find((known) => known === word) ?? null : null;
  return { id, isSecurity, severity, package: nevra };
}

/** The worst severity of those given; `null` if none has one. */
export function worstSeverity(rows: readonly AdvisoryRow[]): Severity | null {
  return SEVERITIES.findLast((severity) => rows.some((row) => row.severity === severity)) ?? null;
}
