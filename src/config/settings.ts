/** The table of settings, each with its path, its kind of value, its default and its line of help. Pure. */

import type { LogFormat, LogLevel } from "../log.ts";
import { SCANNER_NAMES } from "../scanners/registry.ts";
import type { UnsignedCommands } from "../server/key_trust.ts";
import {
  argumentList,
  choice,
  choices,
  duration,
  fileName,
  flag,
  headers,
  integer,
  type Kind,
  publicKey,
  size,
  text,
  textfile,
  texts,
  url,
} from "./kinds.ts";

export interface Setting<T> {
  /** Its key in the file: `server.url` is `url` below `[server]`. */
  readonly path: string;
  readonly kind: Kind<T>;
  readonly fallback: T;
  readonly summary: string;
  /** Environment variables that set it; the first that is set counts. */
  readonly environment: readonly string[];
  /** Whether the value is never printed. */
  readonly isSecret: boolean;
}

function setting<T>(
  path: string,
  kind: Kind<T>,
  fallback: T,
  options: { summary: string; environment?: readonly string[]; isSecret?: boolean },
): Setting<T> {
  const environment = [`PENNON_${path.toUpperCase().replaceAll(".", "_")}`];
  return { path, kind, fallback, environment, isSecret: false, ...options };
}

const web = url("the server's address, http:// or https://", ["http:", "https:"]);
const proxy = url("the address of an http:// proxy", ["http:"]);
const file = text("the path of a file");

