/** `pennon run`: runs the agent in the foreground. */

import { type Agent, openAgent } from "../agent/agent.ts";
import { isSet } from "../config.ts";
import { acquireInstanceLock } from "../agent/instance_lock.ts";
import { secretsOf } from "../identity.ts";
import type { Log } from "../log.ts";
import { LogFile } from "../log_file.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import type { CliCommand, ExitCode } from "./command.ts";
import { type CommandSettings, openIdentity, openLog, openSettings } from "./command_setup.ts";

/** How long the agent still delivers after a stop request; the rest of the shutdown fits into 5 s. */
const DRAIN_MS = 4_000;

/** Ends with 0 after a stop request, 1 if `--once` reached no server. */
export const runCommand: CliCommand = {
  usage: "[--once] [--log-file NAME]",
  details: [
    "Checks in with the server, runs its commands and reports the results, until",
    "SIGTERM or Ctrl-C. Then it delivers for at most 4 s and ends within 5 s; a",
    "second signal ends it at once. With --once it runs one cycle and exits, for",
    "cron and Task Scheduler: exit code 1 if the server was not reached or the",
    "disk accepts no writes.",
  ],
  options: [
    { name: "once", summary: "Run one cycle, then exit" },
    { name: "log-file", value: "NAME", summary: "Log to this file in the state directory, too" },
  ],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given, { "log.file": given.values["log-file"] });
    const identity = await openIdentity(system, settings, "run");
    const { config, loaded, stateDirectory } = settings;
    const secrets = secretsOf(identity);
    secrets.add(config.server.registrationToken ?? "");
    const logFile = openLogFile(system, settings);
    const log = openLog(system, config, { secrets, file: logFile });
    system.watchEventLoop(config.watchdog.limitMs, config.log.format);
    const lock = await acquireInstanceLock(system, stateDirectory, "run", {
      onRefused: ({ message: why }) =>
        log.error("state directory not locked: a second agent could start", { why }),
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
        isSet: (path) => isSet(loaded, path),
      });
      const { agentId, serverUrl } = identity;
      log.info("agent started", { version: VERSION, agent: agentId, server: serverUrl });
      const manager = await system.connectServiceManager(stateDirectory);
      const report = async (state: "ready" | "stopping") => {
        const why = await manager.report(state);
        if (why !== null) log.warning("service manager not reached", { state, why });
      };
      await report("ready");
      const ended = new AbortController();
      const watching = agent.watch(ended.signal);
      try {
        const once = given.flags.has("once");
        const onStop = () => void report("stopping");
        return await untilStopped(system, log, { agent, once, onStop });
      } finally {
        ended.abort();
        await watching;
        await agent.close();
        manager.close();
      }
    } finally {
      await lock.release();
      await logFile?.flush();
    }
  },
};

/** `undefined` unless one is configured: a service manager keeps what is on stderr. */
function openLogFile(
  { os, files }: System,
  { config, stateDirectory }: CommandSettings,
): LogFile | undefined {
  const { file, maxBytes, oldFiles } = config.log;
  if (file === null) return undefined;
  const separator = os === "windows" ? "\\" : "/";
  return new LogFile(files, { path: `${stateDirectory}${separator}${file}`, maxBytes, oldFiles });
}

async function untilStopped(
  system: System,
  log: Log,
  { agent, once, onStop }: { agent: Agent; once: boolean; onStop: () => void },
): Promise<ExitCode> {
  const stop = new AbortController();
  const deadline = new AbortController();
  const done = new AbortController();
  const endListening = system.onStopRequest((signal) => {
    log.info("stopping", { signal });
    onStop();
    stop.abort(new Error(`stopped: ${signal}`));
    system.clock.sleep(DRAIN_MS, done.signal).then(
      () => deadline.abort(new Error("no time left to drain")),
      () => {}, // The agent stopped before the deadline.
    );
  });
  const endHints = system.onHostEvent((event) => agent.loop.onHostEvent(event));
  const signals = { shutdownSignal: stop.signal, deadlineSignal: deadline.signal };
  const work = once ? agent.loop.runOnce(signals) : agent.loop.run(signals);
  try {
    const outcome = await work;
    log.info("agent stopped");
    return outcome === false ? 1 : 0;
  } finally {
    done.abort(new Error("the agent stopped"));
    endListening();
    endHints();
  }
}
