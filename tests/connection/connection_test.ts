import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ConnectionState, NEW_CONNECTION } from "../../src/connection/state.ts";
import type { Answer } from "../../src/server/answer.ts";
import type { Health } from "../../src/server/protocol.ts";
import { fakeConnection, fine, gone } from "../fakes/connection.ts";

const healthy: Answer<Health> = {
  kind: "ok",
  value: { status: "healthy", usable: true },
  rateLimit: null,
};

/** Its breaker opens at the second failure. */
function setUp(health?: () => Answer<Health>, state: ConnectionState = NEW_CONNECTION) {
  return fakeConnection({ health, state, consecutiveFailures: 2 });
}

Deno.test("attempt() rejects a call in a backoff, and returns how long", async () => {
  const { connection, call } = setUp();
  await call(gone);
  const rejected = await call(fine);
  assert(rejected.kind === "backoff" && rejected.retryInMs === connection.waitMs("check_in"));
  assert(rejected.retryInMs >= 500 && rejected.retryInMs <= 5_000);
});

Deno.test("attempt() asks nothing of a well server's health, and all of a sick one's", async () => {
  const { asked, call, waitOut } = setUp();
  await call(fine);
  assertEquals(asked, []);
  await call(gone);
  await waitOut();
  await call(fine);
  assertEquals(asked, [undefined]);
  await call(fine);
  assertEquals(asked.length, 1);
});

Deno.test("a good health alone closes no breaker; both requests fit into the probe's time", async () => {
  const { asked, connection, log, call, waitOut } = setUp();
  for (const answer of [gone, gone]) {
    await call(answer);
    await waitOut();
  }
  assertEquals(connection.state.breaker.state, "open");
  await call(gone);
  assertEquals([connection.state.breaker.state, asked.at(-1)], ["open", 5_000]);
  await waitOut();
  await call(fine);
  assertEquals(connection.state.breaker.state, "closed");
  assertEquals(log.told("connection recovered")[0]?.["buffered"], 7);
});

Deno.test("a server that waits for its configuration is up, and not called", async () => {
  const waiting: Answer<Health> = {
    kind: "ok",
    value: { status: "waiting for configuration", usable: false },
    rateLimit: null,
  };
  const { connection, call, waitOut } = setUp(() => waiting);
  await call(gone);
  await waitOut();
  const answer = await connection.attempt("check_in", () => {
    throw new Error("it was called");
  });
  assert(answer.kind === "failed" && answer.why.includes("waiting for configuration"));
});

Deno.test("a call that throws gives its permit back", async () => {
  const { connection, call, waitOut } = setUp();
  for (const answer of [gone, gone]) {
    await call(answer);
    await waitOut();
  }
  const broken = () => Promise.reject(new Error("a mistake"));
  await assertRejects(() => connection.attempt("check_in", broken), Error, "a mistake");
  assertEquals(connection.state.breaker.state, "half_open");
  assertEquals((await call(fine)).kind, "ok");
});

Deno.test("a burst is begun only on a server whose health is known, and that once an interval", async () => {
  const { connection, asked, clock } = setUp();
  const burst = () =>
    connection.attempt("delivery", () => Promise.resolve(fine), { isBurst: true });
  await burst();
  await burst();
  assertEquals(asked.length, 1);
  await clock.advance(299_999);
  await burst();
  assertEquals(asked.length, 1);
  await clock.advance(1);
  await burst();
  assertEquals(asked.length, 2);
});

Deno.test("a call that the host slept through says nothing of the server", async () => {
  const { connection, clock } = setUp();
  const answer = await connection.attempt("check_in", () => {
    clock.sleptMs += 28_800_000;
    return Promise.resolve(gone);
  });
  assertEquals(answer.kind, "aborted");
  assertEquals(connection.state.breaker, NEW_CONNECTION.breaker);
});

