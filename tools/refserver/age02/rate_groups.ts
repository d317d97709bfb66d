/** The rate limits of a server of 0.2: shared by groups of routes, and halved while it is young. */

import type { Call } from "../backend.ts";
import type { Reply } from "../connection.ts";
import type { RateLimits } from "../rate_limit.ts";
import { answer, type Backend02, type Handler } from "./backend.ts";

/** For so long after its start a server allows half. */
const YOUNG_MS = 60_000;

/** A counter for each key, shared by the routes of a group. */
export type RateGroup = keyof RateLimits;

/** Lets a request of `who` pass to `run`, or answers 429; the headers tell either way. */
export async function limited(
  backend: Backend02,
  call: Call,
  options: { group: RateGroup; who: string; run: Handler },
): Promise<Reply> {
  const { group, who, run } = options;
  const whole = backend.settings.limits[group];
  if (whole === 0) return await run(backend, call);
  const isYoung = call.nowMs - backend.startedAtMs < YOUNG_MS;
  const limit = isYoung ? Math.max(1, Math.floor(whole / 2)) : whole;
  const verdict = backend.limiter.take(`${group} ${who}`, limit, call.nowMs);
  const reply = verdict.allowed ? await run(backend, call) : answer(429, {
    error: "Rate limit exceeded",
    limit,
    window: "1m0s",
    reset_time: new Date(verdict.resetMs).toISOString(),
  }, "rate limit exceeded");
  return { ...reply, headers: { ...reply.headers, ...verdict.headers } };
}
