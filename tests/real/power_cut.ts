/** What a power cut could take away of what a program has written, by the calls that strace saw. */

import type { Call } from "./trace.ts";

/** Where to look, and at which calls. */
export interface LossOptions {
  /** Names that were in the folder before. @default none */
  readonly existing?: readonly string[];
  /** At these calls. @default each line that the program prints */
  readonly at?: readonly Call["kind"][];
  /** Only of paths that match. @default all */
  readonly only?: RegExp;
}

/**
 * What a power cut could take away of `folder` at some calls of a program, and at its end.
 *
 * The model is the weakest one that POSIX allows: a file's bytes are on the disk once the file is
 * synced after they were written; a name that was made or renamed is there once its directory is synced
 * after that (that of an empty file does not matter); a rename may reach the disk before the bytes of
 * the file do, unless they were synced before it. A name is never renamed or removed while another file of the folder has unsynced bytes:
 * what takes the place of the old one is on disk before the old one goes.
 */
export function powerCutLosses(
  calls: readonly Call[],
  folder: string,
  { existing = [], at = ["print"], only = /./ }: LossOptions = {},
): string[] {
  const known = new Set(existing.map((name) => `${folder}/${name}`));
  const unsyncedNames = new Set<string>();
  const unsyncedFiles = new Set<string>();
  const emptyFiles = new Set<string>();
  const losses: string[] = [];
  const isWatched = (path: string) =>
    path.startsWith(`${folder}/`) && !isDisposable(path) && only.test(path);
  const tellUnsynced = (place: string) => {
    for (const file of unsyncedFiles) losses.push(`${place}: the bytes of ${file}`);
    for (const name of unsyncedNames) {
      if (!emptyFiles.has(name)) losses.push(`${place}: the name ${name}`);
    }
  };
  for (const call of calls) {
    if (at.includes(call.kind)) tellUnsynced("text" in call ? call.text : call.kind);
    if (!("file" in call)) continue;
    const { file } = call;
    if (call.kind === "sync") {
      unsyncedFiles.delete(file);
      for (const name of unsyncedNames) {
        if (directoryOf(name) === file) unsyncedNames.delete(name);
      }
    }
    if (!isWatched(file)) continue;
    switch (call.kind) {
      case "write":
        unsyncedFiles.add(file);
        emptyFiles.delete(file);
        break;
      case "make":
      case "make directory":
        if (known.has(file)) break;
        known.add(file);
        unsyncedNames.add(file);
        if (call.kind === "make") emptyFiles.add(file);
        break;
      case "rename":
        for (const other of unsyncedFiles) losses.push(`rename of ${file}: the bytes of ${other}`);
        unsyncedNames.delete(file);
        unsyncedNames.add(call.to);
        known.delete(file);
        known.add(call.to);
        break;
      case "remove":
        unsyncedFiles.delete(file);
        unsyncedNames.delete(file);
        known.delete(file);
        for (const other of unsyncedFiles) losses.push(`removal of ${file}: the bytes of ${other}`);
        break;
    }
  }
  tellUnsynced("the end");
  return losses;
}

/** SQLite builds its index of the log anew, and the lock file has no bytes that mean anything. */
function isDisposable(path: string): boolean {
  return /-shm$|\.lock$/.test(path);
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
