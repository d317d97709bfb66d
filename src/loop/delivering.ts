/**
 * Sends what waits in the buffer, when the connection allows it: slowly at first after an outage and
 * where nothing gets through, and never more than the server's own window takes.
 */

import type { EventBuffer, EventKey, EventKind, NewEvent, StoredEvent } from "../buffer/buffer.ts";
import { type Delivery, drain } from "../buffer/delivery.ts";
import { splitBody } from "../buffer/split.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import { type Client, isAgentUnknown, NO_ROUTE, type Report } from "../server/client.ts";
import type { Clock, Random } from "../system/system.ts";
import type { BackoffPolicy } from "./backoff.ts";
import { Blame } from "./blame.ts";
import type { Connection, Withheld } from "./connection.ts";
import { freeFromMs, NEW_PACE, noteAnswer, noteTurnedAway, type Pace } from "./pace.ts";
import { climb, NEW_RAMP, portion, type Ramp, RAMP_STEP_MS } from "./ramp.ts";
import { GOOD_RECEPTION, isPoor, noteDoubt, noteRefused, type Reception } from "./reception.ts";
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
  /** Of a server that breaks over every report; the connection's paths have their own. */
  readonly backoff: BackoffPolicy;
  /** The host's facts as an event, or `null` if there are none to tell. */
  collectSystemInfo(): Promise<NewEvent | null>;
}

/** Answers that may be about the event, or about a server (or a proxy) that is not set up. */
const DOUBTFUL: ReadonlySet<number> = new Set([404, 500]);

/** Answers for which one item of many may be the reason, or their number. */
const ONE_ITEM: ReadonlySet<number> = new Set([400, 413, 422, 500]);

/** Answers of a gateway that may have passed the request on. */
const GATEWAY: ReadonlySet<number> = new Set([502, 504]);

/** A server that has taken a report, or was asked, knows this agent for so long. */
const KNOWN_MS = 600_000;

/**
 * Reports that may be on their way at once: where each answer takes 20 ms, one after the other would
 * take 17 minutes for a full buffer.
 */
