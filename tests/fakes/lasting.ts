/** A lasting buffer and journal on a machine in memory, whose disk can be sick. */

import { DiskKeeper } from "../../src/buffer/disk_keeper.ts";
import type { BufferLimits, NewEvent } from "../../src/buffer/buffer.ts";
import { LastingBuffer } from "../../src/buffer/lasting_buffer.ts";
import { LastingJournal } from "../../src/buffer/lasting_journal.ts";
import { settle } from "./clock.ts";
import { FakeLog } from "./log.ts";
import { SickDisk } from "./sick_disk.ts";

/** What there is after `open()`; `prepare` is called before a folder is made anew. */
export class Lasting {
  readonly disk: SickDisk;
  readonly log = new FakeLog();
  readonly keeper: DiskKeeper;
  readonly buffer: LastingBuffer;
  readonly journal: LastingJournal;
  prepare: () => Promise<void> = () => Promise.resolve();
  backs = 0;

  constructor(limits: Partial<BufferLimits> = {}, disk: SickDisk = new SickDisk()) {
    this.disk = disk;
    this.keeper = new DiskKeeper({
      system: disk.system,
      log: this.log,
      stateDirectory: "/state",
      limits: { maxEvents: 1_000, maxBytes: 4_194_304, maxAttempts: 3, ...limits },
      prepareFolder: () => this.prepare(),
      onBack: () => this.backs++,
      onTrouble: () => {},
    });
    this.buffer = new LastingBuffer(this.keeper);
    this.journal = new LastingJournal(this.buffer);
  }

  /** The instant at which the disk is tried again, and all that follows at once. */
  async tryAgain(): Promise<void> {
    await this.disk.system.clock.advance(10_000);
    await settle();
  }

  bodies(): string[] {
    return this.buffer.next(1_000).map(({ body }) => body);
  }
}

/** One that is open. */
export async function openLasting(
  limits: Partial<BufferLimits> = {},
  disk: SickDisk = new SickDisk(),
): Promise<Lasting> {
  const lasting = new Lasting(limits, disk);
  await lasting.keeper.open();
  return lasting;
}

export function event(body: string, commandId: string | null = null): NewEvent {
  return { kind: "log", commandId, snapshotOf: null, body };
}
