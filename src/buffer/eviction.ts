/**
 * Eviction: which events leave a full buffer for a new one, and the event that reports it, the
 * eviction notice. There is at most one notice, with all counts since the first eviction.
 *
 * The notice is a log that belongs to no command. RedFlag accepts and shows that: `ReportLog`
 * (aggregator-server/internal/api/handlers/updates.go, and server/internal/… later) requires `action`
 * and `result` alone, stores the row under the agent whatever the `command_id` says, and looks for a
 * command only where there is one. The history that the dashboard shows (`GetAllUnifiedHistory`)
 * lists such rows, and later servers make a `failed` one an event of severity "error" too, with
 * `stderr` as its reason.
 */

import type { Database, Row } from "../system/database.ts";
import type { BufferLimits, CountByKind, EventKind, NewEvent } from "./buffer.ts";
import { addToCounters, allocateSequence, readCounts, readTotals } from "./counters.ts";
import { URGENCY } from "./dequeue_order.ts";
import { type MeasuredEvent, readCount, readKind, readState, sizeOf } from "./event_row.ts";
import { LAST_INSTANT_MS } from "../system/system.ts";

/** How late an event is evicted, the higher the later. */
export const IMPORTANCE: CountByKind = {
  agent_event: 0,
  circuit_breakers: 0,
  system_info: 1,
  storage_metrics: 2,
  system_metrics: 2,
  updates: 2,
  dependencies: 3,
  log: 4,
};

/** How much takes room in the buffer. */
export interface Load {
  readonly events: number;
  readonly sizeBytes: number;
}

/** An event that may be evicted. */
export interface Evictable {
  readonly sequence: number;
  readonly kind: EventKind;
  readonly sizeBytes: number;
}

/**
 * Which events to evict so that a new one fits beside `present`. `candidates` come in the order of
 * eviction; no more of them are read than are needed. `null`: the event would not fit if all of them
 * were evicted, and so none should be. Pure.
 */
export function planEviction(
  candidates: Iterable<Evictable>,
  present: { load: Load; limits: BufferLimits },
  sizeBytes: number,
): Evictable[] | null {
  let { events, sizeBytes: usedBytes } = present.load;
  const { maxEvents, maxBytes } = present.limits;
  const fits = () => events + 1 <= maxEvents && usedBytes + sizeBytes <= maxBytes;
  const victims: Evictable[] = [];
  if (fits()) return victims;
  for (const candidate of candidates) {
    victims.push(candidate);
    events -= 1;
    usedBytes -= candidate.sizeBytes;
    if (fits()) return victims;
  }
  return null;
}

/** A later event was appended with the same key. */
const SUPERSEDE = `
  UPDATE events SET superseded = 1 WHERE snapshot_of = ? AND superseded = 0 AND is_indexed = 1
  RETURNING sequence`;

/** The later event found no room after all. */
const REINSTATE = "UPDATE events SET superseded = 0 WHERE sequence = ?";

/** What may be evicted, in the order of `events_to_evict`. Dead letters wait for a person, and stay. */
const SUPERSEDED = `
  SELECT sequence, kind, size_bytes FROM events
  WHERE is_indexed = 1 AND state = 'pending' AND superseded = 1
  ORDER BY importance, sequence LIMIT ? OFFSET ?`;
const UNIMPORTANT = `
  SELECT sequence, kind, size_bytes FROM events
  WHERE is_indexed = 1 AND state = 'pending' AND superseded = 0 AND importance <= ?
  ORDER BY importance, sequence LIMIT ? OFFSET ?`;

/** Candidates read at a time; one page is enough, as a rule. */
const PAGE = 16;

/**
 * Evicts what has to leave so that a new event fits in `limits`, and marks what the event supersedes.
 * Part of the transaction it is called in, in which everything is indexed. Returns the evicted kinds;
 * `null`: the new event matters less than what is there, and is itself counted as evicted.
 */
export function evictFor(
  database: Database,
  { event: { kind, snapshotOf }, sizeBytes }: MeasuredEvent,
  limits: BufferLimits,
): EventKind[] | null {
  const superseded = snapshotOf === null ? [] : database.all(SUPERSEDE, snapshotOf);
  const load = readLoad(database);
  const victims = planEviction(candidates(database, kind), { load, limits }, sizeBytes);
  if (victims === null) {
    for (const row of superseded) database.run(REINSTATE, readCount(row, "sequence"));
    addToCounters(database, { appended: 1, [`evicted_${kind}`]: 1 });
    return null;
  }
  for (const victim of victims) evict(database, victim);
  return victims.map((victim) => victim.kind);
}

