/** Decides what an answer of winget's is worth: a list, what is missing from it, or no list at all. */

import { ScanError, type ScanSource } from "../scanner.ts";
import { DEFAULT_SOURCES, type WingetSource } from "./sources.ts";
import type { WingetUpgrade, WingetUpgrades } from "./upgrades.ts";
import type { Update } from "../../update.ts";

/** winget's word for a version that it cannot tell; the same in every language. */
const UNKNOWN = "Unknown";

/** Sentences that are quoted: they are not understood, so that they may be many. */
const TOLD_MESSAGES = 5;

/** Names of packages that a warning lists. */
const TOLD_NAMES = 5;

/** Installed packages matched, and none has an update: one sentence, in the user's language. */
const NOTHING_FOUND: readonly string[] = [
  // `NoInstalledPackageFound` in several releases' resources of microsoft/winget-cli.
  "No installed package found matching input criteria.",
  "Es wurde kein installiertes Paket gefunden, das den Eingabekriterien entspricht.",
  "入力条件に一致するインストール済みのパッケージが見つかりませんでした。",
  "입력 조건과 일치하는 설치된 패키지를 찾을 수 없습니다.",
  "找不到与输入条件匹配的已安装程序包。",
];

/**
 * Whether an answer without a first table holds no sentence that is known to say that nothing was
 * found: winget can be asked what it says in that case.
 */
export function lacksKnownSentence({ hasMainTable, messages }: WingetUpgrades): boolean {
  return !hasMainTable && messages.length > 0 && !messages.some((text) => isNothing(text, null));
}

/** Whether `message` says that nothing was found; `learnt` is what winget says then, if it was asked. */
function isNothing(message: string, learnt: string | null): boolean {
  return message === learnt || NOTHING_FOUND.includes(message);
}

/** What winget said besides that nothing was found, which stands in the place of the first table. */
export function complaintsIn(
  { hasMainTable, messages }: WingetUpgrades,
  learnt: string | null,
): readonly string[] {
  const nothing = hasMainTable ? -1 : messages.findIndex((message) => isNothing(message, learnt));
  return messages.filter((_, index) => index !== nothing);
}

/** Whether a sentence is an English one about a failure. No other language's says so by its words. */
function isComplaint(message: string): boolean {
  return /fail|error|0x[0-9a-f]{8}/i.test(message);
}

/**
 * Makes sure that an answer without a row says so. `saysNothing`: the exit code did. `learnt`: what
 * winget says where it finds nothing, if it was asked for that.
 *
 * winget ends with 0 as well where it found no update as where a source failed or it crashed without a
 * word, and it speaks many languages. An empty list is believed by its exit code, or by the very
 * sentence that this winget says of a package that does not exist; any other sentence may be about a
 * failure, whatever the language.
 */
export function requireAnswer(
  answer: WingetUpgrades,
  saysNothing: boolean,
  learnt: string | null = null,
): void {
  if (answer.rows.length > 0) return;
  const action = "list updates with winget";
  // The only row of a table may hold what no row can; how many there are is known from winget's count.
  if (answer.hasMainTable && answer.unreadable === 0 && answer.announced === 1) return;
  if (answer.hasMainTable || answer.unreadable > 0) {
    throw new ScanError(`Cannot ${action}: its table is not understood`, { reason: "permanent" });
  }
  const { messages } = answer;
  const complaints = complaintsIn(answer, learnt);
  const isExpected = complaints.length === 0 ||
    (saysNothing && messages.length === 1 && learnt === null && !isComplaint(messages[0] ?? ""));
  if (!isExpected) {
    const said = messages.slice(0, TOLD_MESSAGES).join("; ");
    throw new ScanError(`Cannot ${action}: it found nothing, and said: ${said}`, {
      reason: "transient",
    });
  }
  if (answer.dropped > 0) {
    throw new ScanError(`Cannot ${action}: the answer is cut off`, { reason: "transient" });
  }
  if (messages.length === 0 && !saysNothing) {
    throw new ScanError(`Cannot ${action}: it said nothing at all`, { reason: "not_available" });
  }
}

