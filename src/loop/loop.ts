/**
 * Drives the agent: waits until a check-in or a delivery is due, does it, and decides what is next.
 * The rules are elsewhere (`schedule.ts`, `transition.ts`, `delivering.ts`); here is their order.
 */

import { appendEvents } from "../buffer/buffer.ts";
import type { CommandOutcome } from "../buffer/command.ts";
import type { CheckInAnswer } from "../server/check_in_answer.ts";
import type { CheckInBody } from "../server/protocol.ts";
import type { HostHint } from "../system/system.ts";
import { checkDisk, checkIn, type CheckInParts, closeCheckIn, dueAfter } from "./checkin.ts";
import { Delivering, type DeliveringParts } from "./delivering.ts";
import { Inbox, type InboxParts } from "./inbox.ts";
import { RAMP_STEP_MS } from "./ramp.ts";
import { clampRapidMs, rapidLeftMs } from "./rapid.ts";
import { nextCheckInMs } from "./schedule.ts";
import type { LoopState } from "./state.ts";
import type { StopSignals } from "./stop_signals.ts";

/** What the loop is made of. */
export interface LoopParts extends Omit<CheckInParts, "signal">, InboxParts, DeliveringParts {
  readonly agentId: string;
  readonly polling: LoopPolling;
  /** The body of the next check-in; rapid polling for so much longer, 0: off. */
  describeHost(rapidLeftMs: number): CheckInBody;
  /** Keeps the state; `isDurable`: through a power cut. Never throws. */
  saveState(state: LoopState, options: { isDurable: boolean }): Promise<void>;
}

/** How often to check in. */
export interface LoopPolling {
  readonly intervalMs: number;
  readonly rapidIntervalMs: number;
  /** After a start, the first check-in comes at a random instant within this. */
  readonly startSpreadMs: number;
}

/**
 * Host facts are sent at a check-in, at least once an hour where check-ins are 5 minutes apart: a
 * deleted agent learns from their answer that it is one.
 */
const SYSTEM_INFO_EVERY_MS = 50 * 60_000;

/** After a first sign that the agent was deleted, the next check-in comes at random within this. */
const DOUBT_SPREAD_MS = 60_000;

/** After the host has woken, the check-in comes at random within this. */
const WAKE_SPREAD_MS = 60_000;

/** After its network has come up or it has woken, an offline host tries at random within this. */
const ONLINE_SPREAD_MS = 30_000;

/** After a step that failed by this host's own fault: a disk that refuses, as a rule. */
const TROUBLE_MS = 10_000;

/** A host that wakes, or a link that comes up, more often than this is heeded once. */
const HINT_EVERY_MS = 300_000;

/** One for all: making a new one with each wake costs more than the wake. */
const WOKEN = new Error("woken");

export class Loop {
  readonly #parts: LoopParts;
  readonly #delivering: Delivering;
  readonly #inbox: Inbox;
  #state: LoopState;
  /** Whether a check-in has gone well since the start. */
  #isBack = false;
  /** Since the last check-in was put together a command has changed what it says. */
  #isOutdated = false;
  #lastHintMs = -Infinity;
  #troubleUntilMs = -Infinity;
  #wake = new AbortController();
  /** The state as it was last given to be saved, as JSON, and the earliest check-in after a crash by it. */
  #saved = { text: "", isDurable: false, checkInMs: -Infinity };
  /** A delivery that goes on beside the check-ins, which so wait for no backlog. */
  #delivery: Promise<void> | null = null;

  constructor(parts: LoopParts, state: LoopState) {
    this.#parts = parts;
    this.#state = state;
    this.#delivering = new Delivering(parts);
    this.#inbox = new Inbox(parts);
  }

