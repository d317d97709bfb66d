/** Who runs which command. A type that nobody runs is answered, so that it does not hang for hours. */

import type { NewEvent } from "../buffer/buffer.ts";
import type { CommandHandler, RunningHandler } from "../buffer/command.ts";
import { logEvent } from "./command_log.ts";
import { disableHeartbeat, enableHeartbeat } from "./heartbeat.ts";
import { scanUpdates, type ScanUpdatesParts } from "./scan_updates.ts";
import type { Clock } from "../system/system.ts";

/** What the handlers need, all together. */
export interface HandlerParts extends ScanUpdatesParts {
  /** Handlers of further types. */
  readonly more?: ReadonlyMap<string, CommandHandler> | undefined;
}

/** Types that the server has and this version does not run, because they change the host. */
const LATER: ReadonlySet<string> = new Set([
  "dry_run_update",
  "install_updates",
  "confirm_dependencies",
  "reboot",
  "update_agent",
  "rollback_update",
]);

/** Answers with the handler of a type; there is one for every type, if only to say no. */
export function commandHandlers(parts: HandlerParts): (type: string) => CommandHandler {
  const handlers = new Map<string, CommandHandler>([
    ["scan_updates", scanUpdates(parts)],
    ["collect_specs", collectSpecs(parts.system.clock, parts.collectSystemInfo)],
    ["enable_heartbeat", enableHeartbeat],
    ["disable_heartbeat", disableHeartbeat],
    ...(parts.more ?? []),
  ]);
  return (type) => handlers.get(type) ?? unsupported;
}

const unsupported: CommandHandler = {
  repeatable: true,
  refusal: (command) =>
    LATER.has(command.type)
      ? `Cannot run "${command.type}": this version of Pennon does not change the host`
      : `Cannot run "${command.type.slice(0, 50)}": Pennon knows no such command`,
};

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
