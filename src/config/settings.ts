/**
 * The table of settings, each with its path, its kind of value, its default and its line of help; and
 * the kinds of value: how each is written, read and shown. Pure.
 */

import type { LogFormat, LogLevel } from "../log.ts";
import { SCANNER_NAMES } from "../scanners/registry.ts";
import type { UnsignedCommands } from "../server/key_trust.ts";
import { hasControls } from "../strip_controls.ts";

export interface Kind<T> {
  /** What is allowed, for people: `a duration from "10s" to "1d"`. */
  readonly allowed: string;
  /** Reads a value from TOML or the environment; `undefined` if it is not allowed. */
  read(written: unknown): T | undefined;
  /** As in the file. */
  show(value: T): string;
}

/** The factors of the units of a kind of value, smallest first. */
type Units = Readonly<Record<string, number>>;

const UNITS_MS: Units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const UNITS_BYTES: Units = { B: 1, KiB: 1_024, MiB: 1_024 ** 2, GiB: 1_024 ** 3 };

/** A length of time such as `500ms`, `5s`, `5m`, `1h`, `90d`, in ms. */
export function duration(shortest: string, longest: string): Kind<number> {
  const shape = /^(\d{1,9}(?:\.\d{1,3})?) ?(ms|s|m|h|d)$/;
  return quantity("a duration", { shape, units: UNITS_MS }, [shortest, longest]);
}

/** A size such as `4MiB`, in bytes. */
export function size(smallest: string, largest: string): Kind<number> {
  const shape = /^(\d{1,12}) ?(B|KiB|MiB|GiB)$/;
  return quantity("a size", { shape, units: UNITS_BYTES }, [smallest, largest]);
}

/** A number with a unit, within two limits. */
function quantity(
  name: string,
  { shape, units }: { shape: RegExp; units: Units },
  [from, to]: readonly [string, string],
): Kind<number> {
  const parse = (text: string) => {
    const [, amount, unit] = shape.exec(text.trim()) ?? [];
    const factor = units[unit ?? ""];
    return factor === undefined ? undefined : Math.round(Number(amount) * factor);
  };
  const least = parse(from) ?? 0;
  const most = parse(to) ?? Infinity;
  return {
    allowed: `${name} from "${from}" to "${to}"`,
    read(written) {
      const value = typeof written === "string" ? parse(written) : undefined;
      return value !== undefined && value >= least && value <= most ? value : undefined;
    },
    show(value) {
      const fitting = Object.entries(units).filter(([, factor]) =>
        value % factor === 0 && value >= factor
      );
      const [unit, factor] = fitting.at(-1) ?? Object.entries(units)[0]!;
      return `${value / factor}${unit}`;
    },
  };
}

export function integer(smallest: number, largest: number): Kind<number> {
  return {
    allowed: `a whole number from ${smallest} to ${largest}`,
    read(written) {
      const isText = typeof written === "string" && /^\d{1,15}$/.test(written.trim());
      const number = isText ? Number(written) : written;
      const isFitting = typeof number === "number" && Number.isInteger(number) &&
        number >= smallest && number <= largest;
      return isFitting ? number : undefined;
    },
    show: String,
  };
}

function flag(): Kind<boolean> {
  return {
    allowed: "true or false",
    read(written) {
      if (written === true || written === "true") return true;
      return written === false || written === "false" ? false : undefined;
    },
    show: String,
  };
}

export function choice<T extends string>(...words: readonly T[]): Kind<T> {
  return {
    allowed: `one of ${words.map((word) => `"${word}"`).join(", ")}`,
    read: (written) => words.find((word) => word === written),
    show: (word) => word,
  };
}

/** A list of some of several words; separated by commas in the environment. */
export function choices(...words: readonly string[]): Kind<readonly string[]> {
  const one = choice(...words);
  return {
    allowed: `a list of ${words.map((word) => `"${word}"`).join(", ")}`,
    read(written) {
      const read = readList(written)?.map((word) => one.read(word));
      return read?.every((word) => word !== undefined) ? read : undefined;
    },
    show: (list) => list.join(", "),
  };
}

/** A list of texts; separated by commas in the environment. */
export function texts(allowed: string): Kind<readonly string[]> {
  return { allowed, read: readList, show: (list) => list.join(", ") };
}

function readList(written: unknown): string[] | undefined {
  const list = typeof written === "string" ? written.split(",") : written;
  if (!Array.isArray(list) || list.length > 1_000) return undefined;
  if (!list.every((item): item is string => typeof item === "string")) return undefined;
  const items = list.map((item) => item.trim()).filter((item) => item !== "");
  return items.every(isPrintable) ? items : undefined;
}

/** Longest text, in characters: that of a path on Linux. */
const LONGEST_TEXT = 4_096;

function isPrintable(text: string): boolean {
  return text !== "" && text.length <= LONGEST_TEXT && !hasControls(text);
}

/** A text without control characters, of 4,096 characters at most. */
export function text(allowed: string): Kind<string | null> {
  return {
    allowed,
    read: (written) => typeof written === "string" && isPrintable(written) ? written : undefined,
    show: (value) => value ?? "",
  };
}

/** An address of a server or proxy, without a trailing slash. */
export function url(allowed: string, protocols: readonly string[]): Kind<string | null> {
  return {
    allowed,
    read(written) {
      // `URL` silently removes line ends and tabs.
      if (typeof written !== "string" || !isPrintable(written)) return undefined;
      if (!URL.canParse(written)) return undefined;
      const parsed = new URL(written);
      const isFitting = protocols.includes(parsed.protocol) && parsed.hostname !== "" &&
        parsed.search === "" && parsed.hash === "";
      return isFitting ? parsed.href.replace(/\/+$/, "") : undefined;
    },
    show(value) {
      if (value === null) return "";
      const parsed = new URL(value);
      if (parsed.password !== "") parsed.password = "hidden";
      return parsed.href.replace(/\/+$/, "");
    },
  };
}

/** A plain name that is no other file of the state directory's. */
function fileName(): Kind<string | null> {
  return {
    allowed: 'a name such as "pennon.log": letters, digits, "-" and "_", and ".log" at the end',
    read: (written) =>
      typeof written === "string" && /^[\w-]{1,60}\.log$/.test(written) ? written : undefined,
    show: (value) => value ?? "",
  };
}

/** A public key of a server: 64 hexadecimal digits. */
function publicKey(): Kind<string | null> {
  return {
    allowed: "64 hexadecimal digits",
    read(written) {
      const isKey = typeof written === "string" && /^[0-9a-f]{64}$/i.test(written.trim());
      return isKey ? written.trim().toLowerCase() : undefined;
    },
    show: (value) => value ?? "",
  };
}

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
