/** Finds the JSON in an answer of dnf 5's: before 5.2.6 it told of its progress on stdout, too. */

import { LOCAL_LIMITS, parseJson } from "../../json.ts";

/** A line that begins a JSON text; more of them are not tried. */
const MOST_BEGINNINGS = 50;

/**
 * The value that the rest of `text` is from some line on, which begins with its first bracket;
 * `undefined` if there is none, as where the answer was cut off.
 */
export function findJson(text: string): unknown {
  const end = Math.max(text.lastIndexOf("]"), text.lastIndexOf("}")) + 1;
  // Only the outermost bracket stands at the beginning of a line.
  const beginnings = text.matchAll(/^\ufeff?[[{]/gm);
  let tried = 0;
  for (const { index } of beginnings) {
    tried += 1;
    if (tried > MOST_BEGINNINGS) break;
    const parsed = parseJson(text.slice(index, end).replace(/^\ufeff/, ""), LOCAL_LIMITS);
    if (parsed.ok) return parsed.value;
    // Chatter that looks like JSON; what comes after it may still be.
  }
  return undefined;
}
