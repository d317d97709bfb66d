/**
 * Colours for the words that rank something: health, severities, states. Colour repeats what the word says
 * and never stands alone. Pure.
 */

import type { System } from "../system/system.ts";
import { stripControls } from "../strip_controls.ts";

/** SGR parameters (ECMA-48, 8.3.117) of the words that have a colour. */
const COLOURS = {
  // Health of the agent.
  ok: "32",
  degraded: "33",
  failed: "31",
  // Severity of an update; `security`: a security update whose severity is unknown.
  critical: "1;31",
  important: "31",
  moderate: "33",
  security: "31",
  // States of a circuit breaker.
  closed: "32",
  half_open: "33",
  open: "31",
  // What a scan only mentions: an update that would not be installed now.
  not_now: "2",
} as const;

/** A word that has a colour. */
export type ColouredWord = keyof typeof COLOURS;

/**
 * Returns `text` in the colour of `word`, without control characters; unchanged for `null`. Print the result
 * with `{ colours: true }`, and compute its width before.
 */
export type Paint = (word: ColouredWord | null, text: string) => string;

/**
 * Paints if stdout is a terminal that shows colours. `NO_COLOR` (https://no-color.org) and `TERM=dumb` turn
 * colours off.
 */
export function painter(system: Pick<System, "terminal" | "readEnvironment">): Paint {
  const isColoured = system.terminal.stdoutIsTerminal &&
    system.readEnvironment("NO_COLOR") === undefined && system.readEnvironment("TERM") !== "dumb";
  return (word, text) => {
    const safe = stripControls(text, "\n\t");
    return isColoured && word !== null ? `\x1b[${COLOURS[word]}m${safe}\x1b[0m` : safe;
  };
}
