/**
 * The text of `pennon status`: lines for people that fit the terminal. Instants are UTC, as in the log,
 * and each has its distance from now beside it. Pure.
 */

import type { SavedDiskStatus } from "../agent/disk_status.ts";
import type { AgentHealth, HealthReason } from "../agent/health.ts";
import type { ServerHealth } from "../agent/server_health.ts";
import type { DiskStatus, Status } from "../agent/status.ts";
import { type CommandCounts, REMEMBERED } from "../buffer/journal.ts";
import { MAX_OWED, OVERFLOW_MAX_BYTES, OVERFLOW_MAX_EVENTS } from "../buffer/overflow_buffer.ts";
import type { StoredState } from "../loop/state.ts";
import { stripControls } from "../strip_controls.ts";
import {
  type AdviceFacts,
  adviceLines,
  completeAdvice,
  pennonCommand,
  splitAdvice,
} from "../advice.ts";
import type { ColouredWord, Paint } from "./colour.ts";
import type { Arguments } from "./command.ts";
import { describeSigning } from "./signing_status.ts";
import { describeSize, describeTime } from "./terminal_text.ts";
import { describeDuration } from "../wording.ts";

/** How the text is made. */
export interface StatusTextOptions {
  /** Columns of the terminal. */
  readonly width: number;
  readonly isVerbose: boolean;
  readonly paint: Paint;
  /** The options that the user gave: the advice keeps them. */
  readonly given: Pick<Arguments, "values">;
}

/** One line of the status; an empty title continues the line above. */
export type StatusLine = readonly [title: string, text: string, colour?: ColouredWord];

/** Columns of the titles. */
const TITLE_WIDTH = 12;

/** Columns of the text on a terminal that is too narrow for it. */
const NARROWEST = 30;

/** The status for people. Details that matter to few are in it only if it is verbose. */
export function statusAsText(
  status: Status,
  health: AgentHealth,
  { width, isVerbose, paint, given }: StatusTextOptions,
): string {
  const advise = (text: string) => completeAdvice(text, adviceFactsOf(status, given));
  const lines = [
    ...describeHealth(health, status.nowMs, advise),
    ...describeServer(status, health),
    ...describeAgent(status, isVerbose),
    ...describeConnection(status, health, isVerbose),
    ...(status.identity && isVerbose ? describeKeys(status) : []),
    ...describeBuffer(status, isVerbose),
    ...describeDisk(status.disk, status.holder !== null, isVerbose),
    ...describeScans(status),
  ];
  const columns = Math.max(NARROWEST, width - TITLE_WIDTH);
  return lines.flatMap(([title, text, colour]) => {
    const shown = stripControls(text);
    // A command is copied as it stands.
    const isCommand = shown.startsWith(COMMAND_INDENT) || shown.startsWith("Next: pennon ");
    const parts = isCommand ? [shown] : wrap(shown, columns);
    return parts.map((part, index) => {
      const head = (index === 0 ? title : "").padEnd(TITLE_WIDTH);
      return head + (index === 0 && colour ? paintFirst(part, colour, paint) : part);
    });
  }).join("\n");
}

/** What of a status goes into the advice about it. */
export function adviceFactsOf(
  { identity, configuredUrl, stop }: Status,
  { values }: Pick<Arguments, "values">,
): AdviceFacts {
  const serverUrl = identity?.serverUrl ?? configuredUrl;
  return { values, serverUrl, ...stop !== undefined && { stop } };
}

/** In front of a command that has a line of its own. */
const COMMAND_INDENT = "  ";

/** One line as a monitoring plugin prints it: the level, the most serious reason, and how many more. */
export function statusAsCheck(status: Status, health: AgentHealth): string {
  const { level, reasons, server, nextAttemptAtMs } = health;
  const [first] = reasons;
  const more = reasons.length < 2 ? "" : ` (and ${reasons.length - 1} more)`;
  const why = first === undefined
    ? describeServerState(server, status)
    : first.words + describeSince(first, status.nowMs);
  const next = describeNext(nextAttemptAtMs, status.nowMs);
  const line = `PENNON ${level.toUpperCase()} - ${why}${more}${next && `; ${next}`}`;
  // A plugin's first line ends at a "|", where figures would follow.
  return stripControls(line).replaceAll("|", "/");
}

