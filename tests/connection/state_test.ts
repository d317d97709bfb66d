import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { admit, NEW_BREAKER } from "../../src/breaker/breaker.ts";
import { connectionPolicy } from "../../src/breaker/policies.ts";
import {
  type AnswerStep,
  applyAnswer,
  type ConnectionState,
  NEW_CONNECTION,
  type Path,
  resetConnection,
  verdictOf,
  whyOf,
  withoutOldRefusal,
} from "../../src/connection/state.ts";
import type { Answer } from "../../src/server/answer.ts";
import { backoff, breaker as settings, INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { inWorld } from "../fakes/world.ts";

const breaker = connectionPolicy(settings, backoff);

const ok: Answer<unknown> = { kind: "ok", value: {}, rateLimit: null };

/** Of a proxy in front of the server. */
const FOREIGN: Answer<unknown> = {
  kind: "refused",
  why: "HTTP 404",
  status: 404,
  isForeign: true,
};

function failed(extra: { offline?: boolean; retryAfterMs?: number } = {}): Answer<unknown> {
  return {
    kind: "failed",
    why: "HTTP 502",
    status: 502,
    offline: extra.offline ?? false,
    retryAfterMs: extra.retryAfterMs ?? null,
  };
}

function after(
  answers: Answer<unknown>[],
  options: { path?: Path; draw?: number; nowMs?: number } = {},
): ConnectionState {
  const { path = "check_in", draw = 0.5, nowMs = 1_000 } = options;
  return answers.reduce<ConnectionState>(
    (state, answer) =>
      applyAnswer(state, answer, {
        path,
        permit: { generation: state.breaker.generation, probe: false },
        nowMs,
        random: () => draw,
        policy: { backoff, breaker, intervalMs: 300_000 },
      }),
    NEW_CONNECTION,
  );
}

function waitAfter(answers: Answer<unknown>[], draw = 0.5): number {
  return after(answers, { draw }).paths.check_in.notBeforeMs - 1_000;
}

Deno.test("verdictOf() says what each answer says of the server's health", () => {
  const rows: [Answer<unknown>, string][] = [
    [ok, "success"],
    [{ kind: "refused", why: "HTTP 400", status: 400 }, "success"],
    [{ kind: "refused", why: "HTTP 404", status: 404, isForeign: true }, "neutral"],
    [{ kind: "report_failed", why: "HTTP 500" }, "neutral"],
    [failed(), "failure"],
    [failed({ offline: true }), "neutral"],
    [{ kind: "limited", why: "HTTP 429", retryAfterMs: null }, "neutral"],
    [{ kind: "unauthorized", why: "HTTP 401" }, "neutral"],
    [{ kind: "operator_required", why: "HTTP 403" }, "neutral"],
    [{ kind: "aborted" }, "neutral"],
  ];
  for (const [answer, verdict] of rows) assertEquals(verdictOf(answer), verdict, answer.kind);
});

Deno.test("applyAnswer() backs off further with each failure", () => {
  assertEquals(waitAfter([failed()], 0), 500);
  assertEquals(waitAfter([failed()], 1), 5_000);
  assertEquals(waitAfter([failed(), failed(), failed()], 1), 20_000);
});

Deno.test("applyAnswer() lets a success reset the backoff, the outage and nothing else", () => {
  const state = after([failed(), failed(), ok]);
  assertEquals(state.paths.check_in, { failures: 0, notBeforeMs: -Infinity });
  assertEquals(state.outage, null);
});

Deno.test("applyAnswer() learns nothing from a server that fails on one event", () => {
  const broke: Answer<unknown> = { kind: "report_failed", why: "HTTP 500" };
  assertEquals(after([failed(), failed(), broke]), after([failed(), failed()]));
  assertEquals(after([broke]), NEW_CONNECTION);
});

Deno.test("applyAnswer() counts each path by itself", () => {
  const checkInFails = after([failed(), failed()]);
  assertEquals(checkInFails.paths.delivery, NEW_CONNECTION.paths.delivery);
  const step = {
    path: "delivery",
    permit: { generation: 0, probe: false },
    nowMs: 1_000,
    random: () => 0.5,
    policy: { backoff, breaker, intervalMs: 300_000 },
  } as const;
  assertEquals(applyAnswer(checkInFails, ok, step).paths.check_in.failures, 2);
});

Deno.test("applyAnswer() ignores a success that is older than a wait, but no failure", () => {
  const waiting = after([failed(), failed()]);
  const step = {
    path: "check_in",
    permit: null,
    isOlder: true,
    nowMs: 1_000,
    random: () => 0.5,
    policy: { backoff, breaker, intervalMs: INTERVAL_MS },
  } as const;
  assertEquals(applyAnswer(waiting, ok, step).paths, waiting.paths);
  assertEquals(applyAnswer(waiting, ok, step).outage, waiting.outage);
  assertEquals(applyAnswer(waiting, failed(), step).paths.check_in.failures, 3);
  assertEquals(applyAnswer(waiting, failed(), step).outage?.failedCalls, 3);
});

Deno.test("while the breaker is open the outage goes on, whatever answers come, and however late", () => {
  const call = fc.record({
    answer: fc.constantFrom<Answer<unknown>>(ok, failed(), failed(), { kind: "aborted" }),
    path: fc.constantFrom<Path>("check_in", "delivery"),
    /** How many calls begin before this one ends, and how long it takes until then. */
    begunMeanwhile: fc.nat(3),
    tookMs: fc.constantFrom(0, 1_000, 9_999, 10_000, 10_001, 60_000),
  });
  fc.assert(fc.property(fc.array(call, { maxLength: 40, size: "max" }), (calls) => {
    const policy = { backoff, breaker, intervalMs: 300_000 };
    let state = NEW_CONNECTION;
    let nowMs = 1_000;
    let inFlight: { end: (state: ConnectionState) => ConnectionState; left: number }[] = [];
    for (const { answer, path, begunMeanwhile, tookMs } of calls) {
      const admission = admit(state.breaker, { nowMs, policy: breaker, random: () => 0.5 });
      state = { ...state, breaker: admission.breaker };
      if (admission.admitted) {
        const { permit } = admission;
        const end = (before: ConnectionState) =>
          applyAnswer(before, answer, { path, permit, nowMs, random: () => 0.5, policy });
        inFlight.push({ end, left: begunMeanwhile });
      }
      nowMs += tookMs;
      for (const { end } of inFlight.filter(({ left }) => left === 0)) {
        state = end(state);
        assert(state.breaker.state !== "open" || state.outage !== null);
      }
      inFlight = inFlight.filter(({ left }) => left > 0)
        .map((one) => ({ ...one, left: one.left - 1 }));
    }
  }));
});

Deno.test("applyAnswer() does nothing before Retry-After, and adds a fifth of it at most", () => {
  for (const [draw, expectedMs] of [[0, 30_000], [1, 36_000]] as const) {
    assertEquals(waitAfter([failed({ retryAfterMs: 30_000 })], draw), expectedMs);
    const limited: Answer<unknown> = { kind: "limited", why: "HTTP 429", retryAfterMs: 30_000 };
    assertEquals(waitAfter([limited], draw), expectedMs);
  }
});

Deno.test("applyAnswer() backs off by itself at a 429 without a time, and opens no breaker", () => {
  const limited: Answer<unknown> = { kind: "limited", why: "HTTP 429", retryAfterMs: null };
  assertEquals(waitAfter([limited, limited], 1), 10_000);
  assertEquals(after(new Array(50).fill(limited)).breaker, NEW_BREAKER);
});

Deno.test("applyAnswer() never waits more than 30 s while this host is offline", () => {
  assertEquals(waitAfter(new Array(4).fill(failed({ offline: true })), 1), 30_000);
});

Deno.test("applyAnswer() opens the breaker at the fifth failure and tells the outage's length", () => {
  const state = after(new Array(5).fill(failed()));
  assert(state.breaker.state === "open");
  assertEquals(state.outage, {
    sinceMs: 1_000,
    failedCalls: 5,
    why: "HTTP 502",
    offline: false,
    status: 502,
  });
});

Deno.test("applyAnswer() asks once an hour while operator action is required, until the server accepts it", () => {
  const refused: Answer<unknown> = { kind: "operator_required", why: "HTTP 403" };
  const state = after([refused], { draw: 0 });
  assertEquals(state.operatorAction, {
    cause: "forbidden",
    why: "HTTP 403",
    sinceMs: 1_000,
    notBeforeMs: 1_000 + 3_600_000,
  });
  assertEquals(after([refused, failed()]).operatorAction?.why, "HTTP 403");
  assertEquals(after([refused, FOREIGN]).operatorAction?.why, "HTTP 403");
  assertEquals(after([refused, ok]).operatorAction, null);
});

Deno.test("applyAnswer() believes a refusal of the host at once, and keeps its cause and its start", () => {
  const facts = { machineId: "m1", version: "1.0.0", minimumVersion: "2.0.0" };
  const refused: Answer<unknown> = {
    kind: "operator_required",
    why: "HTTP 426",
    refusal: { cause: "version_too_old", facts },
  };
  const state = after([refused, refused], { draw: 0 });
  assertEquals(state.operatorAction, {
    cause: "version_too_old",
    why: "HTTP 426",
    facts,
    sinceMs: 1_000,
    notBeforeMs: state.operatorAction?.notBeforeMs ?? 0,
  });
  assertEquals(state.breaker.state, "closed");
  const other = after([refused, { kind: "operator_required", why: "HTTP 403" }]);
  assertEquals([other.operatorAction?.cause, other.operatorAction?.facts], [
    "forbidden",
    undefined,
  ]);
  assertEquals(after([refused, ok]).operatorAction, null);
});

Deno.test("withoutOldRefusal() waits no longer where the version or the machine id has changed", () => {
  const facts = { machineId: "m1", version: "1.0.0" };
  const refused: Answer<unknown> = {
    kind: "operator_required",
    why: "HTTP 426",
    refusal: { cause: "version_too_old", facts },
  };
  const state = after([refused]);
  assertEquals(withoutOldRefusal(state, facts), state);
  for (const changed of [{ ...facts, version: "1.0.1" }, { ...facts, machineId: "m2" }]) {
    const { operatorAction } = withoutOldRefusal(state, changed);
    assertEquals(operatorAction, { ...state.operatorAction!, notBeforeMs: -Infinity });
  }
  // A refusal that says nothing of either waits on.
  const forbidden = after([{ kind: "operator_required", why: "HTTP 403" }]);
  assertEquals(withoutOldRefusal(forbidden, { machineId: "m2", version: "2" }), forbidden);
  assertEquals(withoutOldRefusal(after([]), { machineId: "m2", version: "2" }), after([]));
});

Deno.test("applyAnswer() leaves everything as it was when we stopped the call ourselves", () => {
  const before = after([failed()]);
  const state = applyAnswer(before, { kind: "aborted" }, {
    path: "check_in",
    permit: { generation: 0, probe: false },
    nowMs: 2_000,
    random: () => 0.5,
    policy: { backoff, breaker, intervalMs: 300_000 },
  });
  assertEquals(state, before);
});

Deno.test("applyAnswer() heeds a 503 with a time on both paths, and one without on its own", () => {
  const asked = after([failed({ retryAfterMs: 30_000 })], { draw: 0 }).paths;
  assertEquals(asked.check_in, { failures: 1, notBeforeMs: 31_000 });
  assertEquals(asked.delivery, { failures: 0, notBeforeMs: 31_000 });
  assertEquals(after([failed()]).paths.delivery.notBeforeMs, -Infinity);
});

Deno.test("applyAnswer() shortens no wait of the other path by what the server asks on this one", () => {
  const step = (path: Path) => ({
    path,
    permit: { generation: 0, probe: false },
    nowMs: 1_000,
    random: () => 0,
    policy: { backoff, breaker, intervalMs: 300_000 },
  });
  const slow = applyAnswer(NEW_CONNECTION, failed({ retryAfterMs: 60_000 }), step("delivery"));
  const both = applyAnswer(slow, failed({ retryAfterMs: 10_000 }), step("check_in"));
  assertEquals(both.paths.delivery.notBeforeMs, 61_000);
});

Deno.test("applyAnswer() counts a 429 among the failures of its path alone, until one is answered well", () => {
  const limited: Answer<unknown> = { kind: "limited", why: "HTTP 429", retryAfterMs: 5_000 };
  const state = after([limited, limited]);
  assertEquals([state.paths.check_in.failures, state.paths.delivery.failures], [2, 0]);
  assertEquals(state.paths.delivery.notBeforeMs, -Infinity, "its time is for this path");
  assertEquals(after([limited, ok]).paths.check_in.failures, 0);
  const refused: Answer<unknown> = { kind: "refused", why: "HTTP 400", status: 400 };
  assertEquals(after([limited, refused]).paths.check_in, { failures: 0, notBeforeMs: -Infinity });
  assertEquals(after([failed(), FOREIGN]), after([failed()]), "a proxy's page changes nothing");
});

Deno.test("applyAnswer() knows from any answer that this host is online again", () => {
  const offline = failed({ offline: true });
  assertEquals(after([offline]).outage?.offline, true);
  const answers: Answer<unknown>[] = [
    { kind: "limited", why: "HTTP 429", retryAfterMs: null },
    { kind: "unauthorized", why: "HTTP 401" },
    { kind: "operator_required", why: "HTTP 403" },
    failed(),
  ];
  for (const answer of answers) {
    assertEquals(after([offline, answer]).outage?.offline, false, answer.kind);
    if (answer.kind !== "failed") assertEquals(after([answer]).outage, null, answer.kind);
  }
  const refused: Answer<unknown> = { kind: "refused", why: "HTTP 400", status: 400 };
  assertEquals(after([offline, refused]).outage, null);
  assertEquals(after([offline, { ...refused, isForeign: true }]).outage?.offline, true);
  assertEquals(after([offline, { kind: "aborted" }]).outage?.offline, true);
});

Deno.test("applyAnswer() keeps an offline host within a cap that is shorter than 30 s", () => {
  const short = { ...backoff, capMs: 10_000 };
  const step = {
    path: "check_in",
    permit: null,
    nowMs: 0,
    random: () => 1,
    policy: { backoff: short, breaker, intervalMs: 300_000 },
  } as const;
  const offline = { failures: 9, notBeforeMs: 0 };
  const before = { ...NEW_CONNECTION, paths: { check_in: offline, delivery: offline } };
  const state = applyAnswer(before, failed({ offline: true }), step);
  assertEquals(state.paths.check_in.notBeforeMs, 10_000);
});

Deno.test("applyAnswer() of a call that the breaker has judged itself brings only its time up to date", () => {
  const step = {
    path: "check_in",
    permit: null,
    nowMs: 70_000,
    random: () => 1,
    policy: { backoff, breaker, intervalMs: 300_000 },
  } as const;
  const open = after(new Array(5).fill(failed()), { draw: 1 });
  assert(open.breaker.state === "open" && open.breaker.untilMs > 70_000);
  assertEquals(applyAnswer(open, failed(), step).breaker, open.breaker);
  const later = { ...step, nowMs: open.breaker.untilMs };
  assertEquals(applyAnswer(open, failed(), later).breaker.state, "half_open");
  assertEquals(applyAnswer(NEW_CONNECTION, failed(), step).breaker, NEW_BREAKER);
});

Deno.test("whyOf() is empty where nothing is wrong", () => {
  assertEquals([whyOf(ok), whyOf({ kind: "aborted" }), whyOf(failed())], ["", "", "HTTP 502"]);
});

function stepAt(nowMs: number, options: { draw?: number; intervalMs?: number } = {}): AnswerStep {
  const { draw = 0.5, intervalMs = 300_000 } = options;
  return {
    path: "check_in",
    permit: { generation: 0, probe: false },
    nowMs,
    random: () => draw,
    policy: { backoff, breaker, intervalMs },
  };
}

Deno.test("applyAnswer() lets no Retry-After shorten the backoff, nor the backoff a Retry-After", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 3_600_000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    (failures, retryAfterMs, draw) => {
      const answers = new Array(failures).fill(failed({ retryAfterMs }));
      const waitMs = waitAfter(answers, draw);
      const backoffOnlyMs = waitAfter(new Array(failures).fill(failed()), draw);
      const stretchedMs = retryAfterMs * (1 + 0.2 * draw);
      assert(Math.abs(waitMs - Math.max(backoffOnlyMs, stretchedMs)) < 0.001, `${waitMs}`);
    },
  ));
  assertEquals(waitAfter(new Array(4).fill(failed({ retryAfterMs: 1_000 })), 1), 40_000);
});

