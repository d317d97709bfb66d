/** A status in which all is well, with what a test changes. */

import type { Status } from "../../src/agent/status.ts";
import { encodeState, NEW_STATE } from "../../src/loop/state.ts";
import type { StoredState } from "../../src/loop/state.ts";
import { HOLDER, IDENTITY, NOW_MS, status, TROUBLED } from "../fakes/statuses.ts";

/** The saved state of an agent that has checked in a minute ago. */
export const STATE: StoredState = {
  ...encodeState(NEW_STATE, { nowMs: NOW_MS, monotonicMs: 0 }),
  lastCheckInAtMs: NOW_MS - 60_000,
  nextCheckInAtMs: NOW_MS + 60_000,
};

export function statusOf(change: Partial<Status> = {}): Status {
  return status({
    identity: IDENTITY,
    holder: HOLDER,
    disk: TROUBLED.disk,
    state: STATE,
    ...change,
  });
}