function describeHealth(
  { level, reasons }: AgentHealth,
  nowMs: number,
  advise: (text: string) => string,
): StatusLine[] {
  if (level === "ok") return [["Health", "OK", "ok"]];
  return reasons.flatMap((reason, index): StatusLine[] => {
    const { words, because, next } = reason;
    const text = `${reason.level.toUpperCase()}: ${words}${describeSince(reason, nowMs)}`;
    const lines: StatusLine[] = [[index === 0 ? "Health" : "Also", text, reason.level]];
    if (because !== null) lines.push(["", `Why: ${because}`]);
    if (next !== null) {
      for (const { text, isCommand } of adviceLines(`Next: ${advise(next)}`)) {
        lines.push(["", isCommand ? COMMAND_INDENT + text : text]);
      }
    }
    return lines;
  });
}

function describeSince({ sinceMs, sinceIs }: HealthReason, nowMs: number): string {
  if (sinceMs === null) return "";
  if (sinceIs !== null) return `; ${sinceIs}: ${describePast(sinceMs, nowMs)}`;
  return `, since ${describeTime(sinceMs, nowMs)} (${describeDuration(nowMs - sinceMs)})`;
}

function describeServer(status: Status, { server, nextAttemptAtMs }: AgentHealth): StatusLine[] {
  const { identity, nowMs } = status;
  if (identity === null) return [];
  const next = server.state === "reachable" ? "" : describeNext(nextAttemptAtMs, nowMs);
  const text = describeServerState(server, status) + (next && `; ${next}`);
  const colour = server.state === "reachable" ? "ok" : undefined;
  return [colour ? ["Server", text, colour] : ["Server", text], ["", identity.serverUrl]];
}

function describeServerState(
  server: ServerHealth,
  { holder, state, damaged, nowMs }: Status,
): string {
  const since = (ms: number) =>
    `since ${describeTime(ms, nowMs)} (${describeDuration(nowMs - ms)})`;
  switch (server.state) {
    case "reachable":
      return "reachable";
    case "unreachable":
      return `not reachable ${since(server.sinceMs)}: ${server.why}`;
    case "offline":
      return `not reachable ${since(server.sinceMs)}, this host seems to be offline: ${server.why}`;
    case "failing":
      return `answers with errors ${since(server.sinceMs)}: ${server.why}`;
    case "refusing":
      return `refuses this agent ${since(server.sinceMs)}: ${server.why}`;
    case "limiting":
      return "reachable, and asks this agent to wait";
    case "unknown":
      if (holder !== null) {
        if (server.lastMs !== null) {
          return `unknown: the disk takes no newer state; last check-in known ${
            describePast(server.lastMs, nowMs)
          }`;
        }
        return state === null && damaged.length > 0 ? "unknown" : "not asked yet";
      }
      return state?.isOnce && server.lastMs !== null
        ? `reached ${describePast(server.lastMs, nowMs)} by \`${
          pennonCommand("run", "--once")
        }\`; no agent runs now`
        : "unknown: no agent runs";
  }
}

/** "next attempt in 40 s"; empty if nothing is known of it. */
function describeNext(nextMs: number | null, nowMs: number): string {
  if (nextMs === null) return "";
  return nextMs <= nowMs
    ? "next attempt due now"
    : `next attempt in ${describeDuration(nextMs - nowMs)}`;
}

/** "03:12Z (5 min ago)". */
function describePast(ms: number, nowMs: number): string {
  return `${describeTime(ms, nowMs)} (${describeDuration(nowMs - ms)} ago)`;
}

function describeAgent(status: Status, isVerbose: boolean): StatusLine[] {
  const { identity, holder, disk, nowMs, hasDrawnMachineId } = status;
  const lines: StatusLine[] = [];
  if (holder === null && disk.refusal !== null) {
    lines.push(["Agent", "unknown: no lock, on this disk"]);
  } else if (holder === null) {
    lines.push(["Agent", identity ? "not running" : "not running, not registered"]);
  } else if (holder.since_ms === null) lines.push(["Agent", "running"]);
  else {
    const since = describeTime(holder.since_ms, nowMs);
    const length = describeDuration(nowMs - holder.since_ms);
    lines.push(["Agent", `running since ${since} (${length}), process ${holder.process_id}`]);
  }
  if (hasDrawnMachineId) {
    lines.push(["Machine id", "drawn by Pennon: the host has none of its own"]);
  }
  if (identity === null || !isVerbose) return lines;
  lines.push(["Id", identity.agentId]);
  if (identity.tokenEndsAtMs !== null) {
    const leftMs = identity.tokenEndsAtMs - nowMs;
    const end = leftMs > 0 ? `expires in ${describeDuration(leftMs)}` : "has expired";
    lines.push(["Token", `${end}; renewed automatically`]);
  }
  return lines;
}

