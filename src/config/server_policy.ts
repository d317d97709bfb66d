/**
 * How far a server's policy changes the configuration. The owner of the host has the last word: a value
 * that they have set stays, and within the others the server can neither make the agent hammer nor
 * let it sleep for longer than it would by itself. Pure. Why so: docs/decisions/0033-server-policy.md.
 */

import type { ServerPolicy } from "../server/policy.ts";
import { subsystemOf } from "../server/subsystems.ts";
import type { Config } from "./settings.ts";

/** No first wait is shorter, whatever the server says: a whole fleet obeys it. */
const SHORTEST_BASE_MS = 1_000;

/** A longest wait below this would be none. */
const SHORTEST_CAP_MS = 10_000;

/** A setting that the server has changed. */
export interface ServerOverride {
  /** The setting's path: `backoff.cap`. */
  readonly path: string;
  /** The value in effect, in ms. */
  readonly valueMs: number;
}

/** What a policy makes of the configuration. */
export interface AppliedPolicy {
  readonly backoff: Config["backoff"];
  /** The most that poll jitter adds or takes away; `null`: only the agent's own limit. */
  readonly jitterMaxMs: number | null;
  /** What differs from the configuration. */
  readonly overrides: readonly ServerOverride[];
}

/**
 * Applies a policy (`null`: there is none). `isSet`: whether the owner has set a setting, in
 * the file, the environment or on the command line.
 */
export function applyPolicy(
  { backoff }: Pick<Config, "backoff">,
  policy: ServerPolicy | null,
  isSet: (path: string) => boolean,
): AppliedPolicy {
  const asked = (path: string, ms: number | null | undefined) => isSet(path) ? null : ms ?? null;
  const cap = asked("backoff.cap", policy?.backoffMaxMs);
  const base = asked("backoff.base", policy?.backoffBaseMs);
  const capMs = cap === null
    ? backoff.capMs
    : Math.min(backoff.capMs, Math.max(SHORTEST_CAP_MS, cap));
  // A first wait that is longer than the longest has no effect of its own.
  const baseMs = base === null ? backoff.baseMs : Math.min(capMs, Math.max(SHORTEST_BASE_MS, base));
  const overrides = [
    { path: "backoff.base", valueMs: baseMs, isOther: baseMs !== backoff.baseMs },
    { path: "backoff.cap", valueMs: capMs, isOther: capMs !== backoff.capMs },
  ].filter(({ isOther }) => isOther).map(({ path, valueMs }) => ({ path, valueMs }));
  return {
    backoff: { ...backoff, baseMs, capMs },
    jitterMaxMs: policy?.jitterMaxMs ?? null,
    overrides,
  };
}

/** Whether the server wants the scanner of this name to run when it asks for all of them. */
export function isEnabledByServer(policy: ServerPolicy | null, scannerName: string): boolean {
  const name = subsystemOf(scannerName);
  return name === null || policy?.subsystems[name]?.enabled !== false;
}
