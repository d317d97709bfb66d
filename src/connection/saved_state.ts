/**
 * The saved form of the connection's state. Instants count since the Unix epoch in the file and are
 * monotonic in use. Reading clamps them, so that no change of the clock can stop an agent.
 */

import * as v from "valibot";
import {
  futureInstant,
  pastInstant,
  restoreBreaker,
  saveBreaker,
  savedBreaker,
  savedCount,
  savedInstant,
  savedReason,
  toSavedCount,
  toSavedInstant,
  toSavedReason,
  type TwoClocks,
} from "../breaker/saved.ts";
import { FACT_LIMIT, REFUSAL_CAUSES, type RefusalFacts } from "../server/refusal.ts";
import type { ConnectionState, PathState } from "./state.ts";

const path = v.object({ failures: savedCount, notBeforeMs: v.nullable(savedInstant) });

const fact = v.optional(v.pipe(v.string(), v.maxLength(FACT_LIMIT)));

const facts: v.GenericSchema<unknown, RefusalFacts> = v.object({
  agentId: fact,
  machineId: fact,
  version: fact,
  minimumVersion: fact,
  recordedVersion: fact,
});

/** The shape of a saved connection. */
export const savedConnection = v.object({
  breaker: savedBreaker,
  paths: v.object({ check_in: path, delivery: path }),
  outage: v.nullable(
    v.object({
      sinceMs: savedInstant,
      attempts: savedCount,
      why: savedReason,
      offline: v.boolean(),
      status: v.optional(v.nullable(savedCount), null),
    }),
  ),
  doubt: v.optional(
    v.nullable(v.variant("kind", [
      v.object({
        kind: v.literal("token"),
        sinceMs: savedInstant,
        refusals: savedCount,
        notBeforeMs: savedInstant,
      }),
      v.object({
        kind: v.literal("deleted"),
        sinceMs: savedInstant,
        hasCheckedIn: v.boolean(),
      }),
    ])),
    null,
  ),
  needsPerson: v.nullable(
    v.object({
      cause: v.optional(
        v.picklist(["token", "deleted", "forbidden", ...REFUSAL_CAUSES]),
        "forbidden",
      ),
      why: savedReason,
      facts: v.optional(facts),
      sinceMs: v.optional(savedInstant, 0),
      notBeforeMs: savedInstant,
    }),
  ),
});

/** A connection with instants since the Unix epoch. */
type SavedConnection = v.InferOutput<typeof savedConnection>;

/** The longest waits that a saved connection may ask for. */
export interface LongestConnectionWaits {
  readonly notBeforeMs: number;
  readonly openMs: number;
}

/** The saved form of a connection. */
export function saveConnection(connection: ConnectionState, at: TwoClocks): SavedConnection {
  const { breaker, paths, outage, doubt, operatorAction } = connection;
  const epoch = (ms: number) => toSavedInstant(ms, at);
  const savePath = ({ failures, notBeforeMs }: PathState) => ({
    failures: toSavedCount(failures),
    notBeforeMs: Number.isFinite(notBeforeMs) ? epoch(notBeforeMs) : null,
  });
  return {
    breaker: saveBreaker(breaker, at),
    paths: { check_in: savePath(paths.check_in), delivery: savePath(paths.delivery) },
    outage: outage && {
      ...outage,
      attempts: toSavedCount(outage.attempts),
      why: toSavedReason(outage.why),
      sinceMs: epoch(outage.sinceMs),
      status: outage.status === null ? null : toSavedCount(outage.status),
    },
    doubt: doubt && {
      ...doubt,
      sinceMs: epoch(doubt.sinceMs),
      ...doubt.kind === "token" && {
        refusals: toSavedCount(doubt.refusals),
        notBeforeMs: epoch(doubt.notBeforeMs),
      },
    },
    needsPerson: operatorAction && {
      cause: operatorAction.cause,
      why: toSavedReason(operatorAction.why),
      ...operatorAction.facts && { facts: operatorAction.facts },
      sinceMs: epoch(operatorAction.sinceMs),
      notBeforeMs: epoch(operatorAction.notBeforeMs),
    },
  };
}

/** Restores a connection: no cause in the future, no wait over `longest`. */
export function restoreConnection(
  saved: SavedConnection,
  at: TwoClocks,
  longest: LongestConnectionWaits,
): ConnectionState {
  const { breaker, paths, outage, doubt, needsPerson } = saved;
  const future = (ms: number) => futureInstant(ms, at, longest.notBeforeMs);
  const restorePath = ({ failures, notBeforeMs }: SavedConnection["paths"]["check_in"]) => ({
    failures,
    notBeforeMs: notBeforeMs === null ? -Infinity : future(notBeforeMs),
  });
  return {
    breaker: restoreBreaker(breaker, at, longest.openMs),
    paths: { check_in: restorePath(paths.check_in), delivery: restorePath(paths.delivery) },
    outage: outage && { ...outage, sinceMs: pastInstant(outage.sinceMs, at) },
    doubt: doubt && {
      ...doubt,
      sinceMs: pastInstant(doubt.sinceMs, at),
      ...("notBeforeMs" in doubt && { notBeforeMs: future(doubt.notBeforeMs) }),
    },
    operatorAction: needsPerson && {
      ...needsPerson,
      sinceMs: pastInstant(needsPerson.sinceMs, at),
      notBeforeMs: future(needsPerson.notBeforeMs),
    },
  };
}
