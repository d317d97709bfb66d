/**
 * Reads out of a damaged database what can still be read, into a new one: page by page, past what
 * SQLite refuses. What a row holds is checked, since a flipped bit may be anywhere.
 */

import { LOCAL_LIMITS, parseJson } from "../json.ts";
import { type Database, DatabaseError, type Row } from "../system/database.ts";
import type { EventKind } from "./buffer.ts";
import { addToCounters, readCounts, takeSequence } from "./counters.ts";
import { NOTICE_KEY } from "./drop_notice.ts";
import { addHistory, readHistory } from "./history.ts";
import { ANY_ROOM, type NewRow, writeDown } from "./write_down.ts";

/** What came over. */
export interface Salvaged {
  readonly events: number;
  readonly commands: number;
  /** Events that the damaged file's counters knew and that could not be read; `null`: not known. */
  readonly lostEvents: number | null;
}

/** Rows read at a time where nothing is damaged. */
const PAGE = 256;

/** No key is larger; steps over a damaged stretch double up to it. */
const LAST_KEY = 2 ** 52;

const KINDS = new Set(["updates", "log", "dependencies", "system_info"]);
const COMMAND_STATES = ["received", "started", "finished", "reported"];

const ADD_EVENT = `
  INSERT INTO events (sequence, id, kind, command_id, snapshot_of, state, superseded, urgency,
    importance, attempts, created_ms, size_bytes, last_error, is_sorted, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)`;

const ADD_COMMAND = `
  INSERT OR IGNORE INTO commands (id, type, params, state, received_ms) VALUES (?, ?, ?, ?, ?)`;

/**
 * Copies from a damaged database, which is only read, in one transaction of the new one. An event
 * whose text is no JSON any more is set aside, for a person to see. What was delivered, dropped and
 * purged comes over if the counters can be read, so that the next notice of drops tells of all.
 */
export function salvage(damaged: Database, fresh: Database): Salvaged {
  return fresh.transaction(() => {
    // In the order of sending, which new sequences then have by themselves.
    const events = readable(damaged, "events", "sequence").filter(isEvent)
      .sort((a, b) => placeOf(a) - placeOf(b) || Number(a["sequence"]) - Number(b["sequence"]));
    const commands = readable(damaged, "commands", "number").filter(isCommand);
    const ids = new Set<unknown>();
    const isFirst = ({ id }: Row) => !ids.has(id) && ids.add(id);
    const kept = events.filter(isFirst);
    const history = attempt(() => readHistory(damaged));
    for (const row of kept) {
      if (!isUnsorted(row)) addEvent(fresh, history === null ? asUntold(row) : row);
    }
    writeDown(fresh, kept.filter(isUnsorted).map(asNew), ANY_ROOM);
    const added = commands.filter((row) => addCommand(fresh, row));
    if (history !== null) addHistory(fresh, history);
    const { pending, setAside } = readCounts(fresh);
    const before = attempt(() => readCounts(damaged));
    return {
      events: pending + setAside,
      commands: added.length,
      lostEvents: before && Math.max(0, before.pending + before.setAside - pending - setAside),
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
      // First the rows before the damage, one by one; then over it, further each time.
      if (size > 1) size = 1;
      else {
        from += step;
        step *= 2;
      }
      continue;
    }
    if (step > 1) {
      // Somewhere in the last step the damage ended: look for it in smaller ones.
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

function addEvent(fresh: Database, row: Row): void {
  const isWhole = isJson(row["body"]);
  const state = isWhole && row["state"] !== "set_aside" ? "pending" : "set_aside";
  fresh.run(
    ADD_EVENT,
    takeSequence(fresh),
    row["id"]!,
    row["kind"]!,
    row["command_id"] ?? null,
    row["snapshot_of"] ?? null,
    state,
    row["superseded"] === 1 ? 1 : 0,
    row["urgency"]!,
    row["importance"]!,
    row["attempts"]!,
    row["created_ms"]!,
    row["size_bytes"]!,
    isWhole ? row["last_error"] ?? null : "damaged on disk",
    row["body"]!,
  );
  addToCounters(fresh, { appended: 1, [state]: 1, size_bytes: Number(row["size_bytes"]) });
}

/**
 * A notice of drops that the new counters do not know, for which the next one must not take its place:
 * an event as any other.
 */
function asUntold(row: Row): Row {
  return row["snapshot_of"] === NOTICE_KEY ? { ...row, snapshot_of: null } : row;
}

/** The newest ones, which nobody has looked for yet. */
function isUnsorted(row: Row): boolean {
  return row["is_sorted"] === 0 && row["state"] === "pending" && isJson(row["body"]);
}

function asNew(row: Row): NewRow {
  return {
    id: String(row["id"]),
    createdMs: Number(row["created_ms"]),
    sizeBytes: Number(row["size_bytes"]),
    event: {
      kind: row["kind"] as EventKind,
      commandId: row["command_id"] as string | null,
      snapshotOf: row["snapshot_of"] as string | null,
      body: String(row["body"]),
    },
  };
}

function isEvent(row: Row): boolean {
  return isText(row["id"]) && isText(row["body"]) && KINDS.has(String(row["kind"])) &&
    ["urgency", "importance", "attempts", "created_ms", "size_bytes"].every((name) =>
      isCount(row[name])
    );
}

/** The server never repeats one: whatever else of it is damaged, it is answered at least. */
function isCommand(row: Row): boolean {
  return isText(row["id"]) && stateOf(row) !== undefined;
}

/** `false`: it was there. */
function addCommand(fresh: Database, row: Row): boolean {
  const { id, type, params, received_ms } = row;
  const rows = fresh.run(
    ADD_COMMAND,
    id!,
    isText(type) ? type : "",
    isText(params) ? params : "",
    stateOf(row)!,
    isCount(received_ms) ? Number(received_ms) : 0,
  );
  return rows === 1;
}

/** A word in which a bit is flipped is still no other one. */
function stateOf(row: Row): string | undefined {
  const word = String(row["state"]);
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

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isJson(value: unknown): boolean {
  return isText(value) && parseJson(value, LOCAL_LIMITS).ok;
}

/** What SQLite will not read is `null`. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof DatabaseError) return null;
    throw error;
  }
}
