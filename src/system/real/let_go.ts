/**
 * Waits, on Windows, until others let go of a file: whoever reads one there, a virus scanner or a
 * backup, keeps others from replacing it for a moment.
 */

const isWindows = Deno.build.os === "windows";

/** Longer than a scanner looks at a small file, short enough for whoever waits. */
const PATIENCE_MS = 1_000;

/** Pauses double from the first to the longest. */
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

/**
 * Does `work`, again for up to a second while the file is in somebody's hands; then its error stands.
 *
 * In use (32), part of it locked (33), and refused (5), which is what replacing an open file and
 * opening one that is about to go are answered with, as is a file that is not ours to touch:
 * https://learn.microsoft.com/en-us/windows/win32/debug/system-error-codes--0-499-.
 */
export async function onceLetGo<T>(work: () => T | Promise<T>): Promise<T> {
  let waitedMs = 0;
  let pauseMs = FIRST_PAUSE_MS;
  while (true) {
    try {
      return await work();
    } catch (error) {
      if (!isWindows || waitedMs >= PATIENCE_MS || !isInUse(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      waitedMs += pauseMs;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }
}

function isInUse(error: unknown): boolean {
  return /\(os error (5|32|33)\)/.test(String(error));
}
