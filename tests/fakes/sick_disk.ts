/** A machine whose databases refuse on purpose: all writes, or exactly the n-th call. */

import {
  type Database,
  DatabaseError,
  type DatabaseErrorReason,
  type SqlValue,
} from "../../src/system/database.ts";
import { FakeSystem } from "./system.ts";

const PATH = "/state/buffer.sqlite";

export class SickDisk {
  readonly system: FakeSystem;
  /** Every write is refused for this reason, reads are not. */
  fault: DatabaseErrorReason | null = null;
  /** Every call is refused, opening too. */
  isDead = false;
  /** How many calls there have been. */
  calls = 0;
  #refusedCall = Infinity;

  constructor(system: FakeSystem = new FakeSystem()) {
    this.system = system;
    const open = system.openDatabase.bind(system);
    system.openDatabase = (path) => {
      if (path === ":memory:") return open(path);
      this.#pass(false);
      return this.#guard(open(path));
    };
  }

  /** Of the calls from now on this one is refused, an I/O error; the others are not. */
  refuseCall(number: number): void {
    this.#refusedCall = this.calls + number;
  }

  /** Nothing is refused any more. */
  heal(): void {
    this.fault = null;
    this.isDead = false;
    this.#refusedCall = Infinity;
  }

  /** The buffer's file is deleted; who has it open goes on with it. */
  vanish(): void {
    this.system.databases.delete(PATH);
    this.system.files.texts.delete(PATH);
  }

  #pass(isWrite: boolean): void {
    this.calls += 1;
    const isTurn = this.calls === this.#refusedCall;
    const isRefused = isTurn || this.isDead || isWrite && this.fault !== null;
    if (!isRefused) return;
    const reason = isTurn || this.fault === null ? "io" : this.fault;
    throw new DatabaseError(`Cannot use database: ${reason} on purpose`, { reason });
  }

  #guard(database: Database): Database {
    return {
      execute: (sql) => {
        this.#pass(!sql.startsWith("PRAGMA"));
        database.execute(sql);
      },
      run: (sql: string, ...values: SqlValue[]) => {
        this.#pass(true);
        return database.run(sql, ...values);
      },
      all: (sql: string, ...values: SqlValue[]) => {
        this.#pass(!/^\s*(SELECT|PRAGMA)/.test(sql));
        return database.all(sql, ...values);
      },
      transaction: (work) =>
        database.transaction(() => {
          const result = work();
          this.#pass(false); // The commit.
          return result;
        }),
      close: () => database.close(),
    };
  }
}
