import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import {
  type Acceptance,
  nextAcceptance,
  OPERATOR_WAIT_MS,
  type Path,
} from "../../src/connection/state.ts";
import type { Answer } from "../../src/server/answer.ts";
import { NO_ROUTE } from "../../src/server/client.ts";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { inWorld, type World } from "../fakes/world.ts";

const KNOWN: Acceptance = { doubt: null, operatorAction: null };

const ok: Answer<unknown> = { kind: "ok", value: {}, rateLimit: null };
const noRoute: Answer<unknown> = { kind: "ok", value: NO_ROUTE, rateLimit: null };
const unauthorized: Answer<unknown> = { kind: "unauthorized", why: "renewal refused: HTTP 401" };
const forbidden: Answer<unknown> = { kind: "operator_required", why: "HTTP 403" };
const limited: Answer<unknown> = { kind: "limited", why: "HTTP 429", retryAfterMs: null };
const unknown: Answer<unknown> = {
  kind: "refused",
  why: "HTTP 404: agent not found",
  status: 404,
  error: "agent_unknown",
};
const broke: Answer<unknown> = { kind: "report_failed", why: "HTTP 500" };
const aborted: Answer<unknown> = { kind: "aborted" };

function failed(status: number | null): Answer<unknown> {
  return { kind: "failed", why: "no", status, offline: false, retryAfterMs: null };
}

type Step = readonly [answer: Answer<unknown>, atMs: number, path?: Path];

function after(
  steps: readonly Step[],
  options: { draw?: number; from?: Acceptance } = {},
): Acceptance {
  const { draw = 0.5, from = KNOWN } = options;
  return steps.reduce<Acceptance>((standing, [answer, nowMs, path = "check_in"]) => {
    const { doubt, operatorAction } = nextAcceptance(standing, answer, {
      path,
      nowMs,
      random: () => draw,
      intervalMs: INTERVAL_MS,
    });
    return { doubt, operatorAction };
  }, from);
}

Deno.test("nextAcceptance() believes refused tokens after three tries over ten minutes, and no sooner", () => {
  const early = after([[unauthorized, 0], [unauthorized, 300_000], [unauthorized, 599_999]]);
  assertEquals([early.doubt?.kind, early.operatorAction], ["token", null]);
  const few = after([[unauthorized, 0], [unauthorized, 700_000]]);
  assertEquals([few.doubt?.kind, few.operatorAction], ["token", null]);
  const believed = after([[unauthorized, 0], [unauthorized, 300_000], [unauthorized, 600_000]]);
  assertEquals(believed.doubt, null);
  assertEquals(believed.operatorAction?.cause, "token");
  assertEquals(believed.operatorAction?.sinceMs, 0);
});

Deno.test("nextAcceptance() takes calls that ended together for one try", () => {
  const steps = Array.from({ length: 8 }, (): Step => [unauthorized, 0]);
  const standing = after([...steps, [unauthorized, 700_000]]);
  assert(standing.doubt?.kind === "token");
  assertEquals(standing.doubt.refusals, 2);
});

Deno.test("nextAcceptance() believes nothing that a check-in with a 5xx lies between", () => {
  const steps: Step[] = [[unauthorized, 0], [unauthorized, 300_000], [failed(500), 500_000]];
  assertEquals(after(steps), KNOWN);
  assertEquals(after([...steps, [unauthorized, 600_000]]).operatorAction, null);
  // A server that was not reached, or failed on a report, says nothing of it.
  for (const [answer, path] of [[failed(null), "check_in"], [failed(502), "delivery"]] as const) {
    const between = after([...steps.slice(0, 2), [answer, 500_000, path], [unauthorized, 600_000]]);
    assertEquals(between.operatorAction?.cause, "token");
  }
  const believed = after([[unauthorized, 0], [unauthorized, 300_000], [unauthorized, 600_000]]);
  assertEquals(after([[failed(503), 700_000]], { from: believed }), KNOWN);
});

Deno.test("nextAcceptance() tries refused tokens at the interval for four hours, then hourly", () => {
  const wait = (atMs: number, draw: number) => {
    const first: Step[] = [[unauthorized, 0], [unauthorized, 300_000], [unauthorized, 600_000]];
    const { operatorAction } = after([...first, [unauthorized, atMs]], { draw });
    return (operatorAction?.notBeforeMs ?? 0) - atMs;
  };
  const hours4 = 4 * 3_600_000;
  assertEquals([wait(700_000, 0), wait(700_000, 1)], [300_000, 240_000]);
  assertEquals([wait(hours4 - 1, 0), wait(hours4, 0)], [300_000, OPERATOR_WAIT_MS]);
  assertEquals(wait(hours4, 1), 1.2 * OPERATOR_WAIT_MS);
  const { doubt } = after([[unauthorized, 0]], { draw: 1 });
  assert(doubt?.kind === "token");
  assertEquals(doubt.notBeforeMs, 240_000);
});

