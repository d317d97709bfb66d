/**
 * Commands of the server: what one is and leaves, and their journal in the buffer's own database: each
 * command is stored before it is run, because RedFlag 0.1.18 hands it over only once, and a command and
 * its report commit together. A later server hands it over again until the agent lists it as received:
 * one run, one result all the same, since the journal knows its id.
 *
 * The journal also asks the server for results whose answer was lost, so that they are not sent
 * twice. Servers after v0.1.18 answer; for older ones, which never do, the log is sent again.
 *
 * What an acknowledgement means there (RedFlag, `VerifyResultsRecorded` in
 * server/internal/database/queries/commands.go, called by `GetCommands` in handlers/agents.go): the
 * command's row has any result, whatever its status and its author. The agent's log writes one,
 * but so does the server itself: when it times a command out (`timeoutCommand` in
 * services/timeout.go, 30 min after it was received) and when a person cancels it. So it is believed
 * only of a log that was sent, and only for as long as the server cannot have timed the command out.
 */

import type { RejectedCommand, StorableCommand } from "../received_command.ts";
import type { Database, Row, SqlValue } from "../system/database.ts";
import type { Clock } from "../system/system.ts";
import type { EventQueue, NewEvent } from "./buffer.ts";
import { addToCounters } from "./counters.ts";
import { indexPending } from "./dequeue_order.ts";
import { readCount } from "./event_row.ts";

