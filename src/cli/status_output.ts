/** The agent's status as text and as JSON. Pure. */

import type { LockHolder } from "../agent/instance_lock.ts";
import type { BufferCounts, BufferLimits } from "../buffer/buffer.ts";
import type { CommandCounts } from "../buffer/command_counts.ts";
import { REMEMBERED } from "../buffer/sqlite_journal.ts";
import type { SavedBreaker } from "../breaker/saved.ts";
import type { StoredState } from "../loop/state.ts";
import type { LastScans } from "../scanners/last_scans.ts";
import { describeDuration, describeSize, isoInstant } from "./duration.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import { describeDisk, diskAsJson, type DiskStatus } from "./status_disk.ts";

/** All there is to say. */
export interface Status {
  readonly nowMs: number;
  readonly identity:
    | {
      readonly agentId: string;
      readonly serverUrl: string;
      readonly tokenEndMs: number | null;
      readonly intervalMs: number;
    }
    | null;
  readonly holder: LockHolder | null;
  /** As last saved; `null`: the agent has not run yet. */
  readonly state: StoredState | null;
  readonly buffer: BufferCounts | null;
  readonly commands: CommandCounts | null;
  readonly limits: BufferLimits;
  readonly disk: DiskStatus;
  readonly scannerBreakers: Readonly<Record<string, SavedBreaker>>;
  readonly scans: LastScans;
}

