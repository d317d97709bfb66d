/** The floor: the same bodies written to a file, and `fdatasync`; nothing can be found again. */

import type { NewEvent } from "../../../src/buffer/buffer.ts";
import type { Contestant } from "./contestant.ts";

/** What is written for an event that is done: as long as an id. */
const MARK = new Uint8Array(36);

/** Where SQLite's log is begun again, as a rule: see `src/system/real/database.ts`. */
const REUSED_BYTES = 4_000 * 4_096;

/** Appends to a file that grows for good, as a log does that is never begun again. */
export function bareGrowing(folder: string): Contestant {
  const file = Deno.openSync(`${folder}/growing`, { create: true, write: true });
  return writing("write+fdatasync", file, (bytes) => writeAll(file, bytes));
}

/**
 * Writes over a file that is there already, from its start again at its end, as SQLite does with its
 * log: the file system then has no new length to note, which is part of a sync's price.
 */
export function bareReused(folder: string): Contestant {
  const file = Deno.openSync(`${folder}/reused`, { create: true, write: true });
  writeAll(file, new Uint8Array(REUSED_BYTES));
  file.syncSync();
  let at = REUSED_BYTES;
  return writing("same, file reused", file, (bytes) => {
    if (at + bytes.length > REUSED_BYTES) at = file.seekSync(0, Deno.SeekMode.Start);
    writeAll(file, bytes);
    at += bytes.length;
  });
}

function writing(
  name: string,
  file: Deno.FsFile,
  write: (bytes: Uint8Array) => void,
): Contestant {
  return {
    name,
    append(events) {
      write(bytesOf(events));
      file.syncDataSync();
    },
    drain(count) {
      for (let done = 0; done < count; done++) {
        write(MARK);
        file.syncDataSync();
      }
    },
    clear() {},
    close: () => file.close(),
  };
}

const encoder = new TextEncoder();

function bytesOf(events: readonly NewEvent[]): Uint8Array {
  return encoder.encode(events.map(({ body }) => body).join(""));
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
