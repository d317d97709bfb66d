import { assertEquals, assertThrows } from "@std/assert";
import { Calendar } from "../../tools/fleet/calendar.ts";

function taken(calendar: Calendar, slice: number): number[] {
  const agents = new Int32Array(10);
  return [...agents.subarray(0, calendar.take(slice, agents))].toSorted();
}

Deno.test("Calendar gives back the agents of a slice, once", () => {
  const calendar = new Calendar(10);
  calendar.put(3, 19.9);
  calendar.put(4, 20);
  calendar.put(5, 29.999);
  assertEquals(taken(calendar, 1), [3]);
  assertEquals(taken(calendar, 2), [4, 5]);
  assertEquals(taken(calendar, 2), []);
  assertEquals(calendar.atMs(5), 29.999);
});

Deno.test("Calendar goes round its ring", () => {
  const calendar = new Calendar(10);
  for (let slice = 0; slice < 200_000; slice += 50_000) {
    calendar.put(1, (slice + 50_000) * 10);
    assertEquals(taken(calendar, slice), []);
    assertEquals(taken(calendar, slice + 50_000), [1]);
  }
});

Deno.test("Calendar refuses what is past, too far, or no instant", () => {
  const calendar = new Calendar(10);
  calendar.take(100, new Int32Array(10));
  calendar.put(0, 1_000);
  calendar.put(1, 1_000 + 655_359);
  for (const atMs of [999, 1_000 + 655_360, NaN, Infinity]) {
    assertThrows(() => calendar.put(2, atMs), RangeError, "out of the ring");
  }
});

Deno.test("Calendar.clear() takes everybody out", () => {
  const calendar = new Calendar(10);
  calendar.put(0, 5);
  calendar.clear();
  assertEquals(taken(calendar, 0), []);
});
