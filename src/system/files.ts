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

/** What a path leads to. `link`: a symbolic link, where the link itself is what is asked for. */
export type FileKind = "file" | "directory" | "fifo" | "socket" | "device" | "link" | "unknown";

const KIND_NAMES: Readonly<Record<FileKind, string>> = {
  file: "a regular file",
  directory: "a directory",
  fifo: "a FIFO",
  socket: "a socket",
  device: "a device",
  link: "a symbolic link to nothing",
  unknown: "of an unknown kind",
};

/** For people: `"/a" is a FIFO, not a regular file`. */
export function notRegular(path: string, kind: FileKind): string {
  return `"${path}" is ${KIND_NAMES[kind]}, not a regular file`;
}

/** What is known of a file without reading it. Of a symbolic link, it is the target's. */
export interface FileFacts {
  readonly kind: FileKind;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Permission bits, `null` where the system has none (Windows). */
  readonly mode: number | null;
  /** The number of the user it belongs to, `null` where the system has none. */
  readonly owner: number | null;
  /** The number of its group, `null` where the system has none. */
  readonly group: number | null;
  /** Which file it is: another one of the same name has another. `null` where the system has none. */
  readonly identity: string | null;
}

/**
 * What a power cut leaves of a text that was written; it outlives this process in any case. `name`: this
 * text. `content`: this one or the old one, whole. `none`: either, or nothing; nothing is synced.
 */
export type Durability = "name" | "content" | "none";

/** How a text is written. */
export interface WriteOptions {
  readonly mode: number;
  /** @default "name" */
  readonly durability?: Durability;
}

/** A text, and the facts of the very file it was read from. */
export interface FileText {
  readonly text: string;
  readonly facts: FileFacts;
}

/** One name on the way to a file: a directory, a symbolic link (its own facts), the file itself. */
export interface PathStep extends FileFacts {
  readonly path: string;
}

/** The way that the system takes to a file. */
export interface PathTrace {
  /** From the root of the file system on; empty where files have no owners (Windows). */
  readonly steps: readonly PathStep[];
  /** Whether it leads to the file: else the last step is where something is missing. */
  readonly isWhole: boolean;
}

/** A hold on a path that ends with the process, however that ends. */
export interface FileLock {
  release(): void;
}

/** Every method throws `FileError` where its comment does not say otherwise. */
export interface Files {
  /**
   * The text of a regular file, `undefined` if there is none; refuses anything else at once, a
   * symbolic link to nothing too. At most `maxBytes` (1 MiB unless told).
   */
  readText(
    purpose: string,
    path: string,
    options?: { maxBytes?: number },
  ): Promise<string | undefined>;
  /** As `readText()`, with the facts of the file that was read: nothing can change in between. */
  readTextAndFacts(
    purpose: string,
    path: string,
    options?: { maxBytes?: number },
  ): Promise<FileText | undefined>;
  /** Written beside, synced, renamed over: a reader sees the old text or the new, never a part. */
  writeText(purpose: string, path: string, text: string, options: WriteOptions): Promise<void>;
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
  /** What is known of what `path` leads to, `undefined` if there is nothing. */
  inspect(purpose: string, path: string): Promise<FileFacts | undefined>;
  /**
   * Every step that the system takes from the root of the file system to `path`, in that order: each
   * directory that is passed, each symbolic link with what it leads through, and at the end the file
   * itself, if it is there.
   */
  trace(purpose: string, path: string): Promise<PathTrace>;
  /** Names in a folder, in no order; empty if there is no such folder. */
  list(purpose: string, path: string): Promise<string[]>;
  /** Takes the lock at `path`, or `undefined` at once if another process has it. */
  lock(purpose: string, path: string): Promise<FileLock | undefined>;
}
