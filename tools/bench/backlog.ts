/** A buffer full of reports, as an agent has it after a long outage. */

import { logEvent } from "../../src/commands/command_log.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { realSystem } from "../../src/system/real.ts";

const APPENDED_AT_ONCE = 1_000;

/** Appends so many reports of commands to the buffer in a state directory. */
export async function fillBuffer(stateDirectory: string, events: number): Promise<void> {
  const limits = { maxEvents: events + 10, maxBytes: 64 * 1_048_576, maxAttempts: 10 };
  const opened = await openBuffer(realSystem(), stateDirectory, limits);
  for (let made = 0; made < events; made += APPENDED_AT_ONCE) {
    opened.buffer.append(
      Array.from(
        { length: Math.min(APPENDED_AT_ONCE, events - made) },
        () =>
          logEvent({ id: crypto.randomUUID(), type: "scan_updates" }, {
            result: "success",
            durationMs: 1_000,
          }),
      ),
    );
  }
  opened.close();
}
