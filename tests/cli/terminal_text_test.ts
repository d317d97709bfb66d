import { assertEquals } from "@std/assert";
import { describeSize, describeTime, isoInstant } from "../../src/cli/terminal_text.ts";

Deno.test("describeSize() chooses the unit by the size", () => {
  const rows: [number, string][] = [
    [0, "0 B"],
    [1_023, "1023 B"],
    [1_024, "1 KiB"],
    [1_536, "1.5 KiB"],
    [67_108_864, "64 MiB"],
    [1_024 ** 2 - 1, "1024 KiB"],
    [1_024 ** 2, "1 MiB"],
    [1_024 ** 3, "1 GiB"],
    [1_024 ** 4, "1 TiB"],
    [5e15, "4547.5 TiB"],
  ];
  for (const [bytes, text] of rows) assertEquals(describeSize(bytes), text);
});

Deno.test("isoInstant() is null for null, and for a number outside the range of dates", () => {
  assertEquals(isoInstant(0), "1970-01-01T00:00:00.000Z");
  assertEquals(isoInstant(8.64e15), "+275760-09-13T00:00:00.000Z");
  for (const none of [null, NaN, Infinity, -Infinity, 8.64e15 + 1, -8.64e15 - 1]) {
    assertEquals(isoInstant(none), null);
  }
});

Deno.test("describeTime() names the day only if it is another one, and never fails", () => {
  const nowMs = Date.UTC(2026, 10, 30, 3, 13, 37);
  const rows: [number, string][] = [
    [nowMs, "03:13Z"],
    [Date.UTC(2026, 10, 30), "00:00Z"],
    [Date.UTC(2026, 10, 30) - 1, "2026-11-29 23:59Z"],
    [Date.UTC(2026, 11, 1), "2026-12-01 00:00Z"],
    [NaN, "?"],
    [9e15, "?"],
  ];
  for (const [ms, text] of rows) assertEquals(describeTime(ms, nowMs), text);
});
