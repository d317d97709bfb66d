/**
 * Whose fault it is that a report gets no answer of the server: that of the connection, or the report's own.
 * What is between agent and server may let every check-in through and stop a report by a text in it, by its
 * size, by the time that it takes, or because it is a POST: a filter that resets the connection, a proxy
 * that answers 502, 504 or a page of its own, or wants a password. Pure; decision 0006.
 */

import type { EventKey } from "../buffer/buffer.ts";
import type { Answer } from "../server/answer.ts";
import type { HttpErrorReason } from "../system/http.ts";

/** Failures after which the server may have the request. */
const AFTER_SENDING: ReadonlySet<HttpErrorReason> = new Set([
  "timeout",
  "cut_off",
  "malformed",
  "too_large",
]);

/** A report that had no answer again waits for this long at least. */
export const UNANSWERED_AGAIN_MS = 60_000;

/** So often it waits for the next check-in alone, and then for one more each time: for an hour at most. */
const SHORT_WAITS = 3;
const MOST_CHECK_INS = 12;

interface Unanswered {
  readonly event: EventKey;
  /** How many check-ins had succeeded at its latest failure. */
  readonly failedAt: number;
  /** How often it has failed after a check-in that succeeded since the failure before. */
  readonly rounds: number;
  /** It is not sent before so many check-ins have succeeded, nor before this instant. */
  readonly dueAt: number;
  readonly notBeforeMs: number;
}

/**
 * Reports that had no answer. One that fails again after a check-in has succeeded lets all others go first:
 * it waits for the next check-in, and later for several. It goes on counting as a failure of the
 * connection, because in a bad hour of the server both fail by chance.
 */
export class UnansweredReports {
  readonly #events = new Map<string, Unanswered>();
  #checkIns = 0;

  /** A check-in succeeded. */
  checkedIn(): void {
    this.#checkIns += 1;
  }

  /** A report had no answer. */
  failed({ id, commandId, place }: EventKey, nowMs: number): void {
    const before = this.#events.get(id);
    const failedAt = this.#checkIns;
    const isAgain = before !== undefined && before.failedAt < failedAt;
    const rounds = (before?.rounds ?? 0) + (isAgain ? 1 : 0);
    const wait = rounds === 0 ? 0 : Math.min(MOST_CHECK_INS, Math.max(1, rounds - SHORT_WAITS));
    this.#events.set(id, {
      event: { id, commandId, place },
      failedAt,
      rounds,
      dueAt: failedAt + wait,
      notBeforeMs: rounds === 0 ? -Infinity : nowMs + UNANSWERED_AGAIN_MS,
    });
  }

  /** It had an answer. */
  answered(id: string): void {
    this.#events.delete(id);
  }

  /** Those that are not to be sent now. */
  waiting(nowMs: number): EventKey[] {
    return [...this.#events.values()].filter(({ dueAt, notBeforeMs }) =>
      dueAt > this.#checkIns || notBeforeMs > nowMs
    ).map(({ event }) => event);
  }

  /** Forgets everything, as the buffer is empty. */
  clear(): void {
    this.#events.clear();
  }
}

/**
 * Whether the server refuses the tokens of reports alone. `suspected`: a report was refused with a token that
 * was renewed for it. `proven`: a check-in has succeeded since, and no report.
 */
export type TokenFault = "none" | "suspected" | "proven";

/** The state after a check-in that succeeded. */
export function afterGoodCheckIn(fault: TokenFault): TokenFault {
  return fault === "none" ? "none" : "proven";
}

/**
 * The answer to a report, for the connection. A 500 is no outage, as the same server accepts check-ins. Nor is a
 * refused token, where check-ins with the same token are accepted: those renew it when it has expired.
 */
export function asReportFailure<T>(answer: Answer<T>, fault: TokenFault): Answer<T> {
  if (answer.kind === "unauthorized" && fault === "proven") {
    return { kind: "report_failed", why: answer.why, isUnjudged: true };
  }
  if (answer.kind !== "failed" || answer.status !== 500) return answer;
  const { why, rateLimit, isSaid } = answer;
  return {
    kind: "report_failed",
    why,
    ...(rateLimit && { rateLimit }),
    ...(isSaid && { isSaid }),
  };
}

/**
 * Whether the server may have stored a report all the same: no answer came, or one that is not in the server's
 * own words: a proxy may have put its own in the place of a good one.
 */
export function mayHaveArrived(answer: Answer<unknown>): boolean {
  switch (answer.kind) {
    case "failed":
      if (answer.status === null) {
        return answer.reason === undefined || AFTER_SENDING.has(answer.reason);
      }
      return answer.isSaid !== true;
    case "report_failed":
      return answer.isSaid !== true;
    case "refused":
      return answer.isForeign === true;
    case "aborted":
      return true;
    case "ok":
    case "limited":
    case "unauthorized":
    case "operator_required":
      return false;
  }
}
