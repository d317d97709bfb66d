/**
 * Drives the agent: waits until a check-in or a report is due, does it, and decides what comes next. It
 * only orders the steps; the rules are in `schedule.ts`, `check_in.ts` and the sender.
 */

import { appendEvents } from "../buffer/buffer.ts";
import type { CommandOutcome } from "../buffer/journal.ts";
import type { KeyRing } from "../connection/key_ring.ts";
import { Sender, type SenderDeps } from "../delivery/sender.ts";
import { SLOW_START_STEP_MS } from "../delivery/send_rate.ts";
import type { CheckInAnswer } from "../server/check_in_answer.ts";
import type { Client } from "../server/client.ts";
import type { CheckInBody } from "../server/protocol.ts";
import type { HostEvent } from "../system/system.ts";
import { checkDisk, checkIn, type CheckInDeps, closeCheckIn, dueAfter } from "./check_in.ts";
import { CommandIntake, type IntakeDeps } from "./command_intake.ts";
import type { CommandVerification } from "./command_verification.ts";
import { clampRapidMs, nextCheckInDelayMs, rapidLeftMs } from "./schedule.ts";
import type { AgentState, LoopState } from "./state.ts";

interface LoopDeps extends Omit<CheckInDeps, "signal">, IntakeDeps, SenderDeps {
  readonly agentId: string;
  readonly client: Pick<Client, "checkIn" | "report">;
  readonly polling: LoopPolling;
  readonly keyRing: Pick<KeyRing, "lookUpIfDue">;
  readonly verification: Pick<CommandVerification, "verify" | "end">;
  /**
   * The body of the next check-in. `rapidLeftMs`: how long rapid polling still lasts, 0: it is off;
   * `serverNowMs`: since the Unix epoch, by the server's clock as far as that is known.
   */
  describeHost(rapidLeftMs: number, serverNowMs: number): CheckInBody;
  /** What else follows a check-in that succeeded. Throws what the buffer throws. @default nothing */
  afterCheckIn?(signal: AbortSignal): Promise<void>;
  /** Saves the state; `isDurable`: so that it survives a power cut. Never throws. */
  saveState(state: AgentState, options: { isDurable: boolean }): Promise<void>;
}

interface LoopPolling {
  readonly intervalMs: number;
  readonly rapidIntervalMs: number;
  /** The first check-in after a start comes at a random instant within this time. */
  readonly startSpreadMs: number;
  /** See `Polling.jitterMaxMs`. */
  readonly jitterMaxMs?: number | null;
}

/** The two steps of a graceful shutdown; `untilStopped` in `cli/run_command.ts` sets the deadline. */
interface ShutdownSignals {
  /** Aborted at a shutdown: nothing new begins, and a running command ends and stays in the journal. */
  readonly shutdownSignal: AbortSignal;
  /**
   * Aborted when calls to the server have to end as well. Until then they may end by themselves: an
   * answer that is not read may hold commands, and a report whose answer is lost is sent twice.
   */
  readonly deadlineSignal: AbortSignal;
}

/**
 * Host facts are sent after a check-in, at least once an hour if check-ins are 5 minutes apart: their
 * answer shows a deleted agent that it is deleted.
 */
const SYSTEM_INFO_EVERY_MS = 50 * 60_000;

/** After a first sign that the agent was deleted, a check-in comes at random within this time. */
const DELETION_CHECK_SPREAD_MS = 60_000;

/** After the host has resumed, the check-in comes at random within this time. */
const RESUME_SPREAD_MS = 60_000;

/** After its network has come up or it has resumed, an offline host retries within this time. */
const ONLINE_SPREAD_MS = 30_000;

/** Wait after a step that failed by a fault of this host, as a rule its disk. */
const RETRY_STEP_MS = 10_000;

/** Within this time only the first resume, or link that comes up, has an effect. */
const HOST_HINT_EVERY_MS = 300_000;

/** Shared: creating an error per wake-up costs more than the wake-up. */
const WOKEN = new Error("woken");

export class Loop {
  readonly #deps: LoopDeps;
  readonly #sender: Sender;
  readonly #intake: CommandIntake;
  #state: LoopState;
  /** Whether a check-in has succeeded since the start. */
  #isBack = false;
  /** Whether a command has changed what the latest check-in reported. */
  #isOutdated = false;
  #lastHintAtMs = -Infinity;
  #stepFailedUntilMs = -Infinity;
  #wake = new AbortController();
  /** The state that was last saved, as JSON, and the earliest check-in after a crash according to it. */
  #saved = { text: "", isDurable: false, checkInAtMs: -Infinity };
  /** The server's clock at an instant of the monotonic one; `null`: it has not said. */
  #serverClock: { readonly epochMs: number; readonly atMs: number } | null = null;
  /** Sending that runs beside the check-ins, so that they wait for no backlog. */
  #sending: Promise<void> | null = null;

