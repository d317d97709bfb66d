/** An overflow buffer and its journal on a machine in memory, whose disk can be sick. */

import {
  type BufferLimits,
  byKind,
  type EventBuffer,
  type NewEvent,
} from "../../src/buffer/buffer.ts";
import { type CommandJournal, SqliteJournal, type StoreTables } from "../../src/buffer/journal.ts";
import { StoreSupervisor } from "../../src/buffer/store_supervisor.ts";
import type { Clock } from "../../src/system/system.ts";
import type { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { settle } from "./clock.ts";
import { FakeLog } from "./log.ts";
import { SickDisk } from "./sick_disk.ts";

/** What there is after `open()`; `prepare` is called before a folder is made anew. */
export class TestStore {
  readonly disk: SickDisk;
  readonly log = new FakeLog();
  readonly supervisor: StoreSupervisor;
  readonly buffer: EventBuffer;
  readonly journal: CommandJournal;
  prepare: () => Promise<void> = () => Promise.resolve();
  backs = 0;

  constructor(limits: Partial<BufferLimits> = {}, disk: SickDisk = new SickDisk()) {
    this.disk = disk;
    this.supervisor = new StoreSupervisor({
      system: disk.system,
      log: this.log,
      stateDirectory: "/state",
      limits: { maxEvents: 1_000, maxBytes: 4_194_304, maxAttempts: 3, ...limits },
      prepareDirectory: () => this.prepare(),
      onRecovered: () => this.backs++,
      onRefused: () => {},
    });
    this.buffer = this.supervisor.buffer;
    this.journal = this.supervisor.journal;
  }

  /** The instant at which the disk is tried again, and all that follows at once. */
  async tryAgain(): Promise<void> {
    await this.disk.system.clock.advance(10_000);
    await settle();
  }

  /** The buffer on disk, which is open. */
  get stored(): SqliteBuffer {
    const opened = this.supervisor.opened;
    if (opened === null) throw new Error("the file is not open");
    return opened.buffer;
  }

  bodies(): string[] {
    return this.buffer.next(1_000).map(({ body }) => body);
  }
}

/** One that is open. */
export async function openTestStore(
  limits: Partial<BufferLimits> = {},
  disk: SickDisk = new SickDisk(),
): Promise<TestStore> {
  const testStore = new TestStore(limits, disk);
  await testStore.supervisor.open();
  return testStore;
}

/** A journal on tables that are always there. */
export function journalOn(tables: StoreTables, clock: Clock): SqliteJournal {
  return new SqliteJournal({
    onDisk: (work) => work(tables),
    onDiskOr: (work) => work(tables),
  }, clock);
}

export function event(body: string, commandId: string | null = null): NewEvent {
  return { kind: "log", commandId, snapshotOf: null, body };
}

/** Nothing was evicted, of any kind. */
export const NONE_EVICTED = byKind(() => 0);
