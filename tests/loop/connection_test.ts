import { assert, assertEquals, assertRejects } from "@std/assert";
import { connectionPolicy } from "../../src/breaker/connection.ts";
import { ceilingMs } from "../../src/loop/backoff.ts";
import { Connection } from "../../src/loop/connection.ts";
import { type ConnectionState, NEW_STATE } from "../../src/loop/state.ts";
import type { Answer } from "../../src/server/answer.ts";
import type { Health } from "../../src/server/protocol.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const backoff = { baseMs: 5_000, capMs: 300_000, floorMs: 500 };
const breaker = {
  consecutiveFailures: 2,
  windowFailures: 5,
  windowSize: 10,
  minOpenMs: 60_000,
  maxOpenMs: 300_000,
  probeTimeoutMs: 10_000,
};
const fine: Answer<string> = { kind: "ok", value: "fine", rateLimit: null };
const gone: Answer<never> = {
  kind: "failed",
  why: "connection refused",
  status: null,
  offline: false,
  retryAfterMs: null,
};
const healthy: Answer<Health> = {
  kind: "ok",
  value: { status: "healthy", usable: true },
  rateLimit: null,
};

function setUp(
  health: () => Answer<Health> = () => healthy,
  state: ConnectionState = NEW_STATE.connection,
) {
  const { clock, random } = new FakeSystem();
  const asked: (number | undefined)[] = [];
  const log = new FakeLog();
  const connection = new Connection({
    clock,
    random,
    log,
    policy: {
      backoff,
      breaker: connectionPolicy(breaker, (n) => ceilingMs(n, backoff)),
      intervalMs: 300_000,
    },
    callLimitMs: 100_000,
    checkHealth: ({ timeoutMs }) => {
      asked.push(timeoutMs);
      return Promise.resolve(health());
    },
    countPending: () => 7,
  }, state);
  const call = (answer: Answer<string>) =>
    connection.attempt("check_in", () => Promise.resolve(answer));
  const waitOut = () => clock.advance(connection.waitMs("check_in"));
  return { clock, connection, asked, log, call, waitOut };
}

Deno.test("attempt() withholds a call in a backoff, and tells how long", async () => {
  const { connection, call } = setUp();
  await call(gone);
  const withheld = await call(fine);
  assert(withheld.kind === "withheld" && withheld.retryInMs === connection.waitMs("check_in"));
  assert(withheld.retryInMs >= 500 && withheld.retryInMs <= 5_000);
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
  assertEquals(connection.state.breaker, NEW_STATE.connection.breaker);
});

Deno.test("a call that is cut off is told so, and one that is over no more", async () => {
  const { connection } = setUp();
  const cut = new AbortController();
  const signals: AbortSignal[] = [];
  const attempt = (answer: Promise<typeof fine>) =>
    connection.attempt("check_in", ({ signal }) => {
      signals.push(signal);
      return answer;
    }, { cut: cut.signal });
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
  assertEquals(connection.state.outage?.attempts, 1);
});

Deno.test("hurry() leaves a server's wish alone that was the first word after a host was offline", async () => {
  const { connection, call, clock } = setUp();
  await call({ ...gone, offline: true });
  await clock.advance(connection.waitMs("check_in"));
  await call({ kind: "limited", why: "HTTP 429", retryAfterMs: 900_000 });
  const waitMs = connection.waitMs("check_in");
  assert(waitMs >= 900_000);
  connection.hurry(30_000);
  assertEquals(connection.waitMs("check_in"), waitMs);
});

Deno.test("hurry() shortens the wait of an offline host, and of no other", async () => {
  const offline = { ...gone, offline: true };
  const { connection, call, clock } = setUp();
  for (let attempt = 0; attempt < 6; attempt++) {
    await call(offline);
    await clock.advance(connection.waitMs("check_in"));
  }
  await call(offline);
  assertEquals(connection.state.breaker.state, "closed");
  connection.hurry(1_000);
  assert(connection.waitMs("check_in") <= 1_000);
  const other = setUp();
  await other.call({ ...gone, retryAfterMs: 60_000 });
  other.connection.hurry(1_000);
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

Deno.test("isHealthy is false for an open breaker, a failed check-in, or an operator's matter", () => {
  const { connection: well } = NEW_STATE;
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
    [{ ...well, needsPerson: { why: "HTTP 403", notBeforeMs: 0 } }, false],
  ];
  for (const [state, isHealthy] of rows) {
    assertEquals(setUp(undefined, state).connection.isHealthy, isHealthy);
  }
});

Deno.test("hurry() never makes an offline host wait longer than it would have", async () => {
  const { connection, call, clock } = setUp();
  await call({ ...gone, offline: true });
  await clock.advance(connection.waitMs("check_in") - 1);
  connection.hurry(1e9);
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
  }, { cut: cut.signal });
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
  const state = { ...NEW_STATE.connection, breaker: halfOpen };
  const { asked, call, connection } = setUp(undefined, state);
  await call(fine);
  assertEquals([asked, connection.state.breaker.state], [[5_000], "closed"]);
});
