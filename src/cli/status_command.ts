/**
 * `pennon status`: the health of the agent, of its buffer and of its scanners, as text, as JSON, or as
 * the line of a monitoring plugin.
 */

import { type AgentHealth, assessHealth, type HealthLevel } from "../agent/health.ts";
import { type DiskStatus, readStatus, type Status } from "../agent/status.ts";
import { REMEMBERED } from "../buffer/journal.ts";
import { MAX_OWED, OVERFLOW_MAX_BYTES, OVERFLOW_MAX_EVENTS } from "../buffer/overflow_buffer.ts";
import { describeOperatorAction } from "../connection/operator_words.ts";
import type { StoredState } from "../loop/state.ts";
import { safeJson } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import { type AdviceFacts, adviceLines, completeAdvice } from "../advice.ts";
import { painter } from "./colour.ts";
import {
  type Arguments,
  type CliCommand,
  type ExitCode,
  JSON_OPTION,
  REGISTER_HINT,
  UsageError,
} from "./command.ts";
import { type CommandSettings, openSettings } from "./command_setup.ts";
import { signingAsJson } from "./signing_status.ts";
import { adviceFactsOf, describeRefusal, statusAsCheck, statusAsText } from "./status_text.ts";
import { isoInstant, outputWidth } from "./terminal_text.ts";

/** Reads only: it writes nothing, and takes no lock that can refuse an agent's start. */
export const statusCommand: CliCommand = {
  usage: "[--verbose] [--json] [--check | --watch]",
  details: [
    "Reads the agent's files and changes nothing; the agent need not be running.",
    "Exits 3 if this host is not registered. With --check it prints one line, as a",
    "monitoring plugin does, and exits 0 (OK), 1 (degraded) or 2 (failed). With",
    "--watch it prints the status every 2 s until Ctrl-C: on a terminal it replaces",
    "the lines, otherwise it appends them, and with --json each status is one line.",
  ],
  options: [
    { name: "verbose", summary: "Show also what matters to few" },
    JSON_OPTION,
    { name: "check", summary: "One line, and exit 0, 1 or 2 by the health" },
    { name: "watch", summary: "Repeat until Ctrl-C" },
  ],
  maxArguments: 0,
  async run(system, given) {
    const { flags } = given;
    if (!flags.has("check")) return await show(system, given, await openSettings(system, given));
    if (flags.has("watch")) {
      throw new UsageError('Cannot combine "--check" with "--watch": one ends, the other does not');
    }
    return await check(system, given);
  },
};

async function show(
  system: System,
  given: Arguments,
  settings: CommandSettings,
): Promise<ExitCode> {
  if (given.flags.has("watch")) return await watch(system, given, settings);
  const status = await readStatus(system, settings);
  const text = given.flags.has("json")
    ? statusAsJson(status, { given })
    : shownAsText(system, status, given);
  system.terminal.print(text, { colours: true });
  return exitCode(system, status, given);
}

function shownAsText(system: System, status: Status, given: Arguments): string {
  return statusAsText(status, assessHealth(status), {
    width: outputWidth(system.terminal),
    isVerbose: given.flags.has("verbose"),
    paint: painter(system),
    given,
  });
}

function exitCode({ terminal }: System, status: Status, given: Arguments): ExitCode {
  if (status.identityError !== null) return 1;
  if (status.identity !== null) return 0;
  const hint = completeAdvice(REGISTER_HINT, adviceFactsOf(status, given));
  for (const { text, isCommand } of adviceLines(hint)) {
    terminal.printError(isCommand ? `  ${text}` : text);
  }
  return 3;
}

const CHECK_EXITS: Readonly<Record<HealthLevel, ExitCode>> = { ok: 0, degraded: 1, failed: 2 };

