/** Chance that repeats itself: the same numbers, and the same agent ids, for the same seed. */

import type { Random } from "../../src/system/system.ts";

/** Numbers in [0, 1) from a seed of 32 bits (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** `count` ids in the shape of a UUID, version 4. */
export function agentIds(count: number, random: Random): string[] {
  return Array.from({ length: count }, () => {
    const hex = Array.from({ length: 4 }, () => eightDigits(random)).join("");
    const variant = "89ab"[Math.floor(random() * 4)];
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      `4${hex.slice(13, 16)}`,
      `${variant}${hex.slice(17, 20)}`,
      hex.slice(20, 32),
    ].join("-");
  });
}

function eightDigits(random: Random): string {
  return Math.floor(random() * 4_294_967_296).toString(16).padStart(8, "0");
}
