/** `pennon run`: runs the agent in the foreground. */

import { type Agent, openAgent } from "../agent/agent.ts";
import { unknownVariables } from "../agent/config_check.ts";
import { isSet } from "../config.ts";
import { completeAdvice } from "../advice.ts";
import { Hooks } from "../agent/hooks.ts";
import { acquireInstanceLock, describeStop, thisHolder } from "../agent/instance_lock.ts";
import { openTelemetry, type Telemetry } from "../agent/telemetry.ts";
import { secretsOf } from "../identity.ts";
import type { Log } from "../log.ts";
import { LogFile } from "../log_file.ts";
import { stripControls } from "../strip_controls.ts";
import { SYSLOG_PRIORITY, type System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import type { CliCommand, ExitCode } from "./command.ts";
import { type CommandSettings, openIdentity, openLog, openSettings } from "./command_setup.ts";

/** How long the agent still delivers after a stop request; the rest of the shutdown fits into 5 s. */
const DRAIN_MS = 4_000;

/** Ends with 0 after a stop request, 129 after a hangup, 1 if `--once` reached no server. */
export const runCommand: CliCommand = {
  usage: "[--once] [--log-file NAME] [--event-log]",
  details: [
    "Checks in with the server, runs its commands and reports the results, until",
    "SIGTERM, SIGHUP or Ctrl-C. Then it delivers for at most 4 s and ends within",
    "5 s, with exit code 129 after SIGHUP; a second signal ends it at once. With",
    "--once it runs one cycle and exits, for cron and Task Scheduler: exit code 1",
    "if the server was not reached or the disk accepts no writes.",
  ],
  options: [
    { name: "once", summary: "Run one cycle, then exit" },
    { name: "log-file", value: "NAME", summary: "Log to this file in the state directory, too" },
    { name: "event-log", summary: "Write errors to the Event Log of Windows, too" },
  ],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given, {
      "log.file": given.values["log-file"],
      "log.event_log": given.flags.has("event-log") ? "true" : undefined,
    });
    const identity = await openIdentity(system, settings, "run");
    const { config, loaded, stateDirectory } = settings;
    const secrets = secretsOf(identity);
    secrets.add(config.server.registrationToken ?? "");
    const logFile = openLogFile(system, settings);
    // A cycle has ended by the time that somebody reads its log.
    const stop = given.flags.has("once")
      ? null
      : describeStop(system.os, stateDirectory, thisHolder(system));
    const facts = { values: given.values, serverUrl: identity.serverUrl, stop: stop ?? null };
    const complete = (text: string) => completeAdvice(text, facts);
    const log = openLog(system, { config, complete }, { secrets, file: logFile });
    // Before anything is printed that may block.
    system.watchEventLoop(config.watchdog.limitMs, config.log.format);
    for (const warning of await unknownVariables(system)) {
      system.terminal.printError(`pennon: ${stripControls(warning)}`, SYSLOG_PRIORITY.warning);
    }
    const lock = await acquireInstanceLock(system, stateDirectory, "run", {
      onRefused: ({ message: why }) =>
        log.error("state directory not locked: a second agent could start", { why }),
    });
    try {
      const { agentId, serverUrl } = identity;
      const deps = { system, config, stateDirectory, log, secrets };
      const telemetry = await openTelemetry({ ...deps, agentId });
      const known = { ...deps, log: telemetry.log };
      const hooks = new Hooks({ ...known, settings: config.hooks, serverUrl });
      const agent = await openAgent({
        ...known,
        identity,
        lock,
        onScan: (report) => hooks.onScan(report),
        isSet: (path) => isSet(loaded, path),
      });
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
        return await untilStopped(system, log, { agent, telemetry, hooks, once, onStop });
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
  { agent, telemetry, hooks, once, onStop }: {
    agent: Agent;
    telemetry: Telemetry;
    hooks: Hooks;
    once: boolean;
    onStop: () => void;
  },
): Promise<ExitCode> {
  const stop = new AbortController();
  const deadline = new AbortController();
  const done = new AbortController();
  let cancelDrain = () => {};
  let isHungUp = false;
  const endListening = system.onStopRequest((signal) => {
    log.info("stopping", { signal });
    isHungUp = signal === "SIGHUP";
    onStop();
    // The time to drain counts from the first request.
    if (stop.signal.aborted) return;
    stop.abort(new Error(`stopped: ${signal}`));
    cancelDrain = system.clock.after(
      DRAIN_MS,
      () => deadline.abort(new Error("no time left to drain")),
    );
  });
  const endHints = system.onHostEvent((event) => agent.loop.onHostEvent(event));
  const signals = { shutdownSignal: stop.signal, deadlineSignal: deadline.signal };
  // A stop request ends it beside the delivery, for which there is little time.
  const measuring = telemetry.run(AbortSignal.any([stop.signal, done.signal]));
  const watching = hooks.run(
    () => agent.loop.state,
    { doneSignal: done.signal, shutdownSignal: stop.signal },
  );
  const work = once ? agent.loop.runOnce(signals) : agent.loop.run(signals);
  try {
    const outcome = await work;
    log.info("agent stopped");
    if (isHungUp) return 129;
    return outcome === false ? 1 : 0;
  } finally {
    cancelDrain();
    done.abort(new Error("the agent stopped"));
    await measuring;
    await watching;
    endListening();
    endHints();
  }
}
