/** Reads `winget pin list`: which packages `winget upgrade --all` leaves alone. Pure. */

import { plainText, wingetLines } from "./lines.ts";
import { isBeginningOf } from "./table.ts";
import type { WingetUpgrade } from "./upgrades.ts";

/**
 * The kind of a pin that leaves a package alone until it is named; winget prints the word so in every
 * language. Blocking and gating pins keep a package out of the first table by themselves.
 */
const PINNING = / pinning(?= |$)/;

/**
 * The rows, those with a pin in state `pinned`. No heading and no place of a column is relied on: a pin
 * is a line with the id of a row as a word, and the kind of the pin as a later one.
 */
export function markPinned(
  rows: readonly WingetUpgrade[],
  pinList: string,
): readonly WingetUpgrade[] {
  const pins = wingetLines(pinList).lines.map((line) =>
    plainText(line).toLowerCase().split(PINNING).slice(0, -1).flatMap((part) => part.split(/ +/))
  );
  const pinned = new Set(pins.flatMap((words) => idsAmong(words, rows)));
  return rows.map((row) =>
    row.state === "upgradable" && pinned.has(row.id)
      ? { ...row, state: "pinned", stateReason: "winget pin list: Pinning" }
      : row
  );
}

/** The ids of rows that stand in a line; one that was cut counts if it can be one row's only. */
function idsAmong(words: readonly string[], rows: readonly WingetUpgrade[]): readonly string[] {
  const whole = rows.filter(({ id }) => words.includes(id.toLowerCase())).map(({ id }) => id);
  if (whole.length > 0) return whole;
  // What begins with a letter alone may be anything.
  const long = words.filter((word) => word.length > 2);
  const possible = new Set(
    rows.filter(({ id }) => long.some((word) => isBeginningOf(word, id.toLowerCase())))
      .map(({ id }) => id),
  );
  return possible.size === 1 ? [...possible] : [];
}
