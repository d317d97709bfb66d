/** Logs the calls to the server: each failure, and each recovery with its summary. */

import { seconds } from "../breaker/breaker.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import { describeOperatorAction } from "./operator_words.ts";
import type { ConnectionState, Path } from "./state.ts";

interface AnswerContext {
  readonly path: Path;
  readonly before: ConnectionState;
  readonly after: ConnectionState;
  readonly nowMs: number;
  readonly tookMs: number;
  /** Until the next call on this path. */
  readonly waitMs: number;
  /** The number of pending events. */
  countPending(): number;
}

/** Logs an answer that is not simply good, and a summary when an outage is over. */
export function logAnswer(log: Log, answer: Answer<unknown>, context: AnswerContext): void {
  const { path, before, after } = context;
  const call = { path, took_ms: Math.round(context.tookMs) };
  const next_in_s = seconds(context.waitMs);
  switch (answer.kind) {
    case "ok":
    case "aborted":
      break;
    case "refused":
      log.warning("server refused a request", { ...call, why: answer.why });
      break;
    case "report_failed":
      log.warning("server failed on a report", { ...call, why: answer.why });
      break;
    case "failed": {
      const { why, offline } = answer;
      const attempt = after.outage?.failedCalls ?? 1;
      const fields = { ...call, why, offline, attempt, next_in_s };
      // The start and the end of an outage are logged; an offline host tries often.
      if (attempt === 1) log.warning("server not reached", fields);
      else if (offline) log.debug("server not reached", fields);
      else log.info("server not reached", fields);
      break;
    }
    case "limited":
      log.warning("server asked to slow down", { ...call, why: answer.why, next_in_s });
      break;
    case "unauthorized":
      // Once, and not with every attempt: the cause may pass, as a database outage does.
      if (before.operatorAction !== null || after.operatorAction !== null) break;
      if (before.doubt?.kind === "token") break;
      log.warning("server refused the tokens, trying again", {
        ...call,
        why: answer.why,
        next_in_s,
      });
      break;
    case "operator_required":
      break;
  }
  logAcceptance(log, { ...call, next_in_s }, context);
  if (before.outage === null || after.outage !== null) return;
  log.info("connection recovered", {
    outage_s: seconds(context.nowMs - before.outage.sinceMs),
    attempts: before.outage.failedCalls,
    buffered: context.countPending(),
    why: before.outage.why,
  });
}

/** Logs once when an operator has to act, not with every hourly probe, and once when it is over. */
function logAcceptance(
  log: Log,
  fields: Readonly<Record<string, unknown>>,
  { before, after }: AnswerContext,
): void {
  const { operatorAction } = after;
  if (operatorAction === null) {
    if (before.operatorAction !== null) {
      log.info("server accepts this agent again", { why: before.operatorAction.why });
    }
    return;
  }
  if (before.operatorAction?.cause === operatorAction.cause) return;
  const { cause, why, facts = {} } = operatorAction;
  const { what, because, remedy: next_step } = describeOperatorAction(cause, facts);
  log.error(`operator action required: ${what}`, { ...fields, cause, why, because, next_step });
}
