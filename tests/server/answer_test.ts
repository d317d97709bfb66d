import fc from "fast-check";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { HttpError, type HttpErrorReason } from "../../src/system/http.ts";
import {
  type Answer,
  LONGEST_RETRY_AFTER_MS,
  LONGEST_SHEDDING_MS,
  readAnswer,
  readFailure,
  readRateLimit,
  readRetryAfterMs,
  readServerClock,
} from "../../src/server/answer.ts";
import { readAnyObject } from "../../src/server/protocol.ts";
import { response } from "../fakes/response.ts";

const NOW_MS = Date.UTC(2026, 10, 23);

function answer(
  status: number,
  body = "{}",
  headers: Record<string, string> = {},
): Answer<unknown> {
  return readAnswer(response(status, body, headers), readAnyObject, NOW_MS);
}

Deno.test("readAnswer() puts every status into its class", () => {
  const rows: [number, Answer<unknown>["kind"]][] = [
    [199, "failed"],
    [200, "ok"],
    [201, "ok"],
    [299, "ok"],
    [300, "failed"],
    [301, "failed"],
    [302, "failed"],
    [304, "failed"],
    [399, "failed"],
    [400, "refused"],
    [401, "unauthorized"],
    [403, "operator_required"],
    [404, "refused"],
    [408, "failed"],
    [409, "refused"],
    [413, "refused"],
    [422, "refused"],
    [429, "limited"],
    [499, "refused"],
    [500, "failed"],
    [502, "failed"],
    [503, "failed"],
    [504, "failed"],
  ];
  for (const [status, kind] of rows) assertEquals(answer(status).kind, kind, String(status));
});

Deno.test("readAnswer() takes Retry-After from 429 and 503", () => {
  for (const status of [429, 503]) {
    const read = answer(status, "{}", { "retry-after": "30" });
    assert(read.kind === "limited" || read.kind === "failed");
    assertEquals(read.retryAfterMs, 30_000);
  }
  const elsewhere = answer(502, "{}", { "retry-after": "30" });
  assert(elsewhere.kind === "failed");
  assertEquals(elsewhere.retryAfterMs, null);
});

Deno.test("readAnswer() takes a 503 with the server's own words and a short wait for no outage", () => {
  const saturated = '{"error":"database pool saturated, retry shortly"}';
  const shed = answer(503, saturated, { "retry-after": "2" });
  assertEquals([shed.kind, "isOverloaded" in shed && shed.isOverloaded], ["limited", true]);
  const rows: [body: string, retryAfter: string, kind: string][] = [
    [saturated, String(LONGEST_SHEDDING_MS / 1_000), "limited"],
    [saturated, String(LONGEST_SHEDDING_MS / 1_000 + 1), "failed"],
    [saturated, "0", "failed"],
    ["<html>", "2", "failed"],
    ['{"message":"x"}', "2", "failed"],
  ];
  for (const [body, retryAfter, kind] of rows) {
    assertEquals(answer(503, body, { "retry-after": retryAfter }).kind, kind, body + retryAfter);
  }
});

Deno.test("readAnswer() takes the server's window from an answer of any status", () => {
  const headers = {
    "x-ratelimit-limit": "30",
    "x-ratelimit-remaining": "7",
    "x-ratelimit-reset": "1",
  };
  for (const status of [200, 400, 404, 409, 500, 503]) {
    const read = answer(status, "{}", headers);
    assert("rateLimit" in read, String(status));
    assertEquals([read.rateLimit?.limit, read.rateLimit?.remaining], [30, 7], String(status));
    assertEquals((answer(status) as { rateLimit?: unknown }).rateLimit ?? null, null);
  }
});

Deno.test("readAnswer() does not take a proxy's page for an answer", () => {
  for (const body of ["<html>Sign in</html>", "", "[]", "null", '"ok"', "{"]) {
    assertEquals(answer(200, body).kind, "failed", body);
  }
});

Deno.test("readAnswer() repeats the server's words, without what a terminal would obey", () => {
  const refused = answer(400, JSON.stringify({ error: `bad\u001b[2J\u0000${"x".repeat(999)}` }));
  assert(refused.kind === "refused");
  assertEquals(refused.why.slice(0, 20), "HTTP 400: bad[2Jxxxx");
  assert(refused.why.length < 220);
});