  constructor(deps: LoopDeps, { connection: _, ...state }: AgentState) {
    this.#deps = deps;
    this.#state = state;
    this.#sender = new Sender(deps);
    this.#intake = new CommandIntake(deps);
  }

  /** Everything to save. */
  get state(): AgentState {
    return { ...this.#state, connection: this.#deps.connection.state };
  }

  /** Whether rapid polling is on. */
  get isRapid(): boolean {
    return this.#rapidLeftMs() > 0;
  }

  /** Runs until the shutdown; then sends what it can until the deadline. */
  async run(signals: ShutdownSignals): Promise<void> {
    const { shutdownSignal } = signals;
    shutdownSignal.addEventListener("abort", () => this.#wake.abort(WOKEN));
    if (this.#state.isOnce) {
      // From here on an agent that dies is missed, also before its first check-in.
      this.#state = { ...this.#state, isOnce: false };
      await this.#save({ isDurable: false });
    }
    this.#deps.runner.resume(shutdownSignal);
    this.#spreadStart();
    try {
      while (!shutdownSignal.aborted) await this.#step(signals);
      await this.#sending;
      await this.#deps.runner.idle;
      await this.#drainBeforeExit(signals.deadlineSignal);
    } finally {
      this.#deps.verification.end();
      this.#intake.end();
    }
  }

  /** One cycle: checks in, runs the commands, sends. Returns whether the check-in succeeded. */
  async runOnce(signals: ShutdownSignals): Promise<boolean> {
    checkDisk(this.#deps);
    this.#state = { ...this.#state, isOnce: true };
    this.#deps.runner.resume(signals.shutdownSignal);
    try {
      const reached = await this.#checkIn(signals, { isOnly: true });
      const isStuck = await this.#deps.runner.idleOrStuck() === "stuck" ||
        this.#intake.unstored > 0;
      if (isStuck) throw new Error("Cannot run commands: the disk accepts no writes");
      await this.#drainBeforeExit(signals.deadlineSignal);
      return reached;
    } finally {
      this.#deps.verification.end();
      this.#intake.end();
    }
  }

  /** Sends what may go before the exit, by slow start; what has to wait longer stays. */
  async #drainBeforeExit(deadlineSignal: AbortSignal): Promise<void> {
    while (!deadlineSignal.aborted) {
      const dueInMs = this.#sender.dueInMs();
      if (dueInMs > SLOW_START_STEP_MS) return;
      if (dueInMs > 0) await this.#deps.clock.sleep(dueInMs, deadlineSignal).catch(() => {});
      await this.#sendPortion(deadlineSignal);
    }
  }

  /** A command has finished: applies its outcome, and sends its events. */
  afterCommand(outcome: CommandOutcome): void {
    if (outcome.rapidPollingMs !== null) {
      const askedMs = clampRapidMs(outcome.rapidPollingMs);
      this.#setRapid(askedMs > 0 ? Math.max(askedMs, this.#rapidLeftMs()) : 0);
      this.#bringForward(this.#earliestCheckInAtMs()); // The server waits for it.
      this.#isOutdated = true;
    }
    this.afterAppend();
  }

  /** A new event was appended. */
  afterAppend(): void {
    this.#sender.afterAppend();
    this.#wake.abort(WOKEN);
  }

  /** The host has resumed or its network has come up: what only waited for that comes soon. */
  onHostEvent(event: HostEvent): void {
    const { clock, random, log, connection } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lastHintAtMs < HOST_HINT_EVERY_MS) return;
    this.#lastHintAtMs = nowMs;
    log.info("host is back", { hint: event });
    connection.retrySoon(ONLINE_SPREAD_MS);
    if (event === "woke") this.#bringForward(nowMs + random() * RESUME_SPREAD_MS);
    this.#wake.abort(WOKEN);
  }

  /** An operator resets the connection: the next check-in comes at once. */
  resetConnection(): void {
    this.#deps.connection.reset();
    this.#sender.resetReportBreaker();
    this.#bringForward(this.#deps.clock.monotonicMs());
    this.#wake.abort(WOKEN);
  }

  #bringForward(dueAtMs: number): void {
    const nextCheckInAtMs = Math.min(this.#state.nextCheckInAtMs ?? -Infinity, dueAtMs);
    this.#state = { ...this.#state, nextCheckInAtMs };
  }

  /** No request of the server makes check-ins more frequent than rapid polling. */
  #earliestCheckInAtMs(): number {
    const { clock, polling } = this.#deps;
    const lastAtMs = this.#state.lastCheckInAtMs ?? -Infinity;
    return Math.max(clock.monotonicMs(), lastAtMs + polling.rapidIntervalMs);
  }

