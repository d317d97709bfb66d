/**
 * Extras: what only the dashboard shows of the agent itself. They go behind everything else, in a part
 * of the server's window, and agent events several in one call. Pure.
 */

import type { EventKind, StoredEvent } from "../buffer/buffer.ts";
import type { SlidingWindow } from "./send_rate.ts";

const EXTRAS: ReadonlySet<EventKind> = new Set(["agent_event", "circuit_breakers"]);

/** The part of the server's window that extras may take, and its limit where none was said. */
const PART = 1 / 3;
const USUAL_LIMIT = 30;

/** The server refuses a call with more of them (400). */
const MOST_TOGETHER = 100;

/** What extras have used. Instants are monotonic. */
export interface ExtrasSent {
  /** When those in the server's window were sent, oldest first. */
  readonly sentAtMs: readonly number[];
  /** Whether the latest call with agent events was refused: one of them may be the cause. */
  readonly isOneByOne: boolean;
}

/** No extra was sent yet. */
export const NO_EXTRAS: ExtrasSent = { sentAtMs: [], isOneByOne: false };

/** Whether events of this kind are extras. */
export function isExtra({ kind }: Pick<StoredEvent, "kind">): boolean {
  return EXTRAS.has(kind);
}

/** The state after an extra was sent. */
export function recordExtra(
  extras: ExtrasSent,
  nowMs: number,
  { windowMs }: Pick<SlidingWindow, "windowMs">,
): ExtrasSent {
  const recent = extras.sentAtMs.filter((atMs) => atMs > nowMs - windowMs);
  return { ...extras, sentAtMs: [...recent, nowMs] };
}

/** When the next extra may go; `-Infinity`: now. */
export function extrasDueAtMs(
  { sentAtMs }: ExtrasSent,
  { limit, windowMs }: Pick<SlidingWindow, "limit" | "windowMs">,
): number {
  const most = Math.max(1, Math.floor((limit ?? USUAL_LIMIT) * PART));
  const oldest = sentAtMs.at(-most);
  return oldest === undefined ? -Infinity : oldest + windowMs;
}

/** How many events of a kind go in one call. */
export function mostTogether({ isOneByOne }: ExtrasSent, kind: EventKind): number {
  return kind === "agent_event" && !isOneByOne ? MOST_TOGETHER : 1;
}
