import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { logAnswer } from "../../src/connection/connection_log.ts";
import {
  type ConnectionState,
  NEW_CONNECTION,
  type OperatorCause,
  type Outage,
} from "../../src/connection/state.ts";
import type { Answer } from "../../src/server/answer.ts";
import { FakeLog, type LoggedEvent } from "../fakes/log.ts";

const WELL = NEW_CONNECTION;

function person(cause: OperatorCause): ConnectionState {
  return { ...WELL, operatorAction: { cause, why: "HTTP 403", sinceMs: 0, notBeforeMs: 0 } };
}

function outage(failedCalls: number): ConnectionState {
  const since: Outage = { sinceMs: 0, failedCalls, why: "HTTP 502", offline: false, status: 502 };
  return { ...WELL, outage: since };
}

function failed(offline = false): Answer<unknown> {
  return { kind: "failed", why: "HTTP 502", status: 502, offline, retryAfterMs: null };
}

function told(
  answer: Answer<unknown>,
  { before = WELL, after = WELL }: { before?: ConnectionState; after?: ConnectionState } = {},
): LoggedEvent[] {
  const log = new FakeLog();
  logAnswer(log, answer, {
    path: "delivery",
    before,
    after,
    nowMs: 61_240,
    tookMs: 12.4,
    waitMs: 4_960,
    countPending: () => 7,
  });
  return log.events;
}

const ABOUT = { path: "delivery", took_ms: 12 };

Deno.test("logAnswer() is silent where all is well, and where we stopped the call ourselves", () => {
  assertEquals(told({ kind: "ok", value: {}, rateLimit: null }), []);
  assertEquals(told({ kind: "aborted" }), []);
  assertEquals(told({ kind: "aborted" }, { before: outage(2), after: outage(2) }), []);
});

Deno.test("logAnswer() tells the first failure loudly, the next ones less, an offline host's least", () => {
  const failure = (attempts: number, offline = false) => {
    const [event, ...others] = told(failed(offline), { after: outage(attempts) });
    assertEquals(others, []);
    return event;
  };
  assertEquals(failure(1), {
    level: "warning",
    message: "server not reached",
    fields: { ...ABOUT, why: "HTTP 502", offline: false, attempt: 1, next_in_s: 5 },
  });
  assertEquals([failure(2)?.level, failure(2)?.fields["attempt"]], ["info", 2]);
  assertEquals([failure(1, true)?.level, failure(2, true)?.level], ["warning", "debug"]);
  assertEquals(told(failed())[0]?.fields["attempt"], 1, "nothing is counted yet");
});

Deno.test("logAnswer() tells a refusal, and a wish for fewer requests", () => {
  assertEquals(told({ kind: "refused", why: "HTTP 400", status: 400 }), [
    {
      level: "warning",
      message: "server refused a request",
      fields: { ...ABOUT, why: "HTTP 400" },
    },
  ]);
  assertEquals(told({ kind: "limited", why: "HTTP 429", retryAfterMs: null }), [
    {
      level: "warning",
      message: "server asked to slow down",
      fields: { ...ABOUT, why: "HTTP 429", next_in_s: 5 },
    },
  ]);
});

Deno.test("logAnswer() calls an operator once, and says when that is over", () => {
  const rows: [OperatorCause, Answer<unknown>, string, RegExp][] = [
    [
      "forbidden",
      { kind: "operator_required", why: "HTTP 403" },
      "no longer accepts",
      /run `pennon register`/,
    ],
    ["token", { kind: "unauthorized", why: "HTTP 403" }, "no longer accepts", /database first/],
    ["deleted", { kind: "refused", why: "HTTP 403", status: 404 }, "was deleted", /restore/],
  ];
  for (const [cause, answer, what, next] of rows) {
    const event = told(answer, { after: person(cause) }).at(-1);
    assertEquals([event?.level, event?.fields["why"], event?.fields["next_in_s"]], [
      "error",
      "HTTP 403",
      5,
    ]);
    assertStringIncludes(event?.message ?? "", "operator action required: ");
    assertStringIncludes(event?.message ?? "", what);
    assertMatch(String(event?.fields["next_step"]), next);
    const again = told(answer, { before: person(cause), after: person(cause) });
    assertEquals(again.filter(({ level }) => level === "error"), []);
  }
  const ok: Answer<unknown> = { kind: "ok", value: {}, rateLimit: null };
  const [over] = told(ok, { before: person("token") });
  assertEquals([over?.level, over?.message], ["info", "server accepts this agent again"]);
});

Deno.test("logAnswer() tells of refused tokens once, and calls nobody yet", () => {
  const refused: Answer<unknown> = { kind: "unauthorized", why: "renewal refused: HTTP 401" };
  const doubted: ConnectionState = {
    ...WELL,
    doubt: { kind: "token", sinceMs: 0, refusals: 1, notBeforeMs: 0 },
  };
  const events = told(refused, { after: doubted });
  assertEquals(events.map(({ level, message }) => [level, message]), [
    ["warning", "server refused the tokens, trying again"],
  ]);
  assertEquals(told(refused, { before: doubted, after: doubted }), []);
});

Deno.test("logAnswer() sums an outage up when it is over, and not before", () => {
  const ok: Answer<unknown> = { kind: "ok", value: {}, rateLimit: null };
  assertEquals(told(ok, { before: outage(9) }), [
    {
      level: "info",
      message: "connection recovered",
      fields: { outage_s: 61.2, attempts: 9, buffered: 7, why: "HTTP 502" },
    },
  ]);
  assertEquals(told(ok, { before: outage(9), after: outage(9) }), []);
  const refused = told({ kind: "refused", why: "HTTP 400", status: 400 }, { before: outage(9) });
  assertEquals(refused.map(({ message }) => message), [
    "server refused a request",
    "connection recovered",
  ]);
});
