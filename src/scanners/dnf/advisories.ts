/** Advisories: which updates they are about, how bad they say the holes are, which CVEs they name. */

import { redact } from "../../redact.ts";
import { stripControls } from "../../strip_controls.ts";
import type { RpmPackage } from "./rpm_packages.ts";
import type { Severity } from "../../update.ts";

/** An advisory, and a package that follows it. */
export interface AdvisoryRow {
  readonly id: string;
  readonly isSecurity: boolean;
  /** `null` where the advisory has none, or one in words of its own. */
  readonly severity: Severity | null;
  /** The advisory's own word for its severity, if it is none of ours. */
  readonly ownWord: string | null;
  readonly package: RpmPackage;
}

/** What an advisory tells of itself. */
export interface AdvisoryDetails extends Pick<AdvisoryRow, "id" | "severity" | "ownWord"> {
  /** The CVEs that it lists as closed. */
  readonly listed: readonly string[];
  /** The CVEs that its title, its bugs or its description speak of: Fedora lists none. */
  readonly mentioned: readonly string[];
}

/** From bad to worse. */
const SEVERITIES: readonly Severity[] = ["low", "moderate", "important", "critical"];

/** Amazon Linux's four words are these but for one. */
const OTHER_WORDS: ReadonlyMap<string, Severity> = new Map([["medium", "moderate"]]);

/** Words for "nobody said". */
const NO_SEVERITY = ["", "none", "unknown"];

const LONGEST_WORD = 40;

/** Reads an advisory's word for its severity, whatever its case. */
export function readSeverity(text: string): Pick<AdvisoryRow, "severity" | "ownWord"> {
  const told = redact(stripControls(text)).trim();
  const word = told.toLowerCase();
  const usual = SEVERITIES.find((known) => known === word);
  const isOwn = usual === undefined && !NO_SEVERITY.includes(word);
  const severity = usual ?? OTHER_WORDS.get(word) ?? null;
  return { severity, ownWord: isOwn ? told.slice(0, LONGEST_WORD) : null };
}

/** The worst severity of those given; `null` if none has one. */
export function worstSeverity(rows: readonly Pick<AdvisoryRow, "severity">[]): Severity | null {
  return SEVERITIES.findLast((severity) => rows.some((row) => row.severity === severity)) ?? null;
}

/** Whether this can be shown as an advisory's id; it may hold blanks between its words. */
export function isAdvisoryId(id: string): boolean {
  return /^[!-~](?:[ -~]{0,198}[!-~])?$/.test(id);
}

/** Advisories by their ids; of one that several repositories have, all that they say together. */
export function mergeDetails(details: readonly AdvisoryDetails[]): Map<string, AdvisoryDetails> {
  const merged = new Map<string, AdvisoryDetails>();
  for (const one of details) {
    const before = merged.get(one.id);
    merged.set(
      one.id,
      before === undefined ? one : {
        id: one.id,
        severity: worstSeverity([before, one]),
        ownWord: before.ownWord ?? one.ownWord,
        listed: [...new Set([...before.listed, ...one.listed])],
        mentioned: [...new Set([...before.mentioned, ...one.mentioned])],
      },
    );
  }
  return merged;
}

/** Whether a reference is a CVE: advisories list their own id, and bare numbers, as such, too. */
export function isCve(id: string): boolean {
  return /^CVE-[\w-]{1,40}$/.test(id);
}

/** The CVEs that a text speaks of, each once. */
export function mentionedCves(text: string): string[] {
  return [...new Set(text.match(/\bCVE-\d{4}-\d{4,10}\b/g) ?? [])];
}
