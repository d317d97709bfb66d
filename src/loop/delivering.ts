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

/** A 500 on an event is about the event if a check-in went well no longer ago than this. */
const FRESH_CHECK_IN_MS = 60_000;

/** A server that refuses an event may be in the middle of something: its attempts are spread. */
const REFUSED_AGAIN_MS = 60_000;

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
  #ramp: Ramp = null;
  #lastCheckInMs: number | null = null;

  constructor(parts: DeliveringParts) {
    this.#parts = parts;
  }

  /** A check-in went well; `isReturn`: the first one after a start or an outage. What waits then goes slowly. */
  afterCheckIn(nowMs: number, isReturn: boolean): void {
    this.#lastCheckInMs = nowMs;
    if (isReturn && this.#parts.buffer.counts().pending > 0) this.#ramp = NEW_RAMP;
  }

  /** How long until something is to be sent, in ms; `Infinity`: there is nothing, or no way. */
  dueInMs(): number {
    const { clock, connection, buffer } = this.#parts;
    if (!connection.isHealthy || this.#lastCheckInMs === null) return Infinity;
    if (buffer.counts().pending === 0) return Infinity;
    const pauseMs = this.#notBeforeMs - clock.monotonicMs();
    return Math.max(0, pauseMs, connection.waitMs("delivery"));
  }

  /** Something went wrong on this side: nothing more is tried for so long. */
  putOff(ms: number): void {
    this.#notBeforeMs = this.#parts.clock.monotonicMs() + ms;
  }

  /** Sends one portion; how many events were delivered. Throws what the buffer throws. */
  async deliver(cut: AbortSignal): Promise<number> {
    const { buffer, log, random } = this.#parts;
    const isBurst = buffer.counts().pending >= BURST_EVENTS;
    let left = portion(this.#ramp);
    const drained = await drain(buffer, log, (event) => {
      if (left <= 0) return Promise.resolve({ kind: "later" });
      left -= 1;
      return this.#send(event, { isBurst, cut });
    });
    const isSpent = left <= 0;
    if (isSpent) this.#ramp = climb(this.#ramp);
    const pending = buffer.counts().pending;
    if (pending === 0) this.#ramp = null;
    // Past the end of the server's window by a little chance: its other agents wait for it too.
    const pauseMs = drained.pauseMs * (1 + 0.2 * random());
    const againMs = drained.refused > 0 ? REFUSED_AGAIN_MS : 0;
    this.putOff(Math.max(pauseMs, againMs, isSpent ? RAMP_STEP_MS : 0));
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
    const answer = await connection.attempt("delivery", (timeoutMs) => {
      const options = timeoutMs === undefined ? { signal: cut } : { signal: cut, timeoutMs };
      const report = { report: REPORTS[event.kind], body: event.body };
      return session.call((caller) => client.report(caller, report, options));
    }, { isBurst: isBurst || event.sizeBytes >= BURST_BYTES });
    return this.#meaningOf(answer);
  }

  #meaningOf(answer: Answer<unknown> | Withheld): Delivery {
    switch (answer.kind) {
      case "ok": {
        const isSpent = answer.rateLimit !== null && answer.rateLimit.remaining === 0;
        return { kind: "delivered", pauseMs: isSpent ? answer.rateLimit.resetInMs : 0 };
      }
      case "refused":
        return { kind: "refused", why: answer.why };
      case "failed": {
        const sinceMs = this.#parts.clock.monotonicMs() - (this.#lastCheckInMs ?? -Infinity);
        // Any other failure is an outage, and an outage uses up nobody's attempts.
        return answer.status === 500 && sinceMs < FRESH_CHECK_IN_MS
          ? { kind: "refused", why: answer.why }
          : { kind: "later" };
      }
      case "limited":
      case "unauthorized":
      case "needs_person":
      case "aborted":
      case "withheld":
        return { kind: "later" };
    }
  }
}
