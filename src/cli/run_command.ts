/** `pennon run`: the agent, in the foreground. */

import { type Agent, makeAgent } from "../agent/agent.ts";
import { holdState } from "../agent/hold_state.ts";
import type { Log } from "../log.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import type { CliCommand, ExitCode } from "./command.ts";
import { openIdentity } from "./registered.ts";
import { openLog, openSettings } from "./settings.ts";

/** Time for a last delivery after the request to stop. */
const DRAIN_MS = 5_000;

export const runCommand: CliCommand = {
  name: "run",
  summary: "Run the agent in the foreground",
  usage: "[--once]",
  details: [
    "Checks in with the server, runs its commands and reports back, until",
    "SIGTERM or Ctrl-C: then it sends what it can within 5 s and stops; a",
    "second one stops it at once. With --once it does one cycle and exits, for",
    "cron and Task Scheduler: 1 if the server was not reached.",
  ],
  options: [{ name: "once", summary: "Do one cycle, then exit" }],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const identity = await openIdentity(system, settings, "run");
    const { config, stateDirectory } = settings;
    const log = openLog(system, config, [identity.accessToken, identity.refreshToken]);
    const hold = await holdState(system, stateDirectory);
    try {
      const agent = await makeAgent({ system, config, identity, stateDirectory, log });
      const { agentId, serverUrl } = identity;
      log.info("agent started", { version: VERSION, agent: agentId, server: serverUrl });
      try {
        return await untilStopped(system, log, { agent, once: given.flags.has("once") });
      } finally {
        agent.close();
      }
    } finally {
      await hold.release();
    }
  },
};

async function untilStopped(
  system: System,
  log: Log,
  job: { agent: Agent; once: boolean },
): Promise<ExitCode> {
  const stop = new AbortController();
  const stopAtOnce = Promise.withResolvers<"now">();
  const endListening = system.onStopRequest((signal) => {
    if (stop.signal.aborted) return stopAtOnce.resolve("now");
    log.info("stopping", { signal });
    stop.abort(new Error(`stopped: ${signal}`));
  });
  try {
    const done = await Promise.race([work(system, stop.signal, job), stopAtOnce.promise]);
    log.info("agent stopped");
    return done === "now" ? 1 : done;
  } finally {
    endListening();
  }
}

async function work(
  system: System,
  signal: AbortSignal,
  { agent, once }: { agent: Agent; once: boolean },
): Promise<ExitCode> {
  if (once) return await agent.loop.runOnce(signal) ? 0 : 1;
  await agent.loop.run(signal);
  const drain = new AbortController();
  const limit = system.clock.sleep(DRAIN_MS, drain.signal).then(
    () => drain.abort(new Error("no time left to drain")),
    () => {}, // Drained before the limit.
  );
  await agent.loop.deliver(drain.signal);
  drain.abort(new Error("drained"));
  await limit;
  return 0;
}
