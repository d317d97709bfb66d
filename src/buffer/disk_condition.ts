/** How the disk takes what the buffer has to keep, and what is in memory alone meanwhile. */

import type { DatabaseErrorReason } from "../system/database.ts";

/** `gone`: the state folder vanished, and cannot be made anew. `held`: another agent has it. */
export type DiskTrouble = DatabaseErrorReason | "gone" | "held";

/** As it is known from the last try. */
export interface DiskCondition {
  readonly disk: "ok" | DiskTrouble;
  /** For people; `null`: all is well. */
  readonly why: string | null;
  /** Events that would be lost with this process. */
  readonly events: number;
  readonly sizeBytes: number;
  /** Deliveries that would be forgotten with this process: those events would be sent again. */
  readonly acknowledgements: number;
}
