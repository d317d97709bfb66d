/** The configuration as the agent uses it, put together from the settings. Pure. */

import type { LogFormat, LogLevel } from "../log.ts";
import { type Setting, SETTINGS } from "./settings.ts";

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
    /** After a start, the first check-in comes at a random instant within this. */
    readonly startSpreadMs: number;
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
    /** Patterns of updates to be ignored, with a scanner's name and a colon in front where it is for one. */
    readonly ignore: readonly string[];
    /** Whether changelogs are fetched for the CVEs in them. */
    readonly changelogs: boolean;
    /** A scan's own limit. */
    readonly timeoutMs: number;
    readonly consecutiveFailures: number;
    readonly minOpenMs: number;
    readonly maxOpenMs: number;
  };
  readonly watchdog: {
    /** Longest time that the event loop may not turn. */
    readonly limitMs: number;
  };
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
}

/** Puts the values of the settings in their places. */
export function assemble(valueOf: (setting: Setting<unknown>) => unknown): Config {
  const get = <T>(setting: Setting<T>) => valueOf(setting as Setting<unknown>) as T;
  return {
    server: {
      url: get(SETTINGS.serverUrl),
      registrationToken: get(SETTINGS.registrationToken),
    },
    tls: {
      caFile: get(SETTINGS.caFile),
      certificateFile: get(SETTINGS.certificateFile),
      keyFile: get(SETTINGS.keyFile),
    },
    proxy: {
      http: get(SETTINGS.proxyHttp),
      https: get(SETTINGS.proxyHttps),
      exceptFor: get(SETTINGS.proxyExceptFor),
    },
    http: {
      connectTimeoutMs: get(SETTINGS.connectTimeout),
      timeoutMs: get(SETTINGS.timeout),
      healthTimeoutMs: get(SETTINGS.healthTimeout),
      maxBodyBytes: get(SETTINGS.maxBody),
    },
    polling: {
      intervalMs: get(SETTINGS.interval),
      rapidIntervalMs: get(SETTINGS.rapidInterval),
      startSpreadMs: get(SETTINGS.startSpread),
    },
    backoff: {
      baseMs: get(SETTINGS.backoffBase),
      capMs: get(SETTINGS.backoffCap),
      floorMs: get(SETTINGS.backoffFloor),
    },
    breaker: {
      consecutiveFailures: get(SETTINGS.consecutiveFailures),
      windowFailures: get(SETTINGS.windowFailures),
      windowSize: get(SETTINGS.windowSize),
      minOpenMs: get(SETTINGS.minOpen),
      maxOpenMs: get(SETTINGS.maxOpen),
      probeTimeoutMs: get(SETTINGS.probeTimeout),
    },
    buffer: {
      maxEvents: get(SETTINGS.maxEvents),
      maxBytes: get(SETTINGS.maxSize),
      maxAttempts: get(SETTINGS.maxAttempts),
    },
    scanners: {
      enabled: get(SETTINGS.scanners),
      ignore: get(SETTINGS.ignore),
      changelogs: get(SETTINGS.changelogs),
      timeoutMs: get(SETTINGS.scannerTimeout),
      consecutiveFailures: get(SETTINGS.scannerFailures),
      minOpenMs: get(SETTINGS.scannerMinOpen),
      maxOpenMs: get(SETTINGS.scannerMaxOpen),
    },
    watchdog: { limitMs: get(SETTINGS.watchdogLimit) },
    log: { level: get(SETTINGS.logLevel), format: get(SETTINGS.logFormat) },
  };
}
