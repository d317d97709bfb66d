/** Statuses for the tests of what shows and judges them. */

import type { Status } from "../../src/agent/status.ts";
import type { SavedBreaker } from "../../src/breaker/saved.ts";
import type { StoredState } from "../../src/loop/state.ts";
import { NO_SERVER_KEYS } from "../../src/server/key_trust.ts";
import { NONE_EVICTED } from "./test_store.ts";

/** The instant of the statuses. */
export const NOW_MS = Date.UTC(2026, 10, 24);

/** All commands are reported. */
export const ALL_TOLD = {
  received: 0,
  started: 0,
  finished: 0,
  reported: 7,
  remembered: 7,
  unfinished: 0,
};

/** A host that is not registered, changed. */
export function status(change: Partial<Status> = {}): Status {
  return {
    nowMs: NOW_MS,
    identity: null,
    identityError: null,
    configuredUrl: null,
    holder: null,
    last: { leftBehind: null, signOfLife: null, logLine: null, bootMs: null },
    state: null,
    signing: { keys: NO_SERVER_KEYS, unsigned: "read_only" },
    buffer: {
      pending: 0,
      deadLetters: 0,
      sizeBytes: 0,
      oldestPendingMs: null,
      appended: 0,
      delivered: 0,
      evicted: NONE_EVICTED,
      firstEvictionMs: null,
      purged: 0,
    },
    commands: ALL_TOLD,
    disk: { note: null, refusal: null, isFull: false, bufferError: null },
    limits: { maxEvents: 100, maxBytes: 1_000, maxAttempts: 10 },
    scannerBreakers: {},
    scans: {},
    scanners: { enabled: ["apt"], available: ["apt"] },
    damaged: [],
    hasDrawnMachineId: false,
    ...change,
  };
}

/** In ms. */
export const HOUR_MS = 3_600_000;

/** A closed breaker. */
export const CLOSED: SavedBreaker = { state: "closed", generation: 0, failures: 0, recent: [] };

/** One that is open for 4 min more. */
export const OPEN: Extract<SavedBreaker, { state: "open" }> = {
  state: "open",
  generation: 3,
  failures: 7,
  trips: 2,
  reason: "HTTP 502",
  sinceMs: NOW_MS - HOUR_MS,
  untilMs: NOW_MS + 240_000,
};

/** The saved state in an outage. */
export const SAVED: StoredState = {
  connection: {
    breaker: OPEN,
    paths: {
      check_in: { failures: 6, notBeforeMs: NOW_MS + 120_000 },
      delivery: { failures: 1, notBeforeMs: null },
    },
    outage: {
      sinceMs: NOW_MS - 2 * HOUR_MS,
      failedCalls: 9,
      why: "HTTP 502",
      offline: false,
      status: 502,
    },
    doubt: null,
    operatorAction: null,
  },
  rapidUntilMs: null,
  nextCheckInAtMs: NOW_MS + 60_000,
  afterCrashAtMs: null,
  lastCheckInAtMs: NOW_MS - 3 * HOUR_MS,
  lastSystemInfoAtMs: null,
  isOnce: false,
};

/** That one, changed. */
export function saved(
  change: Partial<StoredState> = {},
  connection: Partial<StoredState["connection"]> = {},
): StoredState {
  return { ...SAVED, ...change, connection: { ...SAVED.connection, ...connection } };
}

/** Of a registered host. */
export const IDENTITY = {
  agentId: "a1",
  serverUrl: "https://server.test",
  tokenEndsAtMs: NOW_MS + 2 * HOUR_MS,
  savedAtMs: NOW_MS - HOUR_MS,
  intervalMs: 300_000,
};

/** An agent that has run for 5 h. */
export const HOLDER = { process_id: 42, since_ms: NOW_MS - 5 * HOUR_MS, manager: null };

/** An agent in the middle of an outage, with something to say in every part. */
export const TROUBLED = status({
  identity: IDENTITY,
  holder: HOLDER,
  state: SAVED,
  buffer: {
    pending: 12,
    deadLetters: 2,
    sizeBytes: 512,
    oldestPendingMs: NOW_MS - HOUR_MS * 4,
    appended: 30,
    delivered: 15,
    evicted: { ...NONE_EVICTED, updates: 3, log: 1 },
    firstEvictionMs: NOW_MS - 2 * HOUR_MS,
    purged: 1,
  },
  disk: {
    note: {
      process_id: 42,
      at_ms: NOW_MS - HOUR_MS,
      since_ms: null,
      disk: "ok",
      why: null,
      events: 0,
      size_bytes: 0,
      acknowledgements: 0,
    },
    refusal: null,
    isFull: false,
    bufferError: null,
  },
  commands: { received: 1, started: 2, finished: 3, reported: 4, remembered: 10, unfinished: 3 },
  scannerBreakers: {
    apt: {
      state: "open",
      generation: 1,
      failures: 3,
      trips: 1,
      reason: "no network",
      sinceMs: NOW_MS,
      untilMs: NOW_MS + 600_000,
    },
    dnf: {
      state: "half_open",
      generation: 2,
      failures: 4,
      trips: 1,
      reason: "broken",
      sinceMs: NOW_MS,
      probeUntilMs: null,
    },
    winget: { state: "closed", generation: 0, failures: 1, recent: [] },
  },
  scans: {
    apt: {
      at_ms: NOW_MS - 120_000,
      result: "failed",
      updates: 0,
      security: 0,
      duration_ms: 5,
      error: "no network",
    },
    dnf: {
      at_ms: NOW_MS - 180_000,
      result: "degraded",
      updates: 7,
      security: 2,
      duration_ms: 5,
      error: null,
    },
  },
});
