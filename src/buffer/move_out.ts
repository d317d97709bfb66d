/** Moves out of a database file that is no longer in its folder, into the one that took its name. */

import type { OpenedBuffer } from "./store.ts";
import { takeOver } from "./take_over.ts";

/** What became of it. */
export interface MovedOut {
  readonly events: number;
  /** Both are closed, and the new one is to be opened again; else the new one is open, and the old. */
  readonly areClosed: boolean;
}

/**
 * Carries all over, without waiting for anything, so that nothing is appended meanwhile. Closing a
 * database deletes its `-wal` and `-shm` by name, unless SQLite sees by the inode's number that the
 * file has moved; it does not where another file system has been mounted over the folder. They are
 * the new one's names: so that one is closed first, when all it has is in its main file; where that
 * cannot be, the old one stays open.
 *
 * Throws `DatabaseError`; the new one is closed then, and the old one goes on.
 */
export function moveOut(old: OpenedBuffer, fresh: OpenedBuffer): MovedOut {
  let events: number;
  let areClosed: boolean;
  try {
    events = takeOver(old.database, fresh, { mayRepeat: true });
    const [checkpoint] = fresh.database.all("PRAGMA wal_checkpoint(TRUNCATE)");
    areClosed = Number(checkpoint?.["busy"] ?? 1) === 0;
  } catch (error) {
    fresh.close();
    throw error;
  }
  if (areClosed) {
    fresh.close();
    old.close();
  }
  return { events, areClosed };
}