/** A command to run. */
export interface Command {
  readonly id: string;
  readonly type: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** What a finished command leaves; its events are appended before it counts as finished. */
export interface CommandOutcome {
  /** The last one is the command's log, which reports to the server how it ended. */
  readonly events: readonly NewEvent[];
  /** Rapid polling from now on for so long; 0 ends it, `null` leaves it as it is. */
  readonly rapidPollingMs: number | null;
  /** Why it failed, for the log of the agent. @default it succeeded */
  readonly failure?: string;
}

/** One run of a command. */
export interface CommandRun {
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal;
  /**
   * Appends events while the command still runs. After a crash a repeatable command appends them
   * again. Throws what the buffer throws.
   */
  appendEarly(events: readonly NewEvent[]): void;
}

/** Runs one type of command. It may throw: the command has then failed with that message. */
export interface RunningHandler {
  /** Whether it does no harm to run it again after a crash in the middle of it. */
  readonly repeatable: boolean;
  run(command: Command, run: CommandRun): Promise<CommandOutcome>;
}

/** Refuses one type of command; the reason is all that is reported of it. */
interface RefusingHandler {
  /** Refusing again does no harm. */
  readonly repeatable: true;
  refusal(command: Command): string;
}

/** Handles one type of command. */
export type CommandHandler = RunningHandler | RefusingHandler;

/**
 * How far a command has come. When it is `finished` its report is in the buffer; when no event of it
 * is pending any more, because the server has it or it is a dead letter, it is `reported`. A command
 * whose report was evicted stays `finished`.
 */
type CommandState = "received" | "started" | "finished" | "reported";

/** A command that is not finished. */
export interface JournalEntry extends StorableCommand {
  readonly state: "received" | "started";
}

/** What a check-in lists, so that the server confirms it. */
export interface Unconfirmed {
  /** Ids of finished commands whose log was sent and not answered, oldest first. */
  readonly results: readonly string[];
  /** Ids of commands that are on disk, which the server has yet to be told, oldest first. */
  readonly receipts: readonly string[];
}

/** The journal. Methods throw `DatabaseError` when the disk refuses. */
export interface CommandJournal {
  /** Writes, and changes nothing: called before accepting commands that come only once. */
  tryWriting(): void;
  /**
   * Stores commands durably; returns those that were not known before. The receipt of each, known or
   * not, is due.
   */
  receive<C extends StorableCommand>(commands: readonly C[]): C[];
  /**
   * Stores commands that are not run as finished. Calls `appendReports` with those whose ids were
   * unknown, and the queue of the same transaction; returns their number. The receipt of each is due.
   */
  reject(
    commands: readonly RejectedCommand[],
    appendReports: (fresh: readonly RejectedCommand[], queue: EventQueue) => void,
  ): number;
  /** Notes that a command is about to be run; throws if it is finished, or was never received. */
  start(id: string): void;
  /**
   * Marks a command as finished and calls `appendReport` with the queue of the same transaction:
   * both, or neither. Throws if it was finished before, so that nothing is reported twice.
   */
  finish(id: string, appendReport: (queue: EventQueue) => void): void;
  /** Commands that are not finished, oldest first: to be run, or interrupted. */
  unfinished(): JournalEntry[];
  /** What the next check-in lists; one query where there is nothing, as a rule. */
  unconfirmed(): Unconfirmed;
  /**
   * A check-in was answered. The server has the `results` of these commands: their logs are not sent
   * again. The `receipts` are no longer listed until the command is handed over again. An id that was
   * not asked for is ignored. One write at most; returns how many logs the server has.
   */
  confirm(confirmed: Unconfirmed): number;
}

/** A database with the tables of `schema.ts`, and the queue in it. */
export interface StoreTables {
  readonly database: Database;
  readonly buffer: EventQueue;
}

/** How the journal reaches its database, which may refuse, or be another one at the next call. */
export interface JournalAccess {
  /** Calls `work`; throws `DatabaseError` where the disk refuses. */
  onDisk<T>(work: (tables: StoreTables) => T): T;
  /** As `onDisk`, for what can be done without: where the disk refuses, `fallback` is called. */
  onDiskOr<T>(work: (tables: StoreTables) => T, fallback: () => T): T;
}

/**
 * How many of the newest commands are remembered after they are finished, to recognise repeats. One that
 * was run is remembered for `REPLAYABLE_MS` besides: a server may send any number of others meanwhile.
 */
export const REMEMBERED = 10_000;

/**
 * For so long the signature of a command that was run counts, should it be replayed: 4 h back and 5 min
 * ahead (`command_signature.ts`), and 5 min more.
 */
const REPLAYABLE_MS = (4 * 60 + 10) * 60_000;

const RECEIVE = `
  INSERT INTO commands (id, type, params, state, received_ms, receipt_due)
  VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO NOTHING`;

/** The server hands a command over again that the agent has: it is to be told so again. */
const RECEIVE_AGAIN = "UPDATE commands SET receipt_due = 1 WHERE id = ?";

/** Writes a page, and changes nothing. */
const PROBE = "UPDATE counters SET appended = appended";

const START = `
  UPDATE commands SET state = 'started', started_ms = ? WHERE id = ? AND state IN ('received', 'started')`;

/** Its parameters are of no more use, and may be large. */
const FINISH = `
  UPDATE commands SET state = 'finished', params = '{}'
  WHERE id = ? AND state IN ('received', 'started')`;

/** As texts, which a flipped bit may have made bytes of: a corrupt command is reported as such. */
const UNFINISHED = `
  SELECT CAST(id AS TEXT) AS id, CAST(type AS TEXT) AS type, CAST(params AS TEXT) AS params, state
  FROM commands WHERE state IN ('received', 'started') ORDER BY number`;

/** By their count: numbers have gaps, since a command that was handed over again uses one up. */
const FORGET = `
  DELETE FROM commands
  WHERE state IN ('finished', 'reported') AND coalesce(started_ms, 0) <= ?
    AND number <= (SELECT number FROM commands ORDER BY number DESC LIMIT 1 OFFSET ?)`;

/** The journal on a database that `schema.ts` has prepared. */
export class SqliteJournal implements CommandJournal {
  readonly #access: JournalAccess;
  readonly #clock: Clock;

  constructor(access: JournalAccess, clock: Clock) {
    this.#access = access;
    this.#clock = clock;
  }

  tryWriting(): void {
    this.#access.onDisk(({ database }) => database.run(PROBE));
  }

  receive<C extends StorableCommand>(commands: readonly C[]): C[] {
    const nowMs = this.#clock.nowMs();
    return this.#inTransaction(({ database }) =>
      commands.filter((command) => receiveOne(database, { ...command, state: "received" }, nowMs))
    );
  }

