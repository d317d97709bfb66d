/** Sizes and instants as text, and the width that text may have on stdout. */

import type { Terminal } from "../system/system.ts";

/** "03:12Z" on the day of `nowMs`, else "2026-11-29 03:12Z"; "?" outside the range of dates. UTC, as the log. */
export function describeTime(ms: number, nowMs: number): string {
  const [day, time] = (isoInstant(ms) ?? "").split("T");
  if (day === undefined || time === undefined) return "?";
  const clock = `${time.slice(0, 5)}Z`;
  return isoInstant(nowMs)?.startsWith(day) ? clock : `${day} ${clock}`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** "0 B", "12.3 KiB", "64 MiB". */
export function describeSize(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1_024 && unit < UNITS.length - 1) {
    amount /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? amount : Number(amount.toFixed(1))} ${UNITS[unit]}`;
}

/**
 * An instant (ms since the Unix epoch) in RFC 3339; `null` for none, and for a number from a corrupt
 * file that is outside the range of dates.
 */
export function isoInstant(ms: number | null): string | null {
  const date = new Date(ms ?? NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** The columns that a table on stdout may fill: a file or a pipe has no limit. */
export function outputWidth(terminal: Terminal): number {
  return terminal.stdoutIsTerminal ? terminal.columns() : Infinity;
}