Deno.test("nextAcceptance() believes a deletion after the second word of it behind a good check-in", () => {
  const first: Step = [unknown, 0, "delivery"];
  const doubted = after([first]);
  assertEquals(doubted.doubt, { kind: "deleted", sinceMs: 0, hasCheckedIn: false });
  assertEquals(after([first, [unknown, 1_000, "delivery"]]), doubted);
  // Its database does not answer: so is the check-in.
  assertEquals(after([first, [failed(500), 1_000]]), KNOWN);
  const believed = after([first, [ok, 1_000], [unknown, 2_000, "delivery"]]);
  assertEquals(believed.doubt, null);
  assertEquals(believed.operatorAction?.cause, "deleted");
  assertEquals(believed.operatorAction?.notBeforeMs, 2_000 + 1.1 * OPERATOR_WAIT_MS);
});

Deno.test("nextAcceptance() forgets a deletion when a report is taken, and at nothing else", () => {
  const steps: Step[] = [[unknown, 0, "delivery"], [ok, 1_000], [unknown, 2_000, "delivery"]];
  for (
    const [answer, path] of [[ok, "check_in"], [broke, "delivery"], [noRoute, "delivery"]] as const
  ) {
    const { operatorAction } = after([...steps, [answer, 4_000_000, path]]);
    assertEquals(operatorAction?.cause, "deleted", answer.kind);
  }
  // Behind a check-in host facts may be sent at once, to ask again.
  assertEquals(after([...steps, [ok, 4_000_000]]).operatorAction?.notBeforeMs, -Infinity);
  assertEquals(after([...steps, [ok, 4_000_000, "delivery"]]), KNOWN);
  // Its token ends one day: that calls nobody a second time.
  assertEquals(after([...steps, [unauthorized, 9e7]]).operatorAction?.cause, "deleted");
  const again = after([...steps, [ok, 9e6], [unknown, 9e6, "delivery"]]).operatorAction;
  assertEquals([again?.sinceMs, again?.notBeforeMs], [0, 9e6 + 1.1 * OPERATOR_WAIT_MS]);
});

Deno.test("nextAcceptance() never calls an operator for tokens within ten minutes, nor waits too long", () => {
  const answers = fc.constantFrom(
    ok,
    noRoute,
    unauthorized,
    unauthorized,
    limited,
    unknown,
    broke,
    aborted,
    failed(500),
    failed(null),
    forbidden,
  );
  const steps = fc.array(
    fc.tuple(
      answers,
      fc.integer({ min: 0, max: 400_000 }),
      fc.constantFrom("check_in", "delivery"),
    ),
    { maxLength: 40 },
  );
  fc.assert(fc.property(steps, fc.double({ min: 0, max: 1, noNaN: true }), (drawn, draw) => {
    let standing = KNOWN;
    let nowMs = 0;
    let firstMs: number | null = null;
    for (const [answer, gapMs, path] of drawn) {
      nowMs += gapMs;
      if (answer.kind === "unauthorized") firstMs ??= nowMs;
      const before = standing;
      standing = after([[answer, nowMs, path as Path]], { draw, from: standing });
      const { doubt, operatorAction } = standing;
      if (operatorAction?.cause === "token" && before.operatorAction === null) {
        assert(firstMs !== null && nowMs - firstMs >= 600_000, `called after ${nowMs} ms`);
      }
      if (operatorAction?.cause === "deleted" && before.operatorAction === null) {
        assert(before.doubt?.kind === "deleted" && before.doubt.hasCheckedIn);
      }
      const untilMs = operatorAction?.notBeforeMs ??
        (doubt?.kind === "token" ? doubt.notBeforeMs : 0);
      assert(untilMs - nowMs <= 1.2 * OPERATOR_WAIT_MS + 1, `waits ${untilMs - nowMs} ms`);
      if (answer === ok && path === "delivery") assertEquals(standing, KNOWN);
    }
  }));
});

