/** Advisories: the packages that they are about, their severities and the CVEs that they name. */

import { redact } from "../../redact.ts";
import { stripControls } from "../../strip_controls.ts";
import type { Severity } from "../../update.ts";
import type { RpmPackage } from "./rpm.ts";

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

/** The description of an advisory. */
export interface AdvisoryDetails extends Pick<AdvisoryRow, "id" | "severity" | "ownWord"> {
  /** The CVEs that it lists as fixed. */
  readonly listed: readonly string[];
  /** The CVEs in its title, its bugs or its description: Fedora's advisories list none. */
  readonly mentioned: readonly string[];
}

/** In ascending order. */
export const SEVERITIES: readonly Severity[] = ["low", "moderate", "important", "critical"];

/** Amazon Linux has this word where the others have "moderate". */
const OTHER_WORDS: ReadonlyMap<string, Severity> = new Map([["medium", "moderate"]]);

/** Values that stand for no severity. */
const NO_SEVERITY = ["", "none", "unknown"];

const LONGEST_WORD = 40;

/** Reads an advisory's word for its severity, in any case. */
export function readSeverity(text: string): Pick<AdvisoryRow, "severity" | "ownWord"> {
  const original = redact(stripControls(text)).trim();
  const word = original.toLowerCase();
  const known = SEVERITIES.find((severity) => severity === word);
  const isOwn = known === undefined && !NO_SEVERITY.includes(word);
  const severity = known ?? OTHER_WORDS.get(word) ?? null;
  return { severity, ownWord: isOwn ? original.slice(0, LONGEST_WORD) : null };
}

/** The highest severity; `null` if no row has one. */
export function highestSeverity(rows: readonly Pick<AdvisoryRow, "severity">[]): Severity | null {
  return SEVERITIES.findLast((severity) => rows.some((row) => row.severity === severity)) ?? null;
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
export function isCve(id: string): boolean {
  return /^CVE-[\w-]{1,40}$/.test(id);
}

/** The distinct CVEs in a text. */
export function mentionedCves(text: string): string[] {
  return [...new Set(text.match(/\bCVE-\d{4}-\d{4,10}\b/g) ?? [])];
}