function describeConnection(
  { state, identity, holder, nowMs }: Status,
  { nextAttemptAtMs }: AgentHealth,
  isVerbose: boolean,
): StatusLine[] {
  if (identity === null) return [];
  const lastMs = state?.lastCheckInAtMs ?? null;
  const last = lastMs === null ? "none yet" : `last ${describePast(lastMs, nowMs)}`;
  const lines: StatusLine[] = [["Check-in", last + describeNextCheckIn(nextAttemptAtMs, nowMs)]];
  if (state === null) return lines;
  const { breaker, outage } = state.connection;
  if (breaker.state !== "closed") {
    const word = breaker.state.replace("_", "-");
    const text = `${word} after ${breaker.failures} failures: ${breaker.reason}`;
    lines.push(["Breaker", text, breaker.state]);
  } else if (isVerbose) lines.push(["Breaker", "closed: calls go through", "closed"]);
  if (outage !== null && holder !== null) {
    const attempts = outage.failedCalls === 1 ? "attempt" : "attempts";
    lines.push(["Outage", `${outage.failedCalls} failed ${attempts}`]);
  }
  if (holder === null) return lines;
  return [...lines, ["Polling", describePolling(state, identity.intervalMs, nowMs)]];
}

function describeNextCheckIn(nextMs: number | null, nowMs: number): string {
  if (nextMs === null) return "";
  if (nextMs <= nowMs) return ", next due now";
  return `, next ${describeTime(nextMs, nowMs)} (in ${describeDuration(nextMs - nowMs)})`;
}

/** The bounds of a single wait: `nextCheckInDelayMs()` looks for a slot half an interval away. */
const SHORTEST_SHARE = 0.4;
const LONGEST_SHARE = 1.6;

function describePolling(state: StoredState, intervalMs: number, nowMs: number): string {
  const { rapidUntilMs } = state;
  if (rapidUntilMs !== null && rapidUntilMs > nowMs) {
    return `rapid for ${describeDuration(rapidUntilMs - nowMs)} more`;
  }
  const [shortest, longest] = [SHORTEST_SHARE, LONGEST_SHARE].map((share) =>
    describeDuration(share * intervalMs)
  );
  const every = describeDuration(intervalMs);
  return `about every ${every}; with jitter a single wait is ${shortest} to ${longest}`;
}

function describeKeys({ signing: { keys, unsigned }, nowMs }: Status): StatusLine[] {
  return describeSigning(keys, unsigned, nowMs).map(([title, text]): StatusLine => [title, text]);
}

function describeBuffer(
  { buffer, commands, disk, limits, nowMs }: Status,
  isVerbose: boolean,
): StatusLine[] {
  if (buffer === null) {
    if (disk.bufferError !== null) return [];
    const isRefused = disk.note !== null && disk.note.disk !== "ok";
    return [["Buffer", isRefused ? "none on disk; events are in memory" : "empty"]];
  }
  const { pending, sizeBytes, oldestPendingMs, delivered, deadLetters, purged } = buffer;
  const evicted = Object.values(buffer.evicted).reduce((sum, count) => sum + count, 0);
  const oldest = oldestPendingMs === null
    ? ""
    : `, oldest ${describeDuration(nowMs - oldestPendingMs)}`;
  const room = `${describeSize(sizeBytes)} of ${describeSize(limits.maxBytes)}`;
  const lines: StatusLine[] = [
    ["Buffer", `${pending} of ${limits.maxEvents} events waiting (${room}${oldest})`],
  ];
  if (isVerbose || deadLetters + evicted + purged > 0) {
    const counts = `${deadLetters} dead letters, ${evicted} evicted, ${purged} purged`;
    lines.push(["", `${delivered} delivered, ${counts}`]);
  }
  if (isVerbose) {
    lines.push([
      "",
      `an event becomes a dead letter after ${limits.maxAttempts} refusals of its own`,
    ]);
  }
  lines.push(...describeCommands(commands, isVerbose));
  if (buffer.firstEvictionMs !== null) {
    const kinds = Object.entries(buffer.evicted).filter(([, count]) => count > 0)
      .map(([kind, count]) => `${count} ${kind}`);
    const since = describePast(buffer.firstEvictionMs, nowMs);
    lines.push(["Evicted", `${kinds.join(", ")}; the buffer was full, first ${since}`]);
  }
  return lines;
}

