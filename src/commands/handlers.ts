/**
 * The handler of each command type, with the short ones. An unknown type is refused, so that it does not
 * hang for hours.
 */

import type { NewEvent } from "../buffer/buffer.ts";
import type { Command, CommandHandler, RunningHandler } from "../buffer/journal.ts";
import type { Clock } from "../system/system.ts";
import { scannerOf } from "../server/subsystems.ts";
import { logEvent } from "./command_log.ts";
import { scanStorage, scanSystem } from "./scan_host.ts";
import { scanUpdates, type ScanUpdatesDeps } from "./scan_updates.ts";

interface HandlerDeps extends ScanUpdatesDeps {
  /** Handlers of further types. */
  readonly more?: ReadonlyMap<string, CommandHandler> | undefined;
}

/** Types that the server has and this version refuses, because they change the host. */
const NOT_SUPPORTED: ReadonlySet<string> = new Set([
  "dry_run_update",
  "install_updates",
  "confirm_dependencies",
  "reboot",
  "update_agent",
  "rollback_update",
]);

/** Returns the handler of a type. Every type has one: the last resort refuses the command. */
export function commandHandlers(deps: HandlerDeps): (type: string) => CommandHandler {
  const handlers = new Map<string, CommandHandler>([
    ["scan_updates", scanUpdates(deps)],
    ["collect_specs", collectSpecs(deps.system.clock, deps.collectSystemInfo)],
    ["enable_heartbeat", enableHeartbeat],
    ["disable_heartbeat", disableHeartbeat],
    ["scan_storage", scanStorage(deps.system)],
    ["scan_system", scanSystem(deps.system)],
    ...(deps.more ?? []),
  ]);
  return (type) => {
    const scanner = type.startsWith(SCAN) ? scannerOf(type.slice(SCAN.length)) : null;
    return handlers.get(type) ?? (scanner === null ? unsupported : scanUpdates(deps, scanner));
  };
}

/** What the scans of single subsystems begin with. */
const SCAN = "scan_";

const unsupported: CommandHandler = {
  repeatable: true,
  refusal({ type }) {
    const why = NOT_SUPPORTED.has(type)
      ? "this version of Pennon does not change the host"
      : type.startsWith(SCAN)
      ? "Pennon has no such scanner"
      : "Pennon knows no such command";
    return `Cannot run "${type.slice(0, 50)}": ${why}`;
  },
};

/** `collect_specs` reports the host's facts; `collect` makes the event with them. */
export function collectSpecs(clock: Clock, collect: () => Promise<NewEvent>): RunningHandler {
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
