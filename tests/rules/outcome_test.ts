/**
 * The table of outcomes, row by row: what arrives from the network goes in, what the breaker and the
 * loop make of it comes out. One test a row, named after it.
 */

import { assert, assertEquals } from "@std/assert";
import { backoffMs, connectionPolicy } from "../../src/breaker/policies.ts";
import { applyAnswer, NEW_CONNECTION, verdictOf } from "../../src/connection/state.ts";
import { type Answer, readAnswer, readFailure } from "../../src/server/answer.ts";
import { readAnyObject } from "../../src/server/protocol.ts";
import { HttpError, type HttpErrorReason } from "../../src/system/http.ts";
import { backoff, breaker as settings, INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { response } from "../fakes/response.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 12);
const DRAW = 0.5;
const breaker = connectionPolicy(settings, backoff);

/** What the loop waits by itself after a first failure. */
const BACKOFF_MS = backoffMs(1, backoff, () => DRAW);

function status(code: number, headers: Record<string, string> = {}, body = "{}"): Answer<unknown> {
  return readAnswer(response(code, body, headers), readAnyObject, NOW_MS);
}

function noAnswer(reason: HttpErrorReason): Answer<unknown> {
  return readFailure(new HttpError(`Cannot ask server: ${reason}`, { reason }));
}

/** What each row expects: the breaker's verdict, and the wait before this path's next call. */
interface Expected {
  readonly verdict: "success" | "failure" | "neutral";
  readonly waitMs: number;
  /** Before the other path's. @default 0 */
  readonly otherWaitMs?: number;
  readonly operatorAction?: boolean;
}

const backsOff: Expected = { verdict: "failure", waitMs: BACKOFF_MS };
const resets: Expected = { verdict: "success", waitMs: 0 };
const nothing: Expected = { verdict: "neutral", waitMs: 0 };
const asked = (ms: number) => ms * (1 + 0.2 * DRAW);

const operatorAction: Expected = { ...nothing, operatorAction: true };
const limited = (ms: number): Expected => ({ verdict: "neutral", waitMs: ms });
/** A 503 with a time means the whole server. */
const away = (ms: number): Expected => ({ verdict: "failure", waitMs: ms, otherWaitMs: ms });

type Row = readonly [name: string, answer: Answer<unknown>, expected: Expected];

const rows: readonly Row[] = [
  ["DNS does not know the name: failure, back off", noAnswer("dns"), backsOff],
  ["nobody listens: failure, back off", noAnswer("refused"), backsOff],
  ["TLS that cannot be trusted: failure, back off", noAnswer("tls"), backsOff],
  ["a timeout: failure, back off", noAnswer("timeout"), backsOff],
  ["a body cut off: failure, back off", noAnswer("cut_off"), backsOff],
  ["no HTTP at all: failure, back off", noAnswer("malformed"), backsOff],
  ["an answer without an end: failure, back off", noAnswer("too_large"), backsOff],
  ["a proxy that will not: failure, back off", noAnswer("proxy"), backsOff],
  ["408: failure, back off", status(408), backsOff],
  ["500: failure, back off", status(500), backsOff],
  ["502: failure, back off", status(502), backsOff],
  ["504: failure, back off", status(504), backsOff],
  ["a proxy's HTML where JSON was promised: failure, back off", page(), backsOff],
  ["a redirect: failure, never followed", redirect(), backsOff],
  ["429 with Retry-After in seconds: neutral, not before", told(429, "60"), limited(asked(60_000))],
  ["429 without: neutral, back off", status(429), limited(BACKOFF_MS)],
  [
    "503 with Retry-After in seconds: one failure, not before",
    told(503, "60"),
    away(asked(60_000)),
  ],
  ["503 with Retry-After as a date: not before", told(503, inADate(90_000)), away(asked(90_000))],
  ["503 without: failure, back off", status(503), backsOff],
  [
    "503 of a server that sheds load: neutral, a short wait on both paths",
    status(503, { "retry-after": "2" }, '{"error":"database pool saturated, retry shortly"}'),
    {
      ...limited(Math.max(BACKOFF_MS, asked(2_000))),
      otherWaitMs: Math.max(BACKOFF_MS, asked(2_000)),
    },
  ],
  ["Retry-After is an hour at most", told(429, "99999"), limited(asked(3_600_000))],
  ["Retry-After 0 is our own backoff", told(429, "0"), limited(BACKOFF_MS)],
  ["a negative Retry-After is ignored", told(503, "-5"), backsOff],
  ["a malformed Retry-After is ignored", told(503, "soon"), backsOff],
  ["2xx: success, reset", status(201), resets],
  ["400 on one event: success, the server is there", status(400), resets],
  ["404 on one event: success, the server is there", status(404), resets],
  ["409 on one event: success, the server is there", status(409), resets],
  ["413 on one event: success, the server is there", status(413), resets],
  ["422 on one event: success, the server is there", status(422), resets],
  ["401 that a renewal does not end: neutral, tried at the interval", status(401), nothing],
  ["403: neutral, operator action required", status(403), operatorAction],
  ["aborted by us: neutral, nothing changes", noAnswer("aborted"), nothing],
  ["this host offline: neutral, and waits all the same", noAnswer("offline"), {
    verdict: "neutral",
    waitMs: BACKOFF_MS,
  }],
];

function told(code: number, retryAfter: string): Answer<unknown> {
  return status(code, { "retry-after": retryAfter });
}

function inADate(ms: number): string {
  return new Date(NOW_MS + ms).toUTCString();
}

function page(): Answer<unknown> {
  return status(200, { "content-type": "text/html" }, "<html>Sign in</html>");
}

function redirect(): Answer<unknown> {
  return status(302, { location: "https://elsewhere.example/" }, "");
}

for (const [name, answer, expected] of rows) {
  Deno.test(`outcome: ${name}`, () => {
    const before = { ...NEW_CONNECTION };
    const permit = { generation: before.breaker.generation, probe: false };
    const after = applyAnswer(before, answer, {
      path: "check_in",
      permit,
      nowMs: 0,
      random: () => DRAW,
      policy: { backoff, breaker, intervalMs: INTERVAL_MS },
    });
    assertEquals(verdictOf(answer), expected.verdict);
    assert(after.breaker.state === "closed");
    assertEquals(after.breaker.failures, expected.verdict === "failure" ? 1 : 0);
    const { check_in: own, delivery: other } = after.paths;
    assertEquals(Math.max(0, own.notBeforeMs), expected.waitMs);
    assertEquals(Math.max(0, other.notBeforeMs), expected.otherWaitMs ?? 0);
    assertEquals(other.failures, 0);
    assertEquals(after.operatorAction !== null, expected.operatorAction ?? false);
  });
}
