/**
 * Reads out of a corrupt database what can still be read, into a new one: page by page, past what
 * SQLite refuses. What a row holds is checked, since a flipped bit may be anywhere.
 */

import { LOCAL_LIMITS, parseJson } from "../json.ts";
import { type Database, DatabaseError, type Row } from "../system/database.ts";
import { addHistory, readCounts, readHistory, recount } from "./counters.ts";
import { isKind, type MeasuredEvent } from "./event_row.ts";
import { NOTICE_KEY } from "./eviction.ts";

/** What was salvaged. */
export interface Salvaged {
  readonly events: number;
  readonly commands: number;
  /** Events that the corrupt file's counters knew and that could not be read; `null`: not known. */
  readonly lostEvents: number | null;
}

/** An event as far as it could be read. */
interface SalvagedEvent extends MeasuredEvent {
  readonly isDeadLetter: boolean;
  /** `false`: it was only appended, not indexed yet. */
  readonly isIndexed: boolean;
  readonly superseded: number;
  readonly urgency: number;
  readonly importance: number;
  readonly attempts: number;
  readonly lastError: string | null;
}

/** Rows read at a time where nothing is corrupt. */
const PAGE = 256;

/** No key is larger; steps over a corrupt stretch double up to it. */
const LAST_KEY = 2 ** 52;

const COMMAND_STATES = ["received", "started", "finished", "reported"];

