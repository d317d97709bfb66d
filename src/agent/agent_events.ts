/**
 * What happened to the agent itself, for the dashboard of RedFlag 0.2: certain lines of the log become
 * events in the buffer. So both say the same, and secrets are hidden in one way.
 */

import { BufferError } from "../buffer/schema.ts";
import type { EventQueue, NewEvent } from "../buffer/buffer.ts";
import { HourlyLimit } from "../hourly_limit.ts";
import { cleanFields, type Log, type LogFields, type LogLevel, observeLog } from "../log.ts";
import { quoteWords, type Secrets } from "../redact.ts";
import { cut, encodeBody, LIMITS } from "../server/limits.ts";
import { DatabaseError } from "../system/database.ts";
import type { Clock } from "../system/system.ts";

/** What the dashboard sorts an event by. */
interface Kind {
  readonly type: string;
  readonly subtype: string;
  readonly component: string;
}

/** The lines of the log that become events; `tests/agent/agent_events_test.ts` finds each in the source. */
export const EVENT_OF_MESSAGE: ReadonlyMap<string, Kind> = new Map([
  ["connection breaker opened", kind("circuit_breaker", "opened", "connection")],
  ["connection breaker closed", kind("circuit_breaker", "closed", "connection")],
  ["scanner breaker opened", kind("circuit_breaker", "opened", "scanner")],
  ["scanner breaker closed", kind("circuit_breaker", "closed", "scanner")],
  ["connection recovered", kind("outage", "ended", "connection")],
  ["server fails on reports; pausing reports", kind("reports", "paused", "delivery")],
  ["events evicted, the buffer is full", kind("buffer", "evicted", "buffer")],
  ["event dead-lettered", kind("buffer", "dead_lettered", "buffer")],
  ["events lost, the disk accepted no writes", kind("buffer", "lost", "buffer")],
  ["buffer was damaged, salvaged into a new file", kind("buffer", "salvaged", "buffer")],
  ["disk refuses writes, buffering events in memory", kind("disk", "refused", "buffer")],
  ["disk accepts writes again", kind("disk", "recovered", "buffer")],
  ["scan failed", kind("scan", "failed", "scanner")],
]);

/** A line with this field is a security event, whatever it says; the field names what kind. */
const SECURITY_FIELD = "security_event";

/** A flapping part must not fill the buffer: of more than this per hour only the number is kept. */
const MOST_PER_HOUR = 60;

/** Longest text in an event, in characters. */
const LONGEST_TEXT = 500;

/** Lines that wait until the agent is open. */
const MOST_WAITING = 100;

function kind(type: string, subtype: string, component: string): Kind {
  return { type, subtype, component };
}

/** What event a line of the log is; `undefined`: none. */
export function eventKind(level: LogLevel, message: string, fields: LogFields): Kind | undefined {
  const security = fields[SECURITY_FIELD];
  const known = typeof security === "string"
    ? kind("security", security, "security")
    : EVENT_OF_MESSAGE.get(message);
  // A pause that goes on is logged as information: its beginning is the event.
  return known?.subtype === "paused" && level === "info" ? undefined : known;
}

/** Where events go. */
interface EventSink {
  readonly queue: EventQueue;
  /** Whether the server has a place for them: one of 0.1 has none. */
  isWanted(): boolean;
}

/** Turns lines of the log into events. */
export class AgentEvents {
  /** The log, from which events are taken. */
  readonly log: Log;
  readonly #log: Log;
  readonly #secrets: Secrets;
  #sink: EventSink | null = null;
  #waiting: NewEvent[] = [];
  /** While its own events are appended: what that logs makes no further ones. */
  #isAppending = false;
  readonly #limit: HourlyLimit;
  #dropped = 0;

  constructor(log: Log, { clock, secrets }: { clock: Clock; secrets: Secrets }) {
    this.#log = log;
    this.#secrets = secrets;
    this.#limit = new HourlyLimit(clock, MOST_PER_HOUR);
    this.log = observeLog(log, (level, message, fields) => this.#take(level, message, fields));
  }

  /** Events go there from now on. */
  attach(sink: EventSink): void {
    this.#sink = sink;
    this.#flush();
  }

  #take(level: LogLevel, message: string, fields: LogFields = {}): void {
    // A server that takes no events would get one more for each that it refused.
    if (this.#isAppending || fields["kind"] === "agent_event") return;
    const known = eventKind(level, message, fields);
    if (known === undefined) return;
    if (!this.#limit.take()) {
      this.#dropped += 1;
      return;
    }
    const event = this.#eventOf(known, level, { message, fields });
    this.#waiting = [...this.#waiting, event].slice(-MOST_WAITING);
    // Not at once: a transaction of the buffer may be what logs.
    if (this.#sink !== null) void Promise.resolve().then(() => this.#flush());
  }

  /** Without id and instant: those of the event in the buffer are sent. */
  #eventOf(
    { type, subtype, component }: Kind,
    severity: string,
    { message, fields }: { message: string; fields: LogFields },
  ): NewEvent {
    const dropped = this.#dropped;
    this.#dropped = 0;
    const metadata = Object.entries(cleanFields(fields, this.#secrets)).map(([name, value]) =>
      [name, typeof value === "string" ? quoteWords(value, LONGEST_TEXT) : value] as const
    );
    const known = Object.fromEntries(metadata);
    const why = typeof known["why"] === "string" && known["why"] !== "" ? `: ${known["why"]}` : "";
    const body = encodeBody({
      event_type: cut(type, LIMITS.eventType),
      event_subtype: cut(subtype, LIMITS.eventType),
      severity,
      component: cut(component, LIMITS.eventType),
      message: `${message}${why}`,
      metadata: { ...known, ...dropped > 0 && { earlier_events_dropped: dropped } },
    });
    return { kind: "agent_event", commandId: null, snapshotOf: null, body };
  }

  #flush(): void {
    const events = this.#waiting;
    this.#waiting = [];
    if (this.#sink === null || events.length === 0 || !this.#sink.isWanted()) return;
    this.#isAppending = true;
    try {
      this.#sink.queue.append(events);
    } catch (error) {
      // What the dashboard shows of the agent is no reason to stop it.
      if (!(error instanceof DatabaseError || error instanceof BufferError)) {
        this.#log.error("cannot append events of the agent", { why: String(error) });
      }
    } finally {
      this.#isAppending = false;
    }
  }
}
