import { assert, assertEquals } from "@std/assert";
import { longestScannerOpenMs, scannerPolicy } from "../../src/breaker/scanner.ts";

const settings = {
  consecutiveFailures: 3,
  minOpenMs: 900_000,
  maxOpenMs: 21_600_000,
  timeoutMs: 60_000,
};

Deno.test("scannerPolicy() stays open 15 min, doubling to 6 h, give or take a fifth", () => {
  const policy = scannerPolicy(settings);
  const rows: [trips: number, openMs: number][] = [
    [1, 900_000],
    [2, 1_800_000],
    [5, 14_400_000],
    [6, 21_600_000],
    [2_000, 21_600_000], // 2 ** 1999 is beyond every number.
  ];
  for (const [trips, openMs] of rows) {
    assertEquals(policy.openMs({ failures: 3, trips }, () => 0.5), openMs);
    assertEquals(policy.openMs({ failures: 3, trips }, () => 0), openMs * 0.8);
    assert(Math.abs(policy.openMs({ failures: 3, trips }, () => 1) - openMs * 1.2) < 1);
  }
  assertEquals(longestScannerOpenMs(settings), 21_600_000 * 1.2);
});

Deno.test("scannerPolicy() looks at the row alone, and gives a probe a scan's own time", () => {
  const { consecutiveFailures, windowSize, probeTimeoutMs } = scannerPolicy(settings);
  assertEquals([consecutiveFailures, windowSize, probeTimeoutMs], [3, 0, 60_000]);
});
