/**
 * Supervises the buffer's file: opens it, again and again where the disk refuses, writes what is in
 * memory as soon as the disk takes it, and creates the file anew where its directory has vanished.
 */

import type { Log } from "../log.ts";
import { DatabaseError, type DatabaseErrorReason } from "../system/database.ts";
import { FileError, type FileFacts } from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { BufferLimits, EventBuffer } from "./buffer.ts";
import type { Recounted } from "./counters.ts";
import { type CommandJournal, SqliteJournal } from "./journal.ts";
import { mergeAndClose } from "./merge.ts";
import { Overflow, OverflowBuffer, type SupervisedStore } from "./overflow_buffer.ts";
import { BufferError } from "./schema.ts";
import { checkWhole, endLog, openBuffer, type OpenedBuffer, reopenBuffer } from "./store.ts";

/** Between two tries of a disk that refuses. */
const DISK_AGAIN_MS = 10_000;

/** A large file is checked as a whole when the agent has run so long, and then once a day. */
const CHECK_AFTER_MS = 60_000;
const CHECK_EVERY_MS = 86_400_000;

/** `gone`: the state directory vanished, and cannot be created. `held`: another agent has it. */
export type DiskFailure = DatabaseErrorReason | "gone" | "held";

/** How the disk takes writes, as of the last try, and what is in memory alone meanwhile. */
export interface DiskCondition {
  readonly disk: "ok" | DiskFailure;
  /** For people; `null`: all is well. */
  readonly why: string | null;
  /** Events that would be lost with this process. */
  readonly events: number;
  readonly sizeBytes: number;
  /** Acknowledgements that would be lost with this process: those events would be sent again. */
  readonly acknowledgements: number;
}

/** What a supervisor needs. */
interface StoreSupervisorDeps {
  readonly system: Pick<System, "clock" | "random" | "files" | "openDatabase">;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly limits: BufferLimits;
  /**
   * Makes sure that the state directory exists and is this agent's, before the file in it is opened.
   * Throws `FileError`, or a `DirectoryLockedError`.
   */
  prepareDirectory(): Promise<void>;
  /** The disk takes writes again. */
  onRecovered(): void;
  /** The disk refused, or what is in memory may have changed. */
  onRefused(): void;
}

/** The state directory is another agent's. */
export class DirectoryLockedError extends Error {
  override readonly name = "DirectoryLockedError";
}

interface Failure {
  readonly disk: DiskFailure;
  readonly why: string;
  readonly sinceMs: number;
}

export class StoreSupervisor implements SupervisedStore {
  /** The buffer and the journal in the file; what the disk refuses of them is in `overflow`. */
  readonly buffer: EventBuffer;
  readonly journal: CommandJournal;
  readonly overflow: Overflow;
  readonly #deps: StoreSupervisorDeps;
  readonly #shutdown = new AbortController();
  #opened: OpenedBuffer | null = null;
  /** Which file it is, so that another one in its place is noticed. */
  #identity: string | null = null;
  #failure: Failure | null = null;
  #isBusy = false;
  #checkAtMs = 0;
  /** Left open, because closing one would delete the new one's files by name. */
  readonly #unclosed: OpenedBuffer[] = [];

  constructor(deps: StoreSupervisorDeps) {
    this.#deps = deps;
    this.overflow = new Overflow(deps.system, deps.limits);
    const buffer = new OverflowBuffer(this);
    this.buffer = buffer;
    this.journal = new SqliteJournal(buffer, deps.system.clock);
  }

  get opened(): OpenedBuffer | null {
    return this.#opened;
  }

  /** What is known of the disk from the last try. */
  get condition(): DiskCondition {
    const disk = this.#failure?.disk ?? "ok";
    const isLost = disk === "gone" || disk === "held";
    const atStake = [this.overflow.buffer, isLost ? this.#opened?.buffer ?? null : null]
      .filter((buffer) => buffer !== null).map((buffer) => buffer.counts());
    return {
      disk,
      why: this.#failure?.why ?? null,
      events: atStake.reduce((sum, { pending, deadLetters }) => sum + pending + deadLetters, 0),
      sizeBytes: atStake.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      acknowledgements: this.overflow.owed.size,
    };
  }

  /** Opens the file, or tries again later; a disk that refuses is no error. */
  async open(): Promise<void> {
    await this.#exclusively(() => this.#openFile());
  }

  /** Checks that the file is where it was, and sound once a day; replaces it if it is not. */
  async check(): Promise<void> {
    await this.#exclusively(async () => {
      if (await this.#checkLocation()) this.#checkIfDue();
    });
  }

