import { assertEquals } from "@std/assert";
import { clampRapidMs, rapidLeftMs } from "../../src/loop/rapid.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 12);

Deno.test("rapidLeftMs() reads what the server says of rapid polling", () => {
  const rows: [Parameters<typeof rapidLeftMs>[0], number | null][] = [
    [null, null],
    [{ enabled: false, until: null }, 0],
    [{ enabled: true, until: null }, null],
    [{ enabled: true, until: "junk" }, null],
    [{ enabled: true, until: "2026-11-23T12:10:00Z" }, 600_000],
    [{ enabled: true, until: "2026-11-23T11:59:00Z" }, 0],
    [{ enabled: true, until: "2036-11-23T12:00:00Z" }, 3_600_000],
    [{ enabled: true, until: "9999-99-99T99:99:99Z" }, null],
  ];
  for (const [told, expected] of rows) assertEquals(rapidLeftMs(told, NOW_MS), expected);
});

Deno.test("clampRapidMs() holds a wish between nothing and an hour", () => {
  assertEquals([-1, 0, 1, 3_600_000, 3_600_001, NaN].map(clampRapidMs), [
    0,
    0,
    1,
    3_600_000,
    3_600_000,
    0,
  ]);
});