const MOST_IN_FLIGHT = 8;

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
  #reception: Reception = GOOD_RECEPTION;
  #hasCheckedIn = false;
  readonly #blame = new Blame();
  /** Logs of commands that the server may have: the next check-in asks, so they wait for it. */
  readonly #toAskFor = new Map<string, EventKey>();
  /** Until then it need not be asked whether the server knows this agent. */
  #knownUntilMs = -Infinity;
  /** The latest time that it was asked: reports that break together wait for one answer. */
  #asking: Promise<void> = Promise.resolve();
  /** Whether this round has tried if a part of an event gets through where the whole may not. */
  #hasDivided = false;
  /** Reports that are on their way, and all that were sent. */
  #inFlight = 0;
  #launched = 0;

  constructor(parts: DeliveringParts) {
    this.#parts = parts;
  }

  /** The events of which a check-in that begins now asks whether the server has them. */
  get toAskFor(): readonly string[] {
    return [...this.#toAskFor.keys()];
  }

  /**
   * A check-in went well; `isReturn`: the first one after a start or an outage, after which what waits
   * goes slowly; `asked`: what was `toAskFor` when it began, and so waits for it no longer.
   */
  afterCheckIn({ isReturn, asked }: { isReturn: boolean; asked: readonly string[] }): void {
    this.#hasCheckedIn = true;
    if (isReturn) this.#blame.trouble();
    for (const id of asked) this.#toAskFor.delete(id);
    this.#idleUntilMs = -Infinity;
    if (isReturn && this.#parts.buffer.countWaiting().pending > 0) this.#ramp = NEW_RAMP;
  }

  /** How long until something is to be sent, in ms; `Infinity`: there is nothing, or no way. */
  dueInMs(): number {
    const { clock, connection, buffer } = this.#parts;
    if (!connection.isHealthy || !this.#hasCheckedIn) return Infinity;
    const { pending } = buffer.countWaiting();
    if (pending === 0) return Infinity;
    const instants = [this.#notBeforeMs, this.#idleUntilMs, this.#reception.notBeforeMs];
    const notBeforeMs = Math.max(...instants, freeFromMs(this.#pace, pending));
    const pauseMs = notBeforeMs - clock.monotonicMs();
    return Math.max(0, pauseMs, connection.waitMs("delivery"));
  }

  /** A person wants it tried anew: the server's rest is over. */
  endRest(): void {
    this.#reception = GOOD_RECEPTION;
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
    this.#hasDivided = false;
    // What it broke over is asked about again when it has broken over all: one of the others may do.
    const isInDoubt = this.#reception.rests > 0;
    let round = await this.#sendPortion(cut, isInDoubt ? -Infinity : nowMs);
    if (isInDoubt && round.sent === 0) round = await this.#sendPortion(cut, nowMs);
    const { sent, delivered, isOver } = round;
    if (isPoor(this.#reception)) this.#ramp = NEW_RAMP;
    else if (isOver && delivered > 0) this.#ramp = climb(this.#ramp);
    const { pending } = buffer.countWaiting();
    if (pending === 0) {
      this.#ramp = null;
      this.#blame.clear();
    }
    this.putOff(isOver ? RAMP_STEP_MS : 0);
    if (sent === 0) this.#idleUntilMs = this.#blame.nextMs(nowMs);
    if (delivered > 0) log.info("events delivered", { delivered, pending });
    return sent > 0;
  }

  /** Of the events that were put off, those until `dueByMs` at the latest are sent too. */
  async #sendPortion(
    cut: AbortSignal,
    dueByMs: number,
  ): Promise<{ sent: number; delivered: number; isOver: boolean }> {
    const { buffer, log } = this.#parts;
    const isBurst = buffer.countWaiting().pending >= BURST_EVENTS;
    const size = portion(this.#ramp);
    let sent = 0;
    const isOver = () => sent >= size || sent > 0 && isPoor(this.#reception);
    const { delivered } = await drain(buffer, log, {
      send: (event) => {
        if (isOver() || sent > 0 && this.#isWindowSpent()) {
          return Promise.resolve({ kind: "later" });
        }
        sent += 1;
        return this.#send(event, { isBurst, cut });
      },
      mostInFlight: () => this.#mostInFlight(),
      putOff: [...this.#toAskFor.values(), ...this.#blame.putOffBeyond(dueByMs)],
      onSetAside: (id) => this.#blame.forget(id),
      onSplit: ({ id }, halves, isCounted) => this.#blame.split(id, halves, isCounted),
    });
    return { sent, delivered, isOver: isOver() };
  }

  /**
   * Asks the server whether it knows this agent, by the host's facts: of all that an agent sends, only
   * these are answered with a word on that. The connection takes the answer in. They are not kept
   * first: should they get lost, they are asked with again.
   */
  async askWhetherKnown(cut: AbortSignal): Promise<void> {
    this.#knownUntilMs = this.#parts.clock.monotonicMs() + KNOWN_MS;
    const facts = await this.#parts.collectSystemInfo();
    if (facts !== null) await this.#call(facts, { isBurst: false, cut });
  }

  /** One by one until the server has said how many it takes, and where it has just not taken one. */
  #mostInFlight(): number {
    const isKnown = this.#pace.answeredMs.length > 0 && this.#reception === GOOD_RECEPTION;
    return isKnown ? MOST_IN_FLIGHT : 1;
  }

  /** Whether those that are on their way may take all that the server's window has left. */
  #isWindowSpent(): boolean {
    const { remaining } = this.#pace;
    return remaining !== null && remaining <= this.#inFlight;
  }

  async #send(
    event: StoredEvent,
    options: { isBurst: boolean; cut: AbortSignal },
  ): Promise<Delivery> {
    const { connection } = this.#parts;
    if (options.cut.aborted || !connection.isHealthy) return { kind: "later" };
    this.#inFlight += 1;
    try {
      return await this.#report(event, options);
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #report(
    event: StoredEvent,
    { isBurst, cut }: { isBurst: boolean; cut: AbortSignal },
  ): Promise<Delivery> {
    const isLarge = event.sizeBytes >= BURST_BYTES;
    const { answer, sentMs } = await this.#call(event, { isBurst: isBurst || isLarge, cut });
    if (answer.kind === "refused" && isAgentUnknown(answer)) return { kind: "later" };
    if (answer.kind === "refused" && answer.status === 500 && !await this.#isKnown(cut)) {
      return { kind: "later" };
    }
    const meaning = this.#meaningOf(event, answer, sentMs !== null);
    if (meaning.kind === "later" && meaning.isUnanswered) {
      const { id, commandId, place } = event;
      this.#toAskFor.set(id, { id, commandId, place });
    }
    return meaning;
  }

  /** A deleted agent's reports all break: no part of them would fare better. */
  async #isKnown(cut: AbortSignal): Promise<boolean> {
    const { clock, connection } = this.#parts;
    if (clock.monotonicMs() >= this.#knownUntilMs) this.#asking = this.askWhetherKnown(cut);
    await this.#asking;
    return connection.isHealthy;
  }

  async #call(
    { kind, body }: Pick<StoredEvent, "kind" | "body">,
    options: { isBurst: boolean; cut: AbortSignal },
  ): Promise<{ answer: Answer<unknown> | Withheld; sentMs: number | null }> {
    const { connection, session, client } = this.#parts;
    let sentMs: number | null = null;
    const number = this.#launched += 1;
    const isFirst = this.#inFlight <= 1;
    const answer = await connection.attempt("delivery", (limits) => {
      const call = session.call((caller) => {
        sentMs = this.#parts.clock.monotonicMs();
        return client.report(caller, { report: REPORTS[kind], body }, limits);
      }, limits.signal);
      return call.then(asEventsProblem);
    }, options);
    const isAlone = isFirst && number === this.#launched;
    if (sentMs !== null) this.#keepPace(answer, { sentMs, isAlone });
    return { answer, sentMs };
  }

  #keepPace(
    answer: Answer<unknown> | Withheld,
    asked: { sentMs: number; isAlone: boolean },
  ): void {
    const { clock, random } = this.#parts;
    const nowMs = clock.monotonicMs();
    const rateLimit = "rateLimit" in answer ? answer.rateLimit ?? null : null;
    this.#pace = answer.kind === "limited"
      ? noteTurnedAway(this.#pace, nowMs, answer.retryAfterMs)
      : noteAnswer(this.#pace, { ...asked, nowMs, rateLimit, random });
  }

  #meaningOf(
    event: StoredEvent,
    answer: Answer<unknown> | Withheld,
    wasSent: boolean,
  ): Delivery {
    switch (answer.kind) {
      case "ok": {
        const isLast = this.#pace.remaining === 0;
        if (answer.value === NO_ROUTE) return { kind: "delivered", isLast };
        this.#knownUntilMs = this.#parts.clock.monotonicMs() + KNOWN_MS;
        if (this.#reception.rests > 0) this.#blame.recovered();
        this.#reception = GOOD_RECEPTION;
        const alsoRefused = this.#blame.delivered(event);
        return { kind: "delivered", isLast, ...alsoRefused && { alsoRefused } };
      }
      case "refused":
        return this.#refused(event, answer);
      case "failed":
        this.#blame.trouble();
        return {
          kind: "later",
          isUnanswered: wasSent && isResult(event) && mayHaveArrived(answer),
        };
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
      this.#reception = noteRefused(this.#reception);
      return { kind: "refused", ...refusal, isFinal: this.#blame.isFinal(event.id) };
    }
    const fault = this.#blame.broke(refusal, { nowMs, random });
    const isFinal = this.#blame.isFinal(event.id);
    // Once without asking whose fault it is: the halves will show.
    if (isFinal || fault === "its_own" || mayBeOneItem && isWhole(event)) {
      this.#reception = noteRefused(this.#reception);
      return { kind: "refused", ...refusal, isFinal };
    }
    this.#doubt(why);
    // Where nothing gets through at all, a part of something may: one try a round.
    const isDivided = mayBeOneItem && fault === "still_unknown" && !this.#hasDivided;
    this.#hasDivided ||= isDivided;
    return isDivided ? { kind: "divided", ...refusal } : { kind: "doubtful" };
  }

  #doubt(why: string): void {
    const { clock, random, log, backoff: policy } = this.#parts;
    const nowMs = clock.monotonicMs();
    const { rests } = this.#reception;
    this.#reception = noteDoubt(this.#reception, { nowMs, policy, random });
    if (this.#reception.rests === rests) return;
    const next_in_s = Math.ceil((this.#reception.notBeforeMs - nowMs) / 1_000);
    const told = { why, rests: rests + 1, next_in_s };
    // As with an outage: loudly when it begins.
    if (rests === 0) log.warning("server breaks over reports, given a rest", told);
    else log.info("server breaks over reports, given a rest", told);
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
  if (answer.kind !== "failed" || answer.status !== 500) return answer;
  const { why, rateLimit } = answer;
  return { kind: "refused", why, status: 500, ...(rateLimit && { rateLimit }) };
}
