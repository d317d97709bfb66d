/** A log that keeps what it is told. */

import type { Log, LogFields, LogLevel } from "../../src/log.ts";
import type { LogMessage } from "../../src/log_messages.ts";

export interface LoggedEvent {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export class FakeLog implements Log {
  readonly events: LoggedEvent[] = [];

  debug(message: string, fields: LogFields = {}): void {
    this.events.push({ level: "debug", message, fields });
  }
  info(message: string, fields: LogFields = {}): void {
    this.events.push({ level: "info", message, fields });
  }
  warning(message: string, fields: LogFields = {}): void {
    this.events.push({ level: "warning", message, fields });
  }
  error(message: string, fields: LogFields = {}): void {
    this.events.push({ level: "error", message, fields });
  }

  /** The fields of every event with this message. */
  told(message: LogMessage): LogFields[] {
    return this.events.filter((event) => event.message === message).map((event) => event.fields);
  }
}