  reject(
    commands: readonly RejectedCommand[],
    appendReports: (fresh: readonly RejectedCommand[], queue: EventQueue) => void,
  ): number {
    const nowMs = this.#clock.nowMs();
    return this.#inTransaction(({ database, buffer }) => {
      const fresh = commands.filter(({ id, type }) =>
        receiveOne(database, { id, type, params: "{}", state: "finished" }, nowMs)
      );
      if (fresh.length === 0) return 0;
      appendReports(fresh, buffer);
      database.run(FORGET, nowMs - REPLAYABLE_MS, REMEMBERED);
      return fresh.length;
    });
  }

  start(id: string): void {
    const nowMs = this.#clock.nowMs();
    this.#access.onDisk(({ database }) => {
      if (database.run(START, nowMs, id) === 0) throw notOpen("start", id);
    });
  }

  finish(id: string, appendReport: (queue: EventQueue) => void): void {
    const nowMs = this.#clock.nowMs();
    this.#inTransaction(({ database, buffer }) => {
      if (database.run(FINISH, id) === 0) throw notOpen("finish", id);
      appendReport(buffer);
      database.run(FORGET, nowMs - REPLAYABLE_MS, REMEMBERED);
    });
  }

  unfinished(): JournalEntry[] {
    return this.#access.onDisk(({ database }) => database.all(UNFINISHED).map(toEntry));
  }

  /** Where the disk refuses, the check-in goes on without asking. */
  unconfirmed(): Unconfirmed {
    const nowMs = this.#clock.nowMs();
    return this.#access.onDiskOr(({ database }) => findUnconfirmed(database, nowMs), () => NOTHING);
  }

  /** Where the disk refuses, the logs are sent again, and the receipts listed again. */
  confirm(confirmed: Unconfirmed): number {
    const nowMs = this.#clock.nowMs();
    return this.#access.onDiskOr(({ database }) => confirmAll(database, confirmed, nowMs), () => 0);
  }

  #inTransaction<T>(work: (tables: StoreTables) => T): T {
    return this.#access.onDisk((tables) => tables.database.transaction(() => work(tables)));
  }
}

/** Whether the command was not known before. Part of the transaction it is called in. */
function receiveOne(
  database: Database,
  { id, type, params, state }: StorableCommand & { readonly state: CommandState },
  nowMs: number,
): boolean {
  if (database.run(RECEIVE, id, type, params, state, nowMs) === 1) return true;
  database.run(RECEIVE_AGAIN, id);
  return false;
}

function toEntry(row: Row): JournalEntry {
  return {
    id: String(row["id"]),
    type: String(row["type"]),
    params: String(row["params"]),
    state: row["state"] === "started" ? "started" : "received",
  };
}

function notOpen(purpose: string, id: string): Error {
  return new Error(`Cannot ${purpose} command "${id}": it is finished, or was never received`);
}

/** The journal's figures. */
export interface CommandCounts extends Readonly<Record<CommandState, number>> {
  /** All that would be recognised if the server handed them over again. */
  readonly remembered: number;
  /** Of those, the ones still to be run or finished. */
  readonly unfinished: number;
}

/** Counts commands by state; throws `DatabaseError`. */
export function countCommands(database: Database): CommandCounts {
  const rows = database.all("SELECT state, count(*) AS count FROM commands GROUP BY state");
  const count = (state: CommandState) =>
    Number(rows.find((row) => row["state"] === state)?.["count"] ?? 0);
  const [received, started] = [count("received"), count("started")];
  const [finished, reported] = [count("finished"), count("reported")];
  const unfinished = received + started;
  const remembered = unfinished + finished + reported;
  return { received, started, finished, reported, remembered, unfinished };
}

const REPORTED = `
  UPDATE commands SET state = 'reported'
  WHERE id IN (SELECT value FROM json_each(?)) AND state = 'finished'
    AND NOT EXISTS (
      SELECT 1 FROM events WHERE command_id = commands.id AND is_indexed = 1 AND state = 'pending')`;

/**
 * Events of these commands (`null`: of none) are no longer pending: a command of which it was the
 * last is reported. Part of the transaction it is called in, in which everything is indexed.
 */
export function markReported(
  database: Database,
  commandIds: readonly (SqlValue | undefined)[],
): void {
  const ids = commandIds.filter((id) => typeof id === "string");
  if (ids.length > 0) database.run(REPORTED, JSON.stringify(ids));
}

/**
 * After so long the server writes a result of its own: 30 min after the agent listed the command as
 * received (0.1.18: 2 h after it was handed over); 5 min less, for clocks and sick disks.
 */