Deno.test("a call that is cut off is told so, and one that is over no more", async () => {
  const { connection } = setUp();
  const cut = new AbortController();
  const signals: AbortSignal[] = [];
  const attempt = (answer: Promise<typeof fine>) =>
    connection.attempt("check_in", ({ signal }) => {
      signals.push(signal);
      return answer;
    }, { signal: cut.signal });
  await attempt(Promise.resolve(fine));
  const { promise, resolve } = Promise.withResolvers<typeof fine>();
  const second = attempt(promise);
  cut.abort(new Error("no time left"));
  assertEquals(signals.map(({ aborted }) => aborted), [false, true]);
  resolve(fine);
  await second;
});

Deno.test("a call without an end fails at the connection's own limit", async () => {
  const { connection, clock } = setUp();
  const attempt = connection.attempt("check_in", () => new Promise(() => {}));
  await clock.advance(99_999);
  assertEquals(connection.state.outage, null);
  await clock.advance(1);
  assertEquals((await attempt).kind, "failed");
  assertEquals(connection.state.outage?.failedCalls, 1);
});

Deno.test("retrySoon() keeps a wait that the server asked for as the first answer after a host was offline", async () => {
  const { connection, call, clock } = setUp();
  await call({ ...gone, offline: true });
  await clock.advance(connection.waitMs("check_in"));
  await call({ kind: "limited", why: "HTTP 429", retryAfterMs: 900_000 });
  const waitMs = connection.waitMs("check_in");
  assert(waitMs >= 900_000);
  connection.retrySoon(30_000);
  assertEquals(connection.waitMs("check_in"), waitMs);
});

Deno.test("retrySoon() shortens the wait of an offline host, and of no other", async () => {
  const offline = { ...gone, offline: true };
  const { connection, call, clock } = setUp();
  for (let attempt = 0; attempt < 6; attempt++) {
    await call(offline);
    await clock.advance(connection.waitMs("check_in"));
  }
  await call(offline);
  assertEquals(connection.state.breaker.state, "closed");
  connection.retrySoon(1_000);
  assert(connection.waitMs("check_in") <= 1_000);
  const other = setUp();
  await other.call({ ...gone, retryAfterMs: 60_000 });
  other.connection.retrySoon(1_000);
  assert(other.connection.waitMs("check_in") >= 60_000);
  assert(other.connection.waitMs("delivery") >= 60_000, "a 503 means every path");
});

Deno.test("reset() forgets the waits, and asks for health before the next call", async () => {
  const { connection, asked, call } = setUp();
  await call(gone);
  await call(gone);
  await connection.attempt("check_in", () => Promise.resolve(gone));
  connection.reset();
  assertEquals([connection.waitMs("check_in"), connection.state.breaker.state], [0, "closed"]);
  await call(fine);
  assertEquals(asked.length, 1);
});

/** Brings a connection to its probe: the breaker is open, and its time is up. */
async function beforeProbe(health?: () => Answer<Health>) {
  const made = setUp(health);
  for (const answer of [gone, gone]) {
    await made.call(answer);
    await made.waitOut();
  }
  assertEquals(made.connection.waitMs("check_in"), 0);
  return made;
}

Deno.test("waitMs() is how long a probe that is out may still take, on every path", async () => {
  const { connection, clock } = await beforeProbe();
  const { promise, resolve } = Promise.withResolvers<typeof fine>();
  const probe = connection.attempt("check_in", () => promise);
  await clock.advance(4_000);
  assertEquals([connection.waitMs("check_in"), connection.waitMs("delivery")], [6_000, 6_000]);
  const other = await connection.attempt("delivery", () => Promise.resolve(fine));
  assertEquals(other, { kind: "circuit_open", retryInMs: 6_000 });
  resolve(fine);
  assertEquals([(await probe).kind, connection.waitMs("delivery")], ["ok", 0]);
});