function describeCommands(commands: CommandCounts | null, isVerbose: boolean): StatusLine[] {
  if (commands === null) return [];
  const { received, started, finished, unfinished, remembered } = commands;
  const isBusy = received + started + finished > 0;
  const lines: StatusLine[] = [];
  if (isVerbose || isBusy) {
    lines.push(["Commands", `${unfinished} unfinished, ${remembered} of ${REMEMBERED} remembered`]);
  }
  if (!isBusy) return lines;
  const text = `${received} received, ${started} started, ${finished} finished and not reported`;
  return [...lines, ["", text]];
}

/** Why the disk accepts no writes; `null`: it does, or nothing is known of it. */
export function describeRefusal(
  { note, refusal, isFull }: DiskStatus,
  isRunning: boolean,
): string | null {
  if (refusal !== null) return refusal;
  if (note !== null) return note.disk === "ok" ? null : note.why ?? note.disk;
  if (!isRunning) return null;
  return isFull ? "no space left on it" : "the agent could not write its state to it";
}

/** What the running agent says of the disk; without an agent nothing is known of its room. */
function describeDisk(disk: DiskStatus, isRunning: boolean, isVerbose: boolean): StatusLine[] {
  const { note, bufferError } = disk;
  const lines: StatusLine[] = [];
  const refusal = describeRefusal(disk, isRunning);
  if (refusal !== null) lines.push(["Disk", `accepts no writes: ${splitAdvice(refusal)[0]}`]);
  else if (note !== null) lines.push(["Disk", "accepts writes"]);
  if (bufferError !== null) lines.push(["Buffer", `unreadable: ${bufferError}`]);
  if (isRunning && (isVerbose || refusal !== null)) lines.push(["In memory", describeMemory(note)]);
  return lines;
}

function describeMemory(note: SavedDiskStatus | null): string {
  if (note === null) return "unknown";
  const size = `${describeSize(note.size_bytes)} of ${describeSize(OVERFLOW_MAX_BYTES)}`;
  return `${note.events} of ${OVERFLOW_MAX_EVENTS} events (${size}), ` +
    `${note.acknowledgements} of ${MAX_OWED} acknowledgements`;
}

function describeScans({ scans, scannerBreakers, nowMs }: Status): StatusLine[] {
  const open = Object.entries(scannerBreakers).filter(([, { state }]) => state !== "closed")
    .map(([name, breaker]): StatusLine => {
      const next = breaker.state === "open" && breaker.untilMs > nowMs
        ? `no scan before ${describeTime(breaker.untilMs, nowMs)} ` +
          `(in ${describeDuration(breaker.untilMs - nowMs)})`
        : "the next scan is the probe";
      return ["Paused", `${name} after ${breaker.failures} failures; ${next}`];
    });
  const done = Object.entries(scans).map(([name, scan], index) => {
    const when = describePast(scan.at_ms, nowMs);
    const found = scan.result === "failed"
      ? `failed: ${scan.error ?? "no reason saved"}`
      : `${scan.result}, ${scan.updates} updates, ${scan.security} security`;
    return [index === 0 ? "Scans" : "", `${name} ${when}: ${found}`] as StatusLine;
  });
  return [...done, ...open];
}

/** Colours the first word of a text. */
function paintFirst(text: string, colour: ColouredWord, paint: Paint): string {
  const [word = ""] = /^[\w-]+/.exec(text) ?? [];
  return paint(colour, word) + text.slice(word.length);
}

/** Words; a command in backquotes is one of them, so that it can be copied. */
const WORDS = /\S*`[^`]*`\S*|\S+/g;

/** A text as lines; a word that is longer than a line has a line of its own. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const [word] of text.matchAll(WORDS)) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= columns) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