Deno.test("run() calls an operator for refused tokens after 10 minutes, and tries on at its interval", () =>
  inWorld(async (world) => {
    world.server.acceptedToken = "access-2";
    world.server.refreshToken = "refresh-2";
    await world.advance(INTERVAL_MS * 2.6);
    assertEquals(world.log.events.filter(({ level }) => level === "error"), []);
    assertEquals(world.log.told("server refused the tokens, trying again").length, 1);
    await world.advance(INTERVAL_MS * 3);
    const errors = () => world.log.events.filter(({ level }) => level === "error");
    assertEquals(errors().map(({ message, fields }) => [message, fields["what"]]), [
      ["operator action required", "the server no longer accepts this agent"],
    ]);
    assertEquals(world.saved.at(-1)?.connection.operatorAction?.cause, "token");
    world.server.requests.length = 0;
    await world.advance(3_600_000);
    const soon = world.server.count("/renew");
    assert(soon >= 8 && soon <= 15, `${soon} in the second hour`);
    await world.advance(4 * 3_600_000);
    world.server.requests.length = 0;
    await world.advance(6 * 3_600_000);
    const late = world.server.count("/renew");
    assert(late >= 4 && late <= 7, `${late} in six hours`);
    assertEquals(errors().length, 1);
    world.server.refreshToken = "refresh-1";
    await world.advance(1.3 * 3_600_000);
    assertEquals(world.saved.at(-1)?.connection.operatorAction, null);
    assertEquals(world.log.told("server accepts this agent again").length, 1);
  }));

Deno.test("run() is back at its interval after a database outage that has refused a renewal for an hour", () =>
  inWorld(async (world) => {
    world.server.acceptedToken = "access-2";
    world.server.refreshToken = "refresh-2";
    await world.advance(3_600_000);
    world.server.refreshToken = "refresh-1";
    world.server.queue("c1", "install_updates");
    await world.advance(INTERVAL_MS * 1.7);
    assertEquals(world.ran, ["c1"]);
    assertEquals(world.saved.at(-1)?.connection.operatorAction, null);
  }));

function errors(world: World): string[] {
  return world.log.events.filter(({ level }) => level === "error").map(({ message }) => message);
}

const DELETED = ["operator action required"];

Deno.test("a deleted agent notices within an hour, says so, and bisects nothing", () =>
  inWorld(async (world) => {
    await world.advance(3_600_000);
    assertEquals(world.server.count("/system-info"), 1);
    world.server.isAgentDeleted = true;
    await world.advance(3_600_000);
    assertEquals(errors(world), DELETED);
    world.server.requests.length = 0;
    const updates = Array.from({ length: 16 }, (_, n) => ({ package_name: `p${n}` }));
    const body = JSON.stringify({ command_id: "", updates });
    world.buffer.append([{ kind: "updates", commandId: null, snapshotOf: null, body }]);
    world.loop.afterAppend();
    await world.advance(6 * 3_600_000);
    assertEquals(world.server.count("/updates"), 0);
    const asked = world.server.count("/system-info");
    assert(asked >= 4 && asked <= 7, `asked ${asked} times in six hours`);
    assertEquals(errors(world), DELETED, "it is said once");
    assertEquals(world.log.told("event bisected"), []);
    // The row is back: what was kept is delivered.
    world.server.isAgentDeleted = false;
    await world.advance(1.5 * 3_600_000);
    assertEquals(world.server.count("/updates"), 1);
    assertEquals(world.log.told("server accepts this agent again").length, 1);
    assertEquals(world.saved.at(-1)?.connection.operatorAction, null);
  }));

Deno.test("a report that fails has a deleted agent ask at once, before anything is bisected", () =>
  inWorld(async (world) => {
    await world.advance(2 * INTERVAL_MS);
    world.server.isAgentDeleted = true;
    await world.advance(11 * 60_000);
    const updates = Array.from({ length: 16 }, (_, n) => ({ package_name: `p${n}` }));
    const body = JSON.stringify({ command_id: "", updates });
    world.buffer.append([{ kind: "updates", commandId: null, snapshotOf: null, body }]);
    world.loop.afterAppend();
    await world.advance(61_000);
    assertEquals(errors(world), DELETED);
    assertEquals(world.server.count("/updates"), 1);
    assertEquals(world.log.told("event bisected"), []);
    assertEquals(world.buffer.list().find(({ kind }) => kind === "updates")?.attempts, 0);
  }));

Deno.test("an agent that is not found while the database is away is not taken for deleted", () =>
  inWorld(async (world) => {
    await world.advance(3_600_000);
    world.server.isAgentDeleted = true;
    await world.advance(30 * 60_000);
    for (let count = 0; count < 600 && !world.loop.state.connection.doubt; count++) {
      await world.advance(2_000);
    }
    assertEquals(world.loop.state.connection.doubt?.kind, "deleted");
    world.server.mood = { kind: "answers", status: 500, body: '{"error":"no database"}' };
    await world.advance(2 * 60_000);
    assertEquals(world.loop.state.connection.doubt, null);
    world.server.mood = { kind: "well" };
    world.server.isAgentDeleted = false;
    await world.advance(3_600_000);
    assertEquals(errors(world), []);
    assertEquals(world.buffer.countWaiting().pending, 0);
  }));
