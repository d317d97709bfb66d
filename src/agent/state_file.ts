/** The loop's state on disk: `state.json` in the state folder. */

import type { Log } from "../log.ts";
import {
  type AgentState,
  decodeState,
  encodeState,
  type LongestWaits,
  NEW_STATE,
  readStoredState,
  type StoredState,
} from "../loop/state.ts";
import type { Durability } from "../system/files.ts";
import type { Clock, System } from "../system/system.ts";

const FILE = "state.json";

type Parts = Pick<System, "files" | "clock">;

/** Where to go on; a damaged file is told in the log, and the state begins anew. */
export async function loadState(
  { files, clock }: Parts,
  stateDirectory: string,
  options: { longest: LongestWaits; log: Log },
): Promise<AgentState> {
  const path = `${stateDirectory}/${FILE}`;
  const text = await files.readText("read state", path);
  if (text === undefined) return NEW_STATE;
  const stored = readStoredState(text);
  if (stored) return decodeState(stored, instant(clock), options.longest);
  options.log.warning("saved state not readable, beginning anew", { file: path });
  return NEW_STATE;
}

/** The state as it was last saved, for showing; `undefined`: none, or a damaged one. */
export async function showState(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<StoredState | undefined> {
  const text = await files.readText("read state", `${stateDirectory}/${FILE}`);
  return text === undefined ? undefined : readStoredState(text);
}

/** Saves the state, by default so that it survives a power cut. Throws `FileError`. */
export async function saveState(
  { files, clock }: Parts,
  stateDirectory: string,
  state: AgentState,
  { durability = "name" }: { durability?: Durability } = {},
): Promise<void> {
  const text = encodeState(state, instant(clock));
  const options = { mode: 0o600, durability };
  await files.writeText("save state", `${stateDirectory}/${FILE}`, text, options);
}

/** A newly enrolled agent owes nothing to what its predecessor lived through. */
export async function forgetState(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<void> {
  await files.remove("forget state", `${stateDirectory}/${FILE}`);
}

function instant(clock: Clock) {
  return { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
}