Deno.test("applyAnswer() delays the attempt that opens the breaker by that alone, or by a Retry-After", () => {
  assertEquals(waitAfter(new Array(4).fill(failed()), 1), 40_000);
  const open = after(new Array(5).fill(failed()), { draw: 1 });
  assert(open.breaker.state === "open" && open.breaker.untilMs === 81_000);
  assertEquals(open.paths.check_in, { failures: 5, notBeforeMs: 1_000 });
  // So does the probe that opens it again.
  const probing = { ...open, breaker: { ...open.breaker, untilMs: 0 } };
  const probe = { generation: open.breaker.generation + 1, probe: true };
  const again = applyAnswer(probing, failed(), { ...stepAt(200_000), permit: probe });
  assertEquals([again.breaker.state, again.paths.check_in.notBeforeMs], ["open", 200_000]);
  assertEquals(waitAfter(new Array(5).fill(failed({ retryAfterMs: 90_000 })), 0), 90_000);
});

Deno.test("applyAnswer() waits no longer offline than the cap, where that is under 30 s", () => {
  const policy = { backoff: { ...backoff, capMs: 10_000 }, breaker, intervalMs: 300_000 };
  const offline = new Array(6).fill(failed({ offline: true }));
  const state = offline.reduce<ConnectionState>(
    (state, answer) => applyAnswer(state, answer, { ...stepAt(1_000, { draw: 1 }), policy }),
    NEW_CONNECTION,
  );
  assertEquals(state.paths.check_in.notBeforeMs, 1_000 + 10_000);
});

