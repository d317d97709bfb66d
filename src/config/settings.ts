/** The table of settings: each with its place, its kind, its default and a line for people. */

import { SCANNER_NAMES } from "../scanners/registry.ts";
import type { LogFormat, LogLevel } from "../log.ts";
import {
  choice,
  choices,
  duration,
  flag,
  integer,
  type Kind,
  size,
  text,
  texts,
  url,
} from "./values.ts";

/** One setting. */
export interface Setting<T> {
  /** Its place in the file: `server.url` is `url` below `[server]`. */
  readonly path: string;
  readonly kind: Kind<T>;
  readonly fallback: T;
  readonly summary: string;
  /** Variables of the environment that set it, the first that is set counts. */
  readonly environment: readonly string[];
  /** Never shown. */
  readonly isSecret: boolean;
}

function setting<T>(
  path: string,
  kind: Kind<T>,
  rest: { fallback: T; summary: string; environment?: readonly string[]; isSecret?: boolean },
): Setting<T> {
  const name = `PENNON_${path.toUpperCase().replaceAll(".", "_")}`;
  return {
    path,
    kind,
    fallback: rest.fallback,
    summary: rest.summary,
    environment: rest.environment ?? [name],
    isSecret: rest.isSecret ?? false,
  };
}

const web = (what: string) => url(`${what}, http:// or https://`, ["http:", "https:"]);
const proxy = url("the address of an http:// proxy", ["http:"]);
const file = text("the path of a file");

