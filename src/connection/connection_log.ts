/** Logs the calls to the server: each failure, and each recovery with its summary. */

import { seconds } from "../breaker/breaker.ts";
import type { Log } from "../log.ts";
import type { LogMessage } from "../log_messages.ts";
import type { Answer } from "../server/answer.ts";
import { isAgentUnknown } from "../server/client.ts";
import type { HttpErrorReason } from "../system/http.ts";
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
      // The drain logs what it makes of a refused event, with the reason.
      if (path === "delivery" && !isAgentUnknown(answer)) {
        log.debug("server refused a request", { ...call, why: answer.why });
      } else log.warning("server refused a request", { ...call, why: answer.why });
      break;
    case "report_failed":
      log.warning("server failed on a report", { ...call, why: answer.why });
      break;
    case "failed": {
      const { why, offline, status } = answer;
      const attempt = after.outage?.failedCalls ?? 1;
      const fields = { ...call, why, status, offline, attempt, next_in_s };
      const message = failureMessage(answer);
      // The start and the end of an outage are logged, and another kind of failure; an offline host
      // tries often.
      const isNew = attempt === 1 || before.outage?.status !== status;
      if (isNew) log.warning(message, fields);
      else if (offline) log.debug(message, fields);
      else log.info(message, fields);
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
  logAcceptance(log, answer, { ...call, next_in_s }, context);
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
  answer: Answer<unknown>,
  fields: Readonly<Record<string, unknown>>,
  { before, after }: AnswerContext,
): void {
  const { operatorAction } = after;
  if (operatorAction === null) {
    // A server that fails makes it doubtful again, and accepts nobody.
    if (before.operatorAction !== null && answer.kind !== "failed") {
      log.info("server accepts this agent again", { why: before.operatorAction.why });
    }
    return;
  }
  if (before.operatorAction?.cause === operatorAction.cause) return;
  const { cause, why, facts = {} } = operatorAction;
  const { what, because, remedy: next_step } = describeOperatorAction(cause, facts, why);
  const account = { cause, what, why, because, next_step };
  log.error("operator action required", { ...account, ...fields });
}

/** The messages for a call that brought no whole answer. */
const MESSAGE_OF: Readonly<Record<HttpErrorReason, LogMessage>> = {
  offline: "server not reached",
  unreachable: "server not reached",
  dns: "server not reached",
  refused: "server not reached",
  proxy: "server not reached",
  aborted: "server not reached",
  tls: "no secure connection to the server",
  timeout: "server did not answer in time",
  cut_off: "server's answer is not usable",
  malformed: "server's answer is not usable",
  too_large: "server's answer is not usable",
};

/** Says "not reached" only of a server that was not: an answer of 500 comes from one that was. */
function failureMessage(
  { status, reason }: Extract<Answer<unknown>, { kind: "failed" }>,
): LogMessage {
  if (status === null) {
    // Without a reason the agent itself ended a call that took too long.
    return reason === undefined ? "server did not answer in time" : MESSAGE_OF[reason];
  }
  if (status >= 500 || status === 408) return "server answered with an error";
  return status >= 400 ? "server refused this agent's call" : "server's answer is not usable";
}
