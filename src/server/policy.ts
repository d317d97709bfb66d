/**
 * What a server (RedFlag 0.2, `GET /agents/{id}/config`) sets for its agents: polling, and which
 * subsystems are on. Only its shape and its bounds are here; `src/config/server_policy.ts` decides what
 * of it is taken.
 */

import * as v from "valibot";
import { decodeJson } from "../json.ts";
import type { ReadBody } from "./answer.ts";

/** Upper bounds of what is kept, far above what RedFlag's dashboard accepts. */
const LONGEST_SECONDS = 86_400;
const LONGEST_MINUTES = 10_080;
const MOST_SUBSYSTEMS = 50;

/** A name of a subsystem; any other is dropped. */
const NAME = /^[a-z0-9_-]{1,50}$/;

/** One subsystem, which the server schedules itself. */
const subsystem = v.object({
  enabled: v.boolean(),
  /** Between two scans that the server orders; `null`: not said, or nonsense. */
  intervalMinutes: v.nullable(v.pipe(v.number(), v.minValue(0), v.maxValue(LONGEST_MINUTES))),
  autoRun: v.boolean(),
});

const wait = v.nullable(v.pipe(v.number(), v.minValue(0), v.maxValue(LONGEST_SECONDS * 1_000)));

/** The policy in memory and on disk. Waits in ms; `null`: the server does not say. */
export const serverPolicy = v.object({
  jitterMaxMs: wait,
  backoffBaseMs: wait,
  backoffMaxMs: wait,
  /** By the server's names. */
  subsystems: v.record(v.pipe(v.string(), v.regex(NAME)), subsystem),
});

/** What a server sets for its agents. */
export type ServerPolicy = v.InferOutput<typeof serverPolicy>;

/** A number of seconds in ms, clamped; anything else is as if it were not there. */
const seconds = v.fallback(
  v.nullish(
    v.pipe(
      v.number(),
      v.minValue(0),
      v.transform((value) => Math.min(LONGEST_SECONDS, value) * 1_000),
    ),
    null,
  ),
  null,
);

const NO_POLLING = {
  jitter_max_seconds: null,
  backoff_base_seconds: null,
  backoff_max_seconds: null,
};

const polling = v.object({
  jitter_max_seconds: seconds,
  backoff_base_seconds: seconds,
  backoff_max_seconds: seconds,
});

const minutes = v.fallback(
  v.nullish(
    v.pipe(
      v.number(),
      v.minValue(0),
      v.transform((value) => Math.min(LONGEST_MINUTES, value)),
    ),
    null,
  ),
  null,
);

const sentSubsystem = v.object({
  enabled: v.boolean(),
  interval_minutes: minutes,
  auto_run: v.fallback(v.boolean(), false),
});

const answer = v.pipe(
  v.unknown(),
  v.check(
    (json) =>
      typeof json === "object" && json !== null && ("polling" in json || "subsystems" in json),
    "has neither polling nor subsystems",
  ),
  v.object({
    polling: v.fallback(v.nullish(polling, NO_POLLING), NO_POLLING),
    subsystems: v.fallback(v.nullish(v.record(v.string(), v.unknown()), {}), {}),
  }),
  v.transform(({ polling, subsystems }): ServerPolicy => ({
    jitterMaxMs: polling?.jitter_max_seconds ?? null,
    backoffBaseMs: polling?.backoff_base_seconds ?? null,
    backoffMaxMs: polling?.backoff_max_seconds ?? null,
    subsystems: readSubsystems(subsystems ?? {}),
  })),
);

/**
 * Reads the answer. A value that makes no sense is as if it were not there, and spoils no other; one
 * that is too large is the largest allowed.
 */
export const readPolicy: ReadBody<ServerPolicy> = (body) => decodeJson(answer, body);

function readSubsystems(sent: Readonly<Record<string, unknown>>): ServerPolicy["subsystems"] {
  const read = Object.entries(sent).filter(([name]) => NAME.test(name) && name !== "__proto__")
    .slice(0, MOST_SUBSYSTEMS)
    .flatMap(([name, value]) => {
      const { success, output } = v.safeParse(sentSubsystem, value);
      if (!success) return [];
      const { enabled, interval_minutes: intervalMinutes, auto_run: autoRun } = output;
      return [[name, { enabled, intervalMinutes: intervalMinutes ?? null, autoRun }] as const];
    });
  return Object.fromEntries(read);
}
