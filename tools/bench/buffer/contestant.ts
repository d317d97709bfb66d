/** Who is measured: something that keeps events on disk, and what each is given to keep. */

import type { NewEvent } from "../../../src/buffer/buffer.ts";
import { logEvent } from "../../../src/commands/command_log.ts";

/** Every method has its work on the disk when it returns, or resolves. */
export interface Contestant {
  readonly name: string;
  /** Keeps these events, all with one sync. */
  append(events: readonly NewEvent[]): void | Promise<void>;
  /** Does what an append has put off, where it puts off anything. */
  indexPending?(): void;
  /** Looks at what is oldest and takes it out, each event with a sync of its own. */
  drain(count: number): void | Promise<void>;
  /** Takes out all that is left. */
  clear(): void | Promise<void>;
  close(): void | Promise<void>;
}

/** Events together in one append. */
export const BATCH = 128;

/**
 * Reports of commands as the agent writes them, some 250 bytes each, in batches: the events of a batch
 * belong to one command, as what arrives together does.
 */
export function makeBatches(count: number): NewEvent[][] {
  return Array.from({ length: count }, () => {
    const id = crypto.randomUUID();
    return Array.from({ length: BATCH }, (_, number) => report(id, number));
  });
}

/** The same, each of a command of its own. */
export function makeEvents(count: number): NewEvent[] {
  return Array.from({ length: count }, (_, number) => report(crypto.randomUUID(), number));
}

function report(id: string, number: number): NewEvent {
  return logEvent({ id, type: "scan_updates" }, {
    result: "success",
    stdout: `apt: ${number} updates, 2 of them security\nwinget: 14 updates, 0 of them security`,
    durationMs: 2_000,
  });
}