  async #sendPortion(deadlineSignal: AbortSignal): Promise<void> {
    const { connection, clock, random } = this.#deps;
    const couldBeDeleted = connection.mayBeDeleted;
    const hasSent = await this.#sender.sendPortion(deadlineSignal);
    // A check-in shows whether that was a temporary failure of the server's database.
    const isNewSign = connection.mayBeDeleted && !couldBeDeleted;
    if (isNewSign) this.#bringForward(clock.monotonicMs() + random() * DELETION_CHECK_SPREAD_MS);
    // Reports wait for a probe now, and the next check-in is the probe.
    const { breaker } = connection.state;
    if (breaker.state === "open") this.#bringForward(breaker.untilMs);
    if (hasSent) await this.#save();
  }

  async #step(signals: ShutdownSignals): Promise<void> {
    try {
      await this.#sleep();
      if (signals.shutdownSignal.aborted) return;
      this.#deps.buffer.indexPending(); // As a rule an append has ended the sleep.
      if (this.#checkInDueInMs() <= 0) await this.#checkIn(signals);
      if (this.#sendingDueInMs() <= 0) this.#beginSending(signals.deadlineSignal);
    } catch (error) {
      this.#onStepFailed(error);
    }
  }

  #beginSending(deadlineSignal: AbortSignal): void {
    this.#sending = this.#sendPortion(deadlineSignal).catch((error) => this.#onStepFailed(error))
      .finally(() => {
        this.#sending = null;
        this.#wake.abort(WOKEN);
      });
  }

  /** As a rule the disk has failed: the agent goes on at its ordinary interval. */
  #onStepFailed(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#deps.log.error("step failed", { why });
    const nowMs = this.#deps.clock.monotonicMs();
    this.#state = { ...this.#state, nextCheckInAtMs: nowMs + this.#nextInMs() };
    this.#sender.pause(this.#deps.polling.intervalMs);
    this.#stepFailedUntilMs = nowMs + RETRY_STEP_MS;
  }

  #sendingDueInMs(): number {
    return this.#sending === null ? this.#sender.dueInMs() : Infinity;
  }

  async #checkIn(
    { shutdownSignal, deadlineSignal }: ShutdownSignals,
    { isOnly }: { readonly isOnly: boolean } = { isOnly: false },
  ): Promise<boolean> {
    const { connection } = this.#deps;
    const wasOut = connection.state.outage !== null || !this.#isBack;
    if (connection.waitMs("check_in") <= 0) await this.#saveAhead();
    this.#isOutdated = false;
    const asked = this.#sender.unconfirmed;
    const body = this.#deps.describeHost(this.#rapidLeftMs(), this.#serverNowMs());
    const answer = await checkIn({ ...this.#deps, signal: deadlineSignal }, body);
    if (answer.kind === "ok") {
      this.#readServerClock(answer.serverAtMs);
      const { verification } = this.#deps;
      const context = { ...answer, signal: deadlineSignal };
      this.#intake.receive(await verification.verify(answer.value, context), shutdownSignal);
      this.#applyAnswer(answer.value, body);
      this.#sender.afterCheckIn({ isReturn: wasOut, asked });
    }
    const dueInMs = answer.kind === "ok" && this.#isOutdated
      ? this.#earliestCheckInAtMs() - this.#deps.clock.monotonicMs()
      : dueAfter(answer, {
        nextInMs: () => this.#nextInMs(),
        afterResumeInMs: () => this.#deps.random() * RESUME_SPREAD_MS,
        isAborted: deadlineSignal.aborted,
      });
    const nextCheckInAtMs = dueInMs === null ? null : this.#deps.clock.monotonicMs() + dueInMs;
    // Two writes per check-in of rapid polling would be too many: one write holds both instants.
    const afterCrashAtMs = nextCheckInAtMs !== null && this.isRapid
      ? nextCheckInAtMs + this.#deps.polling.rapidIntervalMs
      : null;
    this.#state = { ...this.#state, nextCheckInAtMs, afterCrashAtMs };
    closeCheckIn(this.#deps, answer, { dueInMs, isOnly });
    if (answer.kind === "ok") {
      await this.#appendSystemInfo();
      await this.#deps.keyRing.lookUpIfDue(deadlineSignal);
    }
    if (answer.kind === "ok" && connection.mayBeDeleted) {
      await this.#sender.verifyKnown(deadlineSignal);
    }
    if (answer.kind === "ok") await this.#deps.afterCheckIn?.(deadlineSignal);
    await this.#save();
    return answer.kind === "ok";
  }

  /**
   * An agent that crashes in each of its check-ins must not check in at each start, so the file says
   * beforehand that the next check-in is due later. No power cut comes that often, so the write need
   * not be durable.
   */
  async #saveAhead(): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    if (this.#saved.checkInAtMs > nowMs) return;
    const nextCheckInAtMs = nowMs + this.#nextInMs();
    this.#state = { ...this.#state, nextCheckInAtMs, afterCrashAtMs: null };
    await this.#save({ isDurable: false });
  }

  #readServerClock(epochMs: number | undefined): void {
    const atMs = this.#deps.clock.monotonicMs();
    this.#serverClock = epochMs === undefined ? null : { epochMs, atMs };
  }

  /** The instants that both exchange are those of the server's clock: this host's may be wrong by hours. */
  #serverNowMs(): number {
    const { clock } = this.#deps;
    if (this.#serverClock === null) return clock.nowMs();
    return this.#serverClock.epochMs + clock.monotonicMs() - this.#serverClock.atMs;
  }

  #applyAnswer({ rapidPolling }: CheckInAnswer, { metadata: reported }: CheckInBody): void {
    const nowMs = this.#deps.clock.monotonicMs();
    this.#isBack = true;
    this.#state = { ...this.#state, lastCheckInAtMs: nowMs };
    // RedFlag 0.2 repeats the instant that it was told.
    const isEcho = rapidPolling?.enabled && rapidPolling.until === reported.rapid_polling_until;
    if (isEcho) return;
    const leftMs = rapidLeftMs(rapidPolling, this.#serverNowMs(), this.#rapidLeftMs());
    if (leftMs !== null && !this.#isOutdated) this.#setRapid(leftMs);
  }

  async #appendSystemInfo(): Promise<void> {
    const { clock, buffer, log } = this.#deps;
    const lastAtMs = this.#state.lastSystemInfoAtMs ?? -Infinity;
    if (clock.monotonicMs() - lastAtMs < SYSTEM_INFO_EVERY_MS) return;
    const event = await this.#deps.collectSystemInfo();
    this.#state = { ...this.#state, lastSystemInfoAtMs: clock.monotonicMs() };
    if (event === null) return;
    appendEvents(buffer, log, [event]);
    log.debug("host facts appended");
  }

  #spreadStart(): void {
    const { clock, random, polling } = this.#deps;
    const nowMs = clock.monotonicMs();
    const dueAtMs = this.#state.nextCheckInAtMs ?? nowMs;
    if (dueAtMs > nowMs) return;
    const nextCheckInAtMs = nowMs + random() * polling.startSpreadMs;
    this.#state = { ...this.#state, nextCheckInAtMs };
  }

  async #sleep(): Promise<void> {
    const retryInMs = this.#stepFailedUntilMs - this.#deps.clock.monotonicMs();
    const waitMs = retryInMs > 0
      ? retryInMs
      : Math.min(this.#checkInDueInMs(), this.#sendingDueInMs());
    this.#wake = new AbortController();
    try {
      await this.#deps.clock.sleep(waitMs, this.#wake.signal);
    } catch {
      // Woken up: the caller checks what is due now.
    }
  }

  #checkInDueInMs(): number {
    const { clock, connection } = this.#deps;
    const dueInMs = (this.#state.nextCheckInAtMs ?? -Infinity) - clock.monotonicMs();
    return Math.max(0, dueInMs, connection.waitMs("check_in"));
  }

  #nextInMs(): number {
    const { polling, agentId, clock, random } = this.#deps;
    const at = { nowMs: clock.nowMs(), random };
    return nextCheckInDelayMs({ ...polling, rapidLeftMs: this.#rapidLeftMs() }, agentId, at);
  }

  #rapidLeftMs(): number {
    const { rapidUntilMs } = this.#state;
    return rapidUntilMs === null ? 0 : Math.max(0, rapidUntilMs - this.#deps.clock.monotonicMs());
  }

  #setRapid(leftMs: number): void {
    const wasOn = this.#rapidLeftMs() > 0;
    const rapidUntilMs = leftMs > 0 ? this.#deps.clock.monotonicMs() + leftMs : null;
    this.#state = { ...this.#state, rapidUntilMs };
    if (wasOn === leftMs > 0) return;
    if (!wasOn) this.#deps.connection.onRapidPolling();
    this.#deps.log.info(leftMs > 0 ? "rapid polling on" : "rapid polling off", {
      for_s: Math.round(leftMs / 1_000),
    });
  }

  /** Writes nothing if nothing has changed. */
  async #save({ isDurable }: { isDurable: boolean } = { isDurable: true }): Promise<void> {
    const { state } = this;
    const text = JSON.stringify(state);
    if (text === this.#saved.text && (this.#saved.isDurable || !isDurable)) return;
    const { nextCheckInAtMs, afterCrashAtMs } = state;
    const checkInAtMs = Math.max(nextCheckInAtMs ?? -Infinity, afterCrashAtMs ?? -Infinity);
    this.#saved = { text, isDurable, checkInAtMs };
    await this.#deps.saveState(state, { isDurable });
  }
}
