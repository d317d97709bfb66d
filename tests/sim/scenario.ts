/** What a story is, and what many of them need. */

import { Violation } from "./monitor.ts";
import type { Sim } from "./sim.ts";
import type { Age } from "./sim_commands.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

/** One story; it throws a `Violation` where it does not end as it must. */
export interface Scenario {
  readonly name: string;
  /** The servers that it begins with. @default both */
  readonly ages?: readonly Age[];
  play(sim: Sim): Promise<void>;
}

/** Throws a `Violation` where it does not hold. */
export function must(holds: boolean, otherwise: string): void {
  if (!holds) throw new Violation(otherwise);
}

/** Rapid polling, as long as is allowed. */
export async function beginRapid(sim: Sim): Promise<void> {
  const params = { duration_minutes: -1 };
  sim.queue({ id: "heartbeat", type: "enable_heartbeat", params });
  await sim.run(7 * MINUTE_MS);
  must((sim.agent?.loop.state.rapidUntilMs ?? 0) > sim.clock.monotonicMs(), "it is not rapid");
}
