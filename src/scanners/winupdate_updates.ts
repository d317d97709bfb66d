/** Makes updates of what the Windows Update Agent told, and warnings of what it left out. Pure. */

import type { RebootHint, Severity, Update } from "./scanner.ts";
import type { WinupdateAnswer, WinupdateItem } from "./winupdate_answer.ts";
import { classOf, isSecurityCategory } from "./winupdate_class.ts";

/** Longer titles are cut. */
const LONGEST_TITLE = 300;

/** Longer descriptions are cut: what follows is the same sentence in each of them. */
const LONGEST_DESCRIPTION = 500;

/** A `DECIMAL` may be anything; nothing is downloaded that is larger. */
const LARGEST_BYTES = 1e15;

const SEVERITIES: readonly Severity[] = ["critical", "important", "moderate", "low"];

/** `InstallationRebootBehavior` of wuapi.h, by number. */
const REBOOTS: readonly RebootHint[] = ["never", "required", "maybe"];

/** The update services that are known by an id. */
const SOURCES: Readonly<Record<string, string>> = {
  wsus: "WSUS",
  "3da21691-e39d-4da6-8a4b-b43877bcb1b7": "WSUS",
  "7971f918-a847-4430-9279-4a52d1efe18d": "Microsoft Update",
  "9482f4b4-e343-43b6-b170-9a65bc822c77": "Windows Update",
  "855e8a7c-ecb4-4ca3-b045-1dfa50104289": "Microsoft Store",
  microsoft_update: "Microsoft Update",
  windows_update: "Windows Update",
};

/** The updates in the order they were told. */
export function describeUpdates({ updates, source }: WinupdateAnswer): Update[] {
  const titles = updates.map(titleOf);
  const counts = Map.groupBy(titles, (title) => title);
  return updates.map((item, index) => {
    const title = titles[index] ?? "";
    // Drivers above all share titles; a server that goes by the name would keep one of them.
    const isAlone = counts.get(title)?.length === 1;
    return {
      package: isAlone ? title : `${title} [${item.id.replace(/^\{/, "").slice(0, 8)}]`,
      currentVersion: null,
      availableVersion: `${item.id.replace(/[{}]/g, "").toLowerCase()}.${item.revision}`,
      architecture: null,
      source: `${sourceOf(source)}/${classOf(item.categories, item.type)}`,
      state: item.browseOnly ? "explicit_only" : "upgradable",
      ...describeSeverity(item),
      security: isSecurity(item),
      cves: unique(item.cves.map((id) => id.toUpperCase()).filter(isCve)),
      advisories: unique([...kbsOf(item), ...item.bulletins.filter(isBulletin)]),
      sizeBytes: sizeOf(item),
      description: describe(item),
      sourcePackage: null,
      reboot: REBOOTS[item.rebootBehavior ?? -1] ?? null,
    };
  });
}

/** What is missing from the list, or may be. */
export function tellGaps(answer: WinupdateAnswer): string[] {
  const gaps = [...answer.gaps];
  if (answer.unread > 0) gaps.push(`Updates that could not be read: ${answer.unread}`);
  if (answer.rebootRequired) {
    gaps.push("Windows waits for a restart: until then it may not tell of every update");
  }
  return gaps;
}

/** What a person should know of a list that is all that its server tells. */
export function tellLimits({ updates, source }: WinupdateAnswer): string[] {
  if (updates.length > 0 || sourceOf(source) !== "WSUS") return [];
  return ["The host asks a WSUS server, which tells only of updates that were approved there"];
}

/** `(Version 1.421.100.0)` at the end of a title, in any language. */
const VERSION = / *\(([^()]*\d+(?:\.\d+){2,}[^()]*)\)$/;

/**
 * With a KB number: a title may lack it, and Windows has been known to tell none at all. Without the
 * version of definitions, which come several times a day: a server that goes by the name would soon
 * have thousands of them.
 */
function titleOf(item: WinupdateItem): string {
  const [kb] = kbsOf(item);
  const whole = wholeTitle(item);
  const title = isDefinitions(item) ? whole.replace(VERSION, "") : whole;
  if (title === "") return kb ?? `Update ${item.id}`;
  return kb === undefined || title.includes(kb.slice(2)) ? title : `${title} (${kb})`;
}

function wholeTitle({ title }: WinupdateItem): string {
  return title.slice(0, LONGEST_TITLE).toWellFormed().trim();
}

/** WSUS publishers give numbers of their own, and words; those are no articles of Microsoft's. */
function kbsOf({ kb }: WinupdateItem): string[] {
  return kb.map((id) => id.replace(/^KB/i, "")).filter((id) => /^\d{4,9}$/.test(id))
    .map((id) => `KB${id}`);
}

function isDefinitions({ categories, type }: WinupdateItem): boolean {
  return classOf(categories, type) === "definitions";
}

function isCve(id: string): boolean {
  return /^CVE-\d{4}-\d{4,10}$/.test(id);
}

function isBulletin(id: string): boolean {
  return /^MS\d{2}-\d{3}$/.test(id);
}

function describeSeverity(item: WinupdateItem): Pick<Update, "severity" | "severityReason"> {
  const word = item.severity.slice(0, 40).toWellFormed();
  const severity = SEVERITIES.find((known) => known === word.toLowerCase()) ?? null;
  return { severity, severityReason: `MsrcSeverity is ${word === "" ? "empty" : `"${word}"`}` };
}

/** Categories decide, and CVEs; `null` where there is neither. */
function isSecurity({ categories, cves }: WinupdateItem): boolean | null {
  if (isSecurityCategory(categories) || cves.some((id) => isCve(id.toUpperCase()))) return true;
  return categories.length === 0 ? null : false;
}

/** The sum of all that might have to be fetched, which is often many times what is. */
function sizeOf({ maxDownloadSize }: WinupdateItem): number | null {
  const bytes = /^\d+(?:[.,]0*)?$/.test(maxDownloadSize) ? parseInt(maxDownloadSize, 10) : 0;
  return bytes > 0 && bytes <= LARGEST_BYTES ? bytes : null;
}

function describe(item: WinupdateItem): string | null {
  const [day] = /^\d{4}-\d\d-\d\d(?=T)/.exec(item.deployed) ?? [];
  const [, version] = (isDefinitions(item) && VERSION.exec(wholeTitle(item))) || [];
  const sentences = [
    version === undefined ? "" : `${version}.`,
    item.description.slice(0, LONGEST_DESCRIPTION).toWellFormed(),
    day === undefined ? "" : `Published ${day}.`,
    sizeOf(item) === null ? "" : "The size is the most that it may be.",
  ];
  return sentences.filter((sentence) => sentence !== "").join(" ") || null;
}

function sourceOf(source: string): string {
  const id = source.toLowerCase();
  return Object.hasOwn(SOURCES, id) ? SOURCES[id] ?? "" : source.slice(0, 60) || "Windows Update";
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