function* candidates(database: Database, kind: EventKind): Generator<Evictable> {
  const queries = [[SUPERSEDED], [UNIMPORTANT, IMPORTANCE[kind]]] as const;
  for (const [sql, ...values] of queries) {
    let rows: Row[];
    let offset = 0;
    do {
      rows = database.all(sql, ...values, PAGE, offset);
      for (const row of rows) {
        const [sequence, sizeBytes] = [readCount(row, "sequence"), readCount(row, "size_bytes")];
        yield { sequence, kind: readKind(row), sizeBytes };
      }
      offset += PAGE;
    } while (rows.length === PAGE);
  }
}

function evict(database: Database, { sequence, kind, sizeBytes }: Evictable): void {
  database.run("DELETE FROM events WHERE sequence = ?", sequence);
  addToCounters(database, { pending: -1, size_bytes: -sizeBytes, [`evicted_${kind}`]: 1 });
}

/** The notice's key in `snapshot_of`: there is at most one in the buffer. */
export const NOTICE_KEY = "dropped_events";

/** The most that a notice takes, with everything that an event takes besides its body. */
export const NOTICE_BYTES = 1_024;

/** Above every kind's, so that a notice is replaced and never evicted. */
const NOTICE_IMPORTANCE = 5;

/** The event that reports these counts. Pure. */
export function evictionNotice(
  evicted: CountByKind,
  sinceMs: number,
): NewEvent {
  const instantMs = Number.isNaN(sinceMs) ? 0 : Math.min(Math.max(0, sinceMs), LAST_INSTANT_MS);
  const since = new Date(instantMs).toISOString();
  const counts = Object.entries(evicted).filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`);
  const body = {
    command_id: "",
    action: "events_dropped",
    result: "failed",
    stdout: JSON.stringify({ since, dropped: evicted }),
    stderr: `Events dropped because the agent's buffer was full: ${counts.join(", ")}, ` +
      `since ${since}`,
    exit_code: 1,
    duration_seconds: 0,
  };
  return {
    kind: "log",
    commandId: null,
    snapshotOf: NOTICE_KEY,
    body: JSON.stringify(body),
  };
}

const FIRST_EVICTION = "UPDATE counters SET first_eviction_ms = coalesce(first_eviction_ms, ?)";

const FIND_NOTICE = `
  SELECT size_bytes FROM events WHERE snapshot_of = ? AND superseded = 0 AND is_indexed = 1`;

const DELETE_NOTICE = `
  DELETE FROM events WHERE snapshot_of = ? AND superseded = 0 AND is_indexed = 1
  RETURNING state, size_bytes`;

const ADD_NOTICE = `
  INSERT INTO events (sequence, id, kind, snapshot_of, urgency, importance, created_ms, size_bytes,
    is_indexed, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?)`;

/** Everything but the notice, whose room is reserved. */
function readLoad(database: Database): Load {
  const { pending, deadLetters, sizeBytes } = readTotals(database);
  const [notice] = database.all(FIND_NOTICE, NOTICE_KEY);
  const noticeBytes = notice === undefined ? 0 : readCount(notice, "size_bytes");
  return {
    events: pending + deadLetters - (notice === undefined ? 0 : 1),
    sizeBytes: sizeBytes - noticeBytes,
  };
}

/**
 * Replaces the notice by one with the present counts; part of the transaction that evicts. The new
 * notice has an id of its own: the answer to one that is just being sent must not delete the new
 * counts. It has the old one's place in the counters, so that a notice is no event more.
 */
export function recordEvictions(
  database: Database,
  { id, createdMs }: { id: string; createdMs: number },
): void {
  database.run(FIRST_EVICTION, createdMs);
  const { evicted, firstEvictionMs } = readCounts(database);
  const { kind, body } = evictionNotice(evicted, firstEvictionMs ?? createdMs);
  const sizeBytes = sizeOf(body);
  const old = database.all(DELETE_NOTICE, NOTICE_KEY);
  for (const row of old) {
    const counter = readState(row);
    addToCounters(database, { [counter]: -1, size_bytes: -readCount(row, "size_bytes") });
  }
  database.run(
    ADD_NOTICE,
    allocateSequence(database),
    id,
    kind,
    NOTICE_KEY,
    URGENCY[kind],
    NOTICE_IMPORTANCE,
    createdMs,
    sizeBytes,
    body,
  );
  addToCounters(database, { pending: 1, appended: 1 - old.length, size_bytes: sizeBytes });
}
