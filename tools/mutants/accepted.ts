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

export const ACCEPTED: readonly Accepted[] = [
  {
    file: "src/host/host.ts",
    operator: "number",
    before: "cpus.reduce((total, cpu) => total + cpu[key], 0);",
    after: "cpus.reduce((total, cpu) => total + cpu[key], 1);",
    reason: "Only differences of such sums are used, and there the one cancels out",
  },
  {
    file: "src/host/linux.ts",
    operator: "logical",
    before: "if (name !== undefined && value !== undefined) found.set(name, unquote(value));",
    after: "if ((name !== undefined || value !== undefined)) found.set(name, unquote(value));",
    reason: "Both come from one match: there are both of them or none",
  },
  {
    file: "src/host/linux.ts",
    operator: "regular expression",
    before:
      "const fields = /^(\\S+)\\s+(\\S+)\\s+(\\d+)\\s+(\\d+)\\s+(\\d+)\\s+(?:\\d+%|-)\\s+(\\/.*)$/.exec(line);",
    after:
      "const fields = /^(\\S+)\\s+(\\S+)\\s+(\\d+)\\s+(\\d+)\\s+(\\d+)\\s+(?:\\d+%|-)\\s+(\\/.*)/.exec(line);",
    reason: "`.*` goes to the end of the line, with the anchor and without",
  },
];
