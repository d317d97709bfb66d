/**
 * Whose fault it is that a report gets no answer of the server: that of the connection, or the report's own.
 * What is between agent and server may let every check-in through and stop a report by a text in it, by its
 * size, by the time that it takes, or because it is a POST: a filter that resets the connection, a proxy
 * that answers 502, 504 or a page of its own, or wants a password. Pure; decision 0006.
 */

import type { Answer } from "../server/answer.ts";

/** Answers of a gateway that may have forwarded the request. */
const GATEWAY: ReadonlySet<number> = new Set([502, 504]);

/**
 * What the reports of this process have shown. `suspected`: one got no answer, which as a rule is the
 * connection's fault. `proven`: a check-in has succeeded since, and no report: the fault is theirs.
 */
export type ReportFault = "none" | "suspected" | "proven";

/** The state after the answer to a report. */
export function afterReport(fault: ReportFault, { kind }: { readonly kind: string }): ReportFault {
  const isStopped = kind === "failed" || kind === "unauthorized";
  return isStopped && fault === "none" ? "suspected" : fault;
}

/** The state after a check-in that succeeded. */
export function afterGoodCheckIn(fault: ReportFault): ReportFault {
  return fault === "none" ? "none" : "proven";
}

/**
 * The answer to a report, for the connection. A 500 is no outage, as the same server accepts check-ins; nor
 * is, where it `isOwnFault`, any other failure or a refused token: the check-ins say how the connection is
 * and renew the token. A wait that the server asks for concerns all calls.
 */
export function asReportFailure<T>(answer: Answer<T>, isOwnFault: boolean): Answer<T> {
  if (answer.kind === "unauthorized" && isOwnFault) {
    return { kind: "report_failed", why: answer.why, unjudged: "not_arrived" };
  }
  if (answer.kind !== "failed") return answer;
  const { status, why, rateLimit, offline, retryAfterMs } = answer;
  const failed = { kind: "report_failed", why, ...(rateLimit && { rateLimit }) } as const;
  if (status === 500) return failed;
  if (!isOwnFault || offline || retryAfterMs !== null) return answer;
  return { ...failed, unjudged: mayHaveArrived(answer) ? "may_have_arrived" : "not_arrived" };
}

/** Whether the server may have acted all the same: the answer is lost, or a gateway did not wait. */
export function mayHaveArrived(answer: Extract<Answer<unknown>, { kind: "failed" }>): boolean {
  return answer.status === null ? !answer.offline : GATEWAY.has(answer.status);
}
