/** The agent's own buffer, opened as the agent does. */

import type { BufferLimits } from "../../../src/buffer/buffer.ts";
import { openBuffer } from "../../../src/buffer/store.ts";
import { realSystem } from "../../../src/system/real.ts";
import type { Contestant } from "./contestant.ts";

/** As in the configuration, with room for what a round leaves behind. */
export const LIMITS: BufferLimits = {
  maxEvents: 1_000_000,
  maxBytes: 2 ** 30,
  maxAttempts: 10,
};

/** As many as `drain.ts` looks at together. */
export const LOOK = 50;

/** A buffer in this folder. */
export async function pennon(folder: string): Promise<Contestant> {
  const { buffer, close } = await openBuffer(realSystem(), folder, LIMITS);
  return {
    name: "pennon",
    append(events) {
      buffer.append(events);
    },
    indexPending: () => buffer.indexPending(),
    drain(count) {
      for (let done = 0; done < count;) {
        for (const { id } of buffer.next(Math.min(LOOK, count - done))) {
          buffer.acknowledge([id]);
          done += 1;
        }
      }
    },
    clear() {
      buffer.acknowledge(buffer.list().map(({ id }) => id));
    },
    close,
  };
}
