/**
 * Mutations that no test can or should notice, each with the reason. `docs/testing.md` shows them to
 * people; a test sees to it that each of them is still possible.
 */

import type { Operator } from "./mutation.ts";

/** One mutation that may survive. */
export interface Accepted {
  readonly file: string;
  readonly operator: Operator;
  /** The line, or lines, before and after, as the report shows them. */
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

export const ACCEPTED: readonly Accepted[] = [];