  /** What the loop is at. */
  get state(): LoopState {
    return { ...this.#state, connection: this.#parts.connection.state };
  }

  /** Whether rapid polling is on. */
  get isRapid(): boolean {
    return this.#rapidLeftMs() > 0;
  }

  /** Goes on until it is to stop; then sends what it can until it is cut off. */
  async run(signals: StopSignals): Promise<void> {
    const { stop } = signals;
    stop.addEventListener("abort", () => this.#wake.abort(WOKEN));
    this.#parts.worker.resume(stop);
    this.#spreadStart();
    try {
      while (!stop.aborted) await this.#step(signals);
      await this.#delivery;
      await this.#parts.worker.idle;
      await this.#drainOut(signals.cut);
    } finally {
      this.#inbox.end();
    }
  }

  /** One cycle: check in, run what came, deliver. Whether the server was reached. */
  async runOnce(signals: StopSignals): Promise<boolean> {
    checkDisk(this.#parts);
    this.#parts.worker.resume(signals.stop);
    try {
      const reached = await this.#checkIn(signals);
      const isStuck = await this.#parts.worker.idleOrStuck() === "stuck" || this.#inbox.held > 0;
      if (isStuck) throw new Error("Cannot run commands: the disk takes no writes");
      await this.#drainOut(signals.cut);
      return reached;
    } finally {
      this.#inbox.end();
    }
  }

  /** Sends what can go before the end, at the ramp's pace; what has to wait longer stays. */
  async #drainOut(cut: AbortSignal): Promise<void> {
    while (!cut.aborted) {
      const dueInMs = this.#delivering.dueInMs();
      if (dueInMs > RAMP_STEP_MS) return;
      if (dueInMs > 0) await this.#parts.clock.sleep(dueInMs, cut).catch(() => {});
      await this.#deliver(cut);
    }
  }

  /** A command is done: takes up what it wants, and sends what it left. */
  afterCommand(outcome: CommandOutcome): void {
    if (outcome.rapidPollingMs !== null) {
      const askedMs = clampRapidMs(outcome.rapidPollingMs);
      this.#setRapid(askedMs > 0 ? Math.max(askedMs, this.#rapidLeftMs()) : 0);
      this.#bringForward(this.#earliestCheckInMs()); // The server wants to see it soon.
      this.#isOutdated = true;
    }
    this.afterAppend();
  }

  /** There is something new to send. */
  afterAppend(): void {
    this.#delivering.afterAppend();
    this.#wake.abort(WOKEN);
  }

  /** The host has woken or its network has come up: what only waited for that comes soon. */
  takeHint(hint: HostHint): void {
    const { clock, random, log, connection } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lastHintMs < HINT_EVERY_MS) return;
    this.#lastHintMs = nowMs;
    log.info("host is back", { hint });
    connection.hurry(ONLINE_SPREAD_MS);
    if (hint === "woke") this.#bringForward(nowMs + random() * WAKE_SPREAD_MS);
    this.#wake.abort(WOKEN);
  }

  /** A person wants the connection tried anew, at once. */
  resetConnection(): void {
    this.#parts.connection.reset();
    this.#delivering.endRest();
    this.#bringForward(this.#parts.clock.monotonicMs());
    this.#wake.abort(WOKEN);
  }

  #bringForward(dueMs: number): void {
    const nextCheckInMs = Math.min(this.#state.nextCheckInMs ?? -Infinity, dueMs);
    this.#state = { ...this.#state, nextCheckInMs };
  }

  /** What a server wants is never a reason to check in more often than in rapid polling. */
  #earliestCheckInMs(): number {
    const { clock, polling } = this.#parts;
    const lastMs = this.#state.lastCheckInMs ?? -Infinity;
    return Math.max(clock.monotonicMs(), lastMs + polling.rapidIntervalMs);
  }

