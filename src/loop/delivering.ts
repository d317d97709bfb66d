/**
 * Sends what waits in the buffer, when the connection allows it: slowly at first after an outage, and
 * never more than the server's own window takes.
 */

import type { EventBuffer, EventKind, StoredEvent } from "../buffer/buffer.ts";
import { type Delivery, drain } from "../buffer/delivery.ts";
import { splitBody } from "../buffer/split.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { Client, Report } from "../server/client.ts";
import type { Clock, Random } from "../system/system.ts";
import { Blame } from "./blame.ts";
import type { Connection, Withheld } from "./connection.ts";
import { freeFromMs, NEW_PACE, noteAnswer, noteTurnedAway, type Pace } from "./pace.ts";
import { climb, NEW_RAMP, portion, type Ramp, RAMP_STEP_MS } from "./ramp.ts";
import type { Session } from "./session.ts";

/** What delivering needs. */
export interface DeliveringParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly buffer: EventBuffer;
  readonly connection: Connection;
  readonly session: Session;
  readonly client: Client;
}

/** Answers that may be about the event, or about a server (or a proxy) that is not set up. */
const DOUBTFUL: ReadonlySet<number> = new Set([404, 500]);

/** Answers for which one item of many may be the reason, or their number. */
const ONE_ITEM: ReadonlySet<number> = new Set([400, 413, 422, 500]);

/** Answers of a gateway that may have passed the request on. */
const GATEWAY: ReadonlySet<number> = new Set([502, 504]);

/** So many events, or one so large, are a burst: the server's health is asked first. */
const BURST_EVENTS = 10;
const BURST_BYTES = 262_144;

const REPORTS: Readonly<Record<EventKind, Report>> = {
  updates: "updates",
  log: "logs",
  dependencies: "dependencies",
  system_info: "system-info",
};

export class Delivering {
  readonly #parts: DeliveringParts;
  #notBeforeMs = -Infinity;
  /** Until then everything that waits is put off. */
  #idleUntilMs = -Infinity;
  #ramp: Ramp = null;
  #pace: Pace = NEW_PACE;
  #hasCheckedIn = false;
  readonly #blame = new Blame();
  /** Logs of commands that the server may have: the next check-in asks, so they wait for it. */
  readonly #toAskFor = new Set<string>();
  /** Whether this round has tried if a part of an event gets through where the whole may not. */
  #hasDivided = false;

  constructor(parts: DeliveringParts) {
    this.#parts = parts;
  }

