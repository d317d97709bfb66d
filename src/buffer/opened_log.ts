/** The log's lines about a buffer that was not opened as it was left. */

import type { Log } from "../log.ts";
import { mainPath } from "./buffer_files.ts";
import type { Recounted } from "./check_counters.ts";
import type { OpenedBuffer } from "./store.ts";

/** Tells of damage, of a newer Pennon's file that is left alone, and of older ones taken over. */
export function tellOpened(
  log: Log,
  stateDirectory: string,
  { recovered, recounted, beside, path, takenOver }: OpenedBuffer,
): void {
  if (recovered) log.error("buffer was damaged, begun anew", { ...recovered });
  tellRecounted(log, recounted);
  if (beside) {
    const leftAlone = mainPath(stateDirectory);
    log.warning("buffer is a newer Pennon's, left alone", { file: leftAlone, instead: path });
  }
  if (takenOver) log.info("older buffer taken over", { ...takenOver });
}

/** Tells what was wrong with the counters, if anything was. */
export function tellRecounted(log: Log, recounted: Recounted | null): void {
  if (recounted === null) return;
  const { wrong, events } = recounted;
  log.error("buffer's counters were damaged, counted anew", { wrong: wrong.join(", "), events });
}
