/** Who runs which command. A type that nobody runs is answered, so that it does not hang for hours. */

import type { CommandHandler } from "../buffer/command.ts";
import { collectSpecs } from "./collect_specs.ts";
import { disableHeartbeat, enableHeartbeat } from "./heartbeat.ts";
import { scanUpdates, type ScanUpdatesParts } from "./scan_updates.ts";

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
