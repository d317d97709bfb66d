/**
 * `enable_heartbeat` and `disable_heartbeat` turn rapid polling on for some minutes, and off. A longer
 * rapid polling is not shortened: RedFlag requests 5 minutes before each scan.
 */

import type { Command, RunningHandler } from "../buffer/journal.ts";
import { logEvent } from "./command_log.ts";

/** The duration of a command without parameters. */
const DEFAULT_MINUTES = 10;

/** The longest duration; rapid polling ends by itself even where the server says "permanent". */
const MAX_MINUTES = 60;

/** Turns rapid polling on for the command's `duration_minutes`; 0 or less: the longest duration. */
export const enableHeartbeat: RunningHandler = {
  repeatable: true,
  run(command) {
    const { minutes, note } = readMinutes(command);
    const stdout = `rapid polling for ${minutes} min${note}`;
    const log = logEvent(command, { result: "success", stdout, durationMs: 0 });
    return Promise.resolve({ events: [log], rapidPollingMs: minutes * 60_000 });
  },
};

/** Turns rapid polling off. */
export const disableHeartbeat: RunningHandler = {
  repeatable: true,
  run(command) {
    const log = logEvent(command, {
      result: "success",
      stdout: "rapid polling off",
      durationMs: 0,
    });
    return Promise.resolve({ events: [log], rapidPollingMs: 0 });
  },
};

/**
 * RedFlag's dashboard sends -1 for "Permanent", and its API 0 for a missing duration: both mean the
 * longest duration.
 */
function readMinutes(command: Command): { minutes: number; note: string } {
  const requested = command.params["duration_minutes"] ?? DEFAULT_MINUTES;
  if (typeof requested !== "number" || !Number.isFinite(requested)) {
    const found = JSON.stringify(requested).slice(0, 100);
    throw new Error(`Cannot enable rapid polling: duration_minutes is ${found}, not a number`);
  }
  if (requested > 0 && requested <= MAX_MINUTES) return { minutes: requested, note: "" };
  return {
    minutes: MAX_MINUTES,
    note: `, the longest allowed (duration_minutes is ${requested})`,
  };
}
