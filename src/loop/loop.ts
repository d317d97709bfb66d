/**
 * Drives the agent: waits until a check-in or a delivery is due, does it, and decides what is next.
 * The rules are elsewhere (`schedule.ts`, `transition.ts`, `delivery.ts`); here is their order.
 */

import { type Delivery, drain } from "../buffer/delivery.ts";
import type { EventBuffer, EventKind, NewEvent, StoredEvent } from "../buffer/buffer.ts";
import type { CommandOutcome } from "../buffer/command.ts";
import { keep } from "../buffer/keep.ts";
import type { Log } from "../log.ts";
import type { CheckInAnswer, CheckInBody } from "../server/protocol.ts";
import type { Report } from "../server/client.ts";
import type { Clock, Random } from "../system/system.ts";
import { checkIn, type CheckInParts } from "./checkin.ts";
import { clampRapidMs, rapidLeftMs } from "./rapid.ts";
import { nextCheckInMs } from "./schedule.ts";
import type { LoopState } from "./state.ts";
import type { Worker } from "./worker.ts";

/** What the loop is made of. */
export interface LoopParts extends Omit<CheckInParts, "signal"> {
  readonly agentId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly buffer: EventBuffer;
  readonly worker: Worker;
  readonly polling: LoopPolling;
  /** The body of the next check-in; rapid polling for so much longer, 0: off. */
  describeHost(rapidLeftMs: number): CheckInBody;
  /** The host's facts as an event, or `null` if there are none to tell. */
  collectSystemInfo(): Promise<NewEvent | null>;
  /** Keeps the state; never throws. */
  saveState(state: LoopState): Promise<void>;
}

/** The two steps of stopping. */
export interface StopSignals {
  /** Begin nothing new; a command that runs is ended, and waits in the journal. */
  readonly stop: AbortSignal;
  /**
   * Cut off what is under way with the server. Until then a call may end by itself: an answer that
   * nobody reads may hold commands, and a report whose answer is lost is sent twice.
   */
  readonly cut: AbortSignal;
}

/** How often to check in. */
export interface LoopPolling {
  readonly intervalMs: number;
  readonly rapidIntervalMs: number;
  /** After a start, the first check-in comes at a random instant within this. */
  readonly startSpreadMs: number;
}

const SYSTEM_INFO_EVERY_MS = 3_600_000;

/** A 500 on an event is about the event if a check-in went well no longer ago than this. */
const FRESH_CHECK_IN_MS = 60_000;

/** A server that refuses an event may be in the middle of something: its attempts are spread. */
const REFUSED_AGAIN_MS = 60_000;

const REPORTS: Readonly<Record<EventKind, Report>> = {
  updates: "updates",
  log: "logs",
  dependencies: "dependencies",
  system_info: "system-info",
};

export class Loop {
  readonly #parts: LoopParts;
  #state: LoopState;
  #deliverNotBeforeMs = -Infinity;
  #wake = new AbortController();

  constructor(parts: LoopParts, state: LoopState) {
    this.#parts = parts;
    this.#state = state;
  }

