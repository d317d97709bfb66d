/**
 * Keeps the buffer's file: opens it, again and again where the disk refuses, writes what is in memory
 * as soon as the disk takes it, and makes the file anew where its folder has vanished under it.
 */

import type { Log } from "../log.ts";
import { DatabaseError } from "../system/database.ts";
import { FileError, type FileFacts } from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { BufferLimits } from "./buffer.ts";
import { moveOut } from "./move_out.ts";
import { tellOpened, tellRecounted } from "./opened_log.ts";
import { BufferError } from "./schema.ts";
import type { DiskCondition, DiskTrouble } from "./disk_condition.ts";
import type { Disk } from "./lasting_buffer.ts";
import { checkWhole, openBuffer, type OpenedBuffer, reopenBuffer } from "./store.ts";
import { Tail } from "./tail.ts";

/** Between two tries of a disk that refuses. */
const DISK_AGAIN_MS = 10_000;

/** A large file is checked as a whole when the agent has run so long, and then once a day. */
const CHECK_AFTER_MS = 60_000;
const CHECK_EVERY_MS = 86_400_000;

/** What a keeper needs. */
export interface DiskKeeperParts {
  readonly system: Pick<System, "clock" | "random" | "files" | "openDatabase">;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly limits: BufferLimits;
  /**
   * Makes sure that the state folder is there and this agent's, before the file in it is opened anew.
   * Throws `FileError`, or a `FolderHeldError`.
   */
  prepareFolder(): Promise<void>;
  /** The disk takes writes again. */
  onBack(): void;
  /** It does not, or what is in memory may have changed. */
  onTrouble(): void;
}

/** The state folder is somebody else's now. */
export class FolderHeldError extends Error {
  override readonly name = "FolderHeldError";
}

interface Trouble {
  readonly disk: DiskTrouble;
  readonly why: string;
  readonly sinceMs: number;
}

export class DiskKeeper implements Disk {
  readonly tail: Tail;
  readonly #parts: DiskKeeperParts;
  readonly #end = new AbortController();
  #opened: OpenedBuffer | null = null;
  /** Which file it is, so that another one in its place is noticed. */
  #identity: string | null = null;
  #trouble: Trouble | null = null;
  #isTending = false;
  #checkAtMs = 0;
  /** Kept, because closing one would delete the new one's files by name. */
  readonly #unclosed: OpenedBuffer[] = [];

  constructor(parts: DiskKeeperParts) {
    this.#parts = parts;
    this.tail = new Tail(parts.system, parts.limits);
  }

  get opened(): OpenedBuffer | null {
    return this.#opened;
  }

  /** What is known of the disk from the last try. */
  get condition(): DiskCondition {
    const { tail } = this;
    const disk = this.#trouble?.disk ?? "ok";
    const isLost = disk === "gone" || disk === "held";
    const held = [tail.counts(), isLost ? this.#opened?.buffer.counts() ?? null : null]
      .filter((counts) => counts !== null);
    return {
      disk,
      why: this.#trouble?.why ?? null,
      events: held.reduce((sum, { pending, setAside }) => sum + pending + setAside, 0),
      sizeBytes: held.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      acknowledgements: tail.owed.size,
    };
  }

  /** Opens the file, or begins to try; never throws for the disk's sake. */
  async open(): Promise<void> {
    await this.#exclusively(() => this.#tryOpening());
  }

  /** Looks whether the file is still where it was, and whether it is sound, and sees to both. */
  async look(): Promise<void> {
    await this.#exclusively(async () => {
      if (await this.#lookAfterFile()) this.#checkIfDue();
    });
  }

  flush(): OpenedBuffer {
    const opened = this.#opened;
    if (opened === null) {
      const { disk, why } = this.#trouble ??
        { disk: "failed", why: "Cannot write: the buffer is not open" };
      const reason = disk === "gone" || disk === "held" ? "failed" : disk;
      throw new DatabaseError(why, { reason });
    }
    if (!this.tail.isEmpty) this.tail.giveTo(opened);
    return opened;
  }

