/** The command line of the storm. */

import { parseArgs } from "@std/cli/parse-args";

/**
 * What happens besides the kills. `up`: the server is there, and loses answers. `down`: it refuses
 * every connection for the first half. `full`: the buffer is near its bound all the time. `once`: the
 * agent has commands that must not be repeated, and runs from source for that. `damaged`: it finds a damaged
 * buffer, and dies at its start.
 */
export type Variant = "up" | "down" | "full" | "once" | "damaged";

export const VARIANTS: readonly Variant[] = ["up", "down", "full", "once", "damaged"];

export interface StormOptions {
  /** In each variant. */
  readonly kills: number;
  readonly seed: number;
  readonly variants: readonly Variant[];
}

/** Reads it; throws an `Error` that says what does not fit. */
export function readOptions(words: readonly string[], anySeed: number): StormOptions {
  const given = parseArgs([...words], {
    string: ["kills", "seed", "variant"],
    unknown: (word) => {
      throw new Error(`Cannot read "${word}": no such option`);
    },
  });
  const number = (name: string, fallback: number) => {
    const text = String(given[name] ?? fallback);
    if (/^\d{1,9}$/.test(text)) return Number(text);
    throw new Error(`Cannot read --${name} "${text}": not a number`);
  };
  const wanted = String(given["variant"] ?? "all");
  const variants = VARIANTS.filter((variant) => wanted === "all" || wanted === variant);
  if (variants.length === 0) {
    throw new Error(`Cannot read --variant "${wanted}": it is one of ${VARIANTS.join(", ")}, all`);
  }
  return { kills: number("kills", 15), seed: number("seed", anySeed), variants };
}
