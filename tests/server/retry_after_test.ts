import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  LONGEST_RETRY_AFTER_MS,
  readRateLimit,
  readRetryAfterMs,
  readServerClock,
} from "../../src/server/retry_after.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0);

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
    assertEquals(readRetryAfterMs(header, NOW_MS), expected, String(header));
  }
  assertEquals(readRetryAfterMs("Mon, 23 Nov 2026 12:00:00 GMT", NOW_MS - 1), 1);
  assertEquals(readRetryAfterMs("Mon, 23 Nov 2026 12:00:00 GMT", NOW_MS), null);
});

Deno.test("readRetryAfterMs() never returns a wait out of bounds", () => {
  fc.assert(fc.property(fc.string(), (header) => {
    const waitMs = readRetryAfterMs(header, NOW_MS);
    assert(waitMs === null || (waitMs > 0 && waitMs <= LONGEST_RETRY_AFTER_MS));
  }));
});

Deno.test("readRateLimit() reads what is left and when the window ends", () => {
  const resetS = NOW_MS / 1_000 + 20;
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
  for (const [given, expected] of rows) assertEquals(readRateLimit(given, NOW_MS), expected);
});

Deno.test("readRateLimit() ignores the instant of a server whose clock is unknown", () => {
  for (const resetS of [0, NOW_MS / 1_000 + 20, 999_999_999_999]) {
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(resetS) };
    assertEquals(readRateLimit(headers, null)?.resetInMs, 60_000);
  }
  assertEquals(readServerClock({}), null);
  assertEquals(readServerClock({ date: "soon" }), null);
  assertEquals(readServerClock({ date: ` ${new Date(NOW_MS).toUTCString()} ` }), NOW_MS);
});
