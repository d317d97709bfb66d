import { assert, assertEquals, assertRejects } from "@std/assert";
import { BreakerResetRequests, closeBreaker, CONNECTION } from "../../src/agent/breaker_reset.ts";
import { acquireInstanceLock } from "../../src/agent/instance_lock.ts";
import {
  loadScannerBreakers,
  loadState,
  saveScannerBreakers,
  saveState,
} from "../../src/agent/saved_state.ts";
import type { Breaker } from "../../src/breaker/breaker.ts";
import { type AgentState, NEW_STATE } from "../../src/loop/state.ts";
import { everyFiveSeconds, settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const REQUEST = "/state/breaker-reset.json";
const HOUR_MS = 3_600_000;

function openSince(nowMs: number): Breaker {
  return {
    state: "open",
    generation: 6,
    failures: 5,
    trips: 1,
    reason: "HTTP 502",
    sinceMs: nowMs,
    untilMs: nowMs + HOUR_MS,
  };
}

function setUp() {
  const system = new FakeSystem();
  const log = new FakeLog();
  const reset = (name: string) => closeBreaker(system, { stateDirectory: "/state", log }, name);
  return { system, log, reset };
}

Deno.test("closeBreaker() closes the connection's on disk, and leaves all else in the state", async () => {
  const { system, log, reset } = setUp();
  const nowMs = system.clock.monotonicMs();
  const path = { failures: 6, notBeforeMs: nowMs + HOUR_MS };
  const before: AgentState = {
    connection: {
      breaker: openSince(nowMs),
      paths: { check_in: path, delivery: path },
      outage: {
        sinceMs: nowMs - 60_000,
        failedCalls: 6,
        why: "HTTP 502",
        offline: false,
        status: 502,
      },
      doubt: null,
      operatorAction: {
        cause: "forbidden",
        why: "HTTP 403",
        sinceMs: nowMs,
        notBeforeMs: nowMs + HOUR_MS,
      },
    },
    rapidUntilMs: nowMs + 50 * HOUR_MS,
    nextCheckInAtMs: nowMs + 50 * HOUR_MS,
    afterCrashAtMs: null,
    lastCheckInAtMs: nowMs - 1_000,
    lastSystemInfoAtMs: nowMs - 2_000,
    isOnce: true,
  };
  await saveState(system, "/state", before);
  assertEquals(await reset(CONNECTION), { byAgent: false });
  const longest = { notBeforeMs: 1e12, openMs: 1e12, rapidMs: 1e12, intervalMs: 1e12 };
  assertEquals(await loadState(system, "/state", { longest, log }), {
    ...before,
    connection: {
      breaker: { state: "closed", generation: 7, failures: 0, recent: [] },
      paths: NEW_STATE.connection.paths,
      outage: before.connection.outage,
      doubt: null,
      operatorAction: null,
    },
    nextCheckInAtMs: null,
  });
  // The directory is unlocked again.
  await (await acquireInstanceLock(system, "/state", "run")).release();
});

Deno.test("closeBreaker() closes one scanner's on disk, and leaves the others'", async () => {
  const { system, reset } = setUp();
  const open = openSince(system.clock.monotonicMs());
  await saveScannerBreakers(system, "/state", new Map([["apt", open], ["dnf", open]]));
  await reset("apt");
  await reset("winget"); // One that was never used.
  const closed = { state: "closed", failures: 0, recent: [] } as const;
  assertEquals(
    await loadScannerBreakers(system, "/state", HOUR_MS),
    new Map<string, Breaker>([
      ["apt", { ...closed, generation: 7 }],
      ["dnf", open],
      ["winget", { ...closed, generation: 1 }],
    ]),
  );
});

/** A running agent that handles requests. */
async function running() {
  const { system, log, reset } = setUp();
  const hold = await acquireInstanceLock(system, "/state", "run");
  const taken: string[] = [];
  const agent = {
    reset: (name: string): Promise<void> => Promise.resolve(void taken.push(name)),
  };
  const requests = new BreakerResetRequests({
    files: system.files,
    stateDirectory: "/state",
    log,
    reset: (name: string) => agent.reset(name),
  });
  const end = new AbortController();
  const taking = everyFiveSeconds(system.clock, end.signal, () => requests.handle());
  await settle();
  return {
    system,
    log,
    reset,
    taken,
    agent,
    async end() {
      end.abort();
      await taking;
      await hold.release();
    },
  };
}

Deno.test("a running agent handles a reset within 5 s, once, and the command returns after that", async () => {
  const { system, log, reset, taken, end } = await running();
  let told: { byAgent: boolean } | undefined;
  reset("apt").then((done) => told = done);
  await system.clock.advance(4_999);
  assertEquals([taken, told, system.files.texts.has(REQUEST)], [[], undefined, true]);
  await system.clock.advance(1);
  assertEquals([taken, system.files.texts.has(REQUEST)], [["apt"], false]);
  await system.clock.advance(10_000);
  assertEquals([taken, told], [["apt"], { byAgent: true }]);
  assertEquals(log.told("breaker reset by an operator"), [{ breaker: "apt" }]);
  await end();
});

Deno.test("closeBreaker() removes its request if the agent does not handle it within 15 s", async () => {
  const { system, reset } = setUp();
  await acquireInstanceLock(system, "/state", "run");
  const asked = assertRejects(() => reset(CONNECTION), Error, "within 15 s. Next: restart");
  await settle();
  await system.clock.advance(200); // Until the lock is known to be another agent's.
  await system.clock.advance(14_999);
  assertEquals(system.files.texts.has(REQUEST), true);
  await system.clock.advance(1);
  await asked;
  assertEquals(system.files.texts.has(REQUEST), false);
});

Deno.test("a request that cannot be read is removed, and resets nothing", async () => {
  const { system, log, taken, end } = await running();
  const name = "x".repeat(50);
  const rows: [text: string, taken: string[]][] = [
    ["{", []],
    ["null", []],
    ["{}", []],
    ['{"name":5}', []],
    [JSON.stringify({ name: `${name}x` }), []],
    [JSON.stringify({ name }), [name]],
    [JSON.stringify({ schema: "pennon.breaker-reset-request/1", name }), [name]],
    [JSON.stringify({ schema: "pennon.breaker-reset-request/2", name }), []],
  ];
  for (const [text, expected] of rows) {
    system.files.texts.set(REQUEST, text);
    await system.clock.advance(5_000);
    assertEquals(taken.splice(0), expected, text);
    assertEquals(system.files.texts.has(REQUEST), false, text);
  }
  assertEquals(log.told("reset request failed").length, 6);
  await end();
});

Deno.test("a request that fails is removed and logged; an unreadable directory is logged once", async () => {
  const { system, log, agent, taken, end } = await running();
  const { reset } = agent;
  agent.reset = () => Promise.reject(new Error("no such breaker"));
  system.files.texts.set(REQUEST, '{"name":"apt"}');
  await system.clock.advance(12_000);
  assertEquals(system.files.texts.has(REQUEST), false);
  const failures = () => log.told("reset request failed");
  assertEquals(failures(), [{ why: "Error: no such breaker" }]);
  system.files.fail("read the reset request", "denied");
  await system.clock.advance(5_000);
  assertEquals(failures().length, 2);
  await system.clock.advance(60_000);
  assertEquals(failures().length, 2);
  system.files.heal("read the reset request");
  agent.reset = reset;
  await system.clock.advance(5_000);
  system.files.texts.set(REQUEST, '{"name":"apt"}');
  await system.clock.advance(5_000);
  assertEquals(taken, ["apt"]);
  // After a success, the next failure is logged again.
  system.files.fail("read the reset request", "denied");
  await system.clock.advance(5_000);
  assertEquals(failures().length, 3);
  await end();
  assert(system.clock.sleeping === 0);
});

Deno.test("closeBreaker() makes no state directory: a mistyped path is an error", async () => {
  const system = new FakeSystem();
  const state = { stateDirectory: "/nowhere", log: new FakeLog() };
  await assertRejects(
    () => closeBreaker(system, state, CONNECTION),
    Error,
    'no directory "/nowhere"',
  );
  assertEquals([...system.files.texts.keys()].filter((path) => path.startsWith("/nowhere")), []);
});
