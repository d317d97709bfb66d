/** What a policy is: the rules by which every agent of a fleet decides when to ask next. */

import type { Random } from "../../src/system/system.ts";

/** The interval of a fleet at rest, for those that have one. */
export const INTERVAL_MS = 300_000;

/** The interval under rapid polling. */
export const RAPID_INTERVAL_MS = 5_000;

/** How long a check-in may take, for those that say nothing else. */
export const CHECK_IN_LIMIT_MS = 30_000;

/** The fleet that a policy is to drive. */
export interface Fleet {
  readonly agents: number;
  readonly isRapid: boolean;
  /** Of a fleet that polls normally, the first so many are in rapid polling. @default 0 */
  readonly watched?: number;
  /** Agents' ids, by number. */
  readonly ids: readonly string[];
  readonly random: Random;
}

/** A policy at work. Instants are in ms; agents are numbers from 0. */
export interface Behaviour {
  /** An attempt begins: how long `/health`, which goes first, may take; 0: it is not asked. */
  begin(agent: number, nowMs: number): number;
  /** How long the check-in of the attempt that has begun may take. */
  checkInLimitMs(agent: number): number;
  /** The check-in went well: the instant of the next attempt. */
  afterSuccess(agent: number, nowMs: number): number;
  /**
   * The attempt failed, at `/health` or at the check-in: the instant of the next one. `isAnswered`: by
   * an HTTP 500.
   */
  afterFailure(agent: number, nowMs: number, isAnswered?: boolean): number;
}

/** A policy, before it is given a fleet. */
export interface Policy {
  readonly name: string;
  /** Between two check-ins of an agent while all is well, on average. */
  periodMs(isRapid: boolean): number;
  start(fleet: Fleet): Behaviour;
}
