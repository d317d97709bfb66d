/** What is known of a storm when it is over: all that the judge is given. */

import type { LoggedRequest } from "../../tools/refserver/request_log.ts";
import type { RefserverState } from "../../tools/refserver/server.ts";
import type { Testimony } from "./witness.ts";

/** One line of the agent's log. */
export interface ToldLine {
  readonly message: string;
  readonly [field: string]: unknown;
}

/** One life of the agent, from its start to its death. Instants are those of the request log. */
export interface LifeRecord {
  readonly bornMs: number;
  readonly deadMs: number;
  /** In the order in which they were printed. */
  readonly lines: readonly ToldLine[];
}

/** A second agent that was started on the folder of a running one. */
export interface DoubleStart {
  readonly code: number;
  readonly said: string;
}

/** All there is to judge by. */
export interface StormRecord {
  readonly testimony: Testimony;
  readonly server: Pick<
    RefserverState,
    "agents" | "commands" | "logs" | "updates" | "systemInfo" | "violations"
  >;
  /** Every request of the storm, in the order of arrival. */
  readonly requests: readonly LoggedRequest[];
  readonly lives: readonly LifeRecord[];
  /** What was appended by hand between lives, by its names. */
  readonly fed: readonly string[];
  /** Ids of commands that were written down by hand between lives. */
  readonly writtenDown: readonly string[];
  readonly doubleStarts: readonly DoubleStart[];
  /** Ids of commands that must not be repeated, once for each run; `null`: there were none. */
  readonly marks: { readonly types: readonly string[]; readonly ids: readonly string[] } | null;
  /** Names of what no server takes: it becomes a dead letter in the end, or waits for its next attempt. */
  readonly neverTaken: ReadonlySet<string>;
  /** Whether a server that is well has had time to take all that it takes. */
  readonly isSettled: boolean;
  /** Whether the bound of the buffer was low enough to drop something. */
  readonly mayDrop: boolean;
}
