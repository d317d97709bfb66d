/** Durations, sizes and instants as text, and the width that text may have on stdout. */

import type { Terminal } from "../system/system.ts";

/** "3 s", "12 min", "5 h", "2 days"; a negative duration counts as 0. */
export function describeDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

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
