import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { logAnswer } from "../../src/connection/connection_log.ts";
import {
  type ConnectionState,
  NEW_CONNECTION,
  type OperatorCause,
  type Outage,
} from "../../src/connection/state.ts";
import type { Answer } from "../../src/server/answer.ts";
import type { HttpErrorReason } from "../../src/system/http.ts";
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
    const before = attempts === 1 ? WELL : outage(attempts - 1);
    const [event, ...others] = told(failed(offline), { before, after: outage(attempts) });
    assertEquals(others, []);
    return event;
  };
  assertEquals(failure(1), {
    level: "warning",
    message: "server answered with an error",
    fields: { ...ABOUT, why: "HTTP 502", status: 502, offline: false, attempt: 1, next_in_s: 5 },
  });
  assertEquals([failure(2)?.level, failure(2)?.fields["attempt"]], ["info", 2]);
  assertEquals([failure(1, true)?.level, failure(2, true)?.level], ["warning", "debug"]);
  assertEquals(told(failed())[0]?.fields["attempt"], 1, "nothing is counted yet");
});

Deno.test('logAnswer() says what failed, and "not reached" only of a server that was not', () => {
  const failure = (about: { status?: number; reason?: HttpErrorReason }): string => {
    const answer = { kind: "failed", why: "x", status: null, offline: false, retryAfterMs: null };
    const [event, ...others] = told({ ...answer, ...about } as Answer<unknown>);
    assertEquals(others, []);
    return event?.message ?? "";
  };
  const rows: [about: { status?: number; reason?: HttpErrorReason }, message: string][] = [
    [{ reason: "offline" }, "server not reached"],
    [{ reason: "dns" }, "server not reached"],
    [{ reason: "refused" }, "server not reached"],
    [{ reason: "proxy" }, "server not reached"],
    [{ reason: "tls" }, "no secure connection to the server"],
    [{ reason: "timeout" }, "server did not answer in time"],
    [{}, "server did not answer in time"],
    [{ reason: "cut_off" }, "server's answer is not usable"],
    [{ reason: "malformed" }, "server's answer is not usable"],
    [{ reason: "too_large" }, "server's answer is not usable"],
    [{ status: 200 }, "server's answer is not usable"],
    [{ status: 302 }, "server's answer is not usable"],
    [{ status: 400 }, "server refused this agent's call"],
    [{ status: 404 }, "server refused this agent's call"],
    [{ status: 408 }, "server answered with an error"],
    [{ status: 500 }, "server answered with an error"],
    [{ status: 503 }, "server answered with an error"],
  ];
  for (const [about, message] of rows) assertEquals(failure(about), message, JSON.stringify(about));
});

Deno.test("logAnswer() warns again when an outage becomes one of another kind", () => {
  const refused: Outage = { ...outage(3).outage!, why: "refused", status: null };
  const [event] = told(failed(), { before: { ...WELL, outage: refused }, after: outage(4) });
  assertEquals([event?.level, event?.fields["attempt"]], ["warning", 4]);
});

Deno.test("logAnswer() leaves a refused event to the drain, which logs what comes of it", () => {
  const refused = { kind: "refused", why: "HTTP 400", status: 400 } as const;
  assertEquals(told(refused).map(({ level }) => level), ["debug"]);
  const unknown = { ...refused, status: 404, error: "agent_unknown" } as const;
  assertEquals(told(unknown).map(({ level }) => level), ["warning"]);
});

Deno.test("logAnswer() tells a refusal, and a wish for fewer requests", () => {
  assertEquals(told({ kind: "refused", why: "HTTP 400", status: 400 }), [
    {
      level: "debug",
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
      /run `pennon register --replace --server URL --token -`/,
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
    assertEquals(event?.message, "operator action required");
    assertStringIncludes(String(event?.fields["what"]), what);
    assertMatch(String(event?.fields["next_step"]), next);
    const again = told(answer, { before: person(cause), after: person(cause) });
    assertEquals(again.filter(({ level }) => level === "error"), []);
  }
  const ok: Answer<unknown> = { kind: "ok", value: {}, rateLimit: null };
  const [over] = told(ok, { before: person("token") });
  assertEquals([over?.level, over?.message], ["info", "server accepts this agent again"]);
  const broken: Answer<unknown> = {
    kind: "failed",
    why: "HTTP 502",
    status: 502,
    offline: false,
    retryAfterMs: null,
  };
  const messages = told(broken, { before: person("token") }).map(({ message }) => message);
  assertEquals(messages.includes("server accepts this agent again"), false);
});

Deno.test("logAnswer() tells of refused tokens once, and calls nobody yet", () => {
  const refused: Answer<unknown> = { kind: "unauthorized", why: "renewal refused: HTTP 401" };
  const doubted: ConnectionState = {
    ...WELL,
    doubt: { kind: "token", why: "HTTP 401", sinceMs: 0, refusals: 1, notBeforeMs: 0 },
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
