/** The loop's state on disk: `state.json` in the state folder. */

import * as v from "valibot";
import { restoreBreaker, saveBreaker, savedBreaker } from "../breaker/saved.ts";
import type { ScannerBreakers } from "../commands/scanner_runner.ts";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import type { Log } from "../log.ts";
import {
  decodeState,
  encodeState,
  type LongestWaits,
  type LoopState,
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
): Promise<LoopState> {
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
  state: LoopState,
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

const BREAKERS_FILE = "scanner-breakers.json";
const SCHEMA = "pennon.scanner-breakers/1";

/** Longest name of a saved breaker: a longer one would make the whole file unreadable. */
const LONGEST_NAME = 50;

const stored = v.object({
  schema: v.literal(SCHEMA),
  breakers: v.record(v.pipe(v.string(), v.maxLength(LONGEST_NAME)), savedBreaker),
});

/** The breakers as they were saved, instants since the Unix epoch. */
export type SavedScannerBreakers = v.InferOutput<typeof stored>["breakers"];

/** Reads them as they stand, for showing; none if there are none, or the file is damaged. */
export async function showScannerBreakers(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<SavedScannerBreakers> {
  const text = await files.readText(
    "read the scanners' breakers",
    `${stateDirectory}/${BREAKERS_FILE}`,
  );
  if (text === undefined) return {};
  const read = decodeJson(stored, text, LOCAL_LIMITS);
  return read.ok ? read.value.breakers : {}; // Each scanner begins anew, with nothing held against it.
}

/** Reads them to go on with, none open for longer than `longestOpenMs` more. Throws `FileError`. */
export async function loadScannerBreakers(
  parts: Parts,
  stateDirectory: string,
  longestOpenMs: number,
): Promise<ScannerBreakers> {
  const saved = await showScannerBreakers(parts, stateDirectory);
  const at = instant(parts.clock);
  return new Map(
    Object.entries(saved).map(([name, breaker]) =>
      [name, restoreBreaker(breaker, at, longestOpenMs)] as const
    ),
  );
}

/** Saves them; throws `FileError`. */
export async function saveScannerBreakers(
  { files, clock }: Parts,
  stateDirectory: string,
  breakers: ScannerBreakers,
): Promise<void> {
  const at = instant(clock);
  const saved = [...breakers].filter(([name]) => name.length <= LONGEST_NAME)
    .map(([name, breaker]) => [name, saveBreaker(breaker, at)] as const);
  const text = JSON.stringify({ schema: SCHEMA, breakers: Object.fromEntries(saved) }, null, 2);
  const path = `${stateDirectory}/${BREAKERS_FILE}`;
  await files.writeText("save the scanners' breakers", path, `${text}\n`, { mode: 0o600 });
}

function instant(clock: Clock) {
  return { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
}
