/** Watches every request of a run for what must never be; docs/resilience.md, "What was simulated". */

import type { LogFields } from "../../src/log.ts";
import type { HttpRequest } from "../../src/system/http.ts";
import type { AgentState } from "../../src/loop/state.ts";
import type { SimClock } from "./sim_clock.ts";

/** An invariant that did not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** The only place that tokens may go to. */
export const ORIGIN = "https://redflag.test";

/** What the agent may do: its interval, and the numbers of resilience.md. */
const INTERVAL_MS = 300_000;
const LONGEST_WAIT_MS = 300_000;
/** Beside a wait: the calls themselves, with all their limits, and a restart's spread. */
const SLACK_MS = 160_000;
const LEAST_OPEN_MS = 30_000;
/** While rapid polling is on: the breaker's shortest time open, and the longest wait of any kind. */
const LEAST_OPEN_RAPID_MS = 15_000;
const LONGEST_RAPID_WAIT_MS = 30_000;
/** Refused tokens are believed after so long without a 5xx of a check-in. */
const BELIEVED_AFTER_MS = 600_000;
/** A deletion is known of at the latest so long after it, and may be told so long after its end. */
const DELETION_TOLD_MS = 2 * 3_600_000;
/** A window of the server's, and the time that a request is on its way. */
const UNKNOWN_WINDOW_MS = 100_000;
/** A clock is read a little earlier than another. */
const MOMENT_MS = 1_000;
const FAILURES_TO_OPEN = 5;
const MOST_PROBE_REQUESTS = 5;
const MOST_CALLS_IN_60_S = 30;
/** The server's own window, and as many as may be in flight with a token that it no longer accepts. */
const MOST_REPORTS_IN_60_S = 30 + 8;
const MOST_FAILURES_IN_60_S = 14;
/** Waits at the cap that are all alike: by chance less often than once in 10^9. */
const ALIKE = 6;
/** The same of a host that is offline, whose cap is 30 s. */
const ALIKE_OFFLINE = 10;

/** What counts against an event's attempts, and the only answers that may be its own fault. */
const COUNTED: ReadonlySet<string> = new Set([
  "event refused",
  "event dead-lettered",
  "event bisected",
]);
const ABOUT_AN_EVENT = /^HTTP (?:4\d\d|500|200, but the server could not close)\b/;

/** How a request ended, as seen from outside the agent. */
export type Ending = "good" | "failure" | "offline" | "neutral";

/** `other`: the server's settings and keys, which are asked for now and then. */
type Path = "check_in" | "delivery" | "health" | "renewal" | "other";

/** Watches the requests; a breach is thrown at once, out of the simulation. */
export class Monitor {
  readonly #clock: SimClock;
  readonly #fail: (what: string) => void;
  #calls: number[] = [];
  #reports: number[] = [];
  #failureInstants: number[] = [];
  #failures = 0;
  #lastFailureMs = -Infinity;
  #lastRequestMs = 0;
  #lastEnding: Ending = "good";
  #gaps: number[] = [];
  #offlineGaps: number[] = [];
  #notBefore = { check_in: -Infinity, delivery: -Infinity };
  #probeRequests: number[] = [];
  #halfOpenSinceMs = 0;
  #goodCheckInStartedMs = -Infinity;
  #lastEndedMs = 0;
  /** When rapid polling was last seen to be on. */
  #rapidSeenMs = -Infinity;
  /** Until when it was to last, on the agent's own clock, and when a command may end it. */
  #rapidUntilMs = -Infinity;
  #brokeMs = -Infinity;
  #deletedMs = -Infinity;
  /** When requests were last lost, late or another process's. */
  #disturbedMs = -Infinity;
  /** Nothing is known of waits that a crash, the clock or the disk has cut across. */
  #excusedMs = -Infinity;

  constructor(clock: SimClock, fail: (what: string) => void) {
    this.#clock = clock;
    this.#fail = fail;
  }

  /** Something happened to the host that an agent cannot see through. */
  excuse(): void {
    this.#excusedMs = this.#clock.trueMs;
    this.#failures = 0;
    this.#notBefore = { check_in: -Infinity, delivery: -Infinity };
    this.#gaps = [];
    this.#offlineGaps = [];
    this.#failureInstants = [];
    this.#rapidUntilMs = -Infinity;
  }

  /** A check-in got a 5xx. */
  broke(): void {
    this.#brokeMs = this.#clock.trueMs;
  }

  /** The server does not know the agent. */
  deleted(): void {
    this.#deletedMs = this.#clock.trueMs;
  }

  /** A line of the agent's log. */
  logged(message: string, fields: LogFields): void {
    // A command that ends rapid polling.
    if (fields["command"] === "disable_heartbeat") this.#rapidUntilMs = -Infinity;
    if (message === "connection breaker half-open") this.#halfOpened();
    if (message === "connection breaker closed") this.#closed();
    if (message === "operator action required") {
      this.#called(fields["cause"]);
    }
    if (COUNTED.has(message) && !ABOUT_AN_EVENT.test(String(fields["why"]))) {
      this.#fail(`"${message}" for ${fields["why"]}`);
    }
  }

