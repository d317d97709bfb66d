/** The handler of each command type. An unknown type is refused, so that it does not hang for hours. */

import type { NewEvent } from "../buffer/buffer.ts";
import type { CommandHandler, RunningHandler } from "../buffer/journal.ts";
import type { Clock } from "../system/system.ts";
import { logEvent } from "./command_log.ts";
import { disableHeartbeat, enableHeartbeat } from "./heartbeat.ts";
import { scanUpdates, type ScanUpdatesDeps } from "./scan_updates.ts";

/** What the handlers need, all together. */
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
    ...(deps.more ?? []),
  ]);
  return (type) => handlers.get(type) ?? unsupported;
}

const unsupported: CommandHandler = {
  repeatable: true,
  refusal: (command) =>
    NOT_SUPPORTED.has(command.type)
      ? `Cannot run "${command.type}": this version of Pennon does not change the host`
      : `Cannot run "${command.type.slice(0, 50)}": Pennon knows no such command`,
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
