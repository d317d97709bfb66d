/**
 * The agent as `pennon run` makes it, with commands that are not safe to repeat: each leaves a mark
 * in a file when it is run. This version of Pennon has no such command of its own yet.
 */

import { openAgent } from "../../src/agent/agent.ts";
import type { Config } from "../../src/config/settings.ts";
import { acquireInstanceLock } from "../../src/agent/instance_lock.ts";
import type { CommandHandler } from "../../src/buffer/journal.ts";
import { readArguments } from "../../src/cli/command.ts";
import { openIdentity, openLog, openSettings } from "../../src/cli/command_setup.ts";
import { logEvent } from "../../src/commands/command_log.ts";
import { secretsOf } from "../../src/identity.ts";
import { realSystem } from "../../src/system/real.ts";

/** In the state folder: the id of each command that was run, a line a run. */
export const MARKS = "marks";

/** The types that leave marks. */
export const MARKED = ["install_updates", "reboot"] as const;

/** A run takes up to so long, so that a kill may come in the middle. */
const LONGEST_RUN_MS = 120;

async function main([, ...words]: readonly string[]): Promise<number> {
  const system = realSystem();
  const given = readArguments(words, [], 0);
  const settings = await openSettings(system, given);
  const { stateDirectory } = settings;
  // No setting allows it: the storm's server of age 0.1 signs nothing, and what marks is no scan.
  const config: Config = { ...settings.config, commands: { unsigned: "all" } };
  const identity = await openIdentity(system, settings, "run");
  const log = openLog(system, config, { secrets: secretsOf(identity) });
  const hold = await acquireInstanceLock(system, stateDirectory, "run");
  const moreHandlers = new Map<string, CommandHandler>(
    MARKED.map((type) => [type, marking(`${stateDirectory}/${MARKS}`)]),
  );
  const agent = await openAgent({ system, config, identity, stateDirectory, log, moreHandlers });
  log.info("agent started");
  const stop = new AbortController();
  system.onStopRequest(() => stop.abort(new Error("stopped")));
  await agent.loop.run({ shutdownSignal: stop.signal, deadlineSignal: AbortSignal.any([]) });
  agent.close();
  await hold.release();
  return 0;
}

/** Half of its time before the deed, half after it. */
function marking(path: string): CommandHandler {
  const pause = () =>
    new Promise((resolve) => setTimeout(resolve, Math.random() * LONGEST_RUN_MS / 2));
  return {
    repeatable: false,
    async run(command) {
      await pause();
      using file = Deno.openSync(path, { append: true, create: true });
      file.writeSync(new TextEncoder().encode(`${command.id}\n`));
      await pause();
      const event = logEvent(command, { result: "success", durationMs: 0 });
      return { events: [event], rapidPollingMs: null };
    },
  };
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
