import { assertEquals } from "@std/assert";
import { readWalTail } from "./wal_tail.ts";

const PAGE = 512;

/** A log of frames: `true` ends a transaction. Salts are 7 and 9. */
function walOf(frames: readonly boolean[], differently: { salt?: number } = {}): Uint8Array {
  const bytes = new Uint8Array(32 + frames.length * (24 + PAGE));
  const view = new DataView(bytes.buffer);
  view.setUint32(8, PAGE);
  view.setUint32(16, 7);
  view.setUint32(20, 9);
  frames.forEach((isEnd, number) => {
    const at = 32 + number * (24 + PAGE);
    view.setUint32(at + 4, isEnd ? 5 : 0);
    view.setUint32(at + 8, differently.salt ?? 7);
    view.setUint32(at + 12, 9);
  });
  return bytes;
}

const cases: readonly [string, Uint8Array, { committed: number; torn: number }][] = [
  ["no file", new Uint8Array(), { committed: 0, torn: 0 }],
  ["half a header", new Uint8Array(20), { committed: 0, torn: 0 }],
  ["a header alone", walOf([]), { committed: 0, torn: 0 }],
  ["two transactions", walOf([false, true, true]), { committed: 3, torn: 0 }],
  ["one without an end", walOf([true, false, false]), { committed: 1, torn: 2 }],
  ["nothing but one without an end", walOf([false]), { committed: 0, torn: 1 }],
  ["a last page cut off", walOf([true, true]).subarray(0, -1), { committed: 1, torn: 1 }],
  ["frames of an earlier use", walOf([true, true], { salt: 6 }), { committed: 0, torn: 0 }],
];

for (const [what, bytes, tail] of cases) {
  Deno.test(`readWalTail() reads ${what}`, () => assertEquals(readWalTail(bytes), tail));
}
