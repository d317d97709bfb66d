/** The server's faults, drawn anew for each life. */

import type { Random } from "../../src/system/system.ts";
import type { FaultInput } from "../../tools/refserver/faults.ts";

/** How often the server loses an answer after it has acted, whatever else is wrong. */
const MOSTLY_WELL = 0.25;

/** Draws a fault; most of them lose answers, which is what costs a careless agent its events. */
export function drawFault(random: Random): FaultInput {
  const kind = random();
  if (kind < MOSTLY_WELL) return { mode: "none" };
  if (kind < 0.6) return { mode: "lost_answer", chance: 0.05 + 0.35 * random() };
  if (kind < 0.7) return { mode: "cut", chance: 0.3 * random() };
  if (kind < 0.78) return { mode: "reset", chance: 0.3 * random() };
  if (kind < 0.86) return { mode: "slow", delayMs: 400 * random(), chance: 0.5 };
  if (kind < 0.9) return { mode: "status", status: 500, chance: 0.2, path: "/(logs|updates)$" };
  if (kind < 0.95) return { mode: "status", status: 503, chance: 0.3 * random() };
  if (kind < 0.97) return { mode: "html", status: 200, chance: 0.3 * random() };
  return { mode: "stall", chance: 0.1 * random(), count: 1 };
}
