/** What goes wrong in a run, drawn by chance: which fault, from when, for how long. */

import type { Random } from "../../src/system/system.ts";

/** A fault of the way to the server, of the server, of the host or of its package managers. */
export const FAULTS = [
  "refused",
  "dns",
  "offline",
  "hangs",
  "lossy",
  "late",
  "page",
  "redirect",
  "burst_5xx",
  "unavailable",
  "reports_break",
  "backlog",
  "limited",
  "repeated",
  "not_configured",
  "access_revoked",
  "all_401",
  "database_down",
  "agent_deleted",
  "crash",
  "crash_loop",
  "disk_full",
  "disk_io",
  "torn_state",
  "clock_jump",
  "suspend",
  "scan_hangs",
  "scan_fails",
  "scan_locked",
  "scan_garbage",
  "scan_flood",
] as const;

/**
 * What only a server of 0.2 has or minds: its own troubles and its operators', requests that arrive when
 * nobody waits for them, lists that are not whole, keys that change, and commands that others make.
 */
export const FAULTS_02 = [
  "server_restart",
  "pool_saturated",
  "cannot_close",
  "minimum_raised",
  "bound_elsewhere",
  "secret_changes",
  "requests_late",
  "scan_partial",
  "key_rotated",
  "key_swapped",
  "commands_forged",
  "clock_off",
] as const;

/** One of them. */
export type Fault = typeof FAULTS[number] | typeof FAULTS_02[number];

/** One fault for one while. */
export interface Episode {
  readonly fault: Fault;
  readonly fromMs: number;
  readonly toMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long each lasts: shortest and longest, drawn evenly on a logarithmic scale. */
const LENGTHS: Readonly<Record<Fault, readonly [number, number]>> = {
  refused: [10_000, DAY_MS],
  dns: [10_000, DAY_MS],
  offline: [10_000, DAY_MS],
  hangs: [10_000, 12 * HOUR_MS],
  lossy: [MINUTE_MS, 12 * HOUR_MS],
  late: [MINUTE_MS, 6 * HOUR_MS],
  page: [10_000, 12 * HOUR_MS],
  redirect: [10_000, 6 * HOUR_MS],
  burst_5xx: [10_000, 12 * HOUR_MS],
  unavailable: [10_000, 6 * HOUR_MS],
  reports_break: [MINUTE_MS, 12 * HOUR_MS],
  backlog: [1, 1],
  limited: [10_000, 6 * HOUR_MS],
  repeated: [MINUTE_MS, 6 * HOUR_MS],
  not_configured: [10_000, 6 * HOUR_MS],
  access_revoked: [1, 1],
  all_401: [MINUTE_MS, 7 * DAY_MS],
  database_down: [10_000, 12 * HOUR_MS],
  agent_deleted: [MINUTE_MS, 12 * HOUR_MS],
  crash: [1, 1],
  crash_loop: [MINUTE_MS, 2 * HOUR_MS],
  disk_full: [MINUTE_MS, 12 * HOUR_MS],
  disk_io: [10_000, HOUR_MS],
  torn_state: [1, 1],
  clock_jump: [MINUTE_MS, 2 * DAY_MS],
  suspend: [8 * HOUR_MS, 8 * HOUR_MS],
  scan_hangs: [HOUR_MS, 2 * DAY_MS],
  scan_fails: [HOUR_MS, 2 * DAY_MS],
  scan_locked: [HOUR_MS, DAY_MS],
  scan_garbage: [HOUR_MS, 2 * DAY_MS],
  scan_flood: [HOUR_MS, 2 * DAY_MS],
  server_restart: [5_000, 2 * MINUTE_MS],
  pool_saturated: [2_000, 30 * MINUTE_MS],
  cannot_close: [10_000, 2 * HOUR_MS],
  minimum_raised: [10 * MINUTE_MS, 2 * DAY_MS],
  bound_elsewhere: [10 * MINUTE_MS, 2 * DAY_MS],
  secret_changes: [MINUTE_MS, 4 * HOUR_MS],
  requests_late: [MINUTE_MS, 2 * HOUR_MS],
  scan_partial: [HOUR_MS, 2 * DAY_MS],
  key_rotated: [HOUR_MS, 2 * DAY_MS],
  key_swapped: [10 * MINUTE_MS, 2 * DAY_MS],
  commands_forged: [HOUR_MS, DAY_MS],
  clock_off: [HOUR_MS, DAY_MS],
};

/** On average so many a day. */
const EPISODES_PER_DAY = 3;

/** Faults of one run out of `faults`, in order of their beginning; none goes on after `endMs`. */
export function drawEpisodes(
  random: Random,
  endMs: number,
  faults: readonly Fault[] = FAULTS,
): Episode[] {
  const count = Math.round(EPISODES_PER_DAY * (endMs / DAY_MS) * (0.5 + random()));
  const episodes = Array.from({ length: count }, (): Episode => {
    const fault = faults[Math.floor(random() * faults.length)]!;
    const [shortest, longest] = LENGTHS[fault];
    const lengthMs = shortest * (longest / shortest) ** random();
    const fromMs = random() * endMs;
    return { fault, fromMs, toMs: Math.min(endMs, fromMs + lengthMs) };
  });
  return episodes.toSorted((a, b) => a.fromMs - b.fromMs);
}