Deno.test("readAnswer() says what went wrong: the status, the server's words, a redirect", () => {
  const why = (status: number, body: string, headers: Record<string, string> = {}) => {
    const read = answer(status, body, headers);
    assert("why" in read);
    return read.why;
  };
  assertEquals(why(400, '{"error":"no such agent"}'), "HTTP 400: no such agent");
  for (const body of ["", "null", "5", "{}", '{"error":5}', "<html>"]) {
    assertEquals(why(400, body), "HTTP 400", body);
  }
  assertEquals(
    why(200, "[]"),
    "HTTP 200, but not the answer promised: all of it is an array",
  );
  const longest = "x".repeat(200);
  assertEquals(
    why(400, JSON.stringify({ error: `${longest}y` })),
    `HTTP 400: ${"x".repeat(195)}(cut)`,
  );
  // The words of an answer that is longer than any refusal are not read.
  const around = '{"error":"no","more":""}'.length;
  const refusal = (length: number) =>
    JSON.stringify({ error: "no", more: "x".repeat(length - around) });
  assertEquals(why(400, refusal(16_384)), "HTTP 400: no");
  assertEquals(why(400, refusal(16_385)), "HTTP 400");
  const location = { location: "https://elsewhere.test" };
  for (const status of [300, 302, 399]) {
    assertEquals(why(status, "{}", location), `HTTP ${status}: a redirect, which is not followed`);
  }
  assertEquals([why(302, "{}"), why(400, "{}", location)], ["HTTP 302", "HTTP 400"]);
  assertEquals(why(199, "{}", location), "HTTP 199");
});

Deno.test("readAnswer() reads a date in Retry-After by the server's own clock", () => {
  const headers = (date?: string) => ({
    "retry-after": new Date(NOW_MS + 90_000).toUTCString(),
    ...(date === undefined ? {} : { date }),
  });
  const waitMs = (date?: string) => {
    const read = answer(429, "{}", headers(date));
    assert(read.kind === "limited");
    return read.retryAfterMs;
  };
  assertEquals(waitMs(), 90_000);
  assertEquals(waitMs(new Date(NOW_MS + 60_000).toUTCString()), 30_000);
  assertEquals(waitMs("soon"), 90_000);
});

Deno.test("readAnswer() says of an answer that came whole that this host is online", () => {
  for (const status of [500, 408, 503]) {
    const read = answer(status, "{}", { "retry-after": "30" });
    assert(read.kind === "failed");
    assertEquals([read.status, read.offline, read.reason], [status, false, undefined]);
    assertEquals(read.retryAfterMs, status === 503 ? 30_000 : null);
  }
});

Deno.test("readAnswer() says what is wrong with an answer that is not the one promised", () => {
  const rows: [string, string][] = [
    ["<html>", "it is not valid JSON"],
    ["[]", "all of it is an array"],
    ["[".repeat(4_194_304), "it has more than 1048576 bytes"],
    ["[".repeat(1_048_576), "it is nested deeper than 32 levels"],
    [`[${"1,".repeat(20_000)}1]`, "it contains more than 10000 values"],
    ['{"a":1e999}', "it contains a number that is out of range"],
  ];
  for (const [body, why] of rows) {
    const read = answer(200, body);
    assert(read.kind === "failed");
    assertEquals(read.why, `HTTP 200, but not the answer promised: ${why}`);
    // The words of a refusal are optional.
    const speaker = body.startsWith("{")
      ? { error: "other" } as const
      : { isForeign: true } as const;
    assertEquals(answer(400, body), { kind: "refused", status: 400, why: "HTTP 400", ...speaker });
  }
});

Deno.test("readAnswer() tells the server's own refusals from those of something in between", () => {
  const rows: [status: number, body: string, headers: Record<string, string>, kind: string][] = [
    [400, "<html>no</html>", {}, "refused, foreign"],
    [400, "Bad Request", {}, "refused, foreign"],
    [400, "{}", {}, "refused"],
    [400, "", {}, "refused"],
    [404, "404 page not found\n", {}, "refused, foreign"],
    [404, "404 page not found", {}, "refused"],
    [401, '{"error":"invalid token"}', {}, "unauthorized"],
    [401, "<html>", {}, "unauthorized"],
    [401, "<html>", { "www-authenticate": 'Basic realm="x"' }, "failed"],
    [401, "", { "www-authenticate": "Negotiate" }, "failed"],
    [403, '{"error":"no"}', {}, "operator_required"],
    [403, "", {}, "operator_required"],
    [403, "<html>blocked</html>", {}, "failed"],
    [503, '{"error":"database pool saturated, retry shortly"}', { "retry-after": "2" }, "limited"],
    [503, '{"error":"no healthy upstream"}', { "retry-after": "5" }, "failed, said"],
    [500, '{"error":"failed to save log"}', {}, "failed, said"],
    [500, "<html>", {}, "failed"],
    [200, '{"error":"upstream timeout"}', {}, "failed"],
    [200, '{"error":""}', {}, "ok"],
  ];
  for (const [status, body, headers, expected] of rows) {
    const read = answer(status, body, headers);
    const foreign = read.kind === "refused" && read.isForeign ? ", foreign" : "";
    const said = read.kind === "failed" && read.isSaid ? ", said" : "";
    assertEquals(`${read.kind}${foreign}${said}`, expected, `${status} ${body}`);
  }
});

