/** `pennon run`: the agent, in the foreground. */

import { type Agent, openAgent } from "../agent/agent.ts";
import { acquireInstanceLock } from "../agent/instance_lock.ts";
import { secretsOf } from "../identity.ts";
import type { Log } from "../log.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import type { CliCommand, ExitCode } from "./command.ts";
import { openIdentity } from "./registered.ts";
import { openLog } from "./open_log.ts";
import { openSettings } from "./settings.ts";

/** Time for a last delivery after the request to stop: what comes after it fits into 5 s as well. */
const DRAIN_MS = 4_000;

export const runCommand: CliCommand = {
  usage: "[--once]",
  details: [
    "Checks in with the server, runs its commands and reports back, until",
    "SIGTERM or Ctrl-C: then it sends what it can for 4 s and ends within 5 s; a",
    "second one ends it at once. With --once it does one cycle and exits, for",
    "cron and Task Scheduler: 1 if the server was not reached, or the disk takes",
    "no writes.",
  ],
  options: [{ name: "once", summary: "Do one cycle, then exit" }],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const identity = await openIdentity(system, settings, "run");
    const { config, stateDirectory } = settings;
    const secrets = secretsOf(identity);
    secrets.add(config.server.registrationToken ?? "");
    const log = openLog(system, config, secrets);
    system.watchEventLoop(config.watchdog.limitMs, config.log.format);
    const lock = await acquireInstanceLock(system, stateDirectory, "run", {
      onRefused: ({ message: why }) =>
        log.error("state folder not held, a second agent cannot be kept out", { why }),
    });
    try {
      const agent = await openAgent({
        system,
        config,
        identity,
        stateDirectory,
        log,
        secrets,
        lock,
      });
      const { agentId, serverUrl } = identity;
      log.info("agent started", { version: VERSION, agent: agentId, server: serverUrl });
      const ended = new AbortController();
      const beside = agent.watch(ended.signal);
      try {
        return await untilStopped(system, log, { agent, once: given.flags.has("once") });
      } finally {
        ended.abort();
        await beside;
        agent.close();
      }
    } finally {
      await lock.release();
    }
  },
};

async function untilStopped(
  system: System,
  log: Log,
  { agent, once }: { agent: Agent; once: boolean },
): Promise<ExitCode> {
  const stop = new AbortController();
  const cut = new AbortController();
  const done = new AbortController();
  const endListening = system.onStopRequest((signal) => {
    log.info("stopping", { signal });
    stop.abort(new Error(`stopped: ${signal}`));
    system.clock.sleep(DRAIN_MS, done.signal).then(
      () => cut.abort(new Error("no time left to drain")),
      () => {}, // It had come to rest before.
    );
  });
  const endHints = system.onHostHint((hint) => agent.loop.takeHint(hint));
  const signals = { stop: stop.signal, cut: cut.signal };
  const work = once ? agent.loop.runOnce(signals) : agent.loop.run(signals);
  try {
    const outcome = await work;
    log.info("agent stopped");
    return outcome === false ? 1 : 0;
  } finally {
    done.abort(new Error("at rest"));
    endListening();
    endHints();
  }
}
