import { assert, assertEquals } from "@std/assert";
import { Connection } from "../../src/loop/connection.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { connectionPolicies } from "../../src/loop/transition.ts";
import type { Answer } from "../../src/server/answer.ts";
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

function setUp() {
  const { clock, random } = new FakeSystem();
  const asked: (number | undefined)[] = [];
  const mode = { isRapid: false };
  const connection = new Connection({
    clock,
    random,
    log: new FakeLog(),
    policies: connectionPolicies({ backoff, breaker, intervalMs: 300_000 }),
    isRapid: () => mode.isRapid,
    callLimitMs: 100_000,
    checkHealth: ({ timeoutMs }) => {
      asked.push(timeoutMs);
      const value = { status: "healthy", usable: true };
      return Promise.resolve({ kind: "ok", value, rateLimit: null });
    },
    countPending: () => 0,
  }, NEW_STATE.connection);
  const call = (answer: Answer<string>) =>
    connection.attempt("check_in", () => Promise.resolve(answer));
  const waitOut = () => clock.advance(connection.waitMs("check_in"));
  return { connection, asked, call, waitOut, mode };
}

Deno.test("attempt() asks nothing of health where the server has answered 5xx: the call is the probe", async () => {
  const { asked, connection, call, waitOut } = setUp();
  const broken: Answer<never> = { ...gone, why: "HTTP 500", status: 500 };
  for (let count = 0; count < 6; count++) {
    await call(broken);
    await waitOut();
  }
  assertEquals([connection.state.breaker.state, asked], ["open", []]);
  // Not reached, or reached by something else: health goes first again.
  await call(gone);
  await waitOut();
  await call({ ...gone, why: "a page", status: 200 });
  await waitOut();
  await call(broken);
  assertEquals(asked.length, 2);
  await waitOut();
  assertEquals((await call(fine)).kind, "ok");
  assertEquals([connection.state.breaker.state, asked.length], ["closed", 2]);
});

Deno.test("rapid polling keeps each wait within 30 s, one of an open breaker too", async () => {
  const { connection, call, waitOut, mode } = setUp();
  for (const answer of [gone, gone, gone, gone]) {
    await waitOut();
    await call(answer);
  }
  const longMs = connection.waitMs("check_in");
  assert(longMs > 30_000, `${longMs}`);
  mode.isRapid = true;
  connection.onRapidPolling();
  const shortMs = connection.waitMs("check_in");
  assert(shortMs >= 15_000 && shortMs <= 30_000, `${shortMs}`);
  for (let count = 0; count < 20; count++) {
    await waitOut();
    await call(gone);
    const waitMs = connection.waitMs("check_in");
    assert(waitMs >= 15_000 && waitMs <= 30_000, `${waitMs}`);
  }
  connection.onRapidPolling();
  assert(connection.waitMs("check_in") <= 30_000);
  mode.isRapid = false;
  await waitOut();
  await call(gone);
  assert(connection.waitMs("check_in") > 30_000);
});