Deno.test("readFailure() tells our own abort and our own host from the server", () => {
  const reasons: HttpErrorReason[] = ["dns", "refused", "tls", "timeout", "cut_off", "malformed"];
  for (const reason of [...reasons, "too_large", "proxy"] as const) {
    const read = readFailure(new HttpError("Cannot connect", { reason }));
    assertEquals(read.kind === "failed" && !read.offline, true, reason);
  }
  assertEquals(readFailure(new HttpError("Cannot connect", { reason: "offline" })), {
    kind: "failed",
    why: "Cannot connect",
    status: null,
    reason: "offline",
    offline: true,
    retryAfterMs: null,
  });
  assertEquals(readFailure(new HttpError("stop", { reason: "aborted" })).kind, "aborted");
  assertThrows(() => readFailure(new TypeError("a mistake of ours")), TypeError);
});

const NOON_MS = Date.UTC(2026, 10, 23, 12, 0, 0);

Deno.test("readRetryAfterMs() reads seconds and HTTP dates, and ignores all else", () => {
  const rows: [string | undefined, number | null][] = [
    [undefined, null],
    ["", null],
    ["junk", null],
    ["-5", null],
    ["1.5", null],
    ["1e3", null],
    ["0", null], // "No idea": our own backoff is better.
    ["1", 1_000],
    [" 30 ", 30_000],
    ["3600", 3_600_000],
    ["3601", LONGEST_RETRY_AFTER_MS],
    ["99999999999999999999", LONGEST_RETRY_AFTER_MS],
    ["Mon, 23 Nov 2026 12:00:30 GMT", 30_000],
    ["Monday, 23-Nov-26 12:00:30 GMT", 30_000],
    ["Mon Nov 23 12:00:30 2026 GMT", 30_000],
    ["Mon, 23 Nov 2026 11:59:59 GMT", null],
    ["Mon, 23 Nov 2099 12:00:00 GMT", LONGEST_RETRY_AFTER_MS],
    ["x Mon, 23 Nov 2026 12:00:30 GMT", null],
    ["1x", null],
    ["x1", null],
    ["2026-11-23T12:00:30Z", null], // Not one of HTTP's date forms.
  ];
  for (const [header, expected] of rows) {
    assertEquals(readRetryAfterMs(header, NOON_MS), expected, String(header));
  }
  assertEquals(readRetryAfterMs("Mon, 23 Nov 2026 12:00:00 GMT", NOON_MS - 1), 1);
  assertEquals(readRetryAfterMs("Mon, 23 Nov 2026 12:00:00 GMT", NOON_MS), null);
});

Deno.test("readRetryAfterMs() never returns a wait out of bounds", () => {
  fc.assert(fc.property(fc.string(), (header) => {
    const waitMs = readRetryAfterMs(header, NOON_MS);
    assert(waitMs === null || (waitMs > 0 && waitMs <= LONGEST_RETRY_AFTER_MS));
  }));
});

Deno.test("readRateLimit() reads what is left and when the window ends", () => {
  const resetS = NOON_MS / 1_000 + 20;
  const headers = (remaining: string, reset: string) => ({
    "x-ratelimit-remaining": remaining,
    "x-ratelimit-reset": reset,
  });
  const rows: [Record<string, string>, unknown][] = [
    [{}, null],
    [headers("junk", String(resetS)), null],
    [headers("3", "-1"), null],
    [headers("3", String(resetS)), { limit: null, remaining: 3, resetInMs: 20_000 }],
    [headers("0", "1"), { limit: null, remaining: 0, resetInMs: 0 }],
    [
      headers("0", "999999999999"),
      { limit: null, remaining: 0, resetInMs: LONGEST_RETRY_AFTER_MS },
    ],
    [
      { ...headers("3", String(resetS)), "x-ratelimit-limit": "30" },
      { limit: 30, remaining: 3, resetInMs: 20_000 },
    ],
    [
      { ...headers("3", String(resetS)), "x-ratelimit-limit": "many" },
      { limit: null, remaining: 3, resetInMs: 20_000 },
    ],
  ];
  const digits = (count: number) => "9".repeat(count);
  const { limit } = readRateLimit({ ...headers("3", "1"), "x-ratelimit-limit": digits(15) }, 0) ??
    {};
  assertEquals(limit, 999_999_999_999_999);
  assertEquals(readRateLimit(headers(digits(16), "1"), 0), null);
  assertEquals(readRateLimit(headers("3", " 60 "), 0)?.resetInMs, 60_000);
  assertEquals(readRateLimit({ "x-ratelimit-reset": "1" }, 0), null);
  assertEquals(readRateLimit({ "x-ratelimit-remaining": "1" }, 0), null);
  for (const [given, expected] of rows) assertEquals(readRateLimit(given, NOON_MS), expected);
});

Deno.test("readRateLimit() ignores the instant of a server whose clock is unknown", () => {
  for (const resetS of [0, NOON_MS / 1_000 + 20, 999_999_999_999]) {
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(resetS) };
    assertEquals(readRateLimit(headers, null)?.resetInMs, 60_000);
  }
  assertEquals(readServerClock({}), null);
  assertEquals(readServerClock({ date: "soon" }), null);
  assertEquals(readServerClock({ date: ` ${new Date(NOON_MS).toUTCString()} ` }), NOON_MS);
});