const ADD_EVENT = `
  INSERT INTO events (sequence, id, kind, command_id, snapshot_of, state, superseded, urgency,
    importance, attempts, created_ms, size_bytes, last_error, is_indexed, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

const ADD_COMMAND = `
  INSERT OR IGNORE INTO commands (id, type, params, state, received_ms, started_ms, receipt_due)
  VALUES (?, ?, ?, ?, ?, ?, ?)`;

/**
 * Copies from a corrupt database, which is only read, in one transaction of the new one. An event
 * whose body is no JSON any more becomes a dead letter, for a person to see. The counters of what was
 * delivered, evicted and purged are copied if they can be read, so that the next eviction notice
 * reports everything.
 */
export function salvage(corrupt: Database, fresh: Database): Salvaged {
  return fresh.transaction(() => {
    // In the dequeue order, which new sequences then have by themselves.
    const rows = readable(corrupt, "events", "sequence")
      .sort((a, b) => placeOf(a) - placeOf(b) || Number(a["sequence"]) - Number(b["sequence"]));
    const commands = readable(corrupt, "commands", "number");
    const history = attempt(() => readHistory(corrupt));
    const events = new Map<string, SalvagedEvent>();
    for (const row of rows) {
      const event = readEvent(row, { isNoticeKnown: history !== null });
      if (event !== null && !events.has(event.id)) events.set(event.id, event);
    }
    [...events.values()].forEach((event, at) => addEvent(fresh, event, at + 1));
    const added = commands.filter((row) => addCommand(fresh, row));
    if (history !== null) addHistory(fresh, history);
    recount(fresh);
    const { pending, deadLetters } = readCounts(fresh);
    const before = attempt(() => readCounts(corrupt));
    return {
      events: pending + deadLetters,
      commands: added.length,
      lostEvents: before &&
        Math.max(0, before.pending + before.deadLetters - pending - deadLetters),
    };
  });
}

/** All rows that can be read, by their key. */
function readable(database: Database, table: string, key: string): Row[] {
  const page = `SELECT * FROM ${table} WHERE ${key} >= ? ORDER BY ${key} LIMIT ?`;
  const rows: Row[] = [];
  for (let from = 0, size = PAGE, step = 1; from < LAST_KEY;) {
    const read = attempt(() => database.all(page, from, size));
    if (read === null) {
      // First the rows before the corrupt ones, one by one; then over it, further each time.
      if (size > 1) size = 1;
      else {
        from += step;
        step *= 2;
      }
      continue;
    }
    if (step > 1) {
      // The corrupt stretch ended somewhere in the last step: search for it in smaller ones.
      from = backTo(
        from,
        step / 2,
        (start) => attempt(() => database.all(page, start, 1)) !== null,
      );
      step = 1;
      continue;
    }
    const last = read.at(-1);
    if (last === undefined) return rows;
    rows.push(...read);
    // A flipped bit in a key leaves a row that is out of order: never back, or it has no end.
    from = Math.max(from, Number(last[key])) + 1;
    size = PAGE;
  }
  return rows;
}

/** The first start within `length` before `from` at which reading works. */
function backTo(from: number, length: number, works: (start: number) => boolean): number {
  let bad = from - length;
  let good = from;
  while (good - bad > 1) {
    const middle = Math.floor((bad + good) / 2);
    if (works(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** Neither counts nor orders it: `recount` does. */
function addEvent(fresh: Database, salvaged: SalvagedEvent, sequence: number): void {
  const { event, sizeBytes, isDeadLetter } = salvaged;
  fresh.run(
    ADD_EVENT,
    sequence,
    salvaged.id,
    event.kind,
    event.commandId,
    event.snapshotOf,
    isDeadLetter ? "dead_lettered" : "pending",
    salvaged.superseded,
    salvaged.urgency,
    salvaged.importance,
    salvaged.attempts,
    salvaged.createdMs,
    sizeBytes,
    salvaged.lastError,
    salvaged.isIndexed ? 1 : 0,
    event.body,
  );
}

/**
 * `null`: the row is no event any more. An eviction notice whose counts are lost is an event as any
 * other: the next notice must not replace it.
 */
function readEvent(row: Row, { isNoticeKnown }: { isNoticeKnown: boolean }): SalvagedEvent | null {
  const { id, kind, body, created_ms, size_bytes, urgency, importance, attempts } = row;
  const isEvent = isText(id) && isText(body) && isKind(kind) && isCount(created_ms) &&
    isCount(size_bytes) && isCount(urgency) && isCount(importance) && isCount(attempts);
  if (!isEvent) return null;
  const isWhole = parseJson(body, LOCAL_LIMITS).ok;
  const snapshotOf = textOrNull(row["snapshot_of"]);
  return {
    id,
    createdMs: created_ms,
    sizeBytes: size_bytes,
    event: {
      kind,
      commandId: textOrNull(row["command_id"]),
      snapshotOf: snapshotOf === NOTICE_KEY && !isNoticeKnown ? null : snapshotOf,
      body,
    },
    isDeadLetter: !isWhole || row["state"] === "dead_lettered",
    isIndexed: row["is_indexed"] !== 0,
    superseded: row["superseded"] === 1 ? 1 : 0,
    urgency,
    importance,
    attempts,
    lastError: isWhole ? textOrNull(row["last_error"]) : "damaged on disk",
  };
}

/**
 * `false`: it was there, or cannot be read. The server never repeats a command: whatever else of it is
 * corrupt, it is answered at least.
 */
function addCommand(fresh: Database, row: Row): boolean {
  const { id, type, params, state: word, received_ms, started_ms, receipt_due } = row;
  const state = nearestState(String(word));
  if (!isText(id) || state === undefined) return false;
  const rows = fresh.run(
    ADD_COMMAND,
    id,
    isText(type) ? type : "",
    isText(params) ? params : "",
    state,
    isCount(received_ms) ? received_ms : 0,
    isCount(started_ms) ? started_ms : null,
    receipt_due === 1 ? 1 : 0,
  );
  return rows === 1;
}

/** A word in which one letter is corrupt is still no other one. */
function nearestState(word: string): string | undefined {
  return COMMAND_STATES.find((state) =>
    state.length === word.length &&
    Array.from(state).filter((letter, at) => letter !== word[at]).length <= 1
  );
}

function placeOf(row: Row): number {
  return Number(row["place"] ?? row["sequence"]);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** What SQLite cannot read is `null`. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof DatabaseError) return null;
    throw error;
  }
}
