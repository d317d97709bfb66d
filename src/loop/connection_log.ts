/** What the log says of the calls to the server: each failure, and each recovery with its summary. */

import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { ConnectionState, Path } from "./state.ts";

/** What happened with one answer. */
export interface AnswerContext {
  readonly path: Path;
  readonly before: ConnectionState;
  readonly after: ConnectionState;
  readonly nowMs: number;
  readonly tookMs: number;
  /** Until the next call on this path. */
  readonly waitMs: number;
  /** How many events wait. */
  countPending(): number;
}

/** A line for an answer that was not simply good, and a summary when an outage is over. */
export function tellAnswer(log: Log, answer: Answer<unknown>, context: AnswerContext): void {
  const { path, before, after } = context;
  const told = { path, took_ms: Math.round(context.tookMs) };
  const next_in_s = seconds(context.waitMs);
  switch (answer.kind) {
    case "ok":
    case "aborted":
      break;
    case "refused":
      log.warning("server refused a request", { ...told, why: answer.why });
      break;
    case "failed": {
      const { why, offline } = answer;
      const attempt = after.outage?.attempts ?? 1;
      const fields = { ...told, why, offline, attempt, next_in_s };
      // An outage is told when it begins and when it ends; an offline host tries often.
      if (attempt === 1) log.warning("server not reached", fields);
      else if (offline) log.debug("server not reached", fields);
      else log.info("server not reached", fields);
      break;
    }
    case "limited":
      log.warning("server asked to slow down", { ...told, why: answer.why, next_in_s });
      break;
    case "unauthorized":
    case "needs_person":
      // Once, and not with every hourly probe.
      if (before.needsPerson !== null) break;
      log.error("a person is needed: the server no longer takes this agent", {
        ...told,
        why: answer.why,
        next_step: "run `pennon register` with a new registration token",
        next_in_s,
      });
  }
  if (before.outage === null || after.outage !== null) return;
  log.info("connection recovered", {
    outage_s: seconds(context.nowMs - before.outage.sinceMs),
    attempts: before.outage.attempts,
    buffered: context.countPending(),
    why: before.outage.why,
  });
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