  /** Goes on until it is to stop; then sends what it can until it is cut off. */
  async run(signals: StopSignals): Promise<void> {
    const { stop } = signals;
    this.#parts.worker.resume(stop);
    this.#spreadStart();
    while (!stop.aborted) {
      await this.#sleep(stop);
      if (!stop.aborted) await this.#step(signals);
    }
    await this.#parts.worker.idle;
    if (this.#deliveryDueInMs() <= 0) await this.#deliver(signals.cut);
  }

  /** One cycle: check in, run what came, deliver. Whether the server was reached. */
  async runOnce(signals: StopSignals): Promise<boolean> {
    this.#parts.worker.resume(signals.stop);
    const reached = await this.#checkIn(signals);
    await this.#parts.worker.idle;
    if (this.#deliveryDueInMs() <= 0) await this.#deliver(signals.cut);
    return reached;
  }

  /** A command is done: takes up what it wants, and sends what it left. */
  afterCommand(outcome: CommandOutcome): void {
    if (outcome.rapidPollingMs !== null) {
      this.#setRapid(clampRapidMs(outcome.rapidPollingMs));
      this.#state = { ...this.#state, nextCheckInMs: null }; // The server wants to see it at once.
    }
    this.#wake.abort();
  }

  async #deliver(cut: AbortSignal): Promise<void> {
    const { buffer, log, clock, random } = this.#parts;
    const drained = await drain(buffer, log, (event) => this.#send(event, cut));
    // Past the end of the server's window by a little chance: its other agents wait for it too.
    const pauseMs = drained.pauseMs * (1 + 0.2 * random());
    const againMs = drained.refused > 0 ? REFUSED_AGAIN_MS : 0;
    this.#deliverNotBeforeMs = clock.monotonicMs() + Math.max(pauseMs, againMs);
    if (drained.delivered > 0) {
      log.info("events delivered", {
        delivered: drained.delivered,
        pending: buffer.counts().pending,
      });
    }
    await this.#save();
  }

  async #step(signals: StopSignals): Promise<void> {
    try {
      if (this.#checkInDueInMs() <= 0) await this.#checkIn(signals);
      if (this.#deliveryDueInMs() <= 0) await this.#deliver(signals.cut);
    } catch (error) {
      // The disk, as a rule: the agent runs on, at its ordinary pace.
      const why = error instanceof Error ? error.message : String(error);
      this.#parts.log.error("step failed", { why });
      const nowMs = this.#parts.clock.monotonicMs();
      this.#state = { ...this.#state, nextCheckInMs: nowMs + this.#nextInMs() };
      this.#deliverNotBeforeMs = nowMs + this.#parts.polling.intervalMs;
    }
  }

  async #checkIn({ stop, cut }: StopSignals): Promise<boolean> {
    const { clock, log, worker, connection } = this.#parts;
    const body = this.#parts.describeHost(this.#rapidLeftMs());
    const { answer, commands } = await checkIn({ ...this.#parts, signal: cut }, body);
    if (answer.kind === "ok") this.#takeAnswer(answer.value);
    // After a failure the connection alone says when to try again.
    const isPaced = answer.kind !== "failed" && answer.kind !== "limited";
    const dueInMs = isPaced ? this.#nextInMs() : null;
    const nextCheckInMs = dueInMs === null ? null : clock.monotonicMs() + dueInMs;
    this.#state = { ...this.#state, nextCheckInMs };
    for (const command of commands) worker.take(command, stop);
    if (answer.kind === "ok") {
      const told = { commands: commands.length, next_in_s: Math.round((dueInMs ?? 0) / 1_000) };
      if (commands.length > 0) log.info("checked in", told);
      else log.debug("checked in", told);
      await this.#tellSystemInfo();
    } else if (answer.kind === "withheld") {
      const { breaker } = connection.state;
      log.debug("check-in withheld", { breaker: breaker.state, retry_in_ms: answer.retryInMs });
    }
    await this.#save();
    return answer.kind === "ok";
  }

  #takeAnswer(answer: CheckInAnswer): void {
    const { clock } = this.#parts;
    this.#state = { ...this.#state, lastCheckInMs: clock.monotonicMs() };
    const leftMs = rapidLeftMs(answer.rapid_polling, clock.nowMs());
    if (leftMs !== null) this.#setRapid(leftMs);
  }

  async #tellSystemInfo(): Promise<void> {
    const { clock, buffer, log } = this.#parts;
    const lastMs = this.#state.lastSystemInfoMs ?? -Infinity;
    if (clock.monotonicMs() - lastMs < SYSTEM_INFO_EVERY_MS) return;
    const event = await this.#parts.collectSystemInfo();
    this.#state = { ...this.#state, lastSystemInfoMs: clock.monotonicMs() };
    if (event === null) return;
    keep(buffer, log, [event]);
    log.debug("host facts kept for delivery");
  }

  async #send(event: StoredEvent, signal: AbortSignal): Promise<Delivery> {
    const { connection, session, client, clock } = this.#parts;
    if (signal.aborted || !connection.isHealthy) return { kind: "later" };
    const answer = await connection.attempt("delivery", (timeoutMs) => {
      const options = timeoutMs === undefined ? { signal } : { signal, timeoutMs };
      const report = { report: REPORTS[event.kind], body: event.body };
      return session.call((caller) => client.report(caller, report, options));
    });
    switch (answer.kind) {
      case "ok": {
        const isSpent = answer.rateLimit !== null && answer.rateLimit.remaining === 0;
        return { kind: "delivered", pauseMs: isSpent ? answer.rateLimit.resetInMs : 0 };
      }
      case "refused":
        return { kind: "refused", why: answer.why };
      case "failed": {
        const lastMs = this.#state.lastCheckInMs ?? -Infinity;
        const isFresh = clock.monotonicMs() - lastMs < FRESH_CHECK_IN_MS;
        // Any other failure is an outage, and an outage uses up nobody's attempts.
        return answer.status === 500 && isFresh
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

  #spreadStart(): void {
    const { clock, random, polling } = this.#parts;
    const nowMs = clock.monotonicMs();
    const dueMs = this.#state.nextCheckInMs ?? nowMs;
    if (dueMs > nowMs) return;
    const nextCheckInMs = nowMs + random() * polling.startSpreadMs;
    this.#state = { ...this.#state, nextCheckInMs };
  }

  async #sleep(signal: AbortSignal): Promise<void> {
    const waitMs = Math.max(0, Math.min(this.#checkInDueInMs(), this.#deliveryDueInMs()));
    this.#wake = new AbortController();
    try {
      await this.#parts.clock.sleep(waitMs, AbortSignal.any([signal, this.#wake.signal]));
    } catch {
      // Woken: the caller looks at what is due now.
    }
  }

  #checkInDueInMs(): number {
    const { clock, connection } = this.#parts;
    const dueInMs = (this.#state.nextCheckInMs ?? -Infinity) - clock.monotonicMs();
    return Math.max(0, dueInMs, connection.waitMs("check_in"));
  }

  #deliveryDueInMs(): number {
    const { clock, connection, buffer } = this.#parts;
    if (!connection.isHealthy || this.#state.lastCheckInMs === null) return Infinity;
    if (buffer.counts().pending === 0) return Infinity;
    const pauseMs = this.#deliverNotBeforeMs - clock.monotonicMs();
    return Math.max(0, pauseMs, connection.waitMs("delivery"));
  }

  #nextInMs(): number {
    const { polling, agentId, clock, random } = this.#parts;
    const at = { nowMs: clock.nowMs(), random };
    return nextCheckInMs({ ...polling, rapidLeftMs: this.#rapidLeftMs() }, agentId, at);
  }

  #rapidLeftMs(): number {
    const { rapidUntilMs } = this.#state;
    return rapidUntilMs === null ? 0 : Math.max(0, rapidUntilMs - this.#parts.clock.monotonicMs());
  }

  #setRapid(leftMs: number): void {
    const wasOn = this.#rapidLeftMs() > 0;
    const rapidUntilMs = leftMs > 0 ? this.#parts.clock.monotonicMs() + leftMs : null;
    this.#state = { ...this.#state, rapidUntilMs };
    if (wasOn === leftMs > 0) return;
    this.#parts.log.info(leftMs > 0 ? "rapid polling on" : "rapid polling off", {
      for_s: Math.round(leftMs / 1_000),
    });
  }

  #save(): Promise<void> {
    this.#state = { ...this.#state, connection: this.#parts.connection.state };
    return this.#parts.saveState(this.#state);
  }
}
