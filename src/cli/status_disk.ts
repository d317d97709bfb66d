/** What `status` says of the disk: whether it takes writes, and what is in memory alone. Pure. */

import type { LockHolder } from "../agent/instance_lock.ts";
import type { SavedDiskStatus } from "../agent/disk_status.ts";
import { MAX_OWED, TAIL_MAX_BYTES, TAIL_MAX_EVENTS } from "../buffer/tail.ts";
import { describeSize } from "./duration.ts";

/** What is known of the disk. */
export interface DiskStatus {
  /** Of a trial just now: `null`: it takes writes; else why not. `undefined`: there is no folder. */
  readonly refusal: string | null | undefined;
  /** The agent's last word; it counts if that agent still runs. */
  readonly told: SavedDiskStatus | null;
  /** Why the buffer could not be read; `null`: it could, or there is none. */
  readonly unreadable: string | null;
  /** A newer Pennon's file, beside which this one's is kept. */
  readonly leftAlone: string | null;
}

/** The figures of the running agent; `null`: it does not run, or could not tell. */
function current({ told }: DiskStatus, holder: LockHolder | null): SavedDiskStatus | null {
  return told !== null && holder !== null && told.process_id === holder.process_id ? told : null;
}

/** For `pennon.status/1`. */
export function diskAsJson(disk: DiskStatus, holder: LockHolder | null) {
  const told = current(disk, holder);
  return {
    takes_writes: disk.refusal === undefined ? null : disk.refusal === null,
    why: disk.refusal ?? told?.why ?? disk.unreadable,
    agent_says: told?.disk ?? null,
    events_in_memory: told?.events ?? null,
    max_events_in_memory: TAIL_MAX_EVENTS,
    bytes_in_memory: told?.size_bytes ?? null,
    max_bytes_in_memory: TAIL_MAX_BYTES,
    acknowledgements_owed: told?.acknowledgements ?? null,
    max_acknowledgements_owed: MAX_OWED,
    left_alone: disk.leftAlone,
  };
}

/** Lines for a person: nothing but one where all is well. */
export function describeDisk(
  disk: DiskStatus,
  holder: LockHolder | null,
): [title: string, text: string][] {
  const told = current(disk, holder);
  const lines: [string, string][] = [];
  if (disk.refusal === null) lines.push(["Disk", "takes writes"]);
  if (disk.refusal) lines.push(["DISK", `takes no writes: ${disk.refusal}`]);
  if (told?.why && told.why !== disk.refusal) lines.push(["", `agent: ${told.disk}: ${told.why}`]);
  if (disk.unreadable !== null) lines.push(["", `buffer not read: ${disk.unreadable}`]);
  if (disk.leftAlone !== null) lines.push(["", `a newer Pennon's, left alone: ${disk.leftAlone}`]);
  if (holder !== null) lines.push(["In memory", describeMemory(told)]);
  return lines;
}

function describeMemory(told: SavedDiskStatus | null): string {
  if (told === null) return "not known";
  const size = `${describeSize(told.size_bytes)} of ${describeSize(TAIL_MAX_BYTES)}`;
  return `${told.events} of ${TAIL_MAX_EVENTS} events (${size}), ` +
    `${told.acknowledgements} of ${MAX_OWED} deliveries owed`;
}
