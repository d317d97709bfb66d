import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import {
  advanceSlowStart,
  inFlightLimit,
  isStalled,
  NEW_WINDOW,
  nextAllowedAtMs,
  NO_SLOW_START,
  portionSize,
  recordAnswer,
  recordThrottled,
  type SlidingWindow,
  type SlowStart,
} from "../../src/delivery/send_rate.ts";
import type { RateLimit } from "../../src/server/answer.ts";
import { seededRandom } from "../fakes/system.ts";
import { RateLimiter } from "../../tools/refserver/rate_limit.ts";

const MINUTE_MS = 60_000;

function limited(remaining: number, rest: Partial<RateLimit> = {}): RateLimit {
  return { limit: 3, remaining, resetInMs: MINUTE_MS, ...rest };
}

function answers(
  list: readonly (readonly [atMs: number, told: RateLimit | null])[],
): SlidingWindow {
  return list.reduce(
    (pace, [nowMs, rateLimit]) =>
      recordAnswer(pace, { sentMs: nowMs, nowMs, rateLimit, isAlone: true, random: () => 1 }),
    NEW_WINDOW,
  );
}

Deno.test("nextAllowedAtMs() holds nothing back from a server that has room, or says nothing of it", () => {
  for (const told of [null, limited(1), limited(2)]) {
    assertEquals(nextAllowedAtMs(answers([[1_000, told]]), 9), -Infinity);
  }
});

Deno.test("nextAllowedAtMs() is when our own answers leave the window, whatever its reset says", () => {
  const pace = answers([[1_000, limited(2)], [5_000, limited(1)], [9_000, limited(0)]]);
  assertEquals(nextAllowedAtMs(pace, 1), 1_000 + MINUTE_MS);
  assertEquals(nextAllowedAtMs(pace, 2), 5_000 + MINUTE_MS);
  assertEquals(nextAllowedAtMs(pace, 9), 9_000 + MINUTE_MS);
});

Deno.test("nextAllowedAtMs() waits for five places at most, and not for fewer than wait", () => {
  const pace = answers(Array.from({ length: 30 }, (_, n) => [n, limited(29 - n, { limit: 30 })]));
  assertEquals([1, 4, 5, 6, 100].map((waiting) => nextAllowedAtMs(pace, waiting) - MINUTE_MS), [
    0,
    3,
    4,
    4,
    4,
  ]);
});

Deno.test("nextAllowedAtMs() counts what broke or was refused: the server had counted it before", () => {
  const pace = answers([[1_000, limited(1)], [2_000, null]]);
  assertEquals(pace.remaining, 0);
  assertEquals(answers([[2_000, null], [3_000, null]]).remaining, null);
});

Deno.test("nextAllowedAtMs() waits for the reset, and a little chance, where others fill the window", () => {
  assertEquals(nextAllowedAtMs(answers([[1_000, limited(0)]]), 9), 1_000 + 1.2 * MINUTE_MS);
  const unknown = answers([[1_000, limited(0, { limit: null, resetInMs: 20_000 })]]);
  assertEquals(nextAllowedAtMs(unknown, 9), 1_000 + 24_000);
});

Deno.test("nextAllowedAtMs() believes a server whose window is longer than a minute", () => {
  const told = (remaining: number) => limited(remaining, { resetInMs: 5 * MINUTE_MS });
  const pace = answers([[0, told(2)], [2 * MINUTE_MS, told(1)], [3 * MINUTE_MS, told(0)]]);
  assertEquals(nextAllowedAtMs(pace, 1), 5 * MINUTE_MS);
});