Deno.test("applyAnswer() asks at the interval where that is over an hour, a fifth later by chance", () => {
  const refused: Answer<unknown> = { kind: "operator_required", why: "HTTP 403" };
  const rows = [
    [300_000, 0, 3_600_000],
    [300_000, 1, 4_320_000],
    [7_200_000, 0, 7_200_000],
    [7_200_000, 1, 8_640_000],
  ] as const;
  for (const [intervalMs, draw, waitMs] of rows) {
    const state = applyAnswer(NEW_CONNECTION, refused, stepAt(1_000, { draw, intervalMs }));
    assertEquals(state.operatorAction?.notBeforeMs, 1_000 + waitMs);
  }
});

Deno.test("applyAnswer() keeps the hourly pace while the server only fails, or slows us down", () => {
  const before = after([{ kind: "operator_required", why: "HTTP 403" }], { draw: 0 });
  const limited: Answer<unknown> = { kind: "limited", why: "HTTP 429", retryAfterMs: null };
  for (const answer of [failed(), limited]) {
    const state = applyAnswer(before, answer, stepAt(5_000_000, { draw: 0 }));
    assertEquals(state.operatorAction?.notBeforeMs, 5_000_000 + 3_600_000);
  }
  assertEquals(applyAnswer(before, { kind: "aborted" }, stepAt(5_000_000)), before);
});

