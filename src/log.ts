/** The agent's log: one line per event, as text or JSON, without secrets. */

import { configureSync, getLogger, type LogRecord } from "@logtape/logtape";
import { codeOf, type LogMessage } from "./log_messages.ts";
import { Secrets } from "./redact.ts";
import { stripControls } from "./strip_controls.ts";

/** The variable part of a log line. */
export type LogFields = Readonly<
  Record<string, string | number | boolean | null>
>;

/** Levels, from the most verbose to the least. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** How a line is written. */
export type LogFormat = "text" | "json";

/** Writes log lines. Messages are those of `log_messages.ts`; the fields vary, and have units in their names. */
export interface Log {
  /** Details, by which a fault can be found. */
  debug(message: LogMessage, fields?: LogFields): void;
  /** What the agent does. */
  info(message: LogMessage, fields?: LogFields): void;
  /** The agent goes on, but not as intended. */
  warning(message: LogMessage, fields?: LogFields): void;
  /** Something is lost, or an operator has to act. */
  error(message: LogMessage, fields?: LogFields): void;
}

/** The log, of which `take` is told each line from `info` on, after it was written. */
export function observeLog(
  log: Log,
  take: (level: LogLevel, message: LogMessage, fields?: LogFields) => void,
): Log {
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => {
      log.info(message, fields);
      take("info", message, fields);
    },
    warning: (message, fields) => {
      log.warning(message, fields);
      take("warning", message, fields);
    },
    error: (message, fields) => {
      log.error(message, fields);
      take("error", message, fields);
    },
  };
}

/** What is logged, and how. */
export interface LogOptions {
  /** Lower levels are not logged. */
  readonly level: LogLevel;
  /** Of all lines. */
  readonly format: LogFormat;
  /** Hidden in every line; the code that learns a new secret adds it. @default none */
  readonly secrets?: Secrets;
}

/** Limit of a line in bytes of UTF-8, without its line break: journals cut or drop longer ones. */
export const LONGEST_LINE_BYTES = 8_192;

/** Longer texts in a line end in "(cut)"; in characters (UTF-16). */
export const LONGEST_TEXT = 2_000;

/** Creates the log of this process, in place of an earlier one. `nowMs` is its clock. */
export function createLog(
  write: (line: string, level: LogLevel) => void,
  nowMs: () => number,
  options: LogOptions,
): Log {
  const secrets = options.secrets ?? new Secrets();
  const sink = (record: LogRecord) => {
    const level = record.level as LogLevel;
    const fields = record.properties as LogFields;
    // Not redacted: it is a constant, and a server could send one of its words as a token.
    const message = stripControls(String(record.rawMessage));
    const line = { timeMs: nowMs(), level, message, fields: cleanFields(fields, secrets) };
    write(formatWithin(line, options.format), level);
  };
  configureSync({
    reset: true,
    sinks: { lines: sink },
    loggers: [
      { category: ["pennon"], sinks: ["lines"], lowestLevel: options.level },
      // LogTape's own messages; only its failures are of use.
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

/**
 * Formats a line, with its texts cut before formatting so that the line fits and is still JSON. If it
 * does not fit even so, it omits the last fields and adds `cut`.
 */
function formatWithin(line: Line, format: LogFormat): string {
  const cutTo = (longest: number, fields = line.fields) =>
    formatLine(cutTexts({ ...line, fields }, longest), format);
  for (let longest = LONGEST_TEXT; longest >= SHORTEST_TEXT; longest /= 2) {
    const text = cutTo(longest);
    if (sizeBytes(text) <= LONGEST_LINE_BYTES) return text;
  }
  const all = Object.entries(line.fields);
  const first = (count: number) =>
    cutTo(SHORTEST_TEXT, { ...Object.fromEntries(all.slice(0, count)), cut: true });
  let fitting = 0;
  let tooMany = all.length;
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    if (sizeBytes(first(middle)) <= LONGEST_LINE_BYTES) fitting = middle;
    else tooMany = middle;
  }
  return first(fitting);
}

/** A text is cut no shorter: less of it has no meaning. */
const SHORTEST_TEXT = 10;

function cutTexts(line: Line, longest: number): Line {
  const fields = Object.entries(line.fields).map(([name, value]) =>
    [name, typeof value === "string" ? cutText(value, longest) : value] as const
  );
  return { ...line, message: cutText(line.message, longest), fields: Object.fromEntries(fields) };
}

function sizeBytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

function cutText(text: string, longest: number): string {
  if (text.length <= longest) return text;
  // Strips the half of a character that the cut may leave.
  return `${stripControls(text.slice(0, longest), "\n\t")}(cut)`;
}

function formatLine({ timeMs, level, message, fields }: Line, format: LogFormat): string {
  const time = new Date(timeMs).toISOString();
  if (format === "json") {
    return JSON.stringify({ time, level, code: codeOf(message), message, ...fields });
  }
  const words = Object.entries(fields).map(([name, value]) => `${name}=${quote(value)}`);
  return [time, level.toUpperCase(), message, ...words].join(" ");
}

/** Quotes a value with characters, such as spaces, that would make it look like several. */
function quote(value: string | number | boolean | null): string {
  const text = String(value);
  return /^[\w.:/@+,~()-]+$/.test(text) ? text : JSON.stringify(text);
}

const SECRET_NAME = /token|authorization|password|secret/i;

/** The fields as they may be shown: without secrets and without controls. */
export function cleanFields(fields: LogFields, secrets: Secrets): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const shown = SECRET_NAME.test(name) ? "(hidden)" : value;
      return [stripControls(name), typeof shown === "string" ? secrets.hide(shown) : shown];
    }),
  );
}
