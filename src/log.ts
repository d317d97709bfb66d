/** The agent's log: one line an event, as text or JSON, with secrets taken out. */

import { configureSync, getLogger, type LogRecord } from "@logtape/logtape";
import { JWT_PATTERN } from "@logtape/redaction";

/** What can stand in a log line beside its message. */
export type LogFields = Readonly<
  Record<string, string | number | boolean | null>
>;

/** How much is told, from most to least. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** How a line looks. */
export type LogFormat = "text" | "json";

/**
 * Where events are told. Messages are constant texts ("connection breaker opened"); what varies
 * stands in the fields, with units in their names.
 */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** How a log is made. */
export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Texts that must never stand in a line, besides what looks like a token. */
  readonly secrets?: () => readonly string[];
}

/** Longer lines are cut, and say so. */
export const LONGEST_LINE = 8_192;

/**
 * Makes a log that writes lines. The instant is `nowMs`'s, so that a test's clock rules here too.
 * There is one log a process: making another one takes the first one's place.
 */
export function createLog(
  write: (line: string) => void,
  nowMs: () => number,
  options: LogOptions,
): Log {
  const sink = (record: LogRecord) => {
    const level = record.level as LogLevel;
    const fields = record.properties as LogFields;
    const message = String(record.rawMessage);
    const line = formatLine({ timeMs: nowMs(), level, message, fields }, options.format);
    write(bound(redact(line, options.secrets?.() ?? [])));
  };
  configureSync({
    reset: true,
    sinks: { lines: sink },
    loggers: [
      { category: ["pennon"], sinks: ["lines"], lowestLevel: options.level },
      // LogTape's word on its own set-up; only its failures are of use.
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "error" },
    ],
  });
  const logger = getLogger(["pennon"]);
  return {
    debug: (message, fields = {}) => logger.debug(message, fields),
    info: (message, fields = {}) => logger.info(message, fields),
    warning: (message, fields = {}) => logger.warn(message, fields),
    error: (message, fields = {}) => logger.error(message, fields),
  };
}

interface Line {
  readonly timeMs: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

function formatLine({ timeMs, level, message, fields }: Line, format: LogFormat): string {
  const time = new Date(timeMs).toISOString();
  const shown = Object.entries(fields).map(([name, value]) =>
    [name, SECRET_NAME.test(name) ? "(hidden)" : value] as const
  );
  if (format === "json") {
    return JSON.stringify({ time, level, message, ...Object.fromEntries(shown) });
  }
  const words = shown.map(([name, value]) => `${name}=${quote(value)}`);
  return [time, level.toUpperCase(), message, ...words].join(" ");
}

/** Quoted where a blank or a control character would make one value look like more. */
function quote(value: string | number | boolean | null): string {
  const text = String(value);
  return /^[\w.:/@+,~()-]+$/.test(text) ? text : JSON.stringify(text);
}

const SECRET_NAME = /token|authorization|password|secret/i;

/** What must not be told, by what it looks like: a user's part of a URL, `Bearer` and what follows. */
const SECRET_SHAPES: readonly [RegExp, string][] = [
  [JWT_PATTERN.pattern, "(hidden)"],
  [/\bBearer [^\s"]+/gi, "Bearer (hidden)"],
  [/(\w:\/\/)[^\s/@"]+@/g, "$1(hidden)@"],
];

/** Shorter texts are no secrets, and taking them out would make lines unreadable. */
const SHORTEST_SECRET = 8;

function redact(line: string, secrets: readonly string[]): string {
  const known = secrets.filter((secret) => secret.length >= SHORTEST_SECRET);
  const without = known.reduce((text, secret) => text.replaceAll(secret, "(hidden)"), line);
  return SECRET_SHAPES.reduce((text, [shape, instead]) => text.replace(shape, instead), without);
}

function bound(line: string): string {
  // deno-lint-ignore no-control-regex
  const plain = line.replace(/[\u0000-\u001f\u007f-\u009f]/g, "");
  return plain.length <= LONGEST_LINE ? plain : `${plain.slice(0, LONGEST_LINE)}(cut)`;
}