Deno.test("recordAnswer() remembers as many answers as the limit counts, and those of one window", () => {
  const remembered = (limit: number | null) => {
    const told = limit === null ? null : limited(1, { limit });
    let pace = NEW_WINDOW;
    const note = (nowMs: number) =>
      pace = recordAnswer(pace, {
        sentMs: nowMs,
        nowMs,
        rateLimit: told,
        isAlone: true,
        random: () => 0,
      });
    for (let n = 0; n <= 1_000; n++) note(n);
    const first = [pace.answeredAtMs.length, pace.answeredAtMs[0]];
    note(MINUTE_MS + 500);
    return [...first, pace.answeredAtMs[0]];
  };
  // What was answered a window before the last one was sent is left.
  assertEquals(remembered(100_000), [1_000, 1, 501]);
  assertEquals(remembered(60), [60, 941, 942]);
  assertEquals(remembered(0), [1, 1_000, MINUTE_MS + 500]);
  assertEquals(remembered(null), [1, 1_000, MINUTE_MS + 500]);
});

Deno.test("recordAnswer() counts the agent's own requests as well, which may reach the server late", () => {
  // Two requests had no answer; the server has counted neither when it says that 2 of 3 places are free.
  assertEquals(answers([[0, limited(2)], [1, null], [2, null], [3, limited(2)]]).remaining, 0);
  assertEquals(answers([[0, null], [1, limited(2)]]).remaining, 1);
  // A minute later they are forgotten.
  assertEquals(answers([[0, limited(2)], [1, null], [MINUTE_MS + 2, limited(2)]]).remaining, 2);
});

Deno.test("inFlightLimit() doubles with each good answer after a failure, up to eight", () => {
  assertEquals([0, 1, 2, 3, 4, 1_000, Infinity].map(inFlightLimit), [1, 2, 4, 8, 8, 8, 8]);
});

Deno.test("recordAnswer() never counts below no place at all", () => {
  const pace = answers([[0, limited(0)], [1, null], [2, null]]);
  assertEquals(pace.remaining, 0);
});

Deno.test("nextAllowedAtMs() waits for the reset where the limit says nothing, and never before it was sent away", () => {
  const none = answers([[1_000, limited(0, { limit: 0, resetInMs: 10_000 })]]);
  assertEquals(nextAllowedAtMs(none, 9), 13_000);
  const away = (pace: SlidingWindow) => recordThrottled(pace, 1_000, 120_000);
  assertEquals(nextAllowedAtMs(away(none), 9), 122_000);
  assertEquals(nextAllowedAtMs(away(answers([[1_000, limited(2)]])), 9), 122_000);
  const full = answers([[0, limited(2)], [1, limited(1)], [2, limited(0)]]);
  assertEquals(nextAllowedAtMs(away(full), 9), 122_000);
  assertEquals(nextAllowedAtMs(full, 0), MINUTE_MS, "one place at least");
});

Deno.test("recordThrottled() adds the second that Retry-After was rounded down by", () => {
  assertEquals(nextAllowedAtMs(recordThrottled(NEW_WINDOW, 500, 7_000), 1), 8_500);
  assertEquals(nextAllowedAtMs(recordThrottled(NEW_WINDOW, 500, null), 1), 1_500);
});

Deno.test("a drain at this pace meets no 429, and loses no time, however slow the server", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0, max: 900 }), (seed, slowestMs) => {
      const random = seededRandom(seed);
      const limiter = new RateLimiter();
      let pace = NEW_WINDOW;
      let nowMs = 0;
      let answering = 0;
      for (let waiting = 600; waiting > 0; waiting--) {
        nowMs = Math.max(nowMs, nextAllowedAtMs(pace, waiting));
        const latencyMs = random() * slowestMs;
        const { allowed, headers } = limiter.take("agent", 30, nowMs + latencyMs * random());
        assert(allowed, `a 429 at ${nowMs} ms`);
        const sentMs = nowMs;
        nowMs += latencyMs;
        answering += latencyMs;
        const remaining = Number(headers["X-RateLimit-Remaining"]);
        const rateLimit = { limit: 30, remaining, resetInMs: MINUTE_MS };
        pace = recordAnswer(pace, { sentMs, nowMs, rateLimit, isAlone: true, random });
      }
      assert(nowMs <= 600 / 30 * MINUTE_MS + answering, `${nowMs} ms`);
    }),
    { numRuns: 30 },
  );
});

