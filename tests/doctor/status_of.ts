/** A status in which all is well, with what a test changes. */

import type { Status } from "../../src/agent/status.ts";
import { encodeState, NEW_STATE } from "../../src/loop/state.ts";
import type { StoredState } from "../../src/loop/state.ts";
import { NO_SERVER_KEYS } from "../../src/server/key_trust.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);

/** The saved state of an agent that has checked in a minute ago. */
export const STATE: StoredState = {
  ...encodeState(NEW_STATE, { nowMs: NOW_MS, monotonicMs: 0 }),
  lastCheckInAtMs: NOW_MS - 60_000,
  nextCheckInAtMs: NOW_MS + 60_000,
};

export function statusOf(change: Partial<Status> = {}): Status {
  return {
    nowMs: NOW_MS,
    identity: {
      agentId: "a1",
      serverUrl: "https://server.test",
      tokenEndsAtMs: NOW_MS + 3_600_000,
      intervalMs: 300_000,
    },
    identityError: null,
    holder: { process_id: 7, since_ms: NOW_MS - 600_000 },
    state: STATE,
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
    commands: {
      received: 0,
      started: 0,
      finished: 0,
      reported: 0,
      remembered: 0,
      unfinished: 0,
    },
    limits: { maxEvents: 100, maxBytes: 1_000, maxAttempts: 10 },
    disk: { note: null, bufferError: null },
    scannerBreakers: {},
    scans: {},
    scanners: { enabled: ["apt"], available: ["apt"] },
    damaged: [],
    hasDrawnMachineId: false,
    ...change,
  };
}