Deno.test("applyAnswer() lets a server's wish shorten no longer wait of another path", () => {
  const delivery = { failures: 3, notBeforeMs: 900_000 };
  const before = { ...NEW_CONNECTION, paths: { ...NEW_CONNECTION.paths, delivery } };
  const state = applyAnswer(before, failed({ retryAfterMs: 30_000 }), stepAt(1_000, { draw: 0 }));
  assertEquals([state.paths.check_in.notBeforeMs, state.paths.delivery], [31_000, delivery]);
});

Deno.test("applyAnswer() counts an outage from its first failure, and tells the latest", () => {
  const first = applyAnswer(NEW_CONNECTION, failed(), stepAt(1_000));
  const later: Answer<unknown> = {
    kind: "failed",
    why: "refused",
    status: null,
    offline: true,
    retryAfterMs: null,
  };
  const outage = { sinceMs: 1_000, failedCalls: 2, why: "refused", offline: true, status: null };
  const second = applyAnswer(first, later, stepAt(50_000));
  assertEquals(second.outage, outage);
  // The server was reached, so that this host is not offline any more.
  const limited: Answer<unknown> = { kind: "limited", why: "HTTP 429", retryAfterMs: null };
  assertEquals(applyAnswer(second, limited, stepAt(60_000)).outage, { ...outage, offline: false });
});

