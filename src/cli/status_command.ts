/** `pennon status`: the state of the agent, of its buffer and of its scanners, read from disk. */

import type { SavedDiskStatus } from "../agent/disk_status.ts";
import { type AgentHealth, assessHealth, nextAttemptAtMs } from "../agent/health.ts";
import type { LockHolder } from "../agent/instance_lock.ts";
import { type DiskStatus, readStatus, type Status } from "../agent/status.ts";
import { type CommandCounts, REMEMBERED } from "../buffer/journal.ts";
import { MAX_OWED, OVERFLOW_MAX_BYTES, OVERFLOW_MAX_EVENTS } from "../buffer/overflow_buffer.ts";
import { describeOperatorAction } from "../connection/operator_words.ts";
import type { StoredState } from "../loop/state.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import { type CliCommand, type ExitCode, JSON_OPTION, REGISTER_HINT } from "./command.ts";
import { type CommandSettings, openSettings } from "./command_setup.ts";
import { describeSigning, signingAsJson } from "./signing_status.ts";
import { describeDuration, describeSize, isoInstant } from "./terminal_text.ts";

/** Reads only: it writes nothing, and takes no lock that can refuse an agent's start. */
export const statusCommand: CliCommand = {
  usage: "[--json] [--watch]",
  details: [
    "Reads the agent's files; the agent need not be running. Exits 3 if this",
    "host is not registered. With --watch it prints the status every 2 s until",
    "Ctrl-C: on a terminal it replaces the lines, otherwise it appends them, and",
    "with --json each status is one line.",
  ],
  options: [
    JSON_OPTION,
    { name: "watch", summary: "Repeat until Ctrl-C" },
  ],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const asJson = given.flags.has("json");
    if (given.flags.has("watch")) return await watch(system, settings, asJson);
    const status = await readStatus(system, settings);
    system.terminal.print(asJson ? statusAsJson(status) : statusAsText(status));
    return exitCode(system, status);
  },
};

function exitCode({ terminal }: System, { identity }: Status): ExitCode {
  if (identity !== null) return 0;
  terminal.printError(REGISTER_HINT);
  return 3;
}

const WATCH_EVERY_MS = 2_000;

async function watch(
  system: System,
  settings: CommandSettings,
  asJson: boolean,
): Promise<ExitCode> {
  const { terminal, clock } = system;
  const stop = new AbortController();
  const endListening = system.onStopRequest(() => stop.abort());
  const isDrawn = terminal.stdoutIsTerminal && !asJson;
  try {
    for (;;) {
      const status = await readStatus(system, settings);
      const text = asJson ? statusAsJson(status, { isOneLine: true }) : statusAsText(status);
      if (isDrawn) terminal.clearScreen();
      terminal.print(text);
      await clock.sleep(WATCH_EVERY_MS, stop.signal).catch(() => {});
      if (stop.signal.aborted) return exitCode(system, status);
    }
  } finally {
    endListening();
  }
}