/** What is missing from an answer that holds a list. `complaints`: those that are about no source. */
export function gapsIn(
  answer: WingetUpgrades,
  complaints: readonly string[] = complaintsIn(answer, null),
): string[] {
  const { announced, rows, pinned, unknown, unreadable, dropped, hasMainTable } = answer;
  const gaps: string[] = [];
  if (announced !== null && announced !== rows.length) {
    gaps.push(`winget counts ${announced}, ${rows.length} could be read`);
  }
  if (hasMainTable && announced === null) {
    gaps.push("winget's own count of the updates is missing: the list may be cut off");
  }
  // With winget's count, a line that is no row is a piece of a row that was read.
  if (announced === null && answer.unreadableRows > 0) {
    gaps.push(`Lines of winget's tables that could not be read: ${answer.unreadableRows}`);
  }
  if (pinned > 0) {
    gaps.push(`Packages with updates that are pinned, and not in the list: ${pinned}`);
  }
  if (unknown > 0) {
    gaps.push(`Packages of unknown version that winget left out of the list: ${unknown}`);
  }
  if (unreadable > 0) gaps.push(`Tables of winget's that were not understood: ${unreadable}`);
  if (dropped > 0) gaps.push(`Lines of winget's answer that were too long or cut off: ${dropped}`);
  gaps.push(...complaints.slice(0, TOLD_MESSAGES).map((message) => `winget says: ${message}`));
  return gaps;
}

/** The source whose updates are listed. The store's is left out: it fails for services. */
const ASKED = "winget";
const LEFT_OUT = "msstore";

/**
 * The sources, and what winget said that is about none of them. A source that it names outside its
 * tables is one that failed. One that winget would look through by itself, and that nobody asked, is
 * missing from the list. winget does not tell how old its sources' data are.
 */
export function wingetSources(
  complaints: readonly string[],
  known: readonly WingetSource[] = DEFAULT_SOURCES,
): { sources: ScanSource[]; rest: string[] } {
  const names = known.map(({ name }) => name);
  const about = ({ name }: WingetSource) => {
    // "winget-font" is not about "winget".
    const others = names.filter((other) => other !== name && other.includes(name));
    const written = name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    const word = new RegExp(`(?<![\\p{L}\\d])${written}(?![\\p{L}\\d])`, "u");
    return complaints.find((message) =>
      word.test(others.reduce((text, other) => text.replaceAll(other, ""), message))
    );
  };
  const sources = known.map((source): ScanSource => {
    const complaint = about(source);
    const isLeftOut = source.name === LEFT_OUT || source.isExplicit;
    const [result, why]: [ScanSource["result"], string | null] = complaint !== undefined
      ? ["failed", `winget says: ${complaint}`]
      : source.name === ASKED
      ? ["ok", null]
      : isLeftOut
      ? ["not_asked", null]
      : ["missing", `its updates are not listed: Pennon asks the source "${ASKED}" alone`];
    return {
      name: source.name,
      url: source.url,
      result,
      why,
      metadataAgeS: null,
      expiresAtMs: null,
      tellsSecurity: false,
    };
  });
  const told = known.map(about);
  return { sources, rest: complaints.filter((message) => !told.includes(message)) };
}

/** Tells of rows whose ids were cut for good; an id that is not whole is never told as one. */
export function cutGap(unknown: readonly WingetUpgrade[]): string[] {
  if (unknown.length === 0) return [];
  const names = unknown.slice(0, TOLD_NAMES).map(({ name }) => `"${name}"`).join(", ");
  return [
    `Updates that are not in the list because winget cut their ids or versions: ` +
    `${unknown.length} (${names}). Next: update App Installer to 1.29 or later`,
  ];
}

/** The rows as updates, each id and installed version once; several versions may be installed. */
export function wingetUpdates(rows: readonly WingetUpgrade[]): Update[] {
  const byKey = new Map(rows.map((row) => [JSON.stringify([row.id, row.version]), row]));
  return [...byKey.values()].map((row) => {
    const isUnknown = row.version === UNKNOWN || row.version === "";
    return {
      package: row.id,
      currentVersion: isUnknown ? null : row.version,
      availableVersion: row.available,
      architecture: null,
      source: row.source || "winget",
      state: isUnknown && row.state === "upgradable" ? "unknown_current" : row.state,
      ...(row.stateReason !== undefined && { stateReason: row.stateReason }),
      severity: null,
      severityReason: "winget does not tell",
      security: null,
      cves: [],
      advisories: [],
      sizeBytes: null,
      description: row.name === "" ? null : row.name,
      titles: row.name === "" ? [] : [row.name],
      sourcePackage: null,
      reboot: null,
    };
  });
}
