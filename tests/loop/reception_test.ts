import { assertEquals } from "@std/assert";
import { GOOD_RECEPTION, isPoor, noteDoubt, noteRefused } from "../../src/loop/reception.ts";

const policy = { baseMs: 5_000, capMs: 300_000, floorMs: 500 };

/** The waits after so many doubts, each at the instant at which the one before is over. */
function waits(doubts: number, random: () => number): number[] {
  let reception = GOOD_RECEPTION;
  const found: number[] = [];
  let nowMs = 0;
  for (let doubt = 0; doubt < doubts; doubt++) {
    const { rests } = reception;
    reception = noteDoubt(reception, { nowMs, policy, random });
    if (reception.rests === rests) continue;
    found.push(reception.notBeforeMs - nowMs);
    nowMs = reception.notBeforeMs;
  }
  return found;
}

Deno.test("noteDoubt() gives a rest after every third report, 5 s doubling to 5 min", () => {
  assertEquals(waits(2, () => 1), []);
  assertEquals(waits(3, () => 1), [5_000]);
  assertEquals(waits(26, () => 1), [5, 10, 20, 40, 80, 160, 300, 300].map((s) => s * 1_000));
});

Deno.test("noteDoubt() draws its rests by full jitter, at the cap too", () => {
  assertEquals(waits(24, () => 0), Array.from({ length: 8 }, () => 500));
  assertEquals(waits(24, () => 0.5).at(-1), 150_250);
});

Deno.test("isPoor() from the third report in a row that was in vain, and not from the second", () => {
  const two = noteRefused(noteRefused(GOOD_RECEPTION));
  assertEquals([isPoor(two), isPoor(noteRefused(two))], [false, true]);
  const step = { nowMs: 0, policy, random: () => 0 };
  assertEquals(isPoor(noteDoubt(two, step)), true);
  assertEquals(isPoor(noteDoubt(noteRefused(GOOD_RECEPTION), step)), false);
  const rested = noteDoubt(noteDoubt(noteDoubt(GOOD_RECEPTION, step), step), step);
  assertEquals([rested.inVain, rested.doubts, rested.rests], [3, 0, 1]);
  // A refusal is an answer: it brings no rest nearer.
  assertEquals(noteDoubt(two, step).rests, 0);
});
