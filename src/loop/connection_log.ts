/** What the log says of the calls to the server: each failure, and each recovery with its summary. */

import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { ConnectionState, Path, PersonCause } from "./state.ts";

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
      // Once, and not with every try: it may pass, as a database outage does.
      if (before.needsPerson !== null || after.needsPerson !== null) break;
      if (before.doubt?.kind === "token") break;
      log.warning("server refused the tokens, trying again", {
        ...told,
        why: answer.why,
        next_in_s,
      });
      break;
    case "needs_person":
      break;
  }
  logStanding(log, { ...told, next_in_s }, context);
  if (before.outage === null || after.outage !== null) return;
  log.info("connection recovered", {
    outage_s: seconds(context.nowMs - before.outage.sinceMs),
    attempts: before.outage.attempts,
    buffered: context.countPending(),
    why: before.outage.why,
  });
}

/** What an operator can do, by what has to be mended. */
const NEXT_STEP: Readonly<Record<PersonCause, string>> = {
  token: "look at the server's log and database first: it answers so to any database error too; " +
    "if it is well, run `pennon register` with a new registration token",
  deleted: "run `pennon register` with a new registration token, or restore the agent's row",
  forbidden: "run `pennon register` with a new registration token",
};

/** Once when an operator has to act, and not with every hourly probe; and once when it is over. */
function logStanding(
  log: Log,
  fields: Readonly<Record<string, unknown>>,
  { before, after }: AnswerContext,
): void {
  const { needsPerson } = after;
  if (needsPerson === null) {
    if (before.needsPerson !== null) {
      log.info("server accepts this agent again", { why: before.needsPerson.why });
    }
    return;
  }
  if (before.needsPerson?.cause === needsPerson.cause) return;
  const { cause, why } = needsPerson;
  const what = cause === "deleted"
    ? "this agent was deleted on the server"
    : "the server no longer accepts this agent";
  const next_step = NEXT_STEP[cause];
  log.error(`operator action required: ${what}`, { ...fields, why, next_step });
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
