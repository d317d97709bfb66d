/**
 * The port to the file system. The first argument of each call is its purpose (`"save identity"`), for
 * messages ("Cannot save identity: …") and so that a test can make exactly one call fail.
 */

import { ReasonedError } from "./reasoned_error.ts";

/**
 * `denied`: no rights, or a read-only file system. `full`: no space or quota left. `exists`: a file that
 * was to be new is there.
 */
export type FileErrorReason = "denied" | "full" | "too_large" | "exists" | "failed";

/** A file could not be read or written. Absence is no error: reads return `undefined`. */
export class FileError extends ReasonedError<FileErrorReason> {
  /** Precedes the message in stack traces. */
  override readonly name = "FileError";
}

/** What a path leads to. `link`: a symbolic link that was not followed, or leads to nothing. */
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

/** Describes a file of the wrong kind: `"/a" is a FIFO, not a regular file`. */
export function notRegular(path: string, kind: FileKind): string {
  return `"${path}" is ${KIND_NAMES[kind]}, not a regular file`;
}

/** Describes what is in a directory's place: `"/a" is a FIFO, not a directory`. */
export function notDirectory(path: string, kind: FileKind): string {
  return `"${path}" is ${KIND_NAMES[kind]}, not a directory`;
}

/** The attributes of a file. Those of a symbolic link are its target's. */
export interface FileFacts {
  /** Of a symbolic link: its target's. */
  readonly kind: FileKind;
  /** Length of the content. */
  readonly sizeBytes: number;
  /** Since the Unix epoch; 0 if unknown. */
  readonly modifiedMs: number;
  /** Permission bits; `null` on Windows, as are the next three. */
  readonly mode: number | null;
  /** The number of its user. */
  readonly owner: number | null;
  /** The number of its group. */
  readonly group: number | null;
  /** Device and inode: a file that replaces it under the same name has another identity. */
  readonly identity: string | null;
}

/**
 * What a power cut leaves of a text that was written; the end of this process never corrupts it. `name`:
 * this text. `content`: this one or the old one, whole. `none`: either, or nothing; nothing is synced.
 */
export type Durability = "name" | "content" | "none";

/** How a file is read. */
export interface ReadOptions {
  /** A longer file is refused. @default 1 MiB */
  readonly maxBytes?: number | undefined;
}

/** How a file is written. */
export interface WriteOptions {
  /** Permission bits of the new file, whatever the umask; without effect on Windows. */
  readonly mode: number;
  /** What a power cut may leave. @default "name" */
  readonly durability?: Durability;
  /** UTF-16 is little-endian with a byte order mark, as Windows writes it. @default "utf-8" */
  readonly encoding?: "utf-8" | "utf-16";
  /**
   * The temporary file, where the process may create no other; one that is there is replaced. Only one
   * process at a time may write such a file. @default a new name for each write
   */
  readonly temporaryPath?: string;
}

/** A text, and the attributes of the very file from which it was read. */
export interface FileText {
  /** The whole content, from UTF-8. */
  readonly text: string;
  /** Taken from the open file, not from its path. */
  readonly facts: FileFacts;
}

/** A directory, a symbolic link (its own attributes; the steps to its target follow), or the file. */
export interface PathStep extends FileFacts {
  /** Absolute. */
  readonly path: string;
}

/** The steps that the system takes from the root to a file. */
export interface PathTrace {
  /** From the root of the file system on; empty on Windows. */
  readonly steps: readonly PathStep[];
  /** Whether the last step is the file: otherwise the step after it is missing. */
  readonly isWhole: boolean;
}

/** A lock on a path. The end of the process releases it in any case. */
export interface FileLock {
  /** A second call does nothing. */
  release(): void;
}

/** Every method throws `FileError` unless its comment says otherwise. */
export interface Files {
  /**
   * The text of a regular file; `undefined` if there is none. Refuses any other kind without waiting,
   * also a symbolic link to nothing.
   */
  readText(purpose: string, path: string, options?: ReadOptions): Promise<string | undefined>;
  /** As `readText()`, with the attributes of the file that was read. */
  readTextAndFacts(
    purpose: string,
    path: string,
    options?: ReadOptions,
  ): Promise<FileText | undefined>;
  /** As `readText()`, but the bytes themselves. */
  readBytes(purpose: string, path: string, options?: ReadOptions): Promise<Uint8Array | undefined>;
  /** Writes to a temporary file and renames it: a reader sees the old text or the new, never a part. */
  writeText(purpose: string, path: string, text: string, options: WriteOptions): Promise<void>;
  /** Writes a new file, synced; throws a `FileError` of reason `exists` if there is one at `path`. */
  createBytes(
    purpose: string,
    path: string,
    bytes: Uint8Array,
    options: { mode: number },
  ): Promise<void>;
  /**
   * Overwrites the beginning of an existing file in place, and syncs it. Works on a full disk if the file
   * is no shorter. A reader may see a part of the text.
   */
  overwriteText(purpose: string, path: string, text: string): Promise<void>;
  /**
   * Adds to the end of a regular file, which is made with `mode` if there is none; syncs nothing. Returns
   * the size of the file afterwards, in bytes.
   */
  appendText(
    purpose: string,
    path: string,
    text: string,
    options: { mode: number },
  ): Promise<number>;
  /** Makes a directory and its parents with `mode`. Does not change those that exist. */
  makeDirectory(purpose: string, path: string, options: { mode: number }): Promise<void>;
  /** Removes a file; no error if there is none. */
  remove(purpose: string, path: string): Promise<void>;
  /** Replaces a file at `to`; syncs the directory of `to`. */
  rename(purpose: string, from: string, to: string): Promise<void>;
  /** The attributes of the file at `path`; `undefined` if there is none. */
  inspect(purpose: string, path: string): Promise<FileFacts | undefined>;
  /** The steps from the root of the file system to `path`, in order. */
  trace(purpose: string, path: string): Promise<PathTrace>;
  /** Names in a directory, in no order; empty if there is no such directory. */
  list(purpose: string, path: string): Promise<string[]>;
  /**
   * Opens an existing file for writing, and closes it unchanged; `false` if there is none. Throws where
   * that is refused: for lack of rights, or on a read-only file system. A full disk allows it.
   */
  checkWritable(purpose: string, path: string): Promise<boolean>;
  /**
   * Acquires the lock at `path`; returns `undefined` at once if another process has it, or is in
   * `isLocked` at this instant.
   */
  lock(purpose: string, path: string): Promise<FileLock | undefined>;
  /**
   * Whether a process has the lock at `path`. Reads: it creates and changes nothing, also where there is
   * no such file, and works on a read-only file system.
   */
  isLocked(purpose: string, path: string): Promise<boolean>;
}