Deno.test("a probe without an end fails at its own limit, and its late answer closes nothing", async () => {
  const { connection, clock, log } = await beforeProbe();
  const { promise, resolve } = Promise.withResolvers<typeof fine>();
  const signals: AbortSignal[] = [];
  const probe = connection.attempt("check_in", ({ signal }) => {
    signals.push(signal);
    return promise;
  });
  await clock.advance(9_999);
  assertEquals(signals[0]?.aborted, false);
  await clock.advance(1);
  const answer = await probe;
  assert(answer.kind === "failed");
  assertEquals([answer.why, answer.offline], ["no end of the call within 10 s", false]);
  assertEquals([signals[0]?.aborted, connection.state.breaker.state], [true, "open"]);
  const { breaker } = connection.state;
  resolve(fine);
  await clock.advance(0);
  assertEquals(connection.state.breaker, breaker);
  assertEquals(log.told("connection breaker closed"), []);
  assertEquals(clock.sleeping, 0);
});

Deno.test("isHealthy only while check-ins go well, the breaker is closed and nobody is called", async () => {
  const { connection, call, waitOut } = setUp();
  assertEquals(connection.isHealthy, true);
  await call(gone);
  assertEquals(connection.isHealthy, false);
  await waitOut();
  await call(fine);
  assertEquals(connection.isHealthy, true);
  await call({ kind: "operator_required", why: "HTTP 403" });
  assertEquals(connection.isHealthy, false);
  assert(connection.waitMs("delivery") >= 3_600_000, "nobody else is asked either");
  const tripped = await beforeProbe();
  assertEquals(tripped.connection.isHealthy, false);
});

Deno.test("a report that fails makes the connection no less healthy", async () => {
  const { connection } = setUp();
  await connection.attempt("delivery", () => Promise.resolve(gone));
  assertEquals([connection.isHealthy, connection.waitMs("check_in")], [true, 0]);
  assert(connection.waitMs("delivery") > 0);
});

Deno.test("what the server's health is stands for the call that is not made", async () => {
  const rows: [health: Answer<Health>, answer: Partial<Answer<unknown>>][] = [
    [gone, gone],
    [
      { kind: "limited", why: "HTTP 503", retryAfterMs: 2_000, isOverloaded: true },
      { kind: "limited" },
    ],
    [{ kind: "aborted" }, { kind: "aborted" }],
    [{ ...gone, status: 502 }, { ...gone, status: 502 }],
    [
      {
        kind: "ok",
        value: { status: "waiting for configuration", usable: false },
        rateLimit: null,
      },
      {
        kind: "failed",
        why: 'not healthy: server says "waiting for configuration"',
        status: 200,
      },
    ],
  ];
  for (const [health, expected] of rows) {
    const { call, connection, waitOut } = setUp(() => health);
    await call(gone);
    await waitOut();
    const answer = await connection.attempt("check_in", () => {
      throw new Error("it was called");
    });
    assertEquals({ ...answer, ...expected }, answer, health.kind);
  }
});

Deno.test("a host that slept for two seconds in the middle of a call is no excuse yet", async () => {
  const { connection, clock } = setUp();
  const slept = (ms: number, answer: Answer<string>) =>
    connection.attempt("delivery", () => {
      clock.sleptMs += ms;
      return Promise.resolve(answer);
    });
  assertEquals((await slept(28_800_000, fine)).kind, "ok", "an answer is an answer");
  assertEquals((await slept(2_001, gone)).kind, "aborted");
  assertEquals((await slept(2_000, gone)).kind, "failed");
});

Deno.test("a call that is cut off before its health is known begins nothing", async () => {
  const cut = new AbortController();
  const { connection, call, waitOut } = setUp(() => {
    cut.abort(new Error("no time left"));
    return healthy;
  });
  await call(gone);
  await waitOut();
  const answer = await connection.attempt("check_in", () => {
    throw new Error("it was called");
  }, { signal: cut.signal });
  assertEquals(answer, { kind: "aborted" });
});

Deno.test("a call that is cut off already is told so at once", async () => {
  const { connection } = setUp();
  const cut = AbortSignal.abort(new Error("no time left"));
  let isAborted = false;
  await connection.attempt("check_in", ({ signal }) => {
    isAborted = signal.aborted;
    return Promise.resolve(fine);
  }, { signal: cut });
  assertEquals(isAborted, true);
});