export const ASKED_FOR_MS = 30 * 60_000 - 5 * 60_000;

/** Commands asked for in one check-in, oldest first; there are as a rule none, or one. */
export const MOST_ASKED = 50;

/**
 * Commands listed as received in one check-in, oldest first.
 *
 * A command is listed until a check-in that listed it has been answered, whatever the answer confirms,
 * and again after each further delivery. No more is needed: a server that knows the field records the
 * receipt in that very request, and confirms only what changed by it. It never confirms a command that
 * is finished, or of which it lost the answer; and a server of age 0.1 confirms none. If it did not
 * record a receipt, it hands the command over again, up to five times. So no id piles up, and no
 * check-in is counted.
 */
export const MOST_RECEIPTS = 100;

const MARK_UNANSWERED = `
  UPDATE events SET unanswered = 1
  WHERE id = ? AND is_indexed = 1 AND kind = 'log' AND command_id IS NOT NULL AND unanswered = 0`;

/** One row each, where there is anything: two look-ups in indexes that are empty as a rule. */
const ANY_UNCONFIRMED = `
  SELECT * FROM (SELECT 'results' AS what FROM events WHERE unanswered = 1 LIMIT 1)
  UNION ALL
  SELECT * FROM (SELECT 'receipts' FROM commands WHERE receipt_due = 1 LIMIT 1)`;

const RECEIPTS_DUE = `
  SELECT CAST(id AS TEXT) AS id FROM commands WHERE receipt_due = 1 ORDER BY number LIMIT ?`;

const RECEIPTS_LISTED = `
  UPDATE commands SET receipt_due = 0
  WHERE receipt_due = 1 AND id IN (SELECT value FROM json_each(?))`;

/**
 * What may be asked for; an instant in the future is that of a clock that was set back since. `CROSS`
 * has SQLite look at the few unanswered events first, and not walk through all commands.
 */
const ASKED = `
  FROM events CROSS JOIN commands ON commands.id = events.command_id
  WHERE events.unanswered = 1 AND events.state = 'pending' AND commands.state = 'finished'
    AND commands.received_ms BETWEEN ? AND ?`;

/** Notes that a command's log was sent and not answered. Any other event is ignored. */
export function markUnanswered(database: Database, id: string): void {
  database.run(MARK_UNANSWERED, id);
}

const NOTHING: Unconfirmed = { results: [], receipts: [] };

function findUnconfirmed(database: Database, nowMs: number): Unconfirmed {
  // As a rule there is none, and each check-in asks.
  const found = database.all(ANY_UNCONFIRMED).map(({ what }) => what);
  return {
    results: found.includes("results") ? findUnanswered(database, nowMs) : [],
    receipts: found.includes("receipts")
      ? database.all(RECEIPTS_DUE, MOST_RECEIPTS).map(({ id }) => String(id))
      : [],
  };
}

function findUnanswered(database: Database, nowMs: number): string[] {
  const rows = database.all(
    `SELECT DISTINCT commands.id, commands.number ${ASKED} ORDER BY commands.number LIMIT ?`,
    nowMs - ASKED_FOR_MS,
    nowMs,
    MOST_ASKED,
  );
  return rows.map((row) => String(row["id"]));
}

/** One transaction; returns how many logs were deleted. */
function confirmAll(
  database: Database,
  { results, receipts }: Unconfirmed,
  nowMs: number,
): number {
  if (results.length + receipts.length === 0) return 0;
  const find = `SELECT events.sequence, events.size_bytes ${ASKED} AND commands.id = ?`;
  return database.transaction(() => {
    if (receipts.length > 0) database.run(RECEIPTS_LISTED, JSON.stringify(receipts));
    if (results.length === 0) return 0;
    indexPending(database);
    let confirmed = 0;
    for (const id of results) {
      const logs = database.all(find, nowMs - ASKED_FOR_MS, nowMs, id);
      for (const row of logs) {
        database.run("DELETE FROM events WHERE sequence = ?", readCount(row, "sequence"));
        const sizeBytes = readCount(row, "size_bytes");
        addToCounters(database, { pending: -1, delivered: 1, size_bytes: -sizeBytes });
      }
      if (logs.length > 0) markReported(database, [id]);
      confirmed += logs.length;
    }
    return confirmed;
  });
}
