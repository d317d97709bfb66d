/** `enable_heartbeat` and `disable_heartbeat`: rapid polling for a while, and its end. */

import type { Command, RunningHandler } from "../buffer/command.ts";
import { logEvent } from "./command_log.ts";

/** What the server leaves out if it does not care, and the most it may ask for. */
const USUAL_MINUTES = 10;
const MOST_MINUTES = 60;

/** Turns rapid polling on for the command's `duration_minutes`. */
export const enableHeartbeat: RunningHandler = {
  repeatable: true,
  run(command) {
    const minutes = readMinutes(command);
    const stdout = `rapid polling for ${minutes} min`;
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

function readMinutes(command: Command): number {
  const asked = command.params["duration_minutes"] ?? USUAL_MINUTES;
  if (typeof asked !== "number" || !Number.isFinite(asked) || asked <= 0) {
    const found = JSON.stringify(asked).slice(0, 100);
    throw new Error(`Cannot enable rapid polling: duration_minutes is ${found}, not 1 to 60`);
  }
  return Math.min(MOST_MINUTES, asked);
}
