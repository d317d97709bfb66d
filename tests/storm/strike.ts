/** When a life is to end: at an instant of the clock, or right after something that can be seen. */

import type { Random } from "../../src/system/system.ts";
import type { LoggedRequest, RequestStage } from "../../tools/refserver/request_log.ts";

/** An instant to kill at; `afterMs` after what it names. */
export type Strike =
  | { readonly kind: "clock" | "start"; readonly afterMs: number }
  /** The `nth` request of the life whose path ends so, at a stage. */
  | {
    readonly kind: "request";
    readonly path: string;
    readonly stage: RequestStage;
    readonly nth: number;
    readonly afterMs: number;
  }
  /** The `nth` line of its log that says this. */
  | {
    readonly kind: "line";
    readonly message: string;
    readonly nth: number;
    readonly afterMs: number;
  }
  /** The `nth` time that something is written to the buffer's log of changes. */
  | { readonly kind: "write"; readonly nth: number; readonly afterMs: number }
  /** The `nth` time that something of a damaged buffer is moved aside. */
  | { readonly kind: "move"; readonly nth: number; readonly afterMs: number };

/** What can be awaited, and how many of it a life sees at most, as a rule. */
const PATHS: readonly [string, number][] = [
  ["/commands", 6],
  ["/logs", 2],
  ["/updates", 1],
  ["/system-info", 1],
  ["", 8],
];
const STAGES = ["arrived", "acted", "answered"] as const;
const LINES: readonly [string, number][] = [
  ["agent started", 1],
  ["command started", 6],
  ["command finished", 6],
  ["checked in", 4],
  ["events delivered", 1],
  ["event refused", 1],
  ["event bisected", 1],
];

/** Draws one; `isReachable`: the server is there, and requests come. */
export function drawStrike(random: Random, isReachable: boolean): Strike {
  const upTo = (most: number) => random() * most;
  const pick = <T>(list: readonly T[]) => list[Math.floor(upTo(list.length))]!;
  const nthOf = (most: number) => 1 + Math.floor(upTo(most));
  const kind = random();
  if (kind < 0.15) return { kind: "clock", afterMs: upTo(1_000) };
  // The executable begins after some 30 ms.
  if (kind < 0.3) return { kind: "start", afterMs: upTo(150) };
  // An append is a write or two.
  if (kind < 0.5) return { kind: "write", nth: nthOf(16), afterMs: upTo(2) };
  if (kind < 0.65 || !isReachable) {
    const [message, most] = isReachable ? pick(LINES) : pick(LINES.slice(0, 3));
    const afterMs = random() < 0.5 ? 0 : upTo(10);
    return { kind: "line", message, nth: nthOf(most), afterMs };
  }
  const stage = pick(STAGES);
  // What the agent does with an answer takes it a few milliseconds.
  const afterMs = stage === "answered" ? upTo(8) : random() < 0.7 ? 0 : upTo(3);
  const [path, most] = pick(PATHS);
  return { kind: "request", path, stage, nth: nthOf(most), afterMs };
}

/** Whether a request at a stage is what a strike waits for. */
export function isAwaited(strike: Strike, request: LoggedRequest, stage: RequestStage): boolean {
  return strike.kind === "request" && strike.stage === stage && request.path.endsWith(strike.path);
}
