/**
 * Sends what waits in the buffer, when the connection allows it: slowly at first after an outage, and
 * never past the end of the server's own window.
 */

import type { EventBuffer, EventKind, StoredEvent } from "../buffer/buffer.ts";
import { type Delivery, drain } from "../buffer/delivery.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { Client, Report } from "../server/client.ts";
import type { Clock, Random } from "../system/system.ts";
import { backoffMs, type BackoffPolicy } from "./backoff.ts";
import type { Connection, Withheld } from "./connection.ts";
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

/** A server that refuses an event may be in the middle of something: its attempts are spread. */
const REFUSED_AGAIN_MS = 60_000;

/** Answers that may be about the event, or about a server (or a proxy) that is not set up. */
const DOUBTFUL: ReadonlySet<number> = new Set([404, 500]);

/** After such an answer to an event: a minute, doubling to an hour. */
const DOUBT: BackoffPolicy = { baseMs: 120_000, capMs: 3_600_000, floorMs: 60_000 };

/** An event that the server did not take, for now. */
interface PutOff {
  /** How often the server broke over it. */
  readonly doubts: number;
  readonly notBeforeMs: number;
  /** How many events had been delivered when that last happened. */
  readonly delivered: number;
}

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
  #hasCheckedIn = false;
  #delivered = 0;
  readonly #putOff = new Map<string, PutOff>();

  constructor(parts: DeliveringParts) {
    this.#parts = parts;
  }

  /** A check-in went well; `isReturn`: the first one after a start or an outage. What waits then goes slowly. */
  afterCheckIn(isReturn: boolean): void {
    this.#hasCheckedIn = true;
    if (isReturn && this.#parts.buffer.counts().pending > 0) this.#ramp = NEW_RAMP;
  }

  /** How long until something is to be sent, in ms; `Infinity`: there is nothing, or no way. */
  dueInMs(): number {
    const { clock, connection, buffer } = this.#parts;
    if (!connection.isHealthy || !this.#hasCheckedIn) return Infinity;
    if (buffer.counts().pending === 0) return Infinity;
    const pauseMs = Math.max(this.#notBeforeMs, this.#idleUntilMs) - clock.monotonicMs();
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

  /** Sends one portion; how many events were delivered. Throws what the buffer throws. */
  async deliver(cut: AbortSignal): Promise<number> {
    const { buffer, log, random, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const isBurst = buffer.counts().pending >= BURST_EVENTS;
    let left = portion(this.#ramp);
    let sent = 0;
    const drained = await drain(buffer, log, (event) => {
      if (left <= 0) return Promise.resolve({ kind: "later" });
      left -= 1;
      sent += 1;
      return this.#send(event, { isBurst, cut });
    }, ({ id }) => (this.#putOff.get(id)?.notBeforeMs ?? -Infinity) > nowMs);
    const isSpent = left <= 0;
    if (isSpent) this.#ramp = climb(this.#ramp);
    const pending = buffer.counts().pending;
    if (pending === 0) {
      this.#ramp = null;
      this.#putOff.clear();
    }
    // Past the end of the server's window by a little chance: its other agents wait for it too.
    const pauseMs = drained.pauseMs * (1 + 0.2 * random());
    this.putOff(Math.max(pauseMs, isSpent ? RAMP_STEP_MS : 0));
    if (sent === 0) this.#idleUntilMs = this.#nextAgainMs(nowMs);
    if (drained.delivered > 0) {
      log.info("events delivered", { delivered: drained.delivered, pending });
    }
    return drained.delivered;
  }

  async #send(
    event: StoredEvent,
    { isBurst, cut }: { isBurst: boolean; cut: AbortSignal },
  ): Promise<Delivery> {
    const { connection, session, client } = this.#parts;
    if (cut.aborted || !connection.isHealthy) return { kind: "later" };
    const answer = await connection.attempt("delivery", (limits) => {
      const options = { ...limits, signal: AbortSignal.any([cut, limits.signal]) };
      const report = { report: REPORTS[event.kind], body: event.body };
      const call = session.call((caller) => client.report(caller, report, options), limits.signal);
      return call.then(asEventsProblem);
    }, { isBurst: isBurst || event.sizeBytes >= BURST_BYTES });
    return this.#meaningOf(event, answer);
  }

  #meaningOf(event: StoredEvent, answer: Answer<unknown> | Withheld): Delivery {
    switch (answer.kind) {
      case "ok": {
        this.#delivered += 1;
        this.#putOff.delete(event.id);
        const isSpent = answer.rateLimit !== null && answer.rateLimit.remaining === 0;
        return { kind: "delivered", pauseMs: isSpent ? answer.rateLimit.resetInMs : 0 };
      }
      case "refused":
        return DOUBTFUL.has(answer.status)
          ? this.#doubt(event, answer.why)
          : this.#refused(event, answer.why);
      case "failed":
      case "limited":
      case "unauthorized":
      case "needs_person":
      case "aborted":
      case "withheld":
        return { kind: "later" };
    }
  }

  /**
   * A 500 or a 404 may be the server's fault or the event's. It is the event's, and counts against it, if
   * others got through since it last happened: so an outage uses up nobody's attempts.
   */
  #doubt(event: StoredEvent, why: string): Delivery {
    const { clock, random } = this.#parts;
    const before = this.#putOff.get(event.id);
    const doubts = (before?.doubts ?? 0) + 1;
    const notBeforeMs = clock.monotonicMs() + backoffMs(doubts, DOUBT, random);
    this.#putOff.set(event.id, { doubts, notBeforeMs, delivered: this.#delivered });
    const isItsOwn = before !== undefined && this.#delivered > before.delivered;
    return isItsOwn ? { kind: "refused", why } : { kind: "doubtful" };
  }

  /** When the first of those that were put off is due. */
  #nextAgainMs(nowMs: number): number {
    const instants = [...this.#putOff.values()].map(({ notBeforeMs }) => notBeforeMs)
      .filter((instantMs) => instantMs > nowMs);
    return Math.min(nowMs + REFUSED_AGAIN_MS, ...instants);
  }

  #refused(event: StoredEvent, why: string): Delivery {
    const notBeforeMs = this.#parts.clock.monotonicMs() + REFUSED_AGAIN_MS;
    this.#putOff.set(event.id, { doubts: 0, notBeforeMs, delivered: this.#delivered });
    return { kind: "refused", why };
  }
}

/** A server that takes check-ins, as this one just did, is there: a 500 on an event is no outage. */
function asEventsProblem(answer: Answer<unknown>): Answer<unknown> {
  return answer.kind === "failed" && answer.status === 500
    ? { kind: "refused", why: answer.why, status: 500 }
    : answer;
}
