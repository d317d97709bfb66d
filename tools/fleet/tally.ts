/** What is counted in a run: requests by the second, and by the agent what the outage did to it. */

import type { Outcome } from "./server_queue.ts";

/** How long a run lasts at most, and when its server is dead; whole seconds, in ms. */
export interface TallyOptions {
  readonly agents: number;
  readonly deadFromMs: number;
  readonly deadUntilMs: number;
  readonly longestMs: number;
}

export class Tally {
  /** Requests by the second in which they were sent. */
  readonly checkIns: Uint32Array;
  readonly healths: Uint32Array;
  /** Requests into the dead server, by the agent. */
  readonly dead: Uint32Array;
  /** The first check-in that went well after the outage, by the agent, in ms since its end. */
  readonly backMs: Float64Array;
  /** Requests that an overloaded server turned away, or kept waiting too long. */
  readonly before = { refused: 0, timedOut: 0 };
  readonly after = { refused: 0, timedOut: 0 };
  readonly options: TallyOptions;
  /** How many agents the outage touched, and how many of these are back. */
  touched = 0;
  touchedBack = 0;
  /** When the run ended, once it has. */
  endMs = 0;

  constructor(options: TallyOptions) {
    const seconds = Math.ceil(options.longestMs / 1_000) + 1;
    this.options = options;
    this.checkIns = new Uint32Array(seconds);
    this.healths = new Uint32Array(seconds);
    this.dead = new Uint32Array(options.agents);
    this.backMs = new Float64Array(options.agents).fill(Infinity);
  }

  /** A check-in was sent. */
  countCheckIn(atMs: number): void {
    this.checkIns[Math.floor(atMs / 1_000)]! += 1;
  }

  /** The server's health was asked for. */
  countHealth(atMs: number): void {
    this.healths[Math.floor(atMs / 1_000)]! += 1;
  }

  /** A check-in was answered. */
  succeed(agent: number, nowMs: number): void {
    const backMs = nowMs - this.options.deadUntilMs;
    if (backMs < 0 || this.backMs[agent] !== Infinity) return;
    this.backMs[agent] = backMs;
    if (this.dead[agent]! > 0) this.touchedBack += 1;
  }

  /** A request came to nothing. */
  fail(agent: number, outcome: Exclude<Outcome, "answered">, nowMs: number): void {
    if (outcome === "dead") {
      if (this.dead[agent] === 0) this.touched += 1;
      this.dead[agent]! += 1;
      return;
    }
    const counts = nowMs < this.options.deadUntilMs ? this.before : this.after;
    if (outcome === "refused") counts.refused += 1;
    else counts.timedOut += 1;
  }
}