  flush(): OpenedBuffer {
    const opened = this.#opened;
    if (opened === null) {
      const { disk, why } = this.#failure ??
        { disk: "failed", why: "Cannot write: the buffer is not open" };
      const reason = disk === "gone" || disk === "held" ? "failed" : disk;
      throw new DatabaseError(why, { reason });
    }
    if (!this.overflow.isEmpty) this.overflow.flushTo(opened);
    return opened;
  }

  recordRefusal(error: unknown): DatabaseError {
    if (!(error instanceof DatabaseError)) throw error;
    // Where no file is open, the reason for that is known already.
    if (this.#opened !== null || this.#failure === null) this.#fail(error.reason, error.message);
    this.#deps.onRefused();
    return error;
  }

  /** Writes what it can, closes the file, and logs what is lost with this process. */
  close(): void {
    this.#shutdown.abort();
    try {
      if (!this.overflow.isEmpty) this.flush();
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      const { events, acknowledgements } = this.condition;
      const lost = { events, acknowledgements, why: error.message };
      this.#deps.log.error("events lost, the disk accepted no writes", lost);
    }
    if (this.#opened !== null && this.#failure === null) endLog(this.#opened);
    this.#opened?.close();
    this.#opened = null;
  }

  /** One at a time: opening and checking wait for the file system in between. */
  async #exclusively(work: () => Promise<void>): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      await work();
    } finally {
      this.#isBusy = false;
    }
  }

