/** The rules among settings: the table of all pairs that affect each other. Pure. */

import { describePatternError } from "../scanners/ignored.ts";
import { SCANNER_NAMES } from "../scanners/registry.ts";
import type { Config } from "./settings.ts";

/** Whether the settings break the rule, and the problem, for people. */
type CrossRule = readonly [
  isBroken: (config: Config) => boolean,
  problem: string | ((config: Config) => string),
];

/**
 * A setting could not have its meaning, or a wait would not be random. Pairs of settings without a rule are
 * independent: docs/resilience.md, "Tuning", lists those that one might look for.
 */
export const ERRORS: readonly CrossRule[] = [
  [
    ({ tls }) => (tls.certificateFile === null) !== (tls.keyFile === null),
    "Cannot use tls.certificate_file without tls.key_file, nor the other way round",
  ],
  [
    ({ backoff }) => backoff.floorMs > backoff.baseMs,
    "Cannot use backoff.floor: it is above backoff.base",
  ],
  // A wait is drawn between the floor and the ceiling, which is the base after the first failure.
  [
    ({ backoff: { floorMs, baseMs } }) => floorMs <= baseMs && floorMs > baseMs / 2,
    "Cannot use backoff.floor: it is above half of backoff.base, and leaves too little to chance",
  ],
  [
    ({ backoff }) => backoff.baseMs > backoff.capMs,
    "Cannot use backoff.base: it is above backoff.cap",
  ],
  [
    ({ breaker }) => breaker.minOpenMs > breaker.maxOpenMs,
    "Cannot use breaker.min_open: it is above max_open",
  ],
  [
    ({ scanners }) => scanners.minOpenMs > scanners.maxOpenMs,
    "Cannot use scanners.min_open: it is above max_open",
  ],
  [
    ({ breaker }) => breaker.windowFailures > breaker.windowSize,
    "Cannot use breaker.window_failures: it is above window_size",
  ],
  [
    ({ telemetry: { endpoint, headers } }) =>
      endpoint !== null && sendsInTheClear(endpoint) && headers.length > 0,
    "Cannot use telemetry.otlp_headers: telemetry.otlp_endpoint is not https, and they may be secrets",
  ],
];

/** A setting has no effect, or an odd one. */
export const WARNINGS: readonly CrossRule[] = [
  [
    ({ server: { url } }) => url !== null && sendsInTheClear(url),
    ({ server: { url } }) => `server.url "${url}" is not https: tokens travel in the clear`,
  ],
  [
    ({ server, tls }) =>
      server.url?.startsWith("http:") === true && (tls.caFile ?? tls.certificateFile) !== null,
    "the files of [tls] have no effect: server.url is not https",
  ],
  [
    ({ telemetry: { endpoint } }) => endpoint !== null && sendsInTheClear(endpoint),
    "telemetry.otlp_endpoint is not https: metrics and events travel in the clear",
  ],
  [
    ({ telemetry: { endpoint, headers, caFile } }) =>
      endpoint === null && (headers.length > 0 || caFile !== null),
    "telemetry.otlp_headers and telemetry.ca_file have no effect without telemetry.otlp_endpoint",
  ],
  [
    ({ hooks }) => !hooks.onOutage && hooks.onOutageArguments.length > 0,
    "hooks.on_outage_arguments has no effect without hooks.on_outage",
  ],
  [
    ({ hooks }) => !hooks.onSecurityUpdate && hooks.onSecurityUpdateArguments.length > 0,
    "hooks.on_security_update_arguments has no effect without hooks.on_security_update",
  ],
  [
    ({ breaker }) => breaker.windowFailures < breaker.consecutiveFailures,
    "breaker.consecutive_failures has no effect: fewer failures, breaker.window_failures, open it",
  ],
  [
    ({ http }) => http.connectTimeoutMs > http.timeoutMs,
    "http.connect_timeout has no effect: it is above http.timeout",
  ],
  [
    ({ http }) => http.healthTimeoutMs > http.timeoutMs,
    "http.health_timeout is above http.timeout: asking for the server's health takes longer than a call",
  ],
  // Half of a probe's time is for `/health`, and half for the check-in.
  [
    ({ http, breaker }) => http.healthTimeoutMs > breaker.probeTimeoutMs / 2,
    "http.health_timeout has no effect in a probe: it is above half of breaker.probe_timeout",
  ],
  [
    ({ polling }) => polling.rapidIntervalMs >= polling.intervalMs,
    "polling.rapid_interval is not below polling.interval: rapid polling is no faster",
  ],
  [
    ({ polling }) => polling.startSpreadMs > polling.intervalMs,
    "polling.start_spread is above polling.interval: a start delays the first check-in beyond that",
  ],
];

/** Checks the rules, and each pattern of `scanners.ignore`. */
export function crossCheck(config: Config): { errors: string[]; warnings: string[] } {
  const problems = (rules: readonly CrossRule[]) =>
    rules.filter(([isBroken]) => isBroken(config))
      .map(([, problem]) => typeof problem === "string" ? problem : problem(config));
  const patterns = config.scanners.ignore
    .map((pattern) => describePatternError(pattern, SCANNER_NAMES))
    .filter((complaint) => complaint !== null);
  return { errors: [...problems(ERRORS), ...patterns], warnings: problems(WARNINGS) };
}

function sendsInTheClear(serverUrl: string): boolean {
  const url = new URL(serverUrl);
  return url.protocol === "http:" && !isLoopback(url);
}

/** Whether a URL leads to this host itself. */
export function isLoopback({ hostname }: URL): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}
