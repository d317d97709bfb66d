/** What outlives a restart: the loop's state (`state.json`) and the scanners' breakers. */

import * as v from "valibot";
import { restoreBreaker, saveBreaker, savedBreaker } from "../breaker/saved.ts";
import type { ScannerBreakers } from "../commands/scanner_runner.ts";
import { JsonFile } from "../json_file.ts";
import type { Log } from "../log.ts";
import {
  type AgentState,
  decodeState,
  encodeState,
  type LongestWaits,
  NEW_STATE,
  type StoredState,
  storedState,
} from "../loop/state.ts";
import { type Durability, FileError } from "../system/files.ts";
import type { Clock, System } from "../system/system.ts";

/** The state as it is saved; instants in ms since the epoch. */
export const STATE_FILE = new JsonFile<StoredState>({
  name: "state.json",
  what: "the state",
  schema: "pennon.state/2",
  value: storedState,
  keys: {
    afterCrashAtMs: "after_crash_at",
    agentId: "agent_id",
    failedCalls: "attempts",
    hasCheckedIn: "has_checked_in",
    isOnce: "once",
    lastCheckInAtMs: "last_check_in_at",
    lastSystemInfoAtMs: "last_system_info_at",
    machineId: "machine_id",
    minimumVersion: "minimum_version",
    nextCheckInAtMs: "next_check_in_at",
    notBeforeMs: "not_before_at",
    operatorAction: "operator_action_required",
    probeUntilMs: "probe_until_at",
    rapidUntilMs: "rapid_until_at",
    recordedVersion: "recorded_version",
    sinceMs: "since_at",
    untilMs: "until_at",
  },
  earlier: {
    schema: "pennon.state/1",
    keys: {
      afterCrashAtMs: "afterCrashMs",
      failedCalls: "attempts",
      lastCheckInAtMs: "lastCheckInMs",
      lastSystemInfoAtMs: "lastSystemInfoMs",
      nextCheckInAtMs: "nextCheckInMs",
      operatorAction: "needsPerson",
    },
  },
});

/** Longest name of a saved breaker: a longer one would make the whole file unreadable. */
const LONGEST_NAME = 50;

const savedBreakers = v.object({
  breakers: v.record(v.pipe(v.string(), v.maxLength(LONGEST_NAME)), savedBreaker),
});

const BREAKERS = new JsonFile({
  name: "scanner-breakers.json",
  what: "the scanner breakers",
  schema: "pennon.scanner-breakers/2",
  value: savedBreakers,
  keys: { sinceMs: "since_at", untilMs: "until_at", probeUntilMs: "probe_until_at" },
  records: ["breakers"],
  earlier: { schema: "pennon.scanner-breakers/1" },
});

/** The scanners' breakers as they are saved, by scanner; instants in ms since the epoch. */
type SavedScannerBreakers = v.InferOutput<typeof savedBreakers>["breakers"];

type Deps = Pick<System, "files" | "clock">;

/**
 * Reads the state to continue with. An unreadable file is logged, and the state starts with defaults.
 * Throws `FileError`.
 */
export async function loadState(
  { files, clock }: Deps,
  stateDirectory: string,
  options: { longest: LongestWaits; log: Log },
): Promise<AgentState> {
  const saved = await STATE_FILE.read(files, stateDirectory, (why) => {
    const file = STATE_FILE.pathIn(stateDirectory);
    options.log.warning("state file unreadable; starting with defaults", { file, why });
  });
  return saved ? decodeState(saved, bothClocks(clock), options.longest) : NEW_STATE;
}

/** Saves the state, by default so that it survives a power cut. Throws `FileError`. */
export async function saveState(
  { files, clock }: Deps,
  stateDirectory: string,
  state: AgentState,
  options: { durability?: Durability } = {},
): Promise<void> {
  await STATE_FILE.write(files, stateDirectory, encodeState(state, bothClocks(clock)), options);
}

/**
 * Reads the breakers as they were saved, for display; none if the file is missing, or unreadable, after
 * `onUnreadable` was called with the reason. Throws `FileError`.
 */
export async function readSavedBreakers(
  { files }: Pick<System, "files">,
  stateDirectory: string,
  onUnreadable: (why: string) => void = () => {},
): Promise<SavedScannerBreakers> {
  return (await BREAKERS.read(files, stateDirectory, onUnreadable))?.breakers ?? {};
}

/**
 * Reads the breakers to continue with. Each stays open for `longestOpenMs` more at most. Throws
 * `FileError`.
 */
export async function loadScannerBreakers(
  deps: Deps,
  stateDirectory: string,
  longestOpenMs: number,
): Promise<ScannerBreakers> {
  const saved = await readSavedBreakers(deps, stateDirectory);
  const at = bothClocks(deps.clock);
  return new Map(
    Object.entries(saved).map(([name, breaker]) =>
      [name, restoreBreaker(breaker, at, longestOpenMs)] as const
    ),
  );
}

/** Saves the breakers; throws `FileError`. */
export async function saveScannerBreakers(
  { files, clock }: Deps,
  stateDirectory: string,
  breakers: ScannerBreakers,
): Promise<void> {
  const at = bothClocks(clock);
  const saved = [...breakers].filter(([name]) => name.length <= LONGEST_NAME)
    .map(([name, breaker]) => [name, saveBreaker(breaker, at)] as const);
  await BREAKERS.write(files, stateDirectory, { breakers: Object.fromEntries(saved) });
}

function bothClocks(clock: Clock) {
  return { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
}

/**
 * Saves a value whenever it is called, one write at a time and the latest value last. A disk that refuses
 * is logged once, not for every value.
 */
export function createSaver<T>(
  log: Log,
  what: string,
  save: (value: T, options: { isDurable: boolean }) => Promise<void>,
): (value: T, options?: { isDurable: boolean }) => Promise<void> {
  let isRefused = false;
  let queue = Promise.resolve();
  let waiting: { value: T; isDurable: boolean; saved: Promise<void> } | null = null;
  const saveWaiting = async () => {
    if (waiting === null) return;
    const { value, isDurable } = waiting;
    waiting = null;
    try {
      await save(value, { isDurable });
      if (isRefused) log.info("saved again", { what });
      isRefused = false;
    } catch (error) {
      if (!isRefused) log.error("not saved", { what, why: String(error) });
      isRefused = true;
    }
  };
  return (value, { isDurable } = { isDurable: true }) => {
    if (waiting === null) {
      queue = queue.then(saveWaiting);
      waiting = { value, isDurable, saved: queue };
    } else waiting = { ...waiting, value, isDurable: isDurable || waiting.isDurable };
    return waiting.saved;
  };
}

/** Loads a value. A disk that refuses is logged, and the value is the default. */
export async function orDefault<T>(
  log: Log,
  what: string,
  otherwise: T,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    log.error("cannot read saved state; starting with defaults", { what, why: error.message });
    return otherwise;
  }
}