Deno.test("resetConnection() begins a new generation without waits, and keeps the outage", () => {
  const open = after(new Array(6).fill(failed({ retryAfterMs: 60_000 })));
  const stuck = applyAnswer(open, { kind: "operator_required", why: "HTTP 403" }, stepAt(2_000));
  const state = resetConnection(stuck);
  const { generation } = stuck.breaker;
  assertEquals(state.breaker, { ...NEW_BREAKER, generation: generation + 1 });
  assertEquals(state.paths, NEW_CONNECTION.paths);
  assertEquals([state.outage, state.operatorAction], [stuck.outage, null]);
});

Deno.test("a renewal in a probe ends with the probe", () =>
  inWorld(async (world) => {
    world.server.mood = { kind: "gone" };
    await world.advance(30 * 60_000);
    world.server.mood = { kind: "well" };
    world.server.acceptedToken = "access-2";
    world.server.hangsAt = "/renew";
    const before = world.server.count("/renew");
    while (world.server.count("/renew") === before) await world.advance(1_000);
    await world.advance(10_000);
    assertEquals(world.server.hanging, 0);
    assertEquals(world.loop.state.connection.breaker.state, "open");
    world.server.hangsAt = null;
    await world.advance(2 * INTERVAL_MS);
    assertEquals(world.log.told("connection breaker closed").length, 1);
  }));