/** `pennon.status/1`; it only ever gains fields. */
export function statusAsJson(status: Status, options: { isOneLine?: boolean } = {}): string {
  const { identity, holder, state, buffer, limits } = status;
  return safeJson(
    {
      schema: "pennon.status/1",
      registered: identity !== null,
      agent_id: identity?.agentId ?? null,
      server_url: identity?.serverUrl ?? null,
      token_ends_at: isoInstant(identity?.tokenEndMs ?? null),
      running: holder !== null,
      process_id: holder?.process_id ?? null,
      connection: state && {
        breaker: state.connection.breaker.state,
        reason: state.connection.breaker.state === "closed"
          ? null
          : state.connection.breaker.reason,
        failures: state.connection.paths.check_in.failures,
        next_attempt_at: isoInstant(nextAttemptMs(state)),
        outage_since: isoInstant(state.connection.outage?.sinceMs ?? null),
        outage_attempts: state.connection.outage?.attempts ?? 0,
        needs_person: state.connection.needsPerson?.why ?? null,
        last_check_in_at: isoInstant(state.lastCheckInMs),
      },
      polling: state && {
        mode: isRapid(state, status.nowMs) ? "rapid" : "normal",
        rapid_until: isoInstant(state.rapidUntilMs),
        interval_s: (identity?.intervalMs ?? 0) / 1_000,
      },
      buffer: buffer && {
        pending: buffer.pending,
        set_aside: buffer.setAside,
        size_bytes: buffer.sizeBytes,
        oldest_pending_at: isoInstant(buffer.oldestPendingMs),
        appended: buffer.appended,
        delivered: buffer.delivered,
        dropped: buffer.dropped,
        dropped_since: isoInstant(buffer.firstDropMs),
        purged: buffer.purged,
        max_events: limits.maxEvents,
        max_bytes: limits.maxBytes,
        max_attempts: limits.maxAttempts,
      },
      commands: status.commands && { ...status.commands, max_remembered: REMEMBERED },
      disk: diskAsJson(status.disk, holder),
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

/** A few lines that fit 80 columns, for a person. */
export function statusAsText(status: Status): string {
  return [
    ...describeAgent(status),
    ...describeConnection(status),
    ...describeBuffer(status),
    ...describeDisk(status.disk, status.holder),
    ...describeScans(status),
  ].map(([title, text]) => `${title.padEnd(12)}${stripControls(text)}`).join("\n");
}

type Line = [title: string, text: string];

function describeAgent({ identity, holder, nowMs }: Status): Line[] {
  const running = describeRunning(holder, nowMs);
  if (identity === null) return [["Agent", `${running}, not registered`]];
  const { agentId, serverUrl, tokenEndMs } = identity;
  const lines: Line[] = [["Agent", running], ["Id", agentId], ["Server", serverUrl]];
  if (tokenEndMs !== null) {
    const leftMs = tokenEndMs - nowMs;
    const end = leftMs > 0 ? `ends in ${describeDuration(leftMs)}` : "has ended";
    lines.push(["Token", `${end}; renewed by itself`]);
  }
  return lines;
}

function describeRunning(holder: LockHolder | null, nowMs: number): string {
  if (holder === null) return "not running";
  const { since_ms: sinceMs, process_id: process } = holder;
  if (sinceMs === null) return "running";
  return `running for ${describeDuration(nowMs - sinceMs)} (process ${process})`;
}

function describeConnection({ state, identity, nowMs }: Status): Line[] {
  if (state === null) return identity ? [["Connection", "no check-in yet"]] : [];
  const { breaker, outage, needsPerson } = state.connection;
  const lines: Line[] = [];
  if (needsPerson !== null) {
    lines.push(["ATTENTION", `operator action required: ${needsPerson.why}`]);
  }
  const why = breaker.state === "closed" ? "" : ` (${breaker.reason})`;
  lines.push(["Connection", `${breaker.state.replace("_", "-")}${why}`]);
  if (outage) {
    const length = describeDuration(nowMs - outage.sinceMs);
    lines.push(["Outage", `for ${length}, ${outage.attempts} attempts: ${outage.why}`]);
  }
  const last = state.lastCheckInMs === null
    ? "none yet"
    : `${describeDuration(nowMs - state.lastCheckInMs)} ago`;
  const nextMs = nextAttemptMs(state);
  const next = nextMs === null || nextMs <= nowMs
    ? "due now"
    : `next in ${describeDuration(nextMs - nowMs)}`;
  lines.push(["Check-in", `last ${last}, ${next}`]);
  const every = describeDuration(identity?.intervalMs ?? 0);
  const mode = isRapid(state, nowMs)
    ? `rapid for ${describeDuration((state.rapidUntilMs ?? 0) - nowMs)} more`
    : `every ${every}`;
  lines.push(["Polling", mode]);
  return lines;
}

function describeBuffer({ buffer, commands, disk, limits, nowMs }: Status): Line[] {
  if (buffer === null) return disk.unreadable === null ? [["Buffer", "empty"]] : [];
  const { delivered, setAside, purged } = buffer;
  const dropped = Object.values(buffer.dropped).reduce((sum, count) => sum + count, 0);
  const oldest = buffer.oldestPendingMs === null
    ? ""
    : `, oldest ${describeDuration(nowMs - buffer.oldestPendingMs)}`;
  const room = `${describeSize(buffer.sizeBytes)} of ${describeSize(limits.maxBytes)}`;
  const lines: Line[] = [
    ["Buffer", `${buffer.pending} of ${limits.maxEvents} events waiting (${room}${oldest})`],
    ["", `${delivered} delivered, ${setAside} set aside, ${dropped} dropped, ${purged} purged`],
    ["", `an event is set aside after ${limits.maxAttempts} refusals of its own`],
    ...describeCommands(commands),
  ];
  if (buffer.firstDropMs !== null) {
    const kinds = Object.entries(buffer.dropped).filter(([, count]) => count > 0)
      .map(([kind, count]) => `${count} ${kind}`);
    const since = describeDuration(nowMs - buffer.firstDropMs);
    lines.push(["Dropped", `${kinds.join(", ")}; the buffer was full, first ${since} ago`]);
  }
  return lines;
}

function describeCommands(commands: CommandCounts | null): Line[] {
  if (commands === null) return [];
  const { received, started, finished, unfinished, remembered } = commands;
  const lines: Line[] = [
    ["Commands", `${unfinished} unfinished, ${remembered} of ${REMEMBERED} remembered`],
  ];
  if (received + started + finished > 0) {
    const text = `${received} received, ${started} started, ${finished} finished and not reported`;
    lines.push(["", text]);
  }
  return lines;
}

function describeScans({ scans, scannerBreakers, nowMs }: Status): Line[] {
  const open = Object.entries(scannerBreakers).filter(([, { state }]) => state !== "closed")
    .map(([name, breaker]): Line => {
      const next = breaker.state === "open"
        ? `next try in ${describeDuration(breaker.untilMs - nowMs)}`
        : "the next scan decides";
      return ["Left alone", `${name} after ${breaker.failures} failures, ${next}`];
    });
  const done = Object.entries(scans).map(([name, scan], index) => {
    const when = `${describeDuration(nowMs - scan.at_ms)} ago`;
    const found = scan.result === "failed"
      ? `failed: ${scan.error ?? "no reason kept"}`
      : `${scan.result}, ${scan.updates} updates, ${scan.security} security`;
    return [index === 0 ? "Scans" : "", `${name} ${when}: ${found}`] as Line;
  });
  return [...done, ...open];
}

/** When the agent will call next: the interval's instant, or the backoff's or breaker's. */
function nextAttemptMs(state: StoredState): number | null {
  const { breaker, paths, doubt, needsPerson } = state.connection;
  const instants = [state.nextCheckInMs, paths.check_in.notBeforeMs];
  if (doubt?.kind === "token") instants.push(doubt.notBeforeMs);
  if (needsPerson !== null) instants.push(needsPerson.notBeforeMs);
  if (breaker.state === "open") instants.push(breaker.untilMs);
  const known = instants.filter((instant) => instant !== null);
  return known.length === 0 ? null : Math.max(...known);
}

function isRapid(state: StoredState, nowMs: number): boolean {
  return state.rapidUntilMs !== null && state.rapidUntilMs > nowMs;
}