/** Every setting, by section and by its name in `Config`. Defaults are those of the resilience policies. */
export const SETTINGS = {
  server: {
    url: setting("server.url", web, null, {
      summary: "The server to register with",
    }),
    registrationToken: setting(
      "server.registration_token",
      text("a registration token, without line breaks"),
      null,
      { summary: "The token for `pennon register`", environment: ["PENNON_TOKEN"], isSecret: true },
    ),
    publicKey: setting("server.public_key", publicKey(), null, {
      summary: "The key with which the server signs commands; otherwise the first that it shows",
    }),
  },
  tls: {
    caFile: setting("tls.ca_file", file, null, {
      summary: "Authorities to trust besides the system's (PEM)",
    }),
    certificateFile: setting("tls.certificate_file", file, null, {
      summary: "This host's certificate, where the server asks for one (PEM)",
    }),
    keyFile: setting("tls.key_file", file, null, { summary: "The key of that certificate (PEM)" }),
  },
  proxy: {
    http: setting("proxy.http", proxy, null, {
      summary: "Proxy for a server at http://",
      environment: ["PENNON_PROXY_HTTP", "HTTP_PROXY", "http_proxy"],
    }),
    https: setting("proxy.https", proxy, null, {
      summary: "Proxy for a server at https://",
      environment: ["PENNON_PROXY_HTTPS", "HTTPS_PROXY", "https_proxy"],
    }),
    exceptFor: setting("proxy.except_for", texts("a list of host names"), [], {
      summary: "Hosts reached without a proxy",
      environment: ["PENNON_PROXY_EXCEPT_FOR", "NO_PROXY", "no_proxy"],
    }),
  },
  http: {
    connectTimeoutMs: setting("http.connect_timeout", duration("100ms", "5m"), 10_000, {
      summary: "Limit on reaching the server: name, TCP and TLS",
    }),
    timeoutMs: setting("http.timeout", duration("100ms", "10m"), 30_000, {
      summary: "Limit on one request",
    }),
    healthTimeoutMs: setting("http.health_timeout", duration("100ms", "1m"), 5_000, {
      summary: "Limit on asking for the server's health",
    }),
    maxBodyBytes: setting("http.max_body", size("64KiB", "16MiB"), 4 * 1_024 ** 2, {
      summary: "Longest answer that is read; at most 16MiB",
    }),
  },
  polling: {
    intervalMs: setting("polling.interval", duration("10s", "1d"), 300_000, {
      summary: "Between check-ins, unless the server said otherwise at registration",
    }),
    rapidIntervalMs: setting("polling.rapid_interval", duration("100ms", "5m"), 5_000, {
      summary: "Between check-ins while rapid polling is on",
    }),
    startSpreadMs: setting("polling.start_spread", duration("0s", "1h"), 30_000, {
      summary: "After a start the first check-in is at random within this",
    }),
  },
  backoff: {
    baseMs: setting("backoff.base", duration("100ms", "1h"), 5_000, {
      summary: "Longest wait after the first failure; doubles with each further one",
    }),
    capMs: setting("backoff.cap", duration("100ms", "1d"), 300_000, {
      summary: "Longest wait after any failure",
    }),
    floorMs: setting("backoff.floor", duration("10ms", "1h"), 500, {
      summary: "Shortest wait after a failure",
    }),
  },
  breaker: {
    consecutiveFailures: setting("breaker.consecutive_failures", integer(1, 100), 5, {
      summary: "Failures in a row that open the connection's breaker",
    }),
    windowFailures: setting("breaker.window_failures", integer(1, 100), 5, {
      summary: "Failures among the last `window_size` that open it",
    }),
    windowSize: setting("breaker.window_size", integer(1, 1_000), 10, {
      summary: "Number of latest results that count",
    }),
    minOpenMs: setting("breaker.min_open", duration("1s", "1h"), 60_000, {
      summary: "It stays open for at least half of this",
    }),
    maxOpenMs: setting("breaker.max_open", duration("1s", "1d"), 300_000, {
      summary: "It stays open for at most this",
    }),
    probeTimeoutMs: setting("breaker.probe_timeout", duration("1s", "5m"), 10_000, {
      summary: "Limit on the probe that may close it",
    }),
  },
  buffer: {
    maxEvents: setting("buffer.max_events", integer(100, 1_000_000), 50_000, {
      summary: "Most events on disk",
    }),
    maxBytes: setting("buffer.max_size", size("4MiB", "16GiB"), 64 * 1_024 ** 2, {
      summary: "Most bytes on disk",
    }),
    maxAttempts: setting("buffer.max_attempts", integer(1, 1_000), 10, {
      summary: "Refusals of one event before it is a dead letter",
    }),
  },
  scanners: {
    enabled: setting("scanners.enabled", choices(...SCANNER_NAMES), SCANNER_NAMES, {
      summary: "Scanners that may run, if the host has them",
    }),
    ignore: setting("scanners.ignore", texts('patterns like "apt:linux-*" or "KB2267602"'), [], {
      summary: "Updates reported as ignored: patterns of names, advisories and titles",
    }),
    changelogs: setting("scanners.changelogs", flag(), true, {
      summary: "Fetch changelogs of APT's updates, which name the CVEs",
    }),
    timeoutMs: setting("scanners.timeout", duration("1s", "12h"), 35 * 60_000, {
      summary: "Limit on one scan; after it the scan has failed",
    }),
    consecutiveFailures: setting("scanners.consecutive_failures", integer(1, 100), 3, {
      summary: "Failed scans in a row that open a scanner's breaker",
    }),
    minOpenMs: setting("scanners.min_open", duration("1s", "1d"), 15 * 60_000, {
      summary: "It stays open for this the first time, then twice as long",
    }),
    maxOpenMs: setting("scanners.max_open", duration("1s", "7d"), 6 * 3_600_000, {
      summary: "It stays open for at most this, plus or minus 20 %",
    }),
  },
  commands: {
    unsigned: setting<UnsignedCommands>(
      "commands.unsigned",
      choice("read_only", "never"),
      "read_only",
      {
        summary: "Which commands run without a signature, until the server has shown a signing key",
      },
    ),
  },
  metrics: {
    textfile: setting("metrics.textfile", textfile(), null, {
      summary: "The running agent keeps its metrics in this file, for node_exporter",
    }),
  },
  telemetry: {
    endpoint: setting(
      "telemetry.otlp_endpoint",
      url("the address of an OTLP/HTTP collector, http:// or https://", ["http:", "https:"]),
      null,
      { summary: "Send metrics and events of the agent to this OpenTelemetry collector" },
    ),
    headers: setting("telemetry.otlp_headers", headers(), [], {
      summary: "Headers of the requests to the collector",
      isSecret: true,
    }),
    caFile: setting("telemetry.ca_file", file, null, {
      summary: "Authorities to trust for the collector besides the system's (PEM)",
    }),
    intervalMs: setting("telemetry.interval", duration("10s", "1h"), 60_000, {
      summary: "Between two exports to the collector",
    }),
  },
  hooks: {
    onOutage: setting("hooks.on_outage", flag(), false, {
      summary: "Start the program on_outage when an outage begins, and when it ends",
    }),
    onOutageArguments: setting("hooks.on_outage_arguments", argumentList(), [], {
      summary: "Arguments of that program",
    }),
    outageAfterMs: setting("hooks.outage_after", duration("0s", "1d"), 75_000, {
      summary: "The server is out for this long before the program is started",
    }),
    onSecurityUpdate: setting("hooks.on_security_update", flag(), false, {
      summary: "Start the program on_security_update when a scan finds new security updates",
    }),
    onSecurityUpdateArguments: setting("hooks.on_security_update_arguments", argumentList(), [], {
      summary: "Arguments of that program",
    }),
    timeoutMs: setting("hooks.timeout", duration("1s", "10m"), 30_000, {
      summary: "Limit on one run of a program; after it the program is killed",
    }),
  },
  watchdog: {
    limitMs: setting("watchdog.limit", duration("5s", "1h"), 120_000, {
      summary: "The agent exits, to be restarted, if its event loop is blocked for this long",
    }),
  },
  log: {
    level: setting<LogLevel>("log.level", choice("debug", "info", "warning", "error"), "info", {
      summary: "Log messages at this level and above",
    }),
    format: setting<LogFormat>("log.format", choice("text", "json"), "text", {
      summary: "Format of the log",
    }),
    file: setting("log.file", fileName(), null, {
      summary: "Log to this file in the state directory, too",
    }),
    eventLog: setting("log.event_log", flag(), false, {
      summary: "Write errors to the Event Log of Windows, too",
    }),
    maxBytes: setting("log.max_size", size("64KiB", "1GiB"), 10 * 1_024 ** 2, {
      summary: "A log file of this size is renamed, and a new one begun",
    }),
    oldFiles: setting("log.old_files", integer(0, 100), 4, {
      summary: "Renamed log files that stay",
    }),
  },
} as const;

/**
 * Every setting's value, by section: durations in ms, sizes in bytes, `null` where nothing is set. Its
 * sections fit the options of the classes that use them.
 */
export type Config = {
  readonly [Section in keyof typeof SETTINGS]: {
    readonly [Name in keyof typeof SETTINGS[Section]]: typeof SETTINGS[Section][Name] extends
      Setting<infer T> ? T : never;
  };
};

/** All settings, in the order of the file. */
export const ALL_SETTINGS: readonly Setting<unknown>[] = Object.values(SETTINGS)
  .flatMap((section) => Object.values<Setting<unknown>>(section));

/** Assembles the configuration from the values of the settings. */
export function assemble(valueOf: (setting: Setting<unknown>) => unknown): Config {
  const sections = Object.entries(SETTINGS).map(([section, settings]) => {
    const values = Object.entries<Setting<unknown>>(settings)
      .map(([name, setting]) => [name, valueOf(setting)]);
    return [section, Object.fromEntries(values)];
  });
  return Object.fromEntries(sections);
}
