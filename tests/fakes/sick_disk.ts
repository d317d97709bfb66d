/** A machine whose databases refuse on purpose: all writes, all commits, or exactly the n-th call. */

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
  /** Writes are taken, and refused when they are to be committed: so does a full disk under a log. */
  commitFault: DatabaseErrorReason | null = null;
  /** Exactly the writes whose statement matches are refused, as full; `null`: none for that. */
  refuses: RegExp | null = null;
  /** Every call is refused, opening too. */
  isDead = false;
  /** How many calls there have been. */
  calls = 0;
  #refusedCall = Infinity;
  #isWell = false;

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
    this.commitFault = null;
    this.refuses = null;
    this.isDead = false;
    this.#refusedCall = Infinity;
  }

  /** Has a test look at the disk: nothing is refused, and no call counted. */
  whileWell<T>(look: () => T): T {
    this.#isWell = true;
    try {
      return look();
    } finally {
      this.#isWell = false;
    }
  }

  /** The buffer's file is deleted; who has it open goes on with it. */
  vanish(): void {
    this.system.databases.delete(PATH);
    this.system.files.texts.delete(PATH);
  }

  #pass(isWrite: boolean, sql = ""): void {
    if (this.#isWell) return;
    this.calls += 1;
    if (isWrite && this.refuses?.test(sql)) {
      throw new DatabaseError("Cannot use database: full on purpose", { reason: "full" });
    }
    const isTurn = this.calls === this.#refusedCall;
    const isRefused = isTurn || this.isDead || isWrite && this.fault !== null;
    if (!isRefused) return;
    const reason = isTurn || this.fault === null ? "io" : this.fault;
    throw new DatabaseError(`Cannot use database: ${reason} on purpose`, { reason });
  }

  #commit(): void {
    const reason = this.commitFault;
    if (reason === null) return;
    throw new DatabaseError(`Cannot use database: ${reason} on purpose`, { reason });
  }

  #guard(database: Database): Database {
    let depth = 0;
    const write = <T>(sql: string, work: () => T): T => {
      this.#pass(true, sql);
      if (depth === 0) this.#commit(); // A statement by itself is a transaction.
      return work();
    };
    return {
      execute: (sql) => {
        if (!sql.startsWith("PRAGMA")) return write(sql, () => database.execute(sql));
        this.#pass(false);
        database.execute(sql);
      },
      run: (sql: string, ...values: SqlValue[]) => write(sql, () => database.run(sql, ...values)),
      all: (sql: string, ...values: SqlValue[]) => {
        if (!/^\s*(SELECT|PRAGMA)/.test(sql)) return write(sql, () => database.all(sql, ...values));
        this.#pass(false);
        return database.all(sql, ...values);
      },
      transaction: (work) =>
        database.transaction(() => {
          depth += 1;
          try {
            const result = work();
            this.#pass(false);
            if (depth === 1) this.#commit(); // An inner one commits nothing.
            return result;
          } finally {
            depth -= 1;
          }
        }),
      close: () => database.close(),
    };
  }
}
