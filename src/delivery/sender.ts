/**
 * Sends the buffered events when the connection allows it: slowly at first after an outage and while
 * nothing gets through, and never more than the server's rate limit allows.
 */

import { type BackoffPolicy, reportPolicy } from "../breaker/policies.ts";
import {
  admit,
  type Breaker,
  type BreakerStep,
  breakerWaitMs,
  type CallResult,
  NEW_BREAKER,
  resetBreaker,
  settle,
} from "../breaker/breaker.ts";
import type { EventBuffer, EventKey, EventKind, NewEvent, StoredEvent } from "../buffer/buffer.ts";
import type { Connection, Rejected } from "../connection/connection.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import { type Client, isAgentUnknown, NO_ROUTE } from "../server/client.ts";
import type { ReportAnswer } from "../server/protocol.ts";
import type { Clock, Random } from "../system/system.ts";
import { drain, type ReportSender } from "./drain.ts";
import { extrasDueAtMs, isExtra, mostTogether, NO_EXTRAS, recordExtra } from "./extras.ts";
import {
  askedAgain,
  type Attributed,
  FailureAttribution,
  isRefusal,
  type Outcome,
  type Unaccepted,
} from "./failure_attribution.ts";
import { pageOf, REPORTS, withoutClosing } from "./report_body.ts";
import {
  afterGoodCheckIn,
  asReportFailure,
  mayHaveArrived,
  type TokenFault,
  UnansweredReports,
} from "./report_fault.ts";
import {
  advanceSlowStart,
  inFlightLimit,
  isStalled,
  NEW_WINDOW,
  nextAllowedAtMs,
  NO_SLOW_START,
  portionSize,
  recordAnswer,
  recordThrottled,
  SLOW_START_STEP_MS,
} from "./send_rate.ts";

/** What a sender works with. */
export interface SenderDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly buffer: EventBuffer;
  readonly connection: Connection;
  readonly client: Pick<Client, "report">;
  /** How long the report breaker stays open; the connection has a backoff of its own. */
  readonly backoff: BackoffPolicy;
  /** The host facts as an event, or `null` if there are none. */
  collectSystemInfo(): Promise<NewEvent | null>;
}

/** A server that has accepted a report, or was asked, knows this agent for this long. */
const KNOWN_MS = 600_000;

/** This many events, or one this large, are a burst: the server's health is checked first. */
const BURST_EVENTS = 10;
const BURST_BYTES = 262_144;

/** What one drain may send. */
interface Portion {
  readonly size: number;
  readonly isBurst: boolean;
  readonly deadlineSignal: AbortSignal;
  sent: number;
}

const NO_PORTION: Portion = {
  size: 0,
  isBurst: false,
  deadlineSignal: AbortSignal.abort(new Error("no drain is running")),
  sent: 0,
};

/** The server has not judged the event. */
const LATER: Attributed = { outcome: { kind: "later" }, verdict: "neutral" };

