/** Decides what an answer of winget proves: a list, its gaps, or no list; and how its sources answered. */

import * as v from "valibot";
import { decodeJson } from "../../json.ts";
import type { Update } from "../../update.ts";
import { cannot, type ScanSource } from "../scanner.ts";
import { isDebris, plainText, wingetLines } from "./layout.ts";
import { parseWingetUpgrades, type WingetUpgrade, type WingetUpgrades } from "./upgrades.ts";

/** winget's word for an unknown version, in every language. */
const UNKNOWN = "Unknown";

/** At most this many sentences are quoted; they are not interpreted, so that there can be many. */
const MAX_QUOTED = 5;

const MAX_NAMES = 5;

/** The sentence for "no installed package has an update". winget prints it in the user's language. */
const NOTHING_FOUND: readonly string[] = [
  // `NoInstalledPackageFound` in the resources of several releases of microsoft/winget-cli.
  "No installed package found matching input criteria.",
  "Es wurde kein installiertes Paket gefunden, das den Eingabekriterien entspricht.",
  "入力条件に一致するインストール済みのパッケージが見つかりませんでした。",
  "입력 조건과 일치하는 설치된 패키지를 찾을 수 없습니다.",
  "找不到与输入条件匹配的已安装程序包。",
];

/** Whether none of the sentences instead of a main table is known to say that nothing was found. */
export function lacksKnownSentence({ hasMainTable, messages }: WingetUpgrades): boolean {
  return !hasMainTable && messages.length > 0 && !messages.some((text) => isNothing(text, null));
}

/** The only sentence of an answer about a package that does not exist; `null` if there is more. */
export function parseNothingFound(stdout: string): string | null {
  const { messages, hasMainTable, unreadable, dropped } = parseWingetUpgrades(stdout);
  const isAlone = messages.length === 1 && !hasMainTable && unreadable === 0 && dropped === 0;
  return isAlone ? messages[0] ?? null : null;
}

/** Whether `message` says that nothing was found; `learned`: this winget's sentence, if asked. */
function isNothing(message: string, learned: string | null): boolean {
  return message === learned || NOTHING_FOUND.includes(message);
}

/** The sentences of an answer, without the one that stands for an empty main table. */
export function otherSentences(
  { hasMainTable, messages }: WingetUpgrades,
  learned: string | null,
): readonly string[] {
  const nothing = hasMainTable ? -1 : messages.findIndex((message) => isNothing(message, learned));
  return messages.filter((_, index) => index !== nothing);
}

/** Whether an English sentence is about a failure; other languages are not recognized. */
function isComplaint(message: string): boolean {
  return /fail|error|0x[0-9a-f]{8}/i.test(message);
}

/**
 * Throws `ScanError` if an answer without a row does not prove that there are no updates.
 * `saysNothing`: the exit code says so. `learned`: this winget's sentence for it, if it was asked.
 *
 * winget ends with 0 if it found no update, if a source failed, and if it crashed without output, and
 * it has many languages. An empty list needs the exit code, or exactly the sentence that this winget
 * prints for a package that does not exist; any other sentence can be about a failure, in any language.
 */
export function requireAnswer(
  answer: WingetUpgrades,
  saysNothing: boolean,
  learned: string | null = null,
): void {
  if (answer.rows.length > 0) return;
  const action = "list updates with winget";
  // The only row of a table can be unreadable; winget's count says that there is only one.
  if (answer.hasMainTable && answer.unreadable === 0 && answer.announced === 1) return;
  if (answer.hasMainTable || answer.unreadable > 0) {
    throw cannot(action, "its table is not understood", "permanent");
  }
  const { messages } = answer;
  const isExpected = otherSentences(answer, learned).length === 0 ||
    (saysNothing && messages.length === 1 && learned === null && !isComplaint(messages[0] ?? ""));
  if (!isExpected) {
    const printed = messages.slice(0, MAX_QUOTED).join("; ");
    throw cannot(action, `it found nothing, and printed: ${printed}`, "transient");
  }
  if (answer.dropped > 0) throw cannot(action, "the answer is cut off", "transient");
  if (messages.length === 0 && !saysNothing) {
    throw cannot(action, "it printed nothing", "not_available");
  }
}

