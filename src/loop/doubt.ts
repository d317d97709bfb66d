/**
 * Whether the server still knows this agent: pure, one answer, one new state.
 *
 * RedFlag 0.1.18 answers a renewal with 401 for any database error, and takes a deleted agent's
 * check-ins until its token ends. So neither sign is final by itself: a refused renewal is believed
 * after several over a while in which no check-in got a 5xx, a deletion after a second "agent not
 * found" behind a good check-in.
 */

import type { Answer } from "../server/answer.ts";
import { isAgentUnknown, NO_ROUTE } from "../server/client.ts";
import type { Random } from "../system/system.ts";
import type { Doubt, NeedsPerson, Path, PersonCause } from "./state.ts";

/** Between two attempts that only an operator can make succeed; the interval, if that is longer. */
export const NEEDS_PERSON_WAIT_MS = 3_600_000;

/** So many refused renewals, over so long, are believed. */
const BELIEVED_REFUSALS = 3;
const BELIEVED_AFTER_MS = 600_000;

/** A refused token is tried at the interval for so long, since the reason may pass; then hourly. */
const FIRST_HOURS_MS = 4 * 3_600_000;

/** Part of a wait that is left to chance. */
const JITTER = 0.2;

/** What is known of the server's word on this agent. */
export interface Standing {
  readonly doubt: Doubt | null;
  readonly needsPerson: NeedsPerson | null;
}

/** What taking an answer in needs, beside the answer. */
export interface StandingStep {
  readonly path: Path;
  readonly nowMs: number;
  readonly random: Random;
  /** Between two tries that may come as often as check-ins. */
  readonly intervalMs: number;
}

/** The standing after an answer. */
export function nextStanding(
  { doubt, needsPerson }: Standing,
  answer: Answer<unknown>,
  step: StandingStep,
): Standing {
  switch (answer.kind) {
    case "ok":
      return step.path === "check_in"
        ? afterCheckIn({ doubt, needsPerson })
        : afterReport({ doubt, needsPerson }, answer.value === NO_ROUTE);
    case "refused":
      if (isAgentUnknown(answer)) return afterUnknown({ doubt, needsPerson }, answer.why, step);
      return needsPerson?.cause === "deleted"
        ? { doubt, needsPerson }
        : { doubt: doubt?.kind === "token" ? null : doubt, needsPerson: null };
    case "failed": {
      const isSick = step.path === "check_in" && (answer.status ?? 0) >= 500;
      // What a sick server says of tokens and agents means nothing.
      const doubted = isSick ? null : doubt;
      if (isSick && needsPerson?.cause === "token") return { doubt: null, needsPerson: null };
      return { doubt: doubted, needsPerson: needsPerson && putOff(needsPerson, step) };
    }
    case "limited":
      return { doubt, needsPerson: needsPerson && putOff(needsPerson, step) };
    case "unauthorized":
      return afterRefusedToken({ doubt, needsPerson }, answer.why, step);
    case "needs_person":
      return { doubt: null, needsPerson: called("forbidden", answer.why, { step }) };
    case "aborted":
      return { doubt, needsPerson };
  }
}

/** A deleted agent's check-ins are taken as well: host facts are sent at once, to ask. */
function afterCheckIn({ doubt, needsPerson }: Standing): Standing {
  if (needsPerson?.cause === "deleted") {
    return { doubt: null, needsPerson: { ...needsPerson, notBeforeMs: -Infinity } };
  }
  const doubted = doubt?.kind === "deleted" ? { ...doubt, hasCheckedIn: true } : null;
  return { doubt: doubted, needsPerson: null };
}

function afterReport({ doubt, needsPerson }: Standing, isUnread: boolean): Standing {
  // No server of this agent's has taken it.
  if (isUnread && needsPerson?.cause === "deleted") return { doubt, needsPerson };
  return { doubt: null, needsPerson: null };
}

function afterUnknown({ doubt, needsPerson }: Standing, why: string, step: StandingStep): Standing {
  const { nowMs: sinceMs } = step;
  if (needsPerson?.cause === "deleted") {
    return { doubt: null, needsPerson: putOff(needsPerson, step) };
  }
  if (doubt?.kind !== "deleted") {
    return { doubt: { kind: "deleted", sinceMs, hasCheckedIn: false }, needsPerson };
  }
  if (!doubt.hasCheckedIn) return { doubt, needsPerson };
  const { sinceMs: firstMs } = doubt;
  return { doubt: null, needsPerson: called("deleted", why, { step, sinceMs: firstMs }) };
}

function afterRefusedToken(
  { doubt, needsPerson }: Standing,
  why: string,
  step: StandingStep,
): Standing {
  if (needsPerson !== null) {
    // One whose row is gone is refused as well when its token ends.
    const told = needsPerson.cause === "token" ? { ...needsPerson, why } : needsPerson;
    return { doubt: null, needsPerson: putOff(told, step) };
  }
  const { nowMs } = step;
  const before = doubt?.kind === "token"
    ? doubt
    : { sinceMs: nowMs, refusals: 0, notBeforeMs: -Infinity };
  // Calls that ended together are one try.
  const refusals = before.refusals + (nowMs >= before.notBeforeMs ? 1 : 0);
  const { sinceMs } = before;
  if (refusals >= BELIEVED_REFUSALS && nowMs - sinceMs >= BELIEVED_AFTER_MS) {
    return { doubt: null, needsPerson: called("token", why, { step, sinceMs }) };
  }
  const notBeforeMs = nowMs + soonMs(step);
  return { doubt: { kind: "token", sinceMs, refusals, notBeforeMs }, needsPerson: null };
}

function called(
  cause: PersonCause,
  why: string,
  { step, sinceMs = step.nowMs }: { step: StandingStep; sinceMs?: number },
): NeedsPerson {
  return putOff({ cause, why, sinceMs, notBeforeMs: step.nowMs }, step);
}

function putOff(needsPerson: NeedsPerson, step: StandingStep): NeedsPerson {
  const { nowMs, random, intervalMs } = step;
  const isEarly = needsPerson.cause === "token" && nowMs - needsPerson.sinceMs < FIRST_HOURS_MS;
  const waitMs = isEarly
    ? soonMs(step)
    : Math.max(NEEDS_PERSON_WAIT_MS, intervalMs) * (1 + JITTER * random());
  return { ...needsPerson, notBeforeMs: nowMs + waitMs };
}

function soonMs({ random, intervalMs }: StandingStep): number {
  return intervalMs * (1 - JITTER * random());
}
