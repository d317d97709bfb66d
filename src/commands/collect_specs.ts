/** `collect_specs`: tells the server what kind of machine this is. */

import type { NewEvent } from "../buffer/buffer.ts";
import type { RunningHandler } from "../buffer/command.ts";
import type { Clock } from "../system/system.ts";
import { logEvent } from "./command_log.ts";

/** The handler; `collect` makes the event with the host's facts. */
export function collectSpecs(
  clock: Clock,
  collect: () => Promise<NewEvent>,
): RunningHandler {
  return {
    repeatable: true,
    async run(command) {
      const startedMs = clock.monotonicMs();
      const facts = await collect();
      const durationMs = clock.monotonicMs() - startedMs;
      const log = logEvent(command, { result: "success", stdout: "facts collected", durationMs });
      return { events: [facts, log], rapidPollingMs: null };
    },
  };
}
