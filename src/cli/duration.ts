/** Lengths of time and sizes in the words of a person, and instants as JSON has them. Pure. */

/** "3 s", "12 min", "5 h", "2 days"; never a negative one. */
export function describeDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
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
 * An instant in ms since the Unix epoch as RFC 3339 has it; `null` for none, and for a number out of a
 * damaged file that is no date.
 */
export function isoInstant(ms: number | null): string | null {
  const date = new Date(ms ?? NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
