/** The agent's log: one line an event, as text or JSON, with secrets taken out. */

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
