/** Makes an empty file that only its owner may read, from its first instant on. */

/**
 * Creates `path` with mode 0600; a file that is there already is neither changed nor opened:
 * opening and closing it would end the locks that this process's SQLite holds on it
 * (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 *
 * @throws {Error} Deno's own, if it cannot be made
 */
export function createPrivateFile(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}
