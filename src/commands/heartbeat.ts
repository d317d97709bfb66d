/**
 * `enable_heartbeat` and `disable_heartbeat`: rapid polling for a while, and its end. One that is
 * already longer is not shortened: RedFlag asks for 5 minutes of its own before each scan.
 */

import type { Command, RunningHandler } from "../buffer/command.ts";
import { logEvent } from "./command_log.ts";

/** What a command without parameters means. */
const USUAL_MINUTES = 10;

/** The longest allowed; rapid polling ends by itself even where the server says "permanent". */
const MOST_MINUTES = 60;

/** Turns rapid polling on for the command's `duration_minutes`; 0 or less: as long as is allowed. */
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
 * RedFlag's dashboard sends -1 for "Permanent", and its API 0 where the duration is left out: both
 * mean the longest allowed.
 */
function readMinutes(command: Command): { minutes: number; note: string } {
  const asked = command.params["duration_minutes"] ?? USUAL_MINUTES;
  if (typeof asked !== "number" || !Number.isFinite(asked)) {
    const found = JSON.stringify(asked).slice(0, 100);
    throw new Error(`Cannot enable rapid polling: duration_minutes is ${found}, not a number`);
  }
  if (asked > 0 && asked <= MOST_MINUTES) return { minutes: asked, note: "" };
  return {
    minutes: MOST_MINUTES,
    note: `, the longest allowed (duration_minutes is ${asked})`,
  };
}