/** Never throws: what cannot be read is a failure that the plugin's line says. */
async function check(system: System, given: Arguments): Promise<ExitCode> {
  const { terminal } = system;
  try {
    const status = await readStatus(system, await openSettings(system, given));
    const health = assessHealth(status);
    terminal.print(
      given.flags.has("json") ? statusAsJson(status, { given }) : statusAsCheck(status, health),
    );
    return CHECK_EXITS[health.level];
  } catch (error) {
    const [why = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    terminal.print(`PENNON FAILED - ${completeAdvice(why, given)}`);
    return 2;
  }
}

const WATCH_EVERY_MS = 2_000;

async function watch(
  system: System,
  given: Arguments,
  settings: CommandSettings,
): Promise<ExitCode> {
  const { terminal, clock } = system;
  const asJson = given.flags.has("json");
  const stop = new AbortController();
  const endListening = system.onStopRequest(() => stop.abort());
  const isDrawn = terminal.stdoutIsTerminal && !asJson;
  try {
    for (;;) {
      const status = await readStatus(system, settings);
      const text = asJson
        ? statusAsJson(status, { given, isOneLine: true })
        : shownAsText(system, status, given);
      if (isDrawn) terminal.clearScreen();
      terminal.print(text, { colours: true });
      await clock.sleep(WATCH_EVERY_MS, stop.signal).catch(() => {});
      if (stop.signal.aborted) return exitCode(system, status, given);
    }
  } finally {
    endListening();
  }
}

/** The schema `pennon.status/1`, which only ever gains fields. */
export function statusAsJson(
  status: Status,
  { given = { values: {} }, isOneLine = false }: {
    /** The options that the user gave, which the advice keeps. @default none */
    given?: Pick<Arguments, "values">;
    isOneLine?: boolean;
  } = {},
): string {
  const { identity, holder, state, signing, buffer, limits } = status;
  const health = assessHealth(status);
  const facts = adviceFactsOf(status, given);
  return safeJson(
    {
      schema: "pennon.status/1",
      ...healthAsJson(health, facts),
      registered: identity !== null,
      agent_id: identity?.agentId ?? null,
      server_url: identity?.serverUrl ?? null,
      token_ends_at: isoInstant(identity?.tokenEndsAtMs ?? null),
      running: holder !== null,
      process_id: holder?.process_id ?? null,
      running_since: isoInstant(holder?.since_ms ?? null),
      machine_id_drawn: status.hasDrawnMachineId,
      connection: state && {
        breaker: state.connection.breaker.state,
        reason: state.connection.breaker.state === "closed"
          ? null
          : state.connection.breaker.reason,
        failures: state.connection.paths.check_in.failures,
        next_attempt_at: isoInstant(health.nextAttemptAtMs),
        outage_since: isoInstant(state.connection.outage?.sinceMs ?? null),
        outage_attempts: state.connection.outage?.failedCalls ?? 0,
        operator_action_required: state.connection.operatorAction?.why ?? null,
        operator_action: operatorActionAsJson(state, facts),
        last_check_in_at: isoInstant(state.lastCheckInAtMs),
      },
      polling: state && {
        mode: isRapid(state, status.nowMs) ? "rapid" : "normal",
        rapid_until: isoInstant(state.rapidUntilMs),
        interval_s: (identity?.intervalMs ?? 0) / 1_000,
      },
      signing: signingAsJson(signing.keys, signing.unsigned),
      buffer: buffer && {
        pending: buffer.pending,
        dead_lettered: buffer.deadLetters,
        size_bytes: buffer.sizeBytes,
        oldest_pending_at: isoInstant(buffer.oldestPendingMs),
        appended: buffer.appended,
        delivered: buffer.delivered,
        evicted: buffer.evicted,
        evicted_since: isoInstant(buffer.firstEvictionMs),
        purged: buffer.purged,
        max_events: limits.maxEvents,
        max_bytes: limits.maxBytes,
        max_attempts: limits.maxAttempts,
      },
      commands: status.commands && { ...status.commands, max_remembered: REMEMBERED },
      disk: diskAsJson(status.disk, holder !== null),
      scanners: status.scans,
      scanner_breakers: Object.entries(status.scannerBreakers).map(([name, breaker]) => ({
        name,
        state: breaker.state,
        failures: breaker.failures,
        reason: breaker.state === "closed" ? null : breaker.reason,
        next_try_at: isoInstant(breaker.state === "open" ? breaker.untilMs : null),
      })),
    },
    isOneLine ? 0 : 2,
  );
}

/** The fields `health`, `server` and `next_attempt_at`. */
function healthAsJson(
  { level, reasons, server, nextAttemptAtMs }: AgentHealth,
  facts: AdviceFacts,
) {
  return {
    health: {
      level,
      reasons: reasons.map(({ code, level, words, sinceMs, sinceIs, because, next }) => ({
        code,
        level,
        words,
        since: isoInstant(sinceMs),
        since_is: sinceIs,
        because,
        next_step: next && completeAdvice(next, facts),
      })),
    },
    server: {
      state: server.state,
      since: isoInstant("sinceMs" in server ? server.sinceMs : null),
      why: "why" in server ? server.why : null,
    },
    next_attempt_at: isoInstant(nextAttemptAtMs),
  };
}

function operatorActionAsJson(
  { connection }: StoredState,
  advice: AdviceFacts,
): Record<string, unknown> | null {
  const { operatorAction } = connection;
  if (operatorAction === null) return null;
  const { cause, facts = {}, sinceMs, why } = operatorAction;
  const { what, because, remedy } = describeOperatorAction(cause, facts, why);
  return {
    cause,
    since: isoInstant(sinceMs),
    what,
    because,
    next_step: completeAdvice(remedy, advice),
  };
}

function isRapid(state: StoredState, nowMs: number): boolean {
  return state.rapidUntilMs !== null && state.rapidUntilMs > nowMs;
}

/** `null` for what no running agent says. */
function diskAsJson(disk: DiskStatus, isRunning: boolean): Record<string, unknown> {
  const { note, bufferError } = disk;
  const refusal = describeRefusal(disk, isRunning);
  return {
    takes_writes: refusal === null ? note && true : false,
    why: refusal ?? bufferError,
    agent_says: note?.disk ?? null,
    events_in_memory: note?.events ?? null,
    max_events_in_memory: OVERFLOW_MAX_EVENTS,
    bytes_in_memory: note?.size_bytes ?? null,
    max_bytes_in_memory: OVERFLOW_MAX_BYTES,
    acknowledgements_owed: note?.acknowledgements ?? null,
    max_acknowledgements_owed: MAX_OWED,
    left_alone: null, // No file is left alone any more; the field is part of the format.
  };
}
