import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { assessHealth } from "../../src/agent/health.ts";
import { nextAttemptAtMs } from "../../src/agent/server_health.ts";
import type { Status } from "../../src/agent/status.ts";
import type { StoredState } from "../../src/loop/state.ts";
import {
  CLOSED,
  HOLDER,
  HOUR_MS,
  IDENTITY,
  NOW_MS,
  OPEN,
  saved,
  status,
} from "../fakes/statuses.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";

const NOTE = {
  process_id: 42,
  at_ms: NOW_MS - HOUR_MS,
  since_ms: null,
  disk: "ok",
  why: null,
  events: 0,
  size_bytes: 0,
  acknowledgements: 0,
};

const WELL = { breaker: CLOSED, outage: null };

/** A healthy running agent, changed. */
function running(
  change: Partial<Status> = {},
  connection: Partial<StoredState["connection"]> = {},
  state: Partial<StoredState> = {},
): Status {
  return status({
    identity: IDENTITY,
    holder: HOLDER,
    state: saved({ lastCheckInAtMs: NOW_MS - 60_000, ...state }, {
      ...WELL,
      paths: {
        check_in: { failures: 0, notBeforeMs: null },
        delivery: { failures: 0, notBeforeMs: null },
      },
      ...connection,
    }),
    disk: { note: NOTE, refusal: null, isFull: false, bufferError: null },
    ...change,
  });
}

function codes(shown: Status): string[] {
  return assessHealth(shown).reasons.map(({ level, code }) => `${level} ${code}`);
}

/** Each value, and the reasons at it. */
function assertRows<T>(rows: readonly (readonly [T, string[]])[], shown: (value: T) => Status) {
  for (const [value, expected] of rows) {
    assertEquals(codes(shown(value)), expected, JSON.stringify(value));
  }
}

Deno.test("assessHealth() of a healthy agent has no reason", () => {
  const { level, reasons, server, nextAttemptAtMs } = assessHealth(running());
  assertEquals([level, reasons, server], ["ok", [], {
    state: "reachable",
    lastMs: NOW_MS - 60_000,
  }]);
  assertEquals(nextAttemptAtMs, NOW_MS + 60_000);
});

Deno.test("assessHealth() tolerates an outage for 75 s, unless the breaker opens, and fails after a day", () => {
  const outage = (lastsMs: number) => ({
    sinceMs: NOW_MS - lastsMs,
    failedCalls: 2,
    why: "HTTP 502",
    offline: false,
    status: 502,
  });
  assertRows([
    [74_999, []],
    [75_000, ["degraded outage"]],
    [24 * HOUR_MS - 1, ["degraded outage"]],
    [24 * HOUR_MS, ["failed outage"]],
  ], (lastsMs) => running({}, { outage: outage(lastsMs) }));
  assertEquals(codes(running({}, { outage: outage(1), breaker: OPEN })), ["degraded outage"]);
  assertEquals(codes(running({}, { breaker: OPEN })), ["degraded breaker_open"]);
});

Deno.test("assessHealth() waits ten minutes for the first check-in", () => {
  assertRows(
    [[599_999, []], [600_000, ["degraded never_checked_in"]]],
    (ms) =>
      running({ state: null, holder: { process_id: 42, since_ms: NOW_MS - ms, manager: null } }),
  );
});

Deno.test("assessHealth() calls an attempt overdue after ten minutes, and fails after an hour", () => {
  assertRows([
    [599_999, []],
    [600_000, ["degraded overdue"]],
    [HOUR_MS - 1, ["degraded overdue"]],
    [HOUR_MS, ["failed overdue"]],
  ], (ms) => running({}, {}, { nextCheckInAtMs: NOW_MS - ms }));
});

Deno.test("assessHealth() takes run --once for a running agent, for 26 h", () => {
  const once = (lastCheckInAtMs: number | null) => ({
    ...running({ holder: null }, {}, { isOnce: true, lastCheckInAtMs }),
  });
  assertRows([
    [NOW_MS - 26 * HOUR_MS + 1, []],
    [NOW_MS - 26 * HOUR_MS, ["failed agent_not_running"]],
    [null, ["failed agent_not_running"]],
  ], once);
});

Deno.test("assessHealth() believes a clock that went back by more than a minute", () => {
  assertRows(
    [[60_000, []], [60_001, ["degraded clock_went_back"]]],
    (ms) => running({}, {}, { lastCheckInAtMs: NOW_MS + ms }),
  );
  const restarted = running({
    holder: { process_id: 42, since_ms: NOW_MS + HOUR_MS, manager: null },
  });
  assertEquals(codes(restarted), ["degraded clock_went_back"]);
  assertEquals(nextAttemptAtMs(restarted), null);
  const state = { isOnce: true, lastCheckInAtMs: NOW_MS + HOUR_MS };
  assertEquals(codes(running({ holder: null }, {}, state)), ["degraded clock_went_back"]);
});