  #fail(disk: DiskFailure, why: string): void {
    const { log, system, onRefused } = this.#deps;
    const before = this.#failure;
    const sinceMs = before?.sinceMs ?? system.clock.monotonicMs();
    this.#failure = { disk, why, sinceMs };
    if (before !== null) return;
    onRefused();
    log.error("disk refuses writes, buffering events in memory", { disk, why });
    this.#retryLater().catch((error) => log.error("disk retry failed", { why: String(error) }));
  }

  async #retryLater(): Promise<void> {
    do {
      try {
        await this.#deps.system.clock.sleep(DISK_AGAIN_MS, this.#shutdown.signal);
      } catch {
        return; // The agent stops.
      }
      await this.#exclusively(() => this.#retry());
    } while (this.#failure !== null);
  }

  async #retry(): Promise<void> {
    const isSuspect = this.#failure?.disk === "corrupt";
    if (isSuspect) this.#closeCorrupt();
    if (this.#opened === null) await this.#openFile({ isSuspect });
    else if (!await this.#checkLocation()) return;
    const opened = this.#opened;
    if (opened === null) return;
    try {
      opened.journal.tryWriting();
      this.#recover(this.overflow.isEmpty ? 0 : this.overflow.flushTo(opened));
    } catch (error) {
      this.recordRefusal(error);
    }
  }

  #recover(events: number): void {
    const { log, system, onRecovered } = this.#deps;
    if (this.#failure === null) return;
    const seconds = Math.round((system.clock.monotonicMs() - this.#failure.sinceMs) / 1_000);
    this.#failure = null;
    log.info("disk accepts writes again", { written: events, trouble_s: seconds });
    onRecovered();
  }

  async #openFile(options: { isSuspect?: boolean } = {}): Promise<void> {
    const { system, stateDirectory, limits, prepareDirectory } = this.#deps;
    try {
      const found = await system.files.inspect("look for the state directory", stateDirectory);
      if (found === undefined) await prepareDirectory();
      const opened = await openBuffer(system, stateDirectory, limits, options);
      this.#opened = opened;
      this.#scheduleCheck(opened.isChecked ? CHECK_EVERY_MS : CHECK_AFTER_MS);
      await this.#rememberIdentity(opened);
      logRepairs(this.#deps.log, opened);
    } catch (error) {
      this.#failFor(error);
    }
  }

  #scheduleCheck(inMs: number): void {
    this.#checkAtMs = this.#deps.system.clock.monotonicMs() + inMs;
  }

  /** Damage is a failure as any other: the file is opened anew, and salvaged. */
  #checkIfDue(): void {
    const { system, log } = this.#deps;
    const isDue = system.clock.monotonicMs() >= this.#checkAtMs;
    if (!isDue || this.#opened === null || this.#failure !== null) return;
    try {
      logRecounted(log, checkWhole(this.#opened));
      this.#scheduleCheck(CHECK_EVERY_MS);
    } catch (error) {
      this.recordRefusal(error);
    }
  }

  /** Replaces an open file that is no longer in its directory; returns whether one is open there. */
  async #checkLocation(): Promise<boolean> {
    const opened = this.#opened;
    if (opened === null) return false;
    const found = await this.#inspect(opened);
    // A directory that cannot be read has not vanished: the open file stays in use.
    if (found === "not known") return true;
    this.#identity ??= found?.identity ?? null;
    if (found !== undefined && found.identity === this.#identity) return true;
    try {
      await this.#replace(opened, found === undefined ? "vanished" : "replaced");
      return true;
    } catch (error) {
      if (error instanceof DirectoryLockedError) this.#fail("held", error.message);
      else if (error instanceof BufferError) this.#fail("gone", error.message);
      else if (error instanceof DatabaseError || error instanceof FileError) {
        this.#fail("gone", `the state directory is gone: ${error.message}`);
      } else throw error;
      return false;
    }
  }

  /** Merges the open file into the one in the directory, which may be new as well. */
  async #replace(old: OpenedBuffer, how: "vanished" | "replaced"): Promise<void> {
    const { system, stateDirectory, limits, log, prepareDirectory } = this.#deps;
    await prepareDirectory();
    const fresh = await openBuffer(system, stateDirectory, limits);
    const { events, areClosed } = mergeAndClose(old, fresh);
    this.#opened = areClosed ? null : fresh;
    if (areClosed) this.#opened = reopenBuffer(system, fresh.path, limits);
    else this.#unclosed.push(old);
    await this.#rememberIdentity(fresh);
    const fields = { how, directory: stateDirectory, events };
    log.error("buffer file missing in the state directory, merged into a new one", fields);
    logRepairs(log, fresh);
  }

  /** Files have no identity on some systems; there none can vanish while it is open. */
  async #rememberIdentity(opened: OpenedBuffer): Promise<void> {
    const found = await this.#inspect(opened);
    this.#identity = found === "not known" ? null : found?.identity ?? null;
  }

  async #inspect({ path }: OpenedBuffer): Promise<FileFacts | undefined | "not known"> {
    try {
      return await this.#deps.system.files.inspect("look for the buffer", path);
    } catch (error) {
      if (error instanceof FileError) return "not known";
      throw error;
    }
  }

  #closeCorrupt(): void {
    try {
      this.#opened?.close();
    } catch {
      // It is corrupt; what matters is that it is opened anew.
    }
    this.#opened = null;
  }

  #failFor(error: unknown): void {
    if (error instanceof DatabaseError) return this.#fail(error.reason, error.message);
    if (error instanceof DirectoryLockedError) return this.#fail("held", error.message);
    if (error instanceof BufferError) return this.#fail("failed", error.message);
    if (!(error instanceof FileError)) throw error;
    const { reason, message } = error;
    this.#fail(reason === "full" || reason === "denied" ? reason : "failed", message);
  }
}

/** Logs what was corrupt in a file that was opened. */
export function logRepairs(log: Log, { recovered, recounted }: OpenedBuffer): void {
  if (recovered) log.error("buffer was damaged, salvaged into a new file", { ...recovered });
  logRecounted(log, recounted);
}

function logRecounted(log: Log, recounted: Recounted | null): void {
  if (recounted === null) return;
  const { wrong, events } = recounted;
  log.error("buffer counters were wrong, recounted", { wrong: wrong.join(", "), events });
}