  /** The agent calls an operator: it was deleted, its tokens are refused, or the server says why not. */
  #called(cause: unknown): void {
    const nowMs = this.#clock.trueMs;
    if (cause === "deleted" && nowMs - this.#deletedMs > DELETION_TOLD_MS) {
      this.#fail("an agent that the server knows says it was deleted");
    }
    if (cause === "token" && nowMs - this.#brokeMs < BELIEVED_AFTER_MS - MOMENT_MS) {
      this.#fail("an operator is called by a server whose check-ins break");
    }
  }

  /** Before a request leaves; `state` is the agent's own. */
  request(request: HttpRequest, state: AgentState): Path {
    const nowMs = this.#clock.trueMs;
    const path = pathOf(request.url);
    if (!request.url.startsWith(`${ORIGIN}/`)) this.#fail(`a request to ${request.url}`);
    this.#checkBreaker(state);
    if (path === "check_in" || path === "delivery") this.#checkAsked(path, nowMs);
    if (path === "health") {
      // It is asked for one of the two: the one that may go first.
      const { check_in, delivery } = this.#notBefore;
      this.#checkAsked(check_in < delivery ? "check_in" : "delivery", nowMs);
    }
    this.#checkPace(path, nowMs);
    if (path === "other") return path;
    const gapMs = nowMs - this.#lastRequestMs;
    const wasRapid = this.#rapidSeenMs === this.#lastRequestMs;
    if (gapMs > 1) this.#checkGap(gapMs, state, wasRapid);
    this.#checkHeartbeat(state);
    this.#lastRequestMs = nowMs;
    if ((state.rapidUntilMs ?? -Infinity) > this.#clock.monotonicMs()) this.#rapidSeenMs = nowMs;
    return path;
  }

  /** A request has ended. */
  ended(path: Path, ending: Ending, startedMs: number): void {
    if (path === "other") return;
    const nowMs = this.#clock.trueMs;
    this.#lastEnding = ending;
    this.#lastEndedMs = nowMs;
    // Nothing left the host: that was no probe of the server.
    if (ending === "offline") this.#probeRequests = [];
    else this.#offlineGaps = [];
    if (path === "check_in" && ending === "good") this.#goodCheckInStartedMs = startedMs;
    if (ending === "good" && path !== "health") {
      this.#failures = 0;
      this.#gaps = [];
    }
    if (ending !== "failure") return;
    this.#failureInstants.push(nowMs);
    // A renewal ahead of time is not the attempt itself: the breaker hears of that one alone. Reports that
    // were under way together fail together: one attempt.
    if (path !== "renewal" && startedMs > this.#lastFailureMs) this.#failures += 1;
    this.#lastFailureMs = nowMs;
  }

  /** The server asked to be left alone for so long, on one path or on all. */
  asked(path: Path, ms: number, isServer: boolean): void {
    const untilMs = this.#clock.trueMs + Math.min(ms, 3_600_000) - 1_000;
    if (isServer || path === "check_in") this.#notBefore.check_in = untilMs;
    if (isServer || path === "delivery") this.#notBefore.delivery = untilMs;
  }

  #halfOpened(): void {
    this.#probeRequests = [];
    this.#halfOpenSinceMs = this.#clock.trueMs;
  }

  #closed(): void {
    if (this.#goodCheckInStartedMs < this.#halfOpenSinceMs && this.isClear(60_000)) {
      this.#fail("the breaker closed without a real call that began after it was half-open");
    }
  }

  #checkBreaker({ connection: { breaker } }: AgentState): void {
    if (breaker.state === "open" && this.#clock.monotonicMs() < breaker.untilMs) {
      this.#fail("a request while the breaker is open");
    }
    if (breaker.state !== "half_open") return;
    // Health, the call, a renewal, one more with the token before that, the call again; a neutral answer
    // gives the permit back, for later.
    const nowMs = this.#clock.trueMs;
    this.#probeRequests = [...this.#probeRequests.filter((atMs) => atMs > nowMs - 10_000), nowMs];
    if (this.#probeRequests.length > MOST_PROBE_REQUESTS) {
      this.#fail("more than one probe while half-open");
    }
  }

  #checkAsked(path: "check_in" | "delivery", nowMs: number): void {
    const leftMs = this.#notBefore[path] - nowMs;
    if (leftMs > 0 && this.isClear(3_600_000)) {
      this.#fail(`a request ${Math.round(leftMs / 1_000)} s before Retry-After was over`);
    }
  }

  #checkPace(path: Path, nowMs: number): void {
    this.#failureInstants = this.#failureInstants.filter((atMs) => atMs > nowMs - 60_000);
    if (this.#failureInstants.length > MOST_FAILURES_IN_60_S) {
      this.#fail(`${this.#failureInstants.length} failures within 60 s`);
    }
    // Also where the server does not count them: something in front of it may answer in its place.
    const isReport = path === "delivery";
    const instants = isReport ? this.#reports : this.#calls;
    const recent = [...instants.filter((atMs) => atMs > nowMs - 60_000), nowMs];
    if (isReport) this.#reports = recent;
    else this.#calls = recent;
    if (recent.length <= (isReport ? MOST_REPORTS_IN_60_S : MOST_CALLS_IN_60_S)) return;
    this.#fail(`${recent.length} ${isReport ? "reports" : "calls"} within 60 s`);
  }

  /** A heartbeat goes on to its end, whatever else the server says, unless a command ends it. */
  #checkHeartbeat({ rapidUntilMs }: AgentState): void {
    const untilMs = rapidUntilMs ?? -Infinity;
    const isOver = this.#rapidUntilMs <= this.#clock.monotonicMs();
    if (!isOver && untilMs < this.#rapidUntilMs - MOMENT_MS) {
      this.#fail(`a heartbeat was cut short by ${seconds(this.#rapidUntilMs - untilMs)} s`);
    }
    this.#rapidUntilMs = untilMs;
  }

  #checkGap(gapMs: number, { connection, rapidUntilMs }: AgentState, wasRapid: boolean): void {
    if (!this.isClear(gapMs + 1_000)) return;
    // A report that failed brings no check-in forward: its answer may be lost, and is asked for then.
    const isHealthy = connection.breaker.state === "closed" &&
      connection.paths.check_in.failures === 0;
    const isOutage = !isHealthy &&
      (this.#lastEnding === "failure" || this.#lastEnding === "offline");
    const isAsked = Math.max(this.#notBefore.check_in, this.#notBefore.delivery) > 0 &&
      gapMs <= 1.2 * 3_600_000 + SLACK_MS;
    const isForPerson = connection.operatorAction !== null;
    if (isForPerson) {
      if (gapMs > 1.2 * 3_600_000 + SLACK_MS) this.#fail(`silent for ${seconds(gapMs)} s`);
      return;
    }
    const isRapid = wasRapid && (rapidUntilMs ?? -Infinity) > this.#clock.monotonicMs();
    const idleMs = this.#clock.trueMs - this.#lastEndedMs;
    if (isRapid && isOutage && !isAsked && idleMs > LONGEST_RAPID_WAIT_MS + MOMENT_MS) {
      this.#fail(`silent for ${seconds(idleMs)} s in rapid polling`);
    }
    const longestMs = isOutage ? LONGEST_WAIT_MS : 1.6 * INTERVAL_MS;
    if (gapMs > longestMs + SLACK_MS && !isAsked) this.#fail(`silent for ${seconds(gapMs)} s`);
    if (this.#lastEnding === "offline") {
      this.#offlineGaps = [...this.#offlineGaps, gapMs].slice(-ALIKE_OFFLINE);
      this.#checkJitter(this.#offlineGaps, { alike: ALIKE_OFFLINE, longerMs: 10_000 });
    }
    if (this.#lastEnding !== "failure") return;
    const leastOpenMs = wasRapid ? LEAST_OPEN_RAPID_MS : LEAST_OPEN_MS;
    if (this.#failures > FAILURES_TO_OPEN && gapMs < leastOpenMs - 1_000) {
      this.#fail(`a request ${seconds(gapMs)} s after ${this.#failures} failures in a row`);
    }
    if (this.#failures < 8) return;
    this.#gaps = [...this.#gaps, gapMs].slice(-ALIKE);
    this.#checkJitter(this.#gaps, { alike: ALIKE, longerMs: 100_000 });
  }

  /** So many waits in a row, each longer than that, differ by more than 2 s. */
  #checkJitter(
    gaps: readonly number[],
    { alike, longerMs }: { alike: number; longerMs: number },
  ): void {
    const [least, most] = [Math.min(...gaps), Math.max(...gaps)];
    if (gaps.length === alike && most - least < 2_000 && least > longerMs) {
      this.#fail(`${alike} waits at the cap are all of ${seconds(most)} s`);
    }
  }

  /** A request has come, or may come within `ms`, to the server in a way that the agent does not know of. */
  disturbed(ms = 0): void {
    this.#disturbedMs = Math.max(this.#disturbedMs, this.#clock.trueMs + ms);
  }

  /** The server's window was full, which an agent that knows of all its requests keeps from happening. */
  turnedAway(group: string): void {
    const sinceMs = this.#clock.trueMs - Math.max(this.#disturbedMs, this.#excusedMs);
    if (sinceMs > UNKNOWN_WINDOW_MS) this.#fail(`a ${group} beyond the server's limit`);
  }

  /** Whether nothing has happened to the host within so long. */
  isClear(ms: number): boolean {
    return this.#clock.trueMs - this.#excusedMs > ms;
  }
}

function seconds(ms: number): number {
  return Math.round(ms / 1_000);
}

function pathOf(url: string): Path {
  if (url.endsWith("/health")) return "health";
  if (url.endsWith("/renew")) return "renewal";
  if (/\/(config|public-keys?)$/.test(url)) return "other";
  return url.endsWith("/commands") ? "check_in" : "delivery";
}