/** Describes what is missing from a list. `sentences`: the ones that are not about a source. */
export function wingetGaps(
  answer: WingetUpgrades,
  sentences: readonly string[] = otherSentences(answer, null),
): string[] {
  const { announced, rows, pinned, unknown, unreadable, dropped, hasMainTable } = answer;
  const gaps: string[] = [];
  if (announced !== null && announced !== rows.length) {
    gaps.push(`winget counts ${announced}, ${rows.length} could be read`);
  }
  if (hasMainTable && announced === null) {
    gaps.push("winget's own count of the updates is missing: the list may be cut off");
  }
  // If winget's count is known, such a line is a piece of a row that was read.
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
  gaps.push(...sentences.slice(0, MAX_QUOTED).map((message) => `winget says: ${message}`));
  return gaps;
}

/** Describes rows whose ids stay truncated; an incomplete id is never reported. */
export function truncationGaps(unknown: readonly WingetUpgrade[]): string[] {
  if (unknown.length === 0) return [];
  const names = unknown.slice(0, MAX_NAMES).map(({ name }) => `"${name}"`).join(", ");
  return [
    `Updates that are not in the list because winget truncated their ids or versions: ` +
    `${unknown.length} (${names}). Next: update App Installer to 1.29 or later`,
  ];
}

/** The rows as updates, one per id and installed version: several versions can be installed. */
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

interface WingetSource {
  readonly name: string;
  readonly url: string | null;
  /** winget uses it only if it is named: its absence from a list is no gap. */
  readonly isExplicit: boolean;
}

/** The source whose updates are listed, and the store, which fails for services and is not listed. */
const LISTED = "winget";
const STORE = "msstore";

/** The sources that every host has. */
const DEFAULT_SOURCES: readonly WingetSource[] = [LISTED, STORE].map((name) => ({
  name,
  url: null,
  isExplicit: false,
}));

/** More than any host has; each source takes one line of every report. */
const MAX_SOURCES = 50;

const sourceShape = v.object({
  Name: v.pipe(v.string(), v.maxLength(200), v.transform(plainText), v.nonEmpty()),
  Arg: v.nullish(v.pipe(v.string(), v.maxLength(2_000), v.transform(plainText)), null),
  Explicit: v.nullish(v.boolean(), false),
});

/** Reads `winget source export`, one JSON object per line; `null` if that is not a complete list. */
export function parseWingetSources(stdout: string): readonly WingetSource[] | null {
  // The last line may have no end: truncated JSON cannot be decoded.
  const { lines, dropped } = wingetLines(`${stdout}\n`);
  const objects = lines.filter((line) => !isDebris(line));
  if (dropped > 0 || objects.length === 0 || objects.length > MAX_SOURCES) return null;
  const sources = objects.map(readSource);
  return sources.every((source) => source !== null) ? sources : null;
}

function readSource(line: string): WingetSource | null {
  const read = decodeJson(sourceShape, line);
  if (!read.ok) return null;
  const { Name: name, Arg: url, Explicit: isExplicit } = read.value;
  return { name, url, isExplicit };
}

/**
 * Describes the sources, and returns the sentences that are about none of them. A source that winget
 * names outside its tables has failed. A source that winget would use by default, but that was not
 * asked, is missing from the list. winget does not report how old the data of its sources are.
 */
export function wingetSources(
  sentences: readonly string[],
  known: readonly WingetSource[] = DEFAULT_SOURCES,
): { sources: ScanSource[]; rest: string[] } {
  const names = known.map(({ name }) => name);
  const sentenceAbout = ({ name }: WingetSource) => {
    // "winget-font" is not about "winget".
    const others = names.filter((other) => other !== name && other.includes(name));
    const escaped = name.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    const word = new RegExp(`(?<![\\p{L}\\d])${escaped}(?![\\p{L}\\d])`, "u");
    return sentences.find((message) =>
      word.test(others.reduce((text, other) => text.replaceAll(other, ""), message))
    );
  };
  const sources = known.map((source): ScanSource => {
    const { name, url } = source;
    const sentence = sentenceAbout(source);
    const isNotAsked = name === STORE || source.isExplicit;
    const [result, why]: [ScanSource["result"], string | null] = sentence !== undefined
      ? ["failed", `winget says: ${sentence}`]
      : name === LISTED
      ? ["ok", null]
      : isNotAsked
      ? ["not_asked", null]
      : ["missing", `its updates are not listed: Pennon asks the source "${LISTED}" alone`];
    return { name, url, result, why, metadataAgeS: null, expiresAtMs: null, marksSecurity: false };
  });
  const matched = known.map(sentenceAbout);
  return { sources, rest: sentences.filter((message) => !matched.includes(message)) };
}