  async #deliver(cut: AbortSignal): Promise<void> {
    const { connection, clock, random } = this.#parts;
    const wasUnknown = connection.isUnknown;
    const wasTried = await this.#delivering.deliver(cut);
    // Whether that was a passing trouble of the server's database is seen by a check-in.
    const isDoubted = connection.isUnknown && !wasUnknown;
    if (isDoubted) this.#bringForward(clock.monotonicMs() + random() * DOUBT_SPREAD_MS);
    if (wasTried) await this.#save();
  }

  async #step(signals: StopSignals): Promise<void> {
    try {
      await this.#sleep();
      if (signals.stop.aborted) return;
      this.#parts.buffer.indexPending(); // Woken by an append, as a rule.
      if (this.#checkInDueInMs() <= 0) await this.#checkIn(signals);
      if (this.#deliveryDueInMs() <= 0) this.#beginDelivery(signals.cut);
    } catch (error) {
      this.#takeTrouble(error);
    }
  }

  #beginDelivery(cut: AbortSignal): void {
    this.#delivery = this.#deliver(cut).catch((error) => this.#takeTrouble(error)).finally(() => {
      this.#delivery = null;
      this.#wake.abort(WOKEN);
    });
  }

  /** The disk, as a rule: the agent runs on, at its ordinary pace. */
  #takeTrouble(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#parts.log.error("step failed", { why });
    const nowMs = this.#parts.clock.monotonicMs();
    this.#state = { ...this.#state, nextCheckInMs: nowMs + this.#nextInMs() };
    this.#delivering.putOff(this.#parts.polling.intervalMs);
    this.#troubleUntilMs = nowMs + TROUBLE_MS;
  }

  #deliveryDueInMs(): number {
    return this.#delivery === null ? this.#delivering.dueInMs() : Infinity;
  }

  async #checkIn({ stop, cut }: StopSignals): Promise<boolean> {
    const { connection } = this.#parts;
    const wasOut = connection.state.outage !== null || !this.#isBack;
    if (connection.waitMs("check_in") <= 0) await this.#writeAhead();
    this.#isOutdated = false;
    const asked = this.#delivering.toAskFor;
    const body = this.#parts.describeHost(this.#rapidLeftMs());
    const answer = await checkIn({ ...this.#parts, signal: cut }, body);
    if (answer.kind === "ok") {
      this.#inbox.receive(answer.value, stop);
      this.#takeAnswer(answer.value);
      this.#delivering.afterCheckIn({ isReturn: wasOut, asked });
    }
    const dueInMs = answer.kind === "ok" && this.#isOutdated
      ? this.#earliestCheckInMs() - this.#parts.clock.monotonicMs()
      : dueAfter(answer, {
        nextInMs: () => this.#nextInMs(),
        afterSleepMs: () => this.#parts.random() * WAKE_SPREAD_MS,
        isCutOff: cut.aborted,
      });
    const nextCheckInMs = dueInMs === null ? null : this.#parts.clock.monotonicMs() + dueInMs;
    this.#state = {
      ...this.#state,
      nextCheckInMs,
      afterCrashMs: this.#afterCrashMs(nextCheckInMs),
    };
    closeCheckIn(this.#parts, answer, dueInMs);
    if (answer.kind === "ok") await this.#tellSystemInfo();
    if (answer.kind === "ok" && connection.isUnknown) await this.#delivering.askWhetherKnown(cut);
    await this.#save();
    return answer.kind === "ok";
  }

  /** Two writes for each check-in of rapid polling would be too many: one says both instants. */
  #afterCrashMs(nextCheckInMs: number | null): number | null {
    const isSaved = nextCheckInMs !== null && this.isRapid;
    return isSaved ? nextCheckInMs + this.#parts.polling.rapidIntervalMs : null;
  }

  /**
   * An agent that dies in the middle of a check-in, time and again, must not check in at each of its
   * starts: in the file the next one is already due later. No power cut comes that often, so the disk
   * need not be waited for.
   */
  async #writeAhead(): Promise<void> {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#saved.checkInMs > nowMs) return;
    const nextCheckInMs = nowMs + this.#nextInMs();
    this.#state = { ...this.#state, nextCheckInMs, afterCrashMs: null };
    await this.#save({ isDurable: false });
  }

  #takeAnswer(answer: CheckInAnswer): void {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    this.#isBack = true;
    this.#state = { ...this.#state, lastCheckInMs: nowMs };
    const leftMs = rapidLeftMs(answer.rapidPolling, clock.nowMs(), this.#rapidLeftMs());
    if (leftMs !== null && !this.#isOutdated) this.#setRapid(leftMs);
  }

  async #tellSystemInfo(): Promise<void> {
    const { clock, buffer, log } = this.#parts;
    const lastMs = this.#state.lastSystemInfoMs ?? -Infinity;
    if (clock.monotonicMs() - lastMs < SYSTEM_INFO_EVERY_MS) return;
    const event = await this.#parts.collectSystemInfo();
    this.#state = { ...this.#state, lastSystemInfoMs: clock.monotonicMs() };
    if (event === null) return;
    appendEvents(buffer, log, [event]);
    log.debug("host facts kept for delivery");
  }

  #spreadStart(): void {
    const { clock, random, polling } = this.#parts;
    const nowMs = clock.monotonicMs();
    const dueMs = this.#state.nextCheckInMs ?? nowMs;
    if (dueMs > nowMs) return;
    const nextCheckInMs = nowMs + random() * polling.startSpreadMs;
    this.#state = { ...this.#state, nextCheckInMs };
  }

  async #sleep(): Promise<void> {
    const troubleMs = this.#troubleUntilMs - this.#parts.clock.monotonicMs();
    const waitMs = troubleMs > 0
      ? troubleMs
      : Math.min(this.#checkInDueInMs(), this.#deliveryDueInMs());
    this.#wake = new AbortController();
    try {
      await this.#parts.clock.sleep(waitMs, this.#wake.signal);
    } catch {
      // Woken: the caller looks at what is due now.
    }
  }

  #checkInDueInMs(): number {
    const { clock, connection } = this.#parts;
    const dueInMs = (this.#state.nextCheckInMs ?? -Infinity) - clock.monotonicMs();
    return Math.max(0, dueInMs, connection.waitMs("check_in"));
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
    if (!wasOn) this.#parts.connection.onRapidPolling();
    this.#parts.log.info(leftMs > 0 ? "rapid polling on" : "rapid polling off", {
      for_s: Math.round(leftMs / 1_000),
    });
  }

  /** Writes nothing where nothing has changed. */
  async #save({ isDurable }: { isDurable: boolean } = { isDurable: true }): Promise<void> {
    const { state } = this;
    const text = JSON.stringify(state);
    if (text === this.#saved.text && (this.#saved.isDurable || !isDurable)) return;
    const { nextCheckInMs, afterCrashMs } = state;
    const checkInMs = Math.max(nextCheckInMs ?? -Infinity, afterCrashMs ?? -Infinity);
    this.#saved = { text, isDurable, checkInMs };
    await this.#parts.saveState(state, { isDurable });
  }
}
