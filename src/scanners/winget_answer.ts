/** Decides what an answer of winget's is worth: a list, what is missing from it, or no list at all. */

import { ScanError, type Update } from "./scanner.ts";
import type { WingetUpgrade, WingetUpgrades } from "./winget_upgrades.ts";

/** winget's word for a version that it cannot tell; the same in every language. */
const UNKNOWN = "Unknown";

/** Sentences that are told; they are not understood, so that they may be many. */
const TOLD_MESSAGES = 5;

/** Names of packages that are told. */
const TOLD_NAMES = 5;

/** What a failed source is told with, in English. */
const COMPLAINT = /fail|error|0x[0-9a-f]{8}/i;

/**
 * Makes sure that an answer without a row says so. `saysNothing`: the exit code did.
 *
 * winget ends with 0 as well where it found no update as where it crashed without a word, and what
 * it says is in the user's language: one sentence, and nothing that was not understood, is "nothing
 * found". A second one is about a source that failed, and an empty list after that is none.
 */
export function requireAnswer(answer: WingetUpgrades, saysNothing: boolean): void {
  if (answer.rows.length > 0) return;
  const action = "list updates with winget";
  if (answer.hasMainTable || answer.unreadable > 0) {
    throw new ScanError(`Cannot ${action}: its table is not understood`, { reason: "permanent" });
  }
  const { messages } = answer;
  if (messages.length > 1 || messages.some((message) => COMPLAINT.test(message))) {
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

/** What is missing from an answer that holds a list. */
export function gapsIn(answer: WingetUpgrades): string[] {
  const { announced, rows, pinned, unknown, messages, unreadable, dropped, hasMainTable } = answer;
  const gaps: string[] = [];
  if (announced !== null && announced !== rows.length) {
    gaps.push(`winget counts ${announced} updates, ${rows.length} of which could be read`);
  }
  if (hasMainTable && announced === null) {
    gaps.push("winget's own count of the updates is missing: the list may be cut off");
  }
  if (pinned > 0) {
    gaps.push(`Packages with updates that are pinned, and not in the list: ${pinned}`);
  }
  if (unknown > 0) {
    gaps.push(`Packages of unknown version that winget left out of the list: ${unknown}`);
  }
  if (unreadable > 0) gaps.push(`Tables of winget's that were not understood: ${unreadable}`);
  if (dropped > 0) gaps.push(`Lines of winget's answer that were too long or cut off: ${dropped}`);
  const told = rows.length > 0
    ? messages.filter((message) => !isNothingFound(message, answer))
    : [];
  gaps.push(...told.slice(0, TOLD_MESSAGES).map((message) => `winget says: ${message}`));
  return gaps;
}

/** Where there is no first table, one sentence stands in its place. */
function isNothingFound(message: string, { hasMainTable, messages }: WingetUpgrades): boolean {
  return !hasMainTable && messages.length === 1 && !COMPLAINT.test(message);
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
      severity: null,
      severityReason: "winget does not tell",
      security: null,
      cves: [],
      advisories: [],
      sizeBytes: null,
      description: row.name === "" ? null : row.name,
      sourcePackage: null,
      reboot: null,
    };
  });
}