Deno.test("retrySoon() never delays an attempt, and does nothing without an outage", async () => {
  const { connection, call } = setUp();
  connection.retrySoon(30_000);
  assertEquals(connection.waitMs("check_in"), 0);
  await call({ ...gone, offline: true });
  const before = connection.waitMs("check_in");
  assert(before > 0);
  connection.retrySoon(3_600_000);
  assert(connection.waitMs("check_in") <= before);
});

const TOKEN_DOUBT = { kind: "token", why: "HTTP 401", sinceMs: 0, refusals: 2 } as const;

Deno.test("isHealthy is false for an open breaker, a failed check-in, or an operator's matter", () => {
  const well = NEW_CONNECTION;
  const open = {
    state: "open",
    generation: 1,
    failures: 5,
    trips: 1,
    reason: "",
    sinceMs: 0,
    untilMs: 1e9,
  } as const;
  const failed = { failures: 1, notBeforeMs: -Infinity };
  const rows: [ConnectionState, boolean][] = [
    [well, true],
    [{ ...well, paths: { ...well.paths, delivery: failed } }, true],
    [{ ...well, paths: { ...well.paths, check_in: failed } }, false],
    [{ ...well, breaker: open }, false],
    [{ ...well, breaker: { ...open, state: "half_open", probeUntilMs: null } }, false],
    [{ ...well, doubt: { kind: "deleted", sinceMs: 0, hasCheckedIn: true } }, false],
    [{ ...well, doubt: { ...TOKEN_DOUBT, notBeforeMs: 0 } }, false],
    [{
      ...well,
      operatorAction: { cause: "forbidden", why: "HTTP 403", sinceMs: 0, notBeforeMs: 0 },
    }, false],
  ];
  for (const [state, isHealthy] of rows) {
    assertEquals(setUp(undefined, state).connection.isHealthy, isHealthy);
  }
});

Deno.test("retrySoon() never makes an offline host wait longer than it would have", async () => {
  const { connection, call, clock } = setUp();
  await call({ ...gone, offline: true });
  await clock.advance(connection.waitMs("check_in") - 1);
  connection.retrySoon(1e9);
  assertEquals(connection.waitMs("check_in"), 1);
});

Deno.test("reset() makes the late end of a call that was begun before it count for nothing", async () => {
  const { connection } = setUp();
  const late = Promise.withResolvers<typeof gone>();
  const call = connection.attempt("check_in", () => late.promise);
  connection.reset();
  late.resolve(gone);
  await call;
  assertEquals([connection.state.breaker.state, connection.state.breaker.failures], ["closed", 0]);
});

Deno.test("attempt() that is cut off while health is asked makes no call, and leaves no timer", async () => {
  const cut = new AbortController();
  const { connection, call, clock, waitOut } = setUp(() => {
    cut.abort(new Error("no time left"));
    return healthy;
  });
  await call(gone);
  await waitOut();
  const answer = await connection.attempt("check_in", () => {
    throw new Error("it was called");
  }, { signal: cut.signal });
  assertEquals([answer, clock.sleeping], [{ kind: "aborted" }, 0]);
});

Deno.test("attempt() asks for health before a probe, though nothing is known of an outage", async () => {
  const halfOpen = {
    state: "half_open",
    generation: 2,
    failures: 5,
    trips: 1,
    reason: "HTTP 502",
    sinceMs: 0,
    probeUntilMs: null,
  } as const;
  const state = { ...NEW_CONNECTION, breaker: halfOpen };
  const { asked, call, connection } = setUp(undefined, state);
  await call(fine);
  assertEquals([asked, connection.state.breaker.state], [[5_000], "closed"]);
});

Deno.test("a probe asks for health first, though the other path has ended the outage", async () => {
  const tripped = { generation: 2, failures: 5, trips: 1, reason: "", sinceMs: 0 };
  const { connection, asked, call } = setUp(undefined, {
    ...NEW_CONNECTION,
    breaker: { state: "half_open", ...tripped, probeUntilMs: null },
  });
  assertEquals(connection.state.outage, null);
  await call(fine);
  assertEquals(asked, [5_000]);
});