/** The schema `pennon.status/1`, which only ever gains fields. */
export function statusAsJson(status: Status, options: { isOneLine?: boolean } = {}): string {
  const { identity, holder, state, signing, buffer, limits } = status;
  const health = assessHealth(status);
  return safeJson(
    {
      schema: "pennon.status/1",
      ...healthAsJson(health),
      registered: identity !== null,
      agent_id: identity?.agentId ?? null,
      server_url: identity?.serverUrl ?? null,
      token_ends_at: isoInstant(identity?.tokenEndsAtMs ?? null),
      running: holder !== null,
      process_id: holder?.process_id ?? null,
      connection: state && {
        breaker: state.connection.breaker.state,
        reason: state.connection.breaker.state === "closed"
          ? null
          : state.connection.breaker.reason,
        failures: state.connection.paths.check_in.failures,
        next_attempt_at: isoInstant(nextAttemptAtMs(status)),
        outage_since: isoInstant(state.connection.outage?.sinceMs ?? null),
        outage_attempts: state.connection.outage?.failedCalls ?? 0,
        operator_action_required: state.connection.operatorAction?.why ?? null,
        operator_action: operatorActionAsJson(state),
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
      disk: diskAsJson(status.disk),
      scanners: status.scans,
      scanner_breakers: Object.entries(status.scannerBreakers).map(([name, breaker]) => ({
        name,
        state: breaker.state,
        failures: breaker.failures,
        reason: breaker.state === "closed" ? null : breaker.reason,
        next_try_at: isoInstant(breaker.state === "open" ? breaker.untilMs : null),
      })),
    },
    options.isOneLine ? 0 : 2,
  );
}

/** The fields `health`, `server` and `next_attempt_at`. */
function healthAsJson({ level, reasons, server, nextAttemptAtMs }: AgentHealth) {
  return {
    health: {
      level,
      reasons: reasons.map(({ code, level, words, sinceMs, next }) => ({
        code,
        level,
        words,
        since: isoInstant(sinceMs),
        next_step: next,
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

/** Lines of at most 80 columns, for people. */
export function statusAsText(status: Status): string {
  const { signing } = status;
  return [
    ...describeAgent(status),
    ...describeConnection(status),
    ...(status.identity ? describeSigning(signing.keys, signing.unsigned, status.nowMs) : []),
    ...describeBuffer(status),
    ...describeDisk(status.disk, status.holder !== null),
    ...describeScans(status),
  ].map(([title, text]) => `${title.padEnd(12)}${stripControls(text)}`).join("\n");
}

/** One line of the status; an empty title continues the line above. */
export type StatusLine = readonly [title: string, text: string];

function describeAgent({ identity, holder, nowMs }: Status): StatusLine[] {
  const running = describeRunning(holder, nowMs);
  if (identity === null) return [["Agent", `${running}, not registered`]];
  const { agentId, serverUrl, tokenEndsAtMs } = identity;
  const lines: StatusLine[] = [["Agent", running], ["Id", agentId], ["Server", serverUrl]];
  if (tokenEndsAtMs !== null) {
    const leftMs = tokenEndsAtMs - nowMs;
    const end = leftMs > 0 ? `expires in ${describeDuration(leftMs)}` : "has expired";
    lines.push(["Token", `${end}; renewed automatically`]);
  }
  return lines;
}

function describeRunning(holder: LockHolder | null, nowMs: number): string {
  if (holder === null) return "not running";
  const { since_ms: sinceMs, process_id: process } = holder;
  if (sinceMs === null) return "running";
  return `running for ${describeDuration(nowMs - sinceMs)} (process ${process})`;
}

function describeConnection(status: Status): StatusLine[] {
  const { state, identity, nowMs } = status;
  if (state === null) return identity ? [["Connection", "no check-in yet"]] : [];
  const { breaker, outage, operatorAction } = state.connection;
  const lines: StatusLine[] = [];
  if (operatorAction) {
    const { cause, why, facts = {} } = operatorAction;
    const { what, because, remedy } = describeOperatorAction(cause, facts);
    lines.push(
      ["ATTENTION", `operator action required: ${why}`],
      ...wrap(`What: ${what}`),
      ...wrap(`Why: ${because}`),
      ...wrap(`Next: ${remedy}`),
    );
  }
  const why = breaker.state === "closed" ? "" : ` (${breaker.reason})`;
  lines.push(["Connection", `${breaker.state.replace("_", "-")}${why}`]);
  if (outage) {
    const length = describeDuration(nowMs - outage.sinceMs);
    lines.push(["Outage", `for ${length}, ${outage.failedCalls} attempts: ${outage.why}`]);
  }
  const last = state.lastCheckInAtMs === null
    ? "none yet"
    : `${describeDuration(nowMs - state.lastCheckInAtMs)} ago`;
  const nextAtMs = nextAttemptAtMs(status);
  const next = nextAtMs === null || nextAtMs <= nowMs
    ? "due now"
    : `next in ${describeDuration(nextAtMs - nowMs)}`;
  lines.push(["Check-in", `last ${last}, ${next}`]);
  const every = describeDuration(identity?.intervalMs ?? 0);
  const mode = isRapid(state, nowMs)
    ? `rapid for ${describeDuration((state.rapidUntilMs ?? 0) - nowMs)} more`
    : `every ${every}`;
  return [...lines, ["Polling", mode]];
}

function describeBuffer({ buffer, commands, disk, limits, nowMs }: Status): StatusLine[] {
  if (buffer === null) return disk.bufferError === null ? [["Buffer", "empty"]] : [];
  const { delivered, deadLetters, purged } = buffer;
  const evicted = Object.values(buffer.evicted).reduce((sum, count) => sum + count, 0);
  const oldest = buffer.oldestPendingMs === null
    ? ""
    : `, oldest ${describeDuration(nowMs - buffer.oldestPendingMs)}`;
  const room = `${describeSize(buffer.sizeBytes)} of ${describeSize(limits.maxBytes)}`;
  const lines: StatusLine[] = [
    ["Buffer", `${buffer.pending} of ${limits.maxEvents} events waiting (${room}${oldest})`],
    [
      "",
      `${delivered} delivered, ${deadLetters} dead letters, ${evicted} evicted, ${purged} purged`,
    ],
    ["", `an event becomes a dead letter after ${limits.maxAttempts} refusals of its own`],
    ...describeCommands(commands),
  ];
  if (buffer.firstEvictionMs !== null) {
    const kinds = Object.entries(buffer.evicted).filter(([, count]) => count > 0)
      .map(([kind, count]) => `${count} ${kind}`);
    const since = describeDuration(nowMs - buffer.firstEvictionMs);
    lines.push(["Evicted", `${kinds.join(", ")}; the buffer was full, first ${since} ago`]);
  }
  return lines;
}

function describeCommands(commands: CommandCounts | null): StatusLine[] {
  if (commands === null) return [];
  const { received, started, finished, unfinished, remembered } = commands;
  const lines: StatusLine[] = [
    ["Commands", `${unfinished} unfinished, ${remembered} of ${REMEMBERED} remembered`],
  ];
  if (received + started + finished === 0) return lines;
  const text = `${received} received, ${started} started, ${finished} finished and not reported`;
  return [...lines, ["", text]];
}

function describeScans({ scans, scannerBreakers, nowMs }: Status): StatusLine[] {
  const open = Object.entries(scannerBreakers).filter(([, { state }]) => state !== "closed")
    .map(([name, breaker]): StatusLine => {
      const next = breaker.state === "open"
        ? `next attempt in ${describeDuration(breaker.untilMs - nowMs)}`
        : "the next scan is the probe";
      return ["Paused", `${name} after ${breaker.failures} failures, ${next}`];
    });
  const done = Object.entries(scans).map(([name, scan], index) => {
    const when = `${describeDuration(nowMs - scan.at_ms)} ago`;
    const found = scan.result === "failed"
      ? `failed: ${scan.error ?? "no reason saved"}`
      : `${scan.result}, ${scan.updates} updates, ${scan.security} security`;
    return [index === 0 ? "Scans" : "", `${name} ${when}: ${found}`] as StatusLine;
  });
  return [...done, ...open];
}

/** Columns for a text beside its title. */
const TEXT_COLUMNS = 68;

/** A text as lines below the one before; a word that is longer than a line has a line of its own. */
function wrap(text: string): StatusLine[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= TEXT_COLUMNS) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.map((line) => ["", line]);
}

function operatorActionAsJson({ connection }: StoredState): Record<string, unknown> | null {
  const { operatorAction } = connection;
  if (operatorAction === null) return null;
  const { cause, facts = {}, sinceMs } = operatorAction;
  const { what, because, remedy } = describeOperatorAction(cause, facts);
  return { cause, since: isoInstant(sinceMs), what, because, next_step: remedy };
}

function isRapid(state: StoredState, nowMs: number): boolean {
  return state.rapidUntilMs !== null && state.rapidUntilMs > nowMs;
}

/** The field `disk` of `pennon.status/1`. */
export function diskAsJson({ note, bufferError }: DiskStatus): Record<string, unknown> {
  return {
    takes_writes: note && note.disk === "ok",
    why: note?.why ?? bufferError,
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

/** One line if the disk accepts writes; else one line per fact. Without an agent nothing is known. */
export function describeDisk({ note, bufferError }: DiskStatus, isRunning: boolean): StatusLine[] {
  const lines: StatusLine[] = [];
  if (note?.disk === "ok") lines.push(["Disk", "accepts writes"]);
  else if (note !== null) lines.push(["DISK", `accepts no writes: ${note.why ?? note.disk}`]);
  if (bufferError !== null) lines.push(["", `buffer unreadable: ${bufferError}`]);
  if (isRunning) lines.push(["In memory", describeMemory(note)]);
  return lines;
}

function describeMemory(note: SavedDiskStatus | null): string {
  if (note === null) return "unknown";
  const size = `${describeSize(note.size_bytes)} of ${describeSize(OVERFLOW_MAX_BYTES)}`;
  return `${note.events} of ${OVERFLOW_MAX_EVENTS} events (${size}), ` +
    `${note.acknowledgements} of ${MAX_OWED} acknowledgements`;
}
