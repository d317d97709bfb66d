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
      timeoutMs: get(SETTINGS.scannerTimeout),
      consecutiveFailures: get(SETTINGS.scannerFailures),
      minOpenMs: get(SETTINGS.scannerMinOpen),
      maxOpenMs: get(SETTINGS.scannerMaxOpen),
    },
    watchdog: { limitMs: get(SETTINGS.watchdogLimit) },
    log: { level: get(SETTINGS.logLevel), format: get(SETTINGS.logFormat) },
  };
}

/** What settings must be to each other, and what is allowed but unwise. */
export function crossCheck(config: Config): { errors: string[]; warnings: string[] } {
  const { tls, backoff, breaker, scanners, server } = config;
  const rules: [holds: boolean, otherwise: string][] = [
    [
      (tls.certificateFile === null) === (tls.keyFile === null),
      "Cannot use tls.certificate_file without tls.key_file, nor the other way round",
    ],
    [backoff.floorMs <= backoff.baseMs, "Cannot use backoff.floor: it is above backoff.base"],
    [backoff.baseMs <= backoff.capMs, "Cannot use backoff.base: it is above backoff.cap"],
    [breaker.minOpenMs <= breaker.maxOpenMs, "Cannot use breaker.min_open: it is above max_open"],
    [
      scanners.minOpenMs <= scanners.maxOpenMs,
      "Cannot use scanners.min_open: it is above max_open",
    ],
    [
      breaker.windowFailures <= breaker.windowSize,
      "Cannot use breaker.window_failures: it is above window_size",
    ],
  ];
  const errors = rules.filter(([holds]) => !holds).map(([, otherwise]) => otherwise);
  const isOpen = server.url !== null && sendsInTheClear(server.url);
  const warnings = isOpen
    ? [`server.url "${server.url}" is not https: tokens travel in the clear`]
    : [];
  return { errors, warnings };
}

/** Whether tokens would cross a network unencrypted; this very host is none. */
function sendsInTheClear(serverUrl: string): boolean {
  const { protocol, hostname } = new URL(serverUrl);
  const isLoopback = hostname === "localhost" || hostname === "[::1]" ||
    /^127(\.\d+){3}$/.test(hostname);
  return protocol === "http:" && !isLoopback;
}