Deno.test("attempt() makes no call where a probe that was out came to no end, and tells how long to wait", async () => {
  // As an agent finds it that was killed in the middle of its probe.
  const { connection, clock } = setUp(undefined, {
    ...NEW_CONNECTION,
    breaker: {
      state: "half_open",
      generation: 2,
      failures: 5,
      trips: 1,
      reason: "HTTP 502",
      sinceMs: 0,
      probeUntilMs: 0,
    },
  });
  assertEquals(connection.waitMs("check_in"), 0);
  const answer = await connection.attempt("check_in", () => {
    throw new Error("it was called");
  });
  const { breaker } = connection.state;
  assert(breaker.state === "open" && breaker.untilMs > clock.monotonicMs());
  assertEquals(answer, {
    kind: "circuit_open",
    retryInMs: breaker.untilMs - clock.monotonicMs(),
  });
  assertEquals(connection.waitMs("check_in"), breaker.untilMs - clock.monotonicMs());
});

Deno.test("waitMs() is how long a refused token's own wait lasts, on every path", async () => {
  const doubt = { ...TOKEN_DOUBT, notBeforeMs: 60_000 };
  const { connection, clock } = setUp(undefined, { ...NEW_CONNECTION, doubt });
  await clock.advance(45_000);
  const leftMs = 60_000 - clock.monotonicMs();
  assertEquals([connection.waitMs("check_in"), connection.waitMs("delivery")], [leftMs, leftMs]);
  assert(leftMs > 0);
  const answer = await connection.attempt("check_in", () => {
    throw new Error("it was called");
  });
  assertEquals(answer, { kind: "backoff", retryInMs: leftMs });
  await clock.advance(leftMs);
  assertEquals([connection.waitMs("check_in"), connection.waitMs("delivery")], [0, 0]);
});

Deno.test("a failure is told with how long its own call took", async () => {
  const { connection, clock, log } = setUp();
  await clock.advance(3_600_000); // The clock does not begin at nothing.
  const { promise, resolve } = Promise.withResolvers<typeof gone>();
  const attempt = connection.attempt("check_in", () => promise);
  await clock.advance(1_250);
  resolve(gone);
  await attempt;
  assertEquals(log.told("server did not answer in time").map(({ took_ms }) => took_ms), [1_250]);
});

Deno.test("a call that was on its way before another led to a wait ends that wait on no path", async () => {
  const busy = { kind: "failed", why: "HTTP 503", status: 503, offline: false } as const;
  const rows = [
    { ...busy, retryAfterMs: 10_000 },
    { ...busy, retryAfterMs: null },
    { kind: "limited", why: "HTTP 429", retryAfterMs: 10_000 } as const,
  ];
  for (const answer of rows) {
    const { connection, clock } = setUp();
    const calls = (["delivery", "delivery", "check_in"] as const).map((path) => {
      const { promise, resolve } = Promise.withResolvers<Answer<unknown>>();
      return { path, resolve, made: connection.attempt(path, () => promise) };
    });
    const [first, ...others] = calls;
    first!.resolve(answer);
    await first!.made;
    const waits = () => [connection.waitMs("delivery"), connection.waitMs("check_in")];
    const before = waits();
    assert(before[0]! > 0);
    const isAsked = answer.kind === "failed" && answer.retryAfterMs !== null;
    assertEquals(before[1]! > 0, isAsked);
    for (const { resolve, made } of others) {
      resolve(fine);
      await made;
    }
    assertEquals(waits(), before, JSON.stringify(answer));
    assertEquals(connection.state.outage !== null, isAsked);
    await clock.advance(Math.max(...waits()));
    await connection.attempt("delivery", () => Promise.resolve(fine));
    assertEquals([...waits(), connection.state.outage], [0, 0, null]);
  }
});
