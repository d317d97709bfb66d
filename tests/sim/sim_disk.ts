/** A disk that outlives its processes: files and one SQLite database in memory, and their faults. */

import { type Database, DatabaseError, type SqlValue } from "../../src/system/database.ts";
import { FileError, type FileFacts, type FileLock, type Files } from "../../src/system/files.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import type { Gate } from "./gate.ts";

/** What the disk refuses: to write for want of room, or by an error of its own. */
export type DiskFault = "full" | "io" | null;

export class SimDisk {
  readonly texts = new Map<string, string>();
  readonly database: Database = openRealDatabase(":memory:");
  fault: DiskFault = null;
  /** When its files were changed, as far as anybody asks. */
  modifiedMs: () => number = () => 0;
  /** Called with each file that was written, and its text. */
  onWritten: (path: string, text: string) => void = () => {};
  /** Told of what an agent has lost without dying. */
  onLost: (what: string) => void = () => {};

  /** The files as one process sees them. */
  files(gate: Gate): Files {
    const read = <T>(effect: () => T) => gate.later(() => Promise.resolve(effect()));
    const write = (purpose: string, effect: () => void) =>
      gate.later(() => {
        if (this.fault !== null) {
          const reason = this.fault === "full" ? "full" : "failed";
          return Promise.reject(new FileError(`Cannot ${purpose}: ${this.fault}`, { reason }));
        }
        effect();
        return Promise.resolve();
      });
    return {
      readText: (_purpose, path) => read(() => this.texts.get(path)),
      readTextAndFacts: (_purpose, path) =>
        read(() => {
          const text = this.texts.get(path);
          const facts = this.#inspect(path);
          return text === undefined || facts === undefined ? undefined : { text, facts };
        }),
      readBytes: (_purpose, path) =>
        read(() => {
          const text = this.texts.get(path);
          return text === undefined ? undefined : new TextEncoder().encode(text);
        }),
      trace: () => read(() => ({ steps: [], isWhole: true })),
      writeText: (purpose, path, text) =>
        write(purpose, () => {
          this.texts.set(path, text);
          this.onWritten(path, text);
        }),
      createBytes: (purpose) => write(purpose, () => {}),
      appendText: async (purpose, path, text) => {
        const whole = (this.texts.get(path) ?? "") + text;
        await write(purpose, () => void this.texts.set(path, whole));
        return whole.length;
      },
      // In place: a full disk takes it.
      overwriteText: (purpose, path, text) =>
        this.fault === "full" && this.texts.has(path)
          ? read(() => void this.texts.set(path, text))
          : write(purpose, () => void this.texts.set(path, text)),
      makeDirectory: (purpose) => write(purpose, () => {}),
      remove: (purpose, path) => write(purpose, () => void this.texts.delete(path)),
      rename: (purpose, from, to) => write(purpose, () => this.#rename(from, to)),
      inspect: (_purpose, path) => read(() => this.#inspect(path)),
      list: (_purpose, path) =>
        read(() => {
          const inside = [...this.texts.keys()].filter((name) => name.startsWith(`${path}/`));
          return [...new Set(inside.map((name) => name.slice(path.length + 1).split("/")[0]!))];
        }),
      lock: () => read((): FileLock => ({ release: () => {} })),
      isLocked: () => read(() => false),
      checkWritable: () => read(() => true),
    };
  }

  /** The database as one process sees it; a process that dies in a transaction leaves none. */
  open(gate: Gate, path: string): Database {
    if (path === ":memory:") return this.#openMemory();
    const { database } = this;
    if (!this.texts.has(path)) this.texts.set(path, "");
    let depth = 0;
    const refuse = (fault: DiskFault) => {
      if (fault === null || fault !== this.fault) return;
      throw new DatabaseError(`Cannot write: ${fault}`, { reason: fault });
    };
    // With a log beside it, a disk without room refuses the commit, after all that was written.
    const commit = () => {
      if (depth === 0) refuse("full");
    };
    const write = <T>(effect: () => T): T =>
      gate.sync(() => {
        refuse("io");
        commit();
        return effect();
      });
    return {
      execute: (sql) => write(() => database.execute(sql)),
      run: (sql: string, ...values: SqlValue[]) => write(() => database.run(sql, ...values)),
      all: (sql, ...values) => gate.sync(() => database.all(sql, ...values)),
      transaction: (work) =>
        gate.sync(() =>
          database.transaction(() => {
            depth += 1;
            let result;
            try {
              result = work();
            } finally {
              depth -= 1;
            }
            commit();
            return result;
          })
        ),
      close: () => {},
    };
  }

  /** What an agent keeps in memory while the disk refuses: let go of, it has to be on the disk. */
  #openMemory(): Database {
    const database = openRealDatabase(":memory:");
    const close = () => {
      const ids = database.all("SELECT id FROM events").map(({ id }) => String(id));
      database.close();
      // By then whatever it was that let go of them has ended.
      queueMicrotask(() => {
        const lost = ids.filter((id) => !this.#has(id)).length;
        if (lost > 0) this.onLost(`${lost} events that were kept in memory are gone`);
      });
    };
    return {
      execute: (sql) => database.execute(sql),
      run: (sql, ...values) => database.run(sql, ...values),
      all: (sql, ...values) => database.all(sql, ...values),
      transaction: (work) => database.transaction(work),
      close,
    };
  }

  #has(eventId: string): boolean {
    return this.database.all("SELECT 1 FROM events WHERE id = ?", eventId).length > 0;
  }

  #rename(from: string, to: string): void {
    const text = this.texts.get(from);
    if (text === undefined) return;
    this.texts.delete(from);
    this.texts.set(to, text);
  }

  #inspect(path: string): FileFacts | undefined {
    const text = this.texts.get(path);
    const isDirectory = [...this.texts.keys()].some((name) => name.startsWith(`${path}/`));
    if (text === undefined && !isDirectory) return undefined;
    return {
      kind: isDirectory ? "directory" : "file",
      sizeBytes: text?.length ?? 0,
      modifiedMs: this.modifiedMs(),
      mode: isDirectory ? 0o700 : 0o600,
      owner: 0,
      group: 0,
      identity: null,
    };
  }
}