Deno.test("recordAnswer() believes an answer that overlapped others only as far as it is less than was told before", () => {
  const note = (pace: SlidingWindow, remaining: number, isAlone: boolean) =>
    recordAnswer(pace, {
      sentMs: 0,
      nowMs: 0,
      rateLimit: limited(remaining, { limit: 30 }),
      isAlone,
      random: () => 0,
    });
  const first = note(NEW_WINDOW, 9, false);
  assertEquals(first.remaining, 9, "there is no count yet");
  assertEquals(note(first, 12, false).remaining, 9, "it may have been overtaken");
  assertEquals(note(first, 5, false).remaining, 5, "others share the window");
  assertEquals(note(first, 12, true).remaining, 12, "places have become free");
});

Deno.test("reports that overlap meet no 429, in whatever order the server counts and answers them", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 900 }), (seed, slowestMs) => {
      const random = seededRandom(seed);
      const limiter = new RateLimiter();
      interface Flight {
        readonly number: number;
        readonly sentMs: number;
        readonly isFirst: boolean;
        atMs: number;
        remaining: number | null;
      }
      const flights: Flight[] = [];
      let pace = NEW_WINDOW;
      let [nowMs, launched, waiting] = [0, 0, 300];
      while (waiting > 0 || flights.length > 0) {
        if (flights.length === 0) nowMs = Math.max(nowMs, nextAllowedAtMs(pace, waiting));
        const most = pace.answeredAtMs.length > 0 ? 8 : 1;
        const hasRoom = () => pace.remaining === null || pace.remaining > flights.length;
        while (waiting > 0 && flights.length < most && (flights.length === 0 || hasRoom())) {
          waiting -= 1;
          launched += 1;
          const isFirst = flights.length === 0;
          const atMs = nowMs + random() * slowestMs / 2;
          flights.push({ number: launched, sentMs: nowMs, isFirst, atMs, remaining: null });
        }
        flights.sort((a, b) => a.atMs - b.atMs);
        const [next] = flights;
        nowMs = next!.atMs;
        if (next!.remaining === null) {
          // The server counts it; its answer takes its time.
          const { allowed, headers } = limiter.take("agent", 30, nowMs);
          assert(allowed, `a 429 at ${nowMs} ms`);
          next!.remaining = Number(headers["X-RateLimit-Remaining"]);
          next!.atMs += random() * slowestMs / 2;
          continue;
        }
        const { number, sentMs, isFirst, remaining } = flights.shift()!;
        const rateLimit = { limit: 30, remaining: remaining!, resetInMs: MINUTE_MS };
        const isAlone = isFirst && number === launched;
        pace = recordAnswer(pace, { sentMs, nowMs, rateLimit, isAlone, random });
      }
      // Each window is used to its last place; in each some answers are waited for one by one.
      assert(nowMs <= 300 / 30 * (MINUTE_MS + 10 * slowestMs), `${nowMs} ms`);
    }),
    { numRuns: 50 },
  );
});

Deno.test("slow start goes 1, 2, 4 … 64, then lets everything through", () => {
  const portions: number[] = [];
  let slowStart: SlowStart = { ...NO_SLOW_START, step: 0 };
  for (let step = 0; step < 9; step++) {
    portions.push(portionSize(slowStart));
    slowStart = advanceSlowStart(slowStart);
  }
  assertEquals(portions, [1, 2, 4, 8, 16, 32, 64, Infinity, Infinity]);
});

Deno.test("isStalled() from the third report in a row without success, and not from the second", () => {
  const after = (failedReports: number) => isStalled({ ...NO_SLOW_START, failedReports });
  assertEquals([after(0), after(2), after(3), after(4)], [false, false, true, true]);
});