  /**
   * A check-in went well; `isReturn`: the first one after a start or an outage. What waits then goes
   * slowly.
   */
  afterCheckIn(isReturn: boolean): void {
    this.#hasCheckedIn = true;
    // What waited to be asked for does so no longer.
    if (this.#toAskFor.size > 0) this.#idleUntilMs = -Infinity;
    this.#toAskFor.clear();
    if (isReturn && this.#parts.buffer.countWaiting().pending > 0) this.#ramp = NEW_RAMP;
  }

  /** How long until something is to be sent, in ms; `Infinity`: there is nothing, or no way. */
  dueInMs(): number {
    const { clock, connection, buffer } = this.#parts;
    if (!connection.isHealthy || !this.#hasCheckedIn) return Infinity;
    const { pending } = buffer.countWaiting();
    if (pending === 0) return Infinity;
    const notBeforeMs = Math.max(this.#notBeforeMs, this.#idleUntilMs);
    const pauseMs = Math.max(notBeforeMs, freeFromMs(this.#pace, pending)) - clock.monotonicMs();
    return Math.max(0, pauseMs, connection.waitMs("delivery"));
  }

  /** There is something new to send; what the server did not take keeps waiting. */
  afterAppend(): void {
    this.#idleUntilMs = -Infinity;
  }

  /** Something went wrong on this side: nothing more is tried for so long. */
  putOff(ms: number): void {
    this.#notBeforeMs = this.#parts.clock.monotonicMs() + ms;
  }

  /** Sends one portion; whether anything was tried. Throws what the buffer throws. */
  async deliver(cut: AbortSignal): Promise<boolean> {
    const { buffer, log, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const isBurst = buffer.countWaiting().pending >= BURST_EVENTS;
    this.#hasDivided = false;
    let left = portion(this.#ramp);
    let sent = 0;
    const drained = await drain(buffer, log, {
      send: (event) => {
        if (left <= 0) return Promise.resolve({ kind: "later" });
        left -= 1;
        sent += 1;
        return this.#send(event, { isBurst, cut });
      },
      isPutOff: ({ id }) => this.#toAskFor.has(id) || this.#blame.notBeforeMs(id) > nowMs,
      onSplit: ({ id }, halves, isCounted) => this.#blame.split(id, halves, isCounted),
    });
    const isSpent = left <= 0;
    if (isSpent) this.#ramp = climb(this.#ramp);
    const { pending } = buffer.countWaiting();
    if (pending === 0) {
      this.#ramp = null;
      this.#blame.clear();
    }
    this.putOff(isSpent ? RAMP_STEP_MS : 0);
    if (sent === 0) this.#idleUntilMs = this.#blame.nextMs(nowMs);
    if (drained.delivered > 0) {
      log.info("events delivered", { delivered: drained.delivered, pending });
    }
    return sent > 0;
  }

  async #send(
    event: StoredEvent,
    { isBurst, cut }: { isBurst: boolean; cut: AbortSignal },
  ): Promise<Delivery> {
    const { connection, session, client } = this.#parts;
    if (cut.aborted || !connection.isHealthy) return { kind: "later" };
    let sentMs: number | null = null;
    const answer = await connection.attempt("delivery", (limits) => {
      const report = { report: REPORTS[event.kind], body: event.body };
      const call = session.call((caller) => {
        sentMs = this.#parts.clock.monotonicMs();
        return client.report(caller, report, limits);
      }, limits.signal);
      return call.then(asEventsProblem);
    }, { isBurst: isBurst || event.sizeBytes >= BURST_BYTES, cut });
    if (sentMs !== null) this.#keepPace(answer, sentMs);
    const meaning = this.#meaningOf(event, answer, sentMs !== null);
    if (meaning.kind === "later" && meaning.isUnanswered) this.#toAskFor.add(event.id);
    return meaning;
  }

  #keepPace(answer: Answer<unknown> | Withheld, sentMs: number): void {
    const { clock, random } = this.#parts;
    const nowMs = clock.monotonicMs();
    const rateLimit = answer.kind === "ok" ? answer.rateLimit : null;
    this.#pace = answer.kind === "limited"
      ? noteTurnedAway(this.#pace, nowMs, answer.retryAfterMs)
      : noteAnswer(this.#pace, { sentMs, nowMs, rateLimit, random });
  }

  #meaningOf(
    event: StoredEvent,
    answer: Answer<unknown> | Withheld,
    wasSent: boolean,
  ): Delivery {
    switch (answer.kind) {
      case "ok": {
        const alsoRefused = this.#blame.delivered(event.id);
        const isLast = this.#pace.remaining === 0;
        return { kind: "delivered", isLast, ...alsoRefused && { alsoRefused } };
      }
      case "refused":
        return this.#refused(event, answer);
      case "failed":
      case "aborted":
        return {
          kind: "later",
          isUnanswered: wasSent && isResult(event) && mayHaveArrived(answer),
        };
      case "limited":
      case "unauthorized":
      case "needs_person":
      case "withheld":
        return { kind: "later" };
    }
  }

  #refused(event: StoredEvent, { status, why }: { status: number; why: string }): Delivery {
    const { clock, random } = this.#parts;
    const nowMs = clock.monotonicMs();
    const mayBeOneItem = ONE_ITEM.has(status);
    const refusal = { event, why, mayBeOneItem };
    if (!DOUBTFUL.has(status)) {
      this.#blame.refused(refusal, nowMs);
      return { kind: "refused", ...refusal };
    }
    const fault = this.#blame.broke(refusal, { nowMs, random });
    // Once without asking whose fault it is: the halves will show.
    if (fault === "its_own" || mayBeOneItem && isWhole(event)) {
      return { kind: "refused", ...refusal };
    }
    // Where nothing gets through at all, a part of something may: one try a round.
    const isDivided = mayBeOneItem && fault === "still_unknown" && !this.#hasDivided;
    this.#hasDivided ||= isDivided;
    return isDivided ? { kind: "divided", ...refusal } : { kind: "doubtful" };
  }
}

/** Whether it holds several items and was not split before. */
function isWhole(event: StoredEvent): boolean {
  return event.place === event.sequence && splitBody(event) !== null;
}

/** Whether the server may have acted all the same: its answer is lost, or a gateway did not wait. */
function mayHaveArrived(answer: Answer<unknown>): boolean {
  if (answer.kind !== "failed") return answer.kind === "aborted";
  return answer.status === null ? !answer.offline : GATEWAY.has(answer.status);
}

/** Whether the server can be asked if it has it. */
function isResult({ kind, commandId }: StoredEvent): boolean {
  return kind === "log" && commandId !== null;
}

/** A server that takes check-ins, as this one just did, is there: a 500 on an event is no outage. */
function asEventsProblem(answer: Answer<unknown>): Answer<unknown> {
  return answer.kind === "failed" && answer.status === 500
    ? { kind: "refused", why: answer.why, status: 500 }
    : answer;
}
