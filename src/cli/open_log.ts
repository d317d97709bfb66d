/** The log of a command that keeps one. */

import type { Config } from "../config.ts";
import { createLog, type Log } from "../log.ts";
import type { Secrets } from "../secrets.ts";
import type { System } from "../system/system.ts";

/** The log on stderr, in the configuration's level and format. */
export function openLog(system: System, config: Config, secrets: Secrets): Log {
  return createLog(
    (line) => system.terminal.printError(line),
    () => system.clock.nowMs(),
    { ...config.log, secrets },
  );
}
