/**
 * The file system, as a port. Each call names its purpose first (`"save identity"`), for messages
 * ("Cannot save identity: …") and so that a test can break exactly one call.
 */

/** `denied`: no rights, or a read-only place. `full`: no space or quota left. */
export type FileErrorReason = "denied" | "full" | "too_large" | "failed";

/** A file that could not be read or written. Absence is not an error: reads answer `undefined`. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly reason: FileErrorReason;

  constructor(
    message: string,
    options: { reason: FileErrorReason; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
  }
}

/** What is known of a file without reading it. */
export interface FileFacts {
  readonly isDirectory: boolean;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Permission bits, `null` where the system has none (Windows). */
  readonly mode: number | null;
  /** Which file it is: another one of the same name has another. `null` where the system has none. */
  readonly identity: string | null;
}

/** A hold on a path that ends with the process, however that ends. */
export interface FileLock {
  release(): void;
}

/** Every method throws `FileError` where its comment does not say otherwise. */
export interface Files {
  /** The text of a file, `undefined` if there is none. At most `maxBytes` (1 MiB unless told). */
  readText(
    purpose: string,
    path: string,
    options?: { maxBytes?: number },
  ): Promise<string | undefined>;
  /** Written beside, synced, renamed over: a reader sees the old text or the new, never a part. */
  writeText(
    purpose: string,
    path: string,
    text: string,
    options: { mode: number },
  ): Promise<void>;
  /**
   * Writes over the beginning of a file that is there, in place and synced: a full disk takes that, if
   * the file is no shorter. A reader may see a part of it.
   */
  overwriteText(purpose: string, path: string, text: string): Promise<void>;
  /** Makes a folder and its parents; the mode is for those it makes. No error if it is there. */
  makeDirectory(
    purpose: string,
    path: string,
    options: { mode: number },
  ): Promise<void>;
  /** Removes a file; no error if there is none. */
  remove(purpose: string, path: string): Promise<void>;
  rename(purpose: string, from: string, to: string): Promise<void>;
  /** What is known of `path`, `undefined` if there is nothing. */
  inspect(purpose: string, path: string): Promise<FileFacts | undefined>;
  /** Names in a folder, in no order; empty if there is no such folder. */
  list(purpose: string, path: string): Promise<string[]>;
  /** Takes the lock at `path`, or `undefined` at once if another process has it. */
  lock(purpose: string, path: string): Promise<FileLock | undefined>;
}