Deno.test("assessHealth() reports evictions for a day, and then while the buffer is nearly full", () => {
  const buffer = status().buffer!;
  const evicted = { ...NONE_EVICTED, log: 2 };
  const shown = (change: Partial<typeof buffer>) => running({ buffer: { ...buffer, ...change } });
  const since = (ms: number) => ({ evicted, firstEvictionMs: NOW_MS - ms });
  assertRows([
    [since(24 * HOUR_MS - 1), ["degraded evictions"]],
    [since(24 * HOUR_MS), []],
    [{ ...since(24 * HOUR_MS), pending: 89 }, []],
    [{ ...since(24 * HOUR_MS), pending: 90 }, ["degraded evictions"]],
    [{ pending: 89 }, []],
    [{ pending: 60, deadLetters: 30 }, ["degraded dead_letters", "degraded buffer_nearly_full"]],
    [{ sizeBytes: 899 }, []],
    [{ sizeBytes: 900 }, ["degraded buffer_nearly_full"]],
  ], shown);
});

Deno.test("assessHealth() wants events delivered within an hour while the server is there", () => {
  const buffer = { ...status().buffer!, pending: 1, oldestPendingMs: NOW_MS - HOUR_MS };
  assertEquals(codes(running({ buffer })), ["degraded delivery_late"]);
  const paths = {
    check_in: { failures: 1, notBeforeMs: NOW_MS + 1_000 },
    delivery: { failures: 0, notBeforeMs: null },
  };
  // A server that asks to come later takes no check-ins.
  assertEquals(codes(running({ buffer }, { paths })), []);
  const younger = { ...buffer, oldestPendingMs: NOW_MS - HOUR_MS + 1 };
  assertEquals(codes(running({ buffer: younger })), []);
  assertEquals(codes(running({ buffer }, { breaker: OPEN })), ["degraded breaker_open"]);
});

Deno.test("assessHealth() reports a refused command for a day", () => {
  assertRows([[24 * HOUR_MS - 1, ["degraded commands_refused"]], [24 * HOUR_MS, []]], (ms) => {
    const lastRefusal = { commandId: "c", type: "t", reason: "r", why: "w", atMs: NOW_MS - ms };
    const { signing } = status();
    return running({ signing: { ...signing, keys: { ...signing.keys, lastRefusal } } });
  });
});

Deno.test("assessHealth() says what is failed before what is degraded, and the server as it was seen", () => {
  const damaged = [{ file: "last-scans.json", why: "it is not valid JSON" }];
  const dead = running({ holder: null, damaged });
  assertEquals(codes(dead), ["failed agent_not_running", "degraded file_damaged"]);
  assertEquals(assessHealth(dead).server, { state: "unknown", lastMs: NOW_MS - 60_000 });
  const full = running({
    damaged,
    disk: { note: { ...NOTE, disk: "full" }, refusal: null, isFull: false, bufferError: null },
  });
  assertEquals(codes(full), ["failed disk_full", "degraded file_damaged"]);
});

Deno.test("nextAttemptAtMs() is the latest of all waits, for any of them", () => {
  const instant = fc.integer({ min: NOW_MS - HOUR_MS, max: NOW_MS + 24 * HOUR_MS });
  const maybe = fc.option(instant);
  fc.assert(fc.property(maybe, maybe, maybe, maybe, maybe, (check, path, token, action, open) => {
    const shown = running({}, {
      breaker: open === null ? CLOSED : { ...OPEN, untilMs: open },
      paths: {
        check_in: { failures: 0, notBeforeMs: path },
        delivery: { failures: 9, notBeforeMs: NOW_MS + 99 * HOUR_MS },
      },
      doubt: token === null
        ? null
        : { kind: "token", why: "HTTP 401", sinceMs: NOW_MS, refusals: 1, notBeforeMs: token },
      operatorAction: action === null
        ? null
        : { cause: "forbidden", why: "HTTP 403", sinceMs: NOW_MS, notBeforeMs: action },
    }, { nextCheckInAtMs: check });
    const waits = [check, path, token, action, open].filter((wait) => wait !== null);
    assertEquals(nextAttemptAtMs(shown), waits.length === 0 ? null : Math.max(...waits));
    assertEquals(nextAttemptAtMs({ ...shown, holder: null }), null);
    assertEquals(nextAttemptAtMs({ ...shown, identity: null }), null);
  }));
});

Deno.test("what a disk has kept from being saved is unknown: the server, and the next attempt", () => {
  const note = { ...NOTE, disk: "full" };
  const at = (dueMs: number) => {
    const shown = status({
      identity: IDENTITY,
      holder: HOLDER,
      state: saved({ lastCheckInAtMs: NOW_MS - 600_000, nextCheckInAtMs: dueMs }, {
        breaker: CLOSED,
        paths: {
          check_in: { failures: 0, notBeforeMs: null },
          delivery: { failures: 0, notBeforeMs: null },
        },
        outage: null,
      }),
    });
    const { server, nextAttemptAtMs } = assessHealth({ ...shown, disk: { ...shown.disk, note } });
    return [server.state, nextAttemptAtMs];
  };
  assertEquals(at(NOW_MS - 59_000), ["reachable", NOW_MS - 59_000]);
  assertEquals(at(NOW_MS - 61_000), ["unknown", null]);
});
