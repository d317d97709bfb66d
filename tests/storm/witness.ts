/**
 * A witness inside the buffer's own file: triggers of SQLite that note, in the transaction itself,
 * every event that comes and every step of a command. What is noted was committed, and what was
 * committed is noted, whatever the agent believes.
 */

import type { EventKind } from "../../src/buffer/buffer.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";

/** An event that was appended, as it was. */
export interface WitnessedEvent {
  readonly id: string;
  readonly kind: EventKind;
  readonly commandId: string | null;
  readonly body: string;
}

/** A step of a command, in the order of commits. */
export interface WitnessedStep {
  readonly id: string;
  readonly state: string;
}

/** An event as it is kept. */
export interface KeptEvent extends WitnessedEvent {
  readonly state: string;
  readonly attempts: number;
  readonly lastError: string | null;
}

/** All there is in the file. */
export interface Testimony {
  readonly appended: readonly WitnessedEvent[];
  readonly steps: readonly WitnessedStep[];
  readonly kept: readonly KeptEvent[];
  readonly commands: readonly {
    readonly id: string;
    readonly type: string;
    readonly state: string;
  }[];
  readonly counters: Readonly<Record<string, number>>;
}

const WITNESS = `
  CREATE TABLE IF NOT EXISTS storm_events (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, command_id TEXT, body TEXT);
  CREATE TABLE IF NOT EXISTS storm_steps (number INTEGER PRIMARY KEY, id TEXT, state TEXT);
  CREATE TRIGGER IF NOT EXISTS storm_appended AFTER INSERT ON events BEGIN
    INSERT INTO storm_events (id, kind, command_id, body)
      VALUES (new.id, new.kind, new.command_id, new.body);
  END;
  CREATE TRIGGER IF NOT EXISTS storm_received AFTER INSERT ON commands BEGIN
    INSERT INTO storm_steps (id, state) VALUES (new.id, new.state);
  END;
  CREATE TRIGGER IF NOT EXISTS storm_stepped AFTER UPDATE OF state ON commands BEGIN
    INSERT INTO storm_steps (id, state) VALUES (new.id, new.state);
  END;`;

/** Puts the witness into a buffer that nobody has open. */
export function placeWitness(path: string): void {
  const database = openRealDatabase(path);
  try {
    database.execute(WITNESS);
  } finally {
    database.close();
  }
}

/** Reads all of it out of a file; of a copy, if an agent is to find the file as it left it. */
export function readTestimony(path: string, options: { readOnly?: boolean } = {}): Testimony {
  const database = openRealDatabase(path, options);
  const text = (value: unknown) => value === null || value === undefined ? null : String(value);
  try {
    return {
      appended: database.all("SELECT * FROM storm_events ORDER BY number").map((row) => ({
        id: String(row["id"]),
        kind: row["kind"] as EventKind,
        commandId: text(row["command_id"]),
        body: String(row["body"]),
      })),
      steps: database.all("SELECT id, state FROM storm_steps ORDER BY number").map((row) => ({
        id: String(row["id"]),
        state: String(row["state"]),
      })),
      kept: database.all("SELECT * FROM events ORDER BY sequence").map((row) => ({
        id: String(row["id"]),
        kind: row["kind"] as EventKind,
        commandId: text(row["command_id"]),
        body: String(row["body"]),
        state: String(row["state"]),
        attempts: Number(row["attempts"]),
        lastError: text(row["last_error"]),
      })),
      commands: database.all("SELECT id, type, state FROM commands ORDER BY number").map((row) => ({
        id: String(row["id"]),
        type: String(row["type"]),
        state: String(row["state"]),
      })),
      counters: Object.fromEntries(
        Object.entries(database.all("SELECT * FROM totals")[0] ?? {})
          .map(([name, value]) => [name, Number(value)] as const),
      ),
    };
  } finally {
    database.close();
  }
}
