/** What the log says of a breaker: one line for each transition, of whatever it guards. */

import type { Log } from "../log.ts";
import type { BreakerChange } from "./change.ts";

/** What a breaker guards, in the log's words: "connection", or "scanner" with its name. */
export type Guarded = { readonly what: "connection" } | {
  readonly what: "scanner";
  readonly scanner: string;
};

/** Tells a transition. */
export function tellChange(log: Log, guarded: Guarded, change: BreakerChange): void {
  const { what, ...name } = guarded;
  const { from, to, why, failures } = change;
  const told = { ...name, from, to };
  switch (to) {
    case "closed": {
      const trouble_s = seconds(change.troubleMs);
      return log.info(`${what} breaker closed`, { ...told, failures, trouble_s });
    }
    case "open": {
      const open_for_s = seconds(change.openForMs ?? 0);
      return log.warning(`${what} breaker opened`, { ...told, why, failures, open_for_s });
    }
    case "half_open":
      return log.info(`${what} breaker half-open`, { ...told, why, failures });
  }
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