/** Every setting there is. Defaults are those of the resilience policies. */
export const SETTINGS = {
  serverUrl: setting("server.url", web("the server's address"), {
    fallback: null,
    summary: "The server to register with",
  }),
  registrationToken: setting(
    "server.registration_token",
    text("a registration token, without line breaks"),
    {
      fallback: null,
      summary: "The token for `pennon register`",
      environment: ["PENNON_TOKEN"],
      isSecret: true,
    },
  ),
  caFile: setting("tls.ca_file", file, {
    fallback: null,
    summary: "Authorities to trust besides the system's (PEM)",
  }),
  certificateFile: setting("tls.certificate_file", file, {
    fallback: null,
    summary: "This host's certificate, where the server asks for one (PEM)",
  }),
  keyFile: setting("tls.key_file", file, {
    fallback: null,
    summary: "The key of that certificate (PEM)",
  }),
  proxyHttp: setting("proxy.http", proxy, {
    fallback: null,
    summary: "Proxy for a server at http://",
    environment: ["PENNON_PROXY_HTTP", "HTTP_PROXY", "http_proxy"],
  }),
  proxyHttps: setting("proxy.https", proxy, {
    fallback: null,
    summary: "Proxy for a server at https://",
    environment: ["PENNON_PROXY_HTTPS", "HTTPS_PROXY", "https_proxy"],
  }),
  proxyExceptFor: setting("proxy.except_for", texts("a list of host names"), {
    fallback: [],
    summary: "Hosts reached without a proxy",
    environment: ["PENNON_PROXY_EXCEPT_FOR", "NO_PROXY", "no_proxy"],
  }),
  connectTimeout: setting("http.connect_timeout", duration("100ms", "5m"), {
    fallback: 10_000,
    summary: "Limit on reaching the server: name, TCP and TLS",
  }),
  timeout: setting("http.timeout", duration("100ms", "10m"), {
    fallback: 30_000,
    summary: "Limit on one request",
  }),
  healthTimeout: setting("http.health_timeout", duration("100ms", "1m"), {
    fallback: 5_000,
    summary: "Limit on asking for the server's health",
  }),
  maxBody: setting("http.max_body", size("64KiB", "16MiB"), {
    fallback: 4 * 1_024 ** 2,
    summary: "Longest answer that is read; 16MiB at most",
  }),
  interval: setting("polling.interval", duration("10s", "1d"), {
    fallback: 300_000,
    summary: "Between check-ins, unless the server said otherwise at registration",
  }),
  rapidInterval: setting("polling.rapid_interval", duration("100ms", "5m"), {
    fallback: 5_000,
    summary: "Between check-ins while rapid polling is on",
  }),
  startSpread: setting("polling.start_spread", duration("0s", "1h"), {
    fallback: 30_000,
    summary: "After a start the first check-in comes at random within this",
  }),
  backoffBase: setting("backoff.base", duration("100ms", "1h"), {
    fallback: 5_000,
    summary: "Longest wait after the first failure; doubles with each more",
  }),
  backoffCap: setting("backoff.cap", duration("100ms", "1d"), {
    fallback: 300_000,
    summary: "Longest wait after any failure",
  }),
  backoffFloor: setting("backoff.floor", duration("10ms", "1h"), {
    fallback: 500,
    summary: "Shortest wait after a failure",
  }),
  consecutiveFailures: setting("breaker.consecutive_failures", integer(1, 100), {
    fallback: 5,
    summary: "Failures in a row that open the connection's breaker",
  }),
  windowFailures: setting("breaker.window_failures", integer(1, 100), {
    fallback: 5,
    summary: "Failures among the last `window_size` that open it",
  }),
  windowSize: setting("breaker.window_size", integer(1, 1_000), {
    fallback: 10,
    summary: "How many results are looked at",
  }),
  minOpen: setting("breaker.min_open", duration("1s", "1h"), {
    fallback: 60_000,
    summary: "It stays open for half of this at least",
  }),
  maxOpen: setting("breaker.max_open", duration("1s", "1d"), {
    fallback: 300_000,
    summary: "It stays open for this at most",
  }),
  probeTimeout: setting("breaker.probe_timeout", duration("1s", "5m"), {
    fallback: 10_000,
    summary: "Limit on the probe that may close it",
  }),
  maxEvents: setting("buffer.max_events", integer(100, 1_000_000), {
    fallback: 50_000,
    summary: "Events kept on disk at most",
  }),
  maxSize: setting("buffer.max_size", size("4MiB", "16GiB"), {
    fallback: 64 * 1_024 ** 2,
    summary: "Bytes kept on disk at most",
  }),
  maxAttempts: setting("buffer.max_attempts", integer(1, 1_000), {
    fallback: 10,
    summary: "Refusals of one event before it is set aside",
  }),
  scanners: setting("scanners.enabled", choices(...SCANNER_NAMES), {
    fallback: SCANNER_NAMES,
    summary: "Scanners that may run, if the host has them",
  }),
  ignore: setting("scanners.ignore", texts('patterns like "apt:linux-*" or "KB2267602"'), {
    fallback: [],
    summary: "Updates reported as ignored: patterns of names, advisories and titles",
  }),
  changelogs: setting("scanners.changelogs", flag(), {
    fallback: true,
    summary: "Fetch changelogs of APT's updates, which name the CVEs",
  }),
  scannerTimeout: setting("scanners.timeout", duration("1s", "12h"), {
    fallback: 35 * 60_000,
    summary: "Limit on one scan; after it the scan has failed",
  }),
  scannerFailures: setting("scanners.consecutive_failures", integer(1, 100), {
    fallback: 3,
    summary: "Failed scans in a row that open a scanner's breaker",
  }),
  scannerMinOpen: setting("scanners.min_open", duration("1s", "1d"), {
    fallback: 15 * 60_000,
    summary: "It stays open for this the first time, then twice as long",
  }),
  scannerMaxOpen: setting("scanners.max_open", duration("1s", "7d"), {
    fallback: 6 * 3_600_000,
    summary: "It stays open for this at most, give or take a fifth",
  }),
  watchdogLimit: setting("watchdog.limit", duration("5s", "1h"), {
    fallback: 120_000,
    summary: "The agent ends, to be started again, if its event loop stands still for this",
  }),
  logLevel: setting<LogLevel>("log.level", choice("debug", "info", "warning", "error"), {
    fallback: "info",
    summary: "The least bad events that are told",
  }),
  logFormat: setting<LogFormat>("log.format", choice("text", "json"), {
    fallback: "text",
    summary: "How a log line looks",
  }),
} as const;

/** All settings, in the order of the file. */
export const ALL_SETTINGS: readonly Setting<unknown>[] = Object.values(SETTINGS) as Setting<
  unknown
>[];
