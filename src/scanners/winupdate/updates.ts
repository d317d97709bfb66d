/** Converts the result of a search into updates, gaps and notes. Pure. */

import { quoteWords } from "../../redact.ts";
import { isCve, type RebootHint, SEVERITIES, type Severity, type Update } from "../../update.ts";
import { isNewer, kbsOf, packageNameOf } from "./identity.ts";
import type { WinupdateAnswer, WinupdateItem } from "./search.ts";
import { asksWsus, classOf, isSecurityCategory, sourceOf } from "./sources.ts";

/** Longer titles are truncated; further titles of one KB number are counted. */
const MAX_TITLE_LENGTH = 300;
const MAX_TITLES = 5;

/** The severities of MSRC are shorter. */
const MAX_SEVERITY_LENGTH = 40;

/** Longer descriptions are truncated: they all end in the same sentences. */
const MAX_DESCRIPTION_LENGTH = 500;

/** A `DECIMAL` can hold any number; no download is larger. */
const MAX_SIZE_BYTES = 1e15;

/** `InstallationRebootBehavior` of wuapi.h, by number. */
const REBOOTS: readonly RebootHint[] = ["never", "required", "maybe"];
/** Worst first; `null`: unknown. */
const WORST_REBOOTS: readonly (RebootHint | null)[] = ["required", "maybe", null, "never"];

/** Describes the updates, one per package name: several of one KB number become one update. */
export function describeUpdates(answer: WinupdateAnswer): Update[] {
  return [...Map.groupBy(answer.updates, packageNameOf)].map(([name, items]) =>
    describeUpdate(name, items, answer)
  );
}

function describeUpdate(
  name: string,
  items: readonly WinupdateItem[],
  answer: WinupdateAnswer,
): Update {
  const newest = items.reduce((best, item) => isNewer(item, best) ? item : best);
  // Definitions are cumulative: an older version that is also offered adds nothing.
  const all = classOf(newest.categories, newest.type) === "definitions" ? [newest] : items;
  const sizes = all.map(sizeOf).filter((size) => size !== null);
  const security = all.map(isSecurity);
  return {
    package: name,
    currentVersion: null,
    availableVersion: `${newest.id.replace(/[{}]/g, "").toLowerCase()}.${newest.revision}`,
    architecture: null,
    source: `${sourceOf(answer, newest)}/${classOf(newest.categories, newest.type)}`,
    state: items.every(isOptional) ? "explicit_only" : "upgradable",
    ...worstSeverity(all),
    security: security.includes(true) ? true : security.includes(null) ? null : false,
    cves: [...new Set(all.flatMap(({ cves }) => cves.map((id) => id.toUpperCase()).filter(isCve)))],
    advisories: [
      ...new Set(all.flatMap((item) => [...kbsOf(item), ...item.bulletins.filter(isBulletin)])),
    ],
    sizeBytes: sizes.length === 0 ? null : sizes.reduce((sum, size) => sum + size, 0),
    description: describe(newest, all),
    titles: titlesOf(newest, all),
    sourcePackage: null,
    reboot: worstReboot(all),
  };
}

/** Describes what is missing from the list; the sources describe an incomplete search. */
export function describeGaps(answer: WinupdateAnswer): string[] {
  return answer.unread > 0 ? [`Updates that could not be read: ${answer.unread}`] : [];
}

/** Notes for the reader of a list that is complete as far as its server offers updates. */
export function describeNotes(answer: WinupdateAnswer): string[] {
  const notes: string[] = [];
  if (answer.updates.length === 0 && asksWsus(answer)) {
    notes.push("The host asks a WSUS server, which lists only updates that were approved there");
  }
  if (!answer.withOptional) {
    notes.push(
      "This Windows Update Agent cannot be asked for updates that are offered as optional",
    );
  }
  if (answer.reboot?.isRequired) {
    notes.push("Windows needs a restart: until then its list may not be complete");
  }
  return notes;
}

/** `daOptionalInstallation` of wuapi.h. */
const OPTIONAL = 4;

/** Windows installs these only if a user selects them. */
function isOptional({ browseOnly, deployment }: WinupdateItem): boolean {
  return browseOnly || deployment === OPTIONAL;
}

function isBulletin(id: string): boolean {
  return /^MS\d{2}-\d{3}$/.test(id);
}

/** The worst severity of several updates, with its original word. */
function worstSeverity(
  items: readonly WinupdateItem[],
): Pick<Update, "severity" | "severityReason"> {
  const severity = SEVERITIES.find((known) => items.some((item) => severityOf(item) === known)) ??
    null;
  const worst = items.find((item) => severityOf(item) === severity);
  const word = quoteWords(worst?.severity ?? "", MAX_SEVERITY_LENGTH);
  return {
    severity,
    severityReason: `MsrcSeverity is ${word === "" ? "empty" : `"${word}"`}`,
  };
}

function severityOf({ severity }: WinupdateItem): Severity | null {
  return SEVERITIES.find((known) => known === severity.toLowerCase()) ?? null;
}

/** `required` if one update says so; `null` if one of the others does not say. */
function worstReboot(items: readonly WinupdateItem[]): RebootHint | null {
  const hints = items.map(({ rebootBehavior }) =>
    REBOOTS.find((_, number) => number === rebootBehavior) ?? null
  );
  const rank = (hint: RebootHint | null) => WORST_REBOOTS.indexOf(hint);
  return hints.toSorted((a, b) => rank(a) - rank(b))[0] ?? null;
}

/** Categories and CVEs decide; `null` if there are neither. */
function isSecurity({ categories, cves }: WinupdateItem): boolean | null {
  if (isSecurityCategory(categories) || cves.some((id) => isCve(id.toUpperCase()))) return true;
  return categories.length === 0 ? null : false;
}

/** The upper bound of the download, which is often many times the real size. */
function sizeOf({ maxDownloadSize }: WinupdateItem): number | null {
  const bytes = /^\d+(?:[.,]0*)?$/.test(maxDownloadSize) ? parseInt(maxDownloadSize, 10) : 0;
  return bytes > 0 && bytes <= MAX_SIZE_BYTES ? bytes : null;
}

/** The titles, the description of the newest update, and the day of its publication. */
function describe(newest: WinupdateItem, all: readonly WinupdateItem[]): string | null {
  const titles = titlesOf(newest, all);
  const named = titles.slice(0, MAX_TITLES).join("; ");
  const more = titles.length > MAX_TITLES ? ` and ${titles.length - MAX_TITLES} more` : "";
  const [day] = /^\d{4}-\d\d-\d\d(?=T)/.exec(newest.deployed) ?? [];
  const sentences = [
    asSentence(named + more),
    newest.description.slice(0, MAX_DESCRIPTION_LENGTH).toWellFormed(),
    day === undefined ? "" : `Published ${day}.`,
    all.every((item) => sizeOf(item) === null) ? "" : "The size is the most that it may be.",
  ];
  return sentences.filter((sentence) => sentence !== "").join(" ") || null;
}

function titlesOf(newest: WinupdateItem, all: readonly WinupdateItem[]): string[] {
  const titles = [newest, ...all]
    .map(({ title }) => title.slice(0, MAX_TITLE_LENGTH).toWellFormed().trim());
  return [...new Set(titles.filter((title) => title !== ""))];
}

function asSentence(text: string): string {
  return text === "" || /[.!?。]$/.test(text) ? text : `${text}.`;
}
