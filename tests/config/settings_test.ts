import { assertEquals } from "@std/assert";
import { ALL_SETTINGS } from "../../src/config/settings.ts";

/** Of each setting with a range: just below it, its ends, just above it. */
const RANGES: Readonly<
  Record<string, readonly [below: string, least: string, most: string, above: string]>
> = {
  "http.connect_timeout": ["99ms", "100ms", "5m", "300001ms"],
  "http.timeout": ["99ms", "100ms", "10m", "600001ms"],
  "http.health_timeout": ["99ms", "100ms", "1m", "60001ms"],
  "http.max_body": ["65535B", "64KiB", "16MiB", "16777217B"],
  "polling.interval": ["9999ms", "10s", "1d", "86400001ms"],
  "polling.rapid_interval": ["99ms", "100ms", "5m", "300001ms"],
  "polling.start_spread": ["-1ms", "0s", "1h", "3600001ms"],
  "backoff.base": ["99ms", "100ms", "1h", "3600001ms"],
  "backoff.cap": ["99ms", "100ms", "1d", "86400001ms"],
  "backoff.floor": ["9ms", "10ms", "1h", "3600001ms"],
  "breaker.consecutive_failures": ["0", "1", "100", "101"],
  "breaker.window_failures": ["0", "1", "100", "101"],
  "breaker.window_size": ["0", "1", "1000", "1001"],
  "breaker.min_open": ["999ms", "1s", "1h", "3600001ms"],
  "breaker.max_open": ["999ms", "1s", "1d", "86400001ms"],
  "breaker.probe_timeout": ["999ms", "1s", "5m", "300001ms"],
  "buffer.max_events": ["99", "100", "1000000", "1000001"],
  "buffer.max_size": ["4194303B", "4MiB", "16GiB", "17179869185B"],
  "buffer.max_attempts": ["0", "1", "1000", "1001"],
  "scanners.timeout": ["999ms", "1s", "12h", "43200001ms"],
  "scanners.consecutive_failures": ["0", "1", "100", "101"],
  "scanners.min_open": ["999ms", "1s", "1d", "86400001ms"],
  "scanners.max_open": ["999ms", "1s", "7d", "604800001ms"],
};

Deno.test("each setting takes both ends of its range, and nothing beyond", () => {
  for (const { path, kind, fallback } of ALL_SETTINGS) {
    if (typeof fallback !== "number") continue;
    const taken = RANGES[path]?.map((written) => kind.read(written) !== undefined);
    assertEquals(taken, [false, true, true, false], path);
  }
  const numbers = ALL_SETTINGS.filter(({ fallback }) => typeof fallback === "number");
  assertEquals(numbers.length, Object.keys(RANGES).length);
});

Deno.test("each setting takes its own default, as it is shown", () => {
  for (const { path, kind, fallback } of ALL_SETTINGS) {
    if (fallback === null) continue;
    assertEquals(kind.read(kind.show(fallback)), fallback, path);
  }
});

Deno.test("no setting takes a text with what is not safe to show", () => {
  const controls = [
    "\0",
    "\n",
    "\t",
    "\x7f",
    "\u009b",
    "\u2028",
    "\u202e",
    "\u200b",
    "\ufeff",
    "\ud800",
  ];
  for (const { path, kind } of ALL_SETTINGS) {
    for (const control of controls) {
      for (const text of [`/a${control}b`, `http://a${control}b`, `http://a/${control}b`]) {
        assertEquals(kind.read(text), undefined, `${path}: ${JSON.stringify(text)}`);
        assertEquals(kind.read([text]), undefined, `${path}: ${JSON.stringify([text])}`);
      }
    }
  }
});
