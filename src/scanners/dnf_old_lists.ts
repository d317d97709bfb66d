/** Finds repositories whose package lists dnf did not get anew when it got those of others. Pure. */

import { enumerate } from "./enumerate.ts";
import { type DnfSection, type DnfSettings, MAIN } from "./dnf_settings.ts";

/** How long dnf is content with a list where nobody says otherwise (dnf.conf(5)). */
const USUAL_EXPIRY_MS = 48 * 3_600_000;

/** How many repositories a warning names. */
const TOLD_REPOSITORIES = 5;

/** An enabled repository, and when its lists were last found to be up to date. */
export interface KeptLists {
  readonly repository: string;
  readonly fetchedMs: number;
}

/**
 * A warning that names the repositories that were past their time when another's lists were fetched:
 * nobody can be reached there, and dnf may skip them (`skip_if_unavailable`). Empty if there is none.
 */
export function tellOldLists(
  kept: readonly KeptLists[],
  settings: DnfSettings,
  nowMs: number,
): string[] {
  const main = settings.get(MAIN);
  const newestMs = Math.max(...kept.map(({ fetchedMs }) => fetchedMs));
  const old = kept.filter(({ repository, fetchedMs }) =>
    newestMs - fetchedMs > expiryMs(settings.get(repository), main)
  ).toSorted((a, b) => a.fetchedMs - b.fetchedMs);
  if (old.length === 0) return [];
  const names = old.map(({ repository, fetchedMs }) =>
    `${repository} (${tellDays(nowMs - fetchedMs)})`
  );
  const advice = 'run "dnf makecache" to see why';
  return [
    `Repositories whose package lists are old: ${enumerate(names, TOLD_REPOSITORIES)}; ${advice}`,
  ];
}

function expiryMs(repository: DnfSection | undefined, main: DnfSection | undefined): number {
  const told = repository?.get("metadata_expire") ?? main?.get("metadata_expire");
  return told === undefined ? USUAL_EXPIRY_MS : readDuration(told) ?? USUAL_EXPIRY_MS;
}

const UNITS_MS = new Map([["", 1_000], ["s", 1_000], ["m", 60_000], ["h", 3_600_000], [
  "d",
  86_400_000,
]]);

/** Seconds, or a number with a unit; `never` is without an end. */
function readDuration(text: string): number | undefined {
  if (/^(?:never|-1)$/i.test(text)) return Infinity;
  const [, number, unit = ""] = /^(\d{1,10}(?:\.\d{1,5})?) ?([smhd]?)$/i.exec(text) ?? [];
  const unitMs = UNITS_MS.get(unit.toLowerCase());
  return number === undefined || unitMs === undefined ? undefined : Number(number) * unitMs;
}

function tellDays(ms: number): string {
  const days = Math.floor(ms / 86_400_000);
  return days === 1 ? "1 day" : `${days} days`;
}