export class Sender implements ReportSender {
  readonly #deps: SenderDeps;
  #notBeforeMs = -Infinity;
  /** All pending events are postponed until this instant. */
  #idleUntilMs = -Infinity;
  #slowStart = NO_SLOW_START;
  #window = NEW_WINDOW;
  #reportBreaker: Breaker = NEW_BREAKER;
  #hasCheckedIn = false;
  readonly #attribution = new FailureAttribution();
  /** Logs of commands that the server may have: they wait until the next check-in asks for them. */
  readonly #unconfirmed = new Map<string, EventKey>();
  /** Until this instant the server need not be asked whether it knows this agent. */
  #knownUntilMs = -Infinity;
  /** The latest such request: reports that fail together wait for one answer. */
  #verifying: Promise<void> = Promise.resolve();
  #extras = NO_EXTRAS;
  readonly #unanswered = new UnansweredReports();
  #tokenFault: TokenFault = "none";
  /** Reports that were accepted since the last one that had no answer; `Infinity`: all had one. */
  #acceptedInARow = Infinity;
  #portion: Portion = NO_PORTION;
  /** Reports in flight, and all reports so far. */
  #inFlight = 0;
  #launched = 0;

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  /** The results that a check-in which begins now asks the server to confirm. */
  get unconfirmed(): readonly string[] {
    return [...this.#unconfirmed.keys()];
  }

  /**
   * A check-in succeeded. `isReturn`: it is the first one after a start or an outage, so the backlog
   * goes out by slow start. `asked`: what was `unconfirmed` when it began, which now waits no longer.
   */
  afterCheckIn({ isReturn, asked }: { isReturn: boolean; asked: readonly string[] }): void {
    this.#hasCheckedIn = true;
    this.#unanswered.checkedIn();
    this.#tokenFault = afterGoodCheckIn(this.#tokenFault);
    if (isReturn) this.#attribution.recordServerFailure();
    for (const id of asked) this.#unconfirmed.delete(id);
    this.#idleUntilMs = -Infinity;
    if (isReturn && this.#deps.buffer.countWaiting().pending > 0) this.#beginSlowStart();
  }

  /** How long until something is to be sent, in ms; `Infinity`: nothing is, or nothing may be. */
  dueInMs(): number {
    const { clock, connection, buffer } = this.#deps;
    if (!connection.isHealthy || !this.#hasCheckedIn) return Infinity;
    const { pending } = buffer.countWaiting();
    if (pending === 0) return Infinity;
    const nowMs = clock.monotonicMs();
    const allowedAtMs = nextAllowedAtMs(this.#window, pending);
    const pauseMs = Math.max(this.#notBeforeMs, this.#idleUntilMs, allowedAtMs) - nowMs;
    const breakerMs = breakerWaitMs(this.#reportBreaker, nowMs);
    return Math.max(0, pauseMs, breakerMs, connection.waitMs("delivery"));
  }

  /** Closes the report breaker, at an operator's request. */
  resetReportBreaker(): void {
    this.#reportBreaker = resetBreaker(this.#reportBreaker);
    this.#slowStart = { ...this.#slowStart, failedReports: 0 };
  }

  /** A new event was appended; events that the server did not accept keep waiting. */
  afterAppend(): void {
    this.#idleUntilMs = -Infinity;
  }

  /** Sends nothing for `ms`. */
  pause(ms: number): void {
    this.#notBeforeMs = this.#deps.clock.monotonicMs() + ms;
  }

  /** Sends one portion; `true` if it contained any event. Throws what the buffer throws. */
  async sendPortion(deadlineSignal: AbortSignal): Promise<boolean> {
    const { buffer, log, clock } = this.#deps;
    const nowMs = clock.monotonicMs();
    this.#attribution.beginDrain();
    // While the server fails on reports, events that it has not failed on yet go first.
    const hasFailed = this.#reportBreaker.state !== "closed";
    let drained = await this.#drain(deadlineSignal, hasFailed ? -Infinity : nowMs);
    if (hasFailed && drained.sent === 0) drained = await this.#drain(deadlineSignal, nowMs);
    const { sent, delivered, isComplete } = drained;
    if (isStalled(this.#slowStart)) this.#beginSlowStart();
    else if (isComplete && delivered > 0) this.#slowStart = advanceSlowStart(this.#slowStart);
    const { pending } = buffer.countWaiting();
    if (pending === 0) {
      this.#slowStart = { ...this.#slowStart, step: null };
      this.#attribution.clear();
      this.#unanswered.clear();
    }
    this.pause(isComplete ? SLOW_START_STEP_MS : 0);
    if (sent === 0) {
      const dueAtMs = this.#attribution.nextDueAtMs(nowMs);
      const extrasAtMs = extrasDueAtMs(this.#extras, this.#window);
      this.#idleUntilMs = extrasAtMs > nowMs ? Math.min(dueAtMs, extrasAtMs) : dueAtMs;
    }
    if (delivered > 0) log.info("events delivered", { delivered, pending });
    return sent > 0;
  }

  /** How many agent events go in one call: one by one while the server refuses a call with several. */
  maxTogether(kind: EventKind): number {
    return mostTogether(this.#extras, kind);
  }

  /** Decides whether this report may go in this portion, and how many may be in flight with it. */
  maxInFlight(event: Pick<StoredEvent, "kind">): number {
    const { connection } = this.#deps;
    // The other events are more urgent: behind an extra there are only extras.
    const isTooMuch = isExtra(event) &&
      extrasDueAtMs(this.#extras, this.#window) > this.#deps.clock.monotonicMs();
    if (isTooMuch) return 0;
    const { size, sent, deadlineSignal } = this.#portion;
    if (sent >= size) return 0;
    if (deadlineSignal.aborted || !connection.isHealthy) return 0;
    if (sent > 0 && (isStalled(this.#slowStart) || this.#isWindowSpent())) return 0;
    // One by one until the server has answered, and while it does not accept the latest report.
    const isSteady = this.#window.answeredAtMs.length > 0 && this.#slowStart.failedReports === 0 &&
      this.#reportBreaker.state === "closed";
    return isSteady ? inFlightLimit(this.#acceptedInARow) : 1;
  }

  /** Sends one event of this portion, and others in the same call. */
  async send(event: StoredEvent, others: readonly StoredEvent[] = []): Promise<Outcome> {
    this.#portion.sent += 1;
    if (isExtra(event)) {
      this.#extras = recordExtra(this.#extras, this.#deps.clock.monotonicMs(), this.#window);
    }
    const admission = admit(this.#reportBreaker, this.#breakerStep());
    this.#reportBreaker = admission.breaker;
    if (!admission.admitted) return { kind: "later" };
    const { permit } = admission;
    this.#inFlight += 1;
    let attributed = LATER;
    try {
      attributed = await this.#report(event, others, this.#portion);
      if (event.kind === "agent_event") {
        this.#extras = { ...this.#extras, isOneByOne: isRefusal(attributed.outcome) };
      }
      return attributed.outcome;
    } finally {
      this.#inFlight -= 1;
      const { verdict, reason = "" } = attributed;
      this.#settle({ permit, verdict, reason });
    }
  }

  /**
   * Asks the server whether it knows this agent, with the host facts: of all reports, only these are
   * answered with a statement on that. The connection applies the answer. The facts are not appended
   * first: if they get lost, the agent asks again.
   */
  async verifyKnown(deadlineSignal: AbortSignal): Promise<void> {
    this.#knownUntilMs = this.#deps.clock.monotonicMs() + KNOWN_MS;
    const facts = await this.#deps.collectSystemInfo();
    if (facts !== null) await this.#call(facts, { isBurst: false, signal: deadlineSignal });
  }

  #beginSlowStart(): void {
    this.#slowStart = { ...this.#slowStart, step: 0 };
  }

  /** Of the postponed events, it sends those that are due by `dueByMs`. */
  async #drain(
    deadlineSignal: AbortSignal,
    dueByMs: number,
  ): Promise<{ sent: number; delivered: number; isComplete: boolean }> {
    const { clock, buffer, log } = this.#deps;
    const isBurst = buffer.countWaiting().pending >= BURST_EVENTS;
    const size = portionSize(this.#slowStart);
    const portion = this.#portion = { size, isBurst, deadlineSignal, sent: 0 };
    const attribution = this.#attribution;
    const unanswered = this.#unanswered.waiting(clock.monotonicMs());
    const refused = attribution.postponedBeyond(dueByMs);
    const postponed = [...this.#unconfirmed.values(), ...unanswered, ...refused];
    const { delivered } = await drain({ clock, buffer, log, sender: this, attribution, postponed });
    const { sent } = portion;
    const isComplete = sent >= size || sent > 0 && isStalled(this.#slowStart);
    return { sent, delivered, isComplete };
  }

  /** Whether the reports in flight may use all that the server's window has left. */
  #isWindowSpent(): boolean {
    const { remaining } = this.#window;
    return remaining !== null && remaining <= this.#inFlight;
  }

  #breakerStep(): BreakerStep {
    const { clock, random, backoff } = this.#deps;
    return { nowMs: clock.monotonicMs(), policy: reportPolicy(backoff), random };
  }

  #settle(result: CallResult): void {
    const step = this.#breakerStep();
    const before = this.#reportBreaker;
    const after = this.#reportBreaker = settle(before, result, step);
    if (before.state !== "closed" && after.state === "closed") this.#attribution.recovered();
    if (after.state !== "open" || after.generation === before.generation) return;
    const { reason: why, trips, untilMs } = after;
    const fields = { why, trips, paused_for_s: Math.ceil((untilMs - step.nowMs) / 1_000) };
    // As with an outage: a warning when it begins.
    if (trips === 1) this.#deps.log.warning("server fails on reports; pausing reports", fields);
    else this.#deps.log.info("server fails on reports; pausing reports", fields);
  }

  async #report(
    event: StoredEvent,
    others: readonly StoredEvent[],
    { isBurst, deadlineSignal }: Portion,
  ): Promise<Attributed> {
    const { clock } = this.#deps;
    const isLarge = event.sizeBytes >= BURST_BYTES;
    const options = { isBurst: isBurst || isLarge, signal: deadlineSignal };
    const body = event.kind === "agent_event"
      ? pageOf([event, ...others])
      : this.#mayClose(event)
      ? event.body
      : withoutClosing(event.body);
    const { answer, wasSent } = await this.#call({ ...event, body }, options);
    switch (answer.kind) {
      case "ok":
        return answer.value.openBecause === undefined
          ? this.#accepted(event, answer.value)
          : this.#attribute(event, askedAgain(answer.value.openBecause), answer);
      case "refused":
        if (isAgentUnknown(answer)) return LATER;
        return this.#attribute(event, { ...answer, isSaid: !answer.isForeign }, answer);
      case "report_failed":
        if (answer.isUnjudged) return this.#attribute(event, { ...answer, status: null }, answer);
        if (!await this.#isKnown(deadlineSignal)) return LATER;
        return this.#attribute(event, { ...answer, status: 500 }, answer);
      case "failed":
        this.#attribution.recordServerFailure();
        this.#acceptedInARow = 0;
        if (wasSent && !answer.offline) this.#unanswered.failed(event, clock.monotonicMs());
        return this.#later(event, wasSent && mayHaveArrived(answer));
      case "aborted":
        return this.#later(event, wasSent);
      case "limited":
      case "unauthorized":
      case "operator_required":
      case "circuit_open":
      case "backoff":
        return LATER;
    }
  }

  /**
   * Whether a report may close rows. One that later reports may have overtaken would close what those
   * reported: it is superseded, the server has not accepted it before, or an operator has requeued it.
   */
  #mayClose({ id, kind, isSuperseded, lastError }: StoredEvent): boolean {
    return kind !== "updates" ||
      !isSuperseded && lastError === null && !this.#attribution.isPostponed(id);
  }

  #accepted(event: StoredEvent, value: ReportAnswer): Attributed {
    this.#unanswered.answered(event.id);
    this.#acceptedInARow += 1;
    const { endedAs } = value;
    if (endedAs !== undefined && endedAs !== "completed" && endedAs !== "failed") {
      const fields = { command: event.commandId, current_status: endedAs };
      this.#deps.log.warning("server ended a command without its result", fields);
    }
    const isLast = this.#window.remaining === 0;
    const delivered = { kind: "delivered", isLast } as const;
    // That the server stores an event of the agent proves nothing for the other reports. A report breaker
    // that it closed would open at the next of them, which makes another event, and so on.
    if (value === NO_ROUTE || isExtra(event)) return { outcome: delivered, verdict: "neutral" };
    this.#knownUntilMs = this.#deps.clock.monotonicMs() + KNOWN_MS;
    this.#tokenFault = "none";
    this.#slowStart = { ...this.#slowStart, failedReports: 0 };
    const alsoRefused = this.#attribution.delivered(event);
    return { outcome: { ...delivered, ...alsoRefused && { alsoRefused } }, verdict: "success" };
  }

  #attribute(event: StoredEvent, refusal: Unaccepted, answer: Answer<unknown>): Attributed {
    this.#unanswered.answered(event.id);
    const { clock, random } = this.#deps;
    const at = { nowMs: clock.monotonicMs(), random };
    const { outcome, ...rest } = this.#attribution.attribute(event, refusal, at);
    const isUnanswered = mayHaveArrived(answer) && this.#willAsk(event);
    const attributed = { ...rest, outcome: { ...outcome, ...(isUnanswered && { isUnanswered }) } };
    // A server that fails on extras alone is no reason to hold back a result.
    if (isExtra(event)) return { ...attributed, verdict: "neutral" };
    const { failedReports } = this.#slowStart;
    this.#slowStart = { ...this.#slowStart, failedReports: failedReports + 1 };
    return attributed;
  }

  #later(event: StoredEvent, mayHaveArrived: boolean): Attributed {
    const isUnanswered = mayHaveArrived && this.#willAsk(event);
    return { outcome: { kind: "later", isUnanswered }, verdict: "neutral" };
  }

  /** The server can be asked whether it has a command's log: the next check-in does. */
  #willAsk({ id, kind, commandId, place }: StoredEvent): boolean {
    const mayBeAsked = kind === "log" && commandId !== null;
    if (mayBeAsked) this.#unconfirmed.set(id, { id, commandId, place });
    return mayBeAsked;
  }

  /** A deleted agent's reports all fail: no part of them would be accepted. */
  async #isKnown(deadlineSignal: AbortSignal): Promise<boolean> {
    const { clock, connection } = this.#deps;
    if (clock.monotonicMs() >= this.#knownUntilMs) {
      this.#verifying = this.verifyKnown(deadlineSignal);
    }
    await this.#verifying;
    return connection.isHealthy;
  }

  async #call(
    { id, kind, body }: Pick<StoredEvent, "kind" | "body"> & Partial<Pick<StoredEvent, "id">>,
    options: { isBurst: boolean; signal: AbortSignal },
  ): Promise<{ answer: Answer<ReportAnswer> | Rejected; wasSent: boolean }> {
    const { clock, connection, client } = this.#deps;
    let sentMs: number | null = null;
    const number = this.#launched += 1;
    const isFirst = this.#inFlight <= 1;
    const answer = await connection.attempt("delivery", async (limits, caller) => {
      sentMs = clock.monotonicMs();
      const answer = await client.report(caller, { report: REPORTS[kind], body }, limits);
      const isKnown = id !== undefined && this.#attribution.isPostponed(id);
      return asReportFailure(answer, isKnown ? "proven" : this.#tokenFault);
    }, options);
    const isAlone = isFirst && number === this.#launched;
    if (sentMs !== null) this.#recordSent(answer, { sentMs, isAlone });
    return { answer, wasSent: sentMs !== null };
  }

  #recordSent(
    answer: Answer<unknown> | Rejected,
    request: { sentMs: number; isAlone: boolean },
  ): void {
    const { clock, random } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (answer.kind === "unauthorized" && this.#tokenFault === "none") {
      this.#tokenFault = "suspected";
    }
    const rateLimit = "rateLimit" in answer ? answer.rateLimit ?? null : null;
    this.#window = answer.kind === "limited"
      ? recordThrottled(this.#window, nowMs, answer.retryAfterMs)
      : recordAnswer(this.#window, { ...request, nowMs, rateLimit, random });
  }
}