  refused(error: unknown): DatabaseError {
    if (!(error instanceof DatabaseError)) throw error;
    // Where there is no file, what is known is why.
    if (this.#opened !== null || this.#trouble === null) this.#meet(error.reason, error.message);
    this.#parts.onTrouble();
    return error;
  }

  /** Writes what it can, lets go of the file, and tells what is lost with this process. */
  close(): void {
    this.#end.abort();
    try {
      if (!this.tail.isEmpty) this.flush();
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      const { events, acknowledgements: deliveries } = this.condition;
      this.#parts.log.error("lost, the disk took none", { events, deliveries, why: error.message });
    }
    this.#opened?.close();
    this.#opened = null;
  }

  /** One at a time: opening and looking wait for the file system in between. */
  async #exclusively(work: () => Promise<void>): Promise<void> {
    if (this.#isTending) return;
    this.#isTending = true;
    try {
      await work();
    } finally {
      this.#isTending = false;
    }
  }

  #meet(disk: DiskTrouble, why: string): void {
    const before = this.#trouble;
    const sinceMs = before?.sinceMs ?? this.#parts.system.clock.monotonicMs();
    this.#trouble = { disk, why, sinceMs };
    if (before !== null) return;
    this.#parts.onTrouble();
    this.#parts.log.error("disk refuses, events are kept in memory", { disk, why });
    this.#tryLater().catch((error) =>
      this.#parts.log.error("disk is left alone", { why: String(error) })
    );
  }

  async #tryLater(): Promise<void> {
    const { clock } = this.#parts.system;
    do {
      try {
        await clock.sleep(DISK_AGAIN_MS, this.#end.signal);
      } catch {
        return; // Whoever is to stop has no more time for a sick disk.
      }
      await this.#exclusively(() => this.#tryAgain());
    } while (this.#trouble !== null);
  }

  async #tryAgain(): Promise<void> {
    const isSuspect = this.#trouble?.disk === "corrupt";
    if (isSuspect) this.#letGo();
    if (this.#opened === null) await this.#tryOpening({ isSuspect });
    else if (!await this.#lookAfterFile()) return;
    const opened = this.#opened;
    if (opened === null) return;
    try {
      opened.journal.tryWriting();
      this.#comeBack(this.tail.isEmpty ? 0 : this.tail.giveTo(opened));
    } catch (error) {
      this.refused(error);
    }
  }

  #comeBack(events: number): void {
    const { log, system, onBack } = this.#parts;
    if (this.#trouble === null) return;
    const forS = Math.round((system.clock.monotonicMs() - this.#trouble.sinceMs) / 1_000);
    this.#trouble = null;
    log.info("disk takes writes again", { written: events, trouble_s: forS });
    onBack();
  }

  async #tryOpening(options: { isSuspect?: boolean } = {}): Promise<void> {
    const { system, stateDirectory, limits, prepareFolder } = this.#parts;
    try {
      const folder = await system.files.inspect("look for the state folder", stateDirectory);
      if (folder === undefined) await prepareFolder();
      const opened = await openBuffer(system, stateDirectory, limits, options);
      this.#opened = opened;
      this.#checkLater(opened.isChecked ? CHECK_EVERY_MS : CHECK_AFTER_MS);
      await this.#remember(opened);
      tellOpened(this.#parts.log, stateDirectory, opened);
    } catch (error) {
      this.#meetAny(error);
    }
  }

  #checkLater(inMs: number): void {
    this.#checkAtMs = this.#parts.system.clock.monotonicMs() + inMs;
  }

  /** Damage is met as any other refusal is: the file is opened anew, and salvaged. */
  #checkIfDue(): void {
    const { system, log } = this.#parts;
    const isDue = system.clock.monotonicMs() >= this.#checkAtMs;
    if (!isDue || this.#opened === null || this.#trouble !== null) return;
    try {
      tellRecounted(log, checkWhole(this.#opened));
      this.#checkLater(CHECK_EVERY_MS);
    } catch (error) {
      this.refused(error);
    }
  }

  /** Whether the open file is in its folder, then. */
  async #lookAfterFile(): Promise<boolean> {
    const opened = this.#opened;
    if (opened === null) return false;
    const found = await this.#find(opened);
    // A folder that may not be looked into is not gone: what is open goes on working.
    if (found === "not known") return true;
    this.#identity ??= found?.identity ?? null;
    if (found !== undefined && found.identity === this.#identity) return true;
    try {
      await this.#moveOut(opened, found === undefined ? "vanished" : "replaced");
      return true;
    } catch (error) {
      if (error instanceof FolderHeldError) this.#meet("held", error.message);
      else if (error instanceof DatabaseError || error instanceof FileError) {
        this.#meet("gone", `the state folder is gone: ${error.message}`);
      } else throw error;
      return false;
    }
  }

  /** Into a new file, in a folder that may be new, goes all that the open one holds. */
  async #moveOut(old: OpenedBuffer, how: "vanished" | "replaced"): Promise<void> {
    const { system, stateDirectory, limits, log, prepareFolder } = this.#parts;
    await prepareFolder();
    const fresh = await openBuffer(system, stateDirectory, limits);
    const { events, areClosed } = moveOut(old, fresh);
    this.#opened = areClosed ? null : fresh;
    if (areClosed) this.#opened = reopenBuffer(system, fresh, limits);
    else this.#unclosed.push(old);
    await this.#remember(fresh);
    log.error(`buffer ${how} in the state folder, begun anew`, { folder: stateDirectory, events });
    tellOpened(log, stateDirectory, fresh);
  }

  /** Files have no identity on some systems; there none can vanish while it is open. */
  async #remember(opened: OpenedBuffer): Promise<void> {
    const found = await this.#find(opened);
    this.#identity = found === "not known" ? null : found?.identity ?? null;
  }

  async #find({ path }: OpenedBuffer): Promise<FileFacts | undefined | "not known"> {
    try {
      return await this.#parts.system.files.inspect("look for the buffer", path);
    } catch (error) {
      if (error instanceof FileError) return "not known";
      throw error;
    }
  }

  #letGo(): void {
    try {
      this.#opened?.close();
    } catch {
      // It is damaged; what matters is that it is opened anew.
    }
    this.#opened = null;
  }

  #meetAny(error: unknown): void {
    if (error instanceof DatabaseError) return this.#meet(error.reason, error.message);
    if (error instanceof FolderHeldError) return this.#meet("held", error.message);
    if (error instanceof BufferError) return this.#meet("failed", error.message);
    if (!(error instanceof FileError)) throw error;
    const { reason, message } = error;
    this.#meet(reason === "full" || reason === "denied" ? reason : "failed", message);
  }
}
