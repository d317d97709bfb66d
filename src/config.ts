/** The configuration: what can be set, where it is read from, and how it is checked. */

import type { LogFormat, LogLevel } from "./log.ts";

/** Every setting, decoded: durations in ms, sizes in bytes, `null` where nothing is set. */
export interface Config {
  readonly server: {
    /** Origin (and path prefix, if any) of the server, without a trailing slash. */
    readonly url: string | null;
    readonly registrationToken: string | null;
  };
  readonly tls: {
    readonly caFile: string | null;
    readonly certificateFile: string | null;
    readonly keyFile: string | null;
  };
  readonly proxy: {
    readonly http: string | null;
    readonly https: string | null;
    readonly exceptFor: readonly string[];
  };
  readonly http: {
    readonly connectTimeoutMs: number;
    readonly timeoutMs: number;
    readonly healthTimeoutMs: number;
    readonly maxBodyBytes: number;
  };
  readonly polling: {
    /** Until the server says otherwise. */
    readonly intervalMs: number;
    readonly rapidIntervalMs: number;
  };
  readonly backoff: {
    readonly baseMs: number;
    readonly capMs: number;
    readonly floorMs: number;
  };
  readonly breaker: {
    readonly consecutiveFailures: number;
    readonly windowFailures: number;
    readonly windowSize: number;
    readonly minOpenMs: number;
    readonly maxOpenMs: number;
    readonly probeTimeoutMs: number;
  };
  readonly buffer: {
    readonly maxEvents: number;
    readonly maxBytes: number;
    readonly maxAttempts: number;
  };
  readonly scanners: {
    /** Names of those that may run, if the host has them. */
    readonly enabled: readonly string[];
  };
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
}
