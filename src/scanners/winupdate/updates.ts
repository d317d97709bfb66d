/** Makes updates of what the Windows Update Agent told, and warnings of what it left out. Pure. */

import { quoteWords } from "../../redact.ts";
import type { WinupdateAnswer, WinupdateItem } from "./answer.ts";
import { classOf, isSecurityCategory } from "./class.ts";
import { isNewer, kbsOf, nameOf } from "./identity.ts";
import { asksWsus, sourceOf } from "./sources.ts";
import type { RebootHint, Severity, Update } from "../../update.ts";

/** Longer titles are cut; more of one KB number are counted. */
const LONGEST_TITLE = 300;
const MOST_TITLES = 5;

/** A word of MSRC's is no longer. */
const LONGEST_WORD = 40;

/** Longer descriptions are cut: what follows is the same sentence in each of them. */
const LONGEST_DESCRIPTION = 500;

/** A `DECIMAL` may be anything; nothing is downloaded that is larger. */
const LARGEST_BYTES = 1e15;

/** Worst first; `null`: nobody says. */
const SEVERITIES: readonly (Severity | null)[] = ["critical", "important", "moderate", "low", null];

/** `InstallationRebootBehavior` of wuapi.h, by number. */
const REBOOTS: readonly RebootHint[] = ["never", "required", "maybe"];
/** Worst first; `null`: that is not told. */
const WORST_REBOOTS: readonly (RebootHint | null)[] = ["required", "maybe", null, "never"];

/** The updates, one a name: several of one KB number are one update of that. */
export function describeUpdates(answer: WinupdateAnswer): Update[] {
  return [...Map.groupBy(answer.updates, nameOf)].map(([name, items]) =>
    describeUpdate(name, items, answer)
  );
}

function describeUpdate(
  name: string,
  items: readonly WinupdateItem[],
  answer: WinupdateAnswer,
): Update {
  const newest = items.reduce((best, item) => isNewer(item, best) ? item : best);
  // Definitions contain those before: an older version that is offered as well says nothing more.
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
    cves: unique(all.flatMap(({ cves }) => cves.map((id) => id.toUpperCase()).filter(isCve))),
    advisories: unique(
      all.flatMap((item) => [...kbsOf(item), ...item.bulletins.filter(isBulletin)]),
    ),
    sizeBytes: sizes.length === 0 ? null : sizes.reduce((sum, size) => sum + size, 0),
    description: describe(newest, all),
    titles: titlesOf(newest, all),
    sourcePackage: null,
    reboot: worstReboot(all),
  };
}

/** What is missing from the list; what a search with errors lacks is told by its sources. */
export function tellGaps(answer: WinupdateAnswer): string[] {
  return answer.unread > 0 ? [`Updates that could not be read: ${answer.unread}`] : [];
}

/** What a person should know of a list that is all that its server tells. */
export function tellLimits(answer: WinupdateAnswer): string[] {
  const limits: string[] = [];
  if (answer.updates.length === 0 && asksWsus(answer)) {
    limits.push(
      "The host asks a WSUS server, which tells only of updates that were approved there",
    );
  }
  if (!answer.withOptional) {
    limits.push(
      "This Windows Update Agent cannot be asked for updates that are offered as optional",
    );
  }
  if (answer.reboot?.isRequired) {
    limits.push("Windows waits for a restart: until then it may not tell of every update");
  }
  return limits;
}

/** `daOptionalInstallation` of wuapi.h. */
const OPTIONAL = 4;

/** Windows installs these only where somebody picks them. */
function isOptional({ browseOnly, deployment }: WinupdateItem): boolean {
  return browseOnly || deployment === OPTIONAL;
}

function isCve(id: string): boolean {
  return /^CVE-\d{4}-\d{4,10}$/.test(id);
}

function isBulletin(id: string): boolean {
  return /^MS\d{2}-\d{3}$/.test(id);
}

/** The worst of several, with its own word. */
function worstSeverity(
  items: readonly WinupdateItem[],
): Pick<Update, "severity" | "severityReason"> {
  const rank = (item: WinupdateItem) => SEVERITIES.indexOf(severityOf(item));
  const worst = items.reduce((worst, item) => rank(item) < rank(worst) ? item : worst);
  const word = quoteWords(worst.severity, LONGEST_WORD);
  return {
    severity: severityOf(worst),
    severityReason: `MsrcSeverity is ${word === "" ? "empty" : `"${word}"`}`,
  };
}

function severityOf({ severity }: WinupdateItem): Severity | null {
  return SEVERITIES.find((known) => known === severity.toLowerCase()) ?? null;
}

/** `required` as soon as one says so; `null` where one of the others does not tell. */
function worstReboot(items: readonly WinupdateItem[]): RebootHint | null {
  const hints = items.map(({ rebootBehavior }) =>
    REBOOTS.find((_, number) => number === rebootBehavior) ?? null
  );
  const rank = (hint: RebootHint | null) => WORST_REBOOTS.indexOf(hint);
  return hints.toSorted((a, b) => rank(a) - rank(b))[0] ?? null;
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

/** The titles, what the newest says of itself, and the day. */
function describe(newest: WinupdateItem, all: readonly WinupdateItem[]): string | null {
  const titles = titlesOf(newest, all);
  const told = titles.slice(0, MOST_TITLES).join("; ");
  const more = titles.length > MOST_TITLES ? ` and ${titles.length - MOST_TITLES} more` : "";
  const [day] = /^\d{4}-\d\d-\d\d(?=T)/.exec(newest.deployed) ?? [];
  const sentences = [
    asSentence(told + more),
    newest.description.slice(0, LONGEST_DESCRIPTION).toWellFormed(),
    day === undefined ? "" : `Published ${day}.`,
    all.every((item) => sizeOf(item) === null) ? "" : "The size is the most that it may be.",
  ];
  return sentences.filter((sentence) => sentence !== "").join(" ") || null;
}

function titlesOf(newest: WinupdateItem, all: readonly WinupdateItem[]): string[] {
  return unique([newest, ...all].map(titleOf).filter((title) => title !== ""));
}

function titleOf({ title }: WinupdateItem): string {
  return title.slice(0, LONGEST_TITLE).toWellFormed().trim();
}

function asSentence(text: string): string {
  return text === "" || /[.!?。]$/.test(text) ? text : `${text}.`;
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words)];
}
