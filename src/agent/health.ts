/**
 * The health of the agent, from its status: pure. What is failed needs an operator now, or loses data;
 * what is degraded is worse than it should be and waits for the morning. docs/operation.md has the list.
 */

import { pennonCommand, registerCommand, splitAdvice } from "../advice.ts";
import { DISK_WORDS, type DiskWords } from "../buffer/disk_words.ts";
import type { DiskFailure } from "../buffer/store_supervisor.ts";
import { describeDoubt, describeOperatorAction } from "../connection/operator_words.ts";
import type { StoredState } from "../loop/state.ts";
import { saysAgentUnknown } from "../server/answer.ts";
import { describeKeyFault } from "../server/key_trust.ts";
import { blamesProxy } from "../system/http.ts";
import { joinNames } from "../wording.ts";
import {
  clockBackMs,
  factOf,
  nextAttemptAtMs,
  type ServerHealth,
  serverHealth,
} from "./server_health.ts";
import type { Status } from "./status.ts";

/** `degraded`: worse than it should be; `failed`: an operator is needed, or data is being lost. */
export type HealthLevel = "ok" | "degraded" | "failed";

/** One reason why the level is not `ok`. */
export interface HealthReason {
  /** Stable: scripts may rely on it. */
  readonly code: string;
  readonly level: Exclude<HealthLevel, "ok">;
  /** What is wrong, without a full stop and without times, for one line. */
  readonly words: string;
  /** Since when, in ms since the Unix epoch; `null`: unknown. */
  readonly sinceMs: number | null;
  /** What happened at `sinceMs`, where that is only the best that is known; `null`: it began then. */
  readonly sinceIs: string | null;
  /** Why it is so, where that is not obvious. */
  readonly because: string | null;
  /** What to do, without a full stop; commands of Pennon are in backquotes. `null`: nothing, it heals. */
  readonly next: string | null;
}

/** The health of an agent. */
export interface AgentHealth {
  readonly level: HealthLevel;
  /** The most serious first; empty if the level is `ok`. */
  readonly reasons: readonly HealthReason[];
  readonly server: ServerHealth;
  /** See `nextAttemptAtMs`. */
  readonly nextAttemptAtMs: number | null;
}

/**
 * An outage up to here is normal: a restart of the server. In it, five failed attempts open the breaker
 * after 5 + 10 + 20 + 40 s at most.
 */
const OUTAGE_TOLERATED_MS = 75_000;

/** After this long without a check-in no server that is well still asks to come later. */
const PUT_OFF_MS = 2 * 3_600_000;

/** After this long without a server the host is as good as unmanaged. */
const OUTAGE_FAILED_MS = 24 * 3_600_000;

/** A started agent has checked in by then, unless a reason says why not. */
const FIRST_CHECK_IN_MS = 600_000;

/** An attempt this late means an agent that hangs, a host that slept, or a clock that jumped. */
const OVERDUE_MS = 600_000;
const OVERDUE_FAILED_MS = 3_600_000;

/** An event waits for no longer at a server that takes reports. */
const DELIVERY_MS = 3_600_000;

/** What was evicted or refused is news for this long. */
const NEWS_MS = 24 * 3_600_000;

/** Share of a limit of the buffer from which on it counts as nearly full. */
const NEARLY_FULL = 0.9;

/** A cycle of `run --once` counts for this long: it may come once a day. */
const ONCE_MS = 26 * 3_600_000;

/** Judges a status. */
export function assessHealth(status: Status): AgentHealth {
  const all = [
    ...assessAgent(status),
    ...assessServer(status),
    ...assessKeys(status),
    ...assessDisk(status),
    ...assessBuffer(status),
    ...assessClock(status),
    ...assessScanners(status),
  ];
  const reasons = [
    ...all.filter(({ level }) => level === "failed"),
    ...all.filter(({ level }) => level === "degraded"),
  ];
  return {
    level: reasons[0]?.level ?? "ok",
    reasons,
    server: serverHealth(status),
    nextAttemptAtMs: nextAttemptAtMs(status),
  };
}

const START = `start it: \`${pennonCommand("run")}\`, or the service of this host`;

function assessAgent(status: Status): HealthReason[] {
  const { identity, identityError, holder, state, nowMs } = status;
  if (identityError !== null) {
    const [words, next] = splitAdvice(identityError);
    return [failed("identity_unusable", words, { next })];
  }
  if (identity === null) {
    const next = `\`${registerCommand()}\``;
    return [failed("not_registered", "this host is not registered", { next })];
  }
  if (holder === null) {
    // No agent can lock a disk that refuses writes: `assessDisk` says so.
    if (status.disk.refusal !== null) return [];
    if (state === null && !isDamaged(status)) {
      return [failed("never_started", "the agent was registered and never started", {
        sinceMs: identity.savedAtMs,
        sinceIs: identity.savedAtMs === null ? null : "the last save of the identity",
        next: START,
      })];
    }
    return state !== null && isServedByOnce(state, nowMs)
      ? []
      : [failed("agent_not_running", "no agent runs", {
        ...signOfLife(status),
        because: whyNoAgentRuns(status),
        next: START,
      })];
  }
  const runningMs = holder.since_ms === null ? 0 : nowMs - holder.since_ms;
  const hasCheckedIn = state !== null && state.lastCheckInAtMs !== null;
  if (hasCheckedIn || runningMs < FIRST_CHECK_IN_MS) return [];
  if (state?.connection.outage || isDamaged(status)) return [];
  return [degraded("never_checked_in", "the agent runs and has not checked in yet", {
    sinceMs: holder.since_ms,
    next: `see its log, then \`${pennonCommand("doctor")}\``,
  })];
}

function signOfLife({ last: { signOfLife } }: Status): Pick<HealthReason, "sinceMs" | "sinceIs"> {
  if (signOfLife === null) return { sinceMs: null, sinceIs: null };
  return { sinceMs: signOfLife.atMs, sinceIs: `its last sign of life, ${signOfLife.what}` };
}

/** What the files say about the end of the last agent; they cannot say who killed it. */
function whyNoAgentRuns({ last: { leftBehind, signOfLife, logLine, bootMs } }: Status): string {
  const said = logLine === null
    ? "; its log may say more"
    : `; the last line of its log: ${logLine}`;
  // The clock of a machine may be set a little while it starts.
  if (signOfLife !== null && bootMs !== null && bootMs > signOfLife.atMs) {
    return `this host has restarted since then${said}`;
  }
  if (leftBehind === null) return `how the last agent ended is not known${said}`;
  return `process ${leftBehind.process_id} ended without a shutdown: it was killed, for lack of memory ` +
    `or by somebody, or it crashed; which of these is not known here${said}`;
}

/** Whether the file with the state is there and cannot be read, so that nothing is known of it. */
function isDamaged({ damaged }: Status): boolean {
  return damaged.some(({ file }) => file === "state.json");
}

/** Whether the last work was a cycle of `run --once`, which is as recent as that can be. */
function isServedByOnce(state: StoredState, nowMs: number): boolean {
  return state.isOnce && state.lastCheckInAtMs !== null &&
    nowMs - state.lastCheckInAtMs < ONCE_MS;
}

function assessServer(status: Status): HealthReason[] {
  const { holder, identity, state, nowMs } = status;
  if (identity === null || state === null) return [];
  const { operatorAction, outage, doubt, breaker } = state.connection;
  if (operatorAction !== null) {
    const { cause, facts = {}, sinceMs, why } = operatorAction;
    const { what, because, remedy } = describeOperatorAction(cause, facts, why);
    const words = `operator action required: ${what}`;
    return [failed(`operator_action_${cause}`, words, { sinceMs, because, next: remedy })];
  }
  const reasons: HealthReason[] = [];
  if (doubt !== null) {
    const { what, because, remedy } = describeDoubt(doubt);
    const isUnknown = doubt.kind === "deleted" || saysAgentUnknown(doubt.why);
    reasons.push(degraded(isUnknown ? "maybe_deleted" : "tokens_refused", what, {
      sinceMs: doubt.sinceMs,
      because,
      next: remedy,
    }));
  }
  // What nobody runs has no outage.
  if (holder === null && !state.isOnce) return reasons;
  if (outage !== null) {
    const { sinceMs } = outage;
    const lastsMs = nowMs - sinceMs;
    const more = { sinceMs, next: outageAdvice(outage) };
    if (lastsMs >= OUTAGE_FAILED_MS) reasons.push(failed("outage", outageWords(outage), more));
    else if (
      // After a cycle of `run --once` no process tries again soon.
      lastsMs >= OUTAGE_TOLERATED_MS || breaker.state !== "closed" || holder === null
    ) {
      reasons.push(degraded("outage", outageWords(outage), more));
    }
  } else if (breaker.state === "closed") {
    reasons.push(...assessPutOff(state, nowMs));
  } else {
    reasons.push(degraded("breaker_open", `the connection is paused: ${breaker.reason}`, {
      sinceMs: breaker.sinceMs,
      next: `see the server; \`${pennonCommand("breaker", "reset", "connection")}\` tries at once`,
    }));
  }
  return [...reasons, ...assessOverdue(status)];
}

/** A server asks for a wait of an hour at most: one that asks each time is seen by nobody else. */
function assessPutOff(
  { lastCheckInAtMs, connection: { paths } }: StoredState,
  nowMs: number,
): HealthReason[] {
  if (lastCheckInAtMs === null || paths.check_in.failures === 0) return [];
  if (nowMs - lastCheckInAtMs < PUT_OFF_MS) return [];
  return [degraded("put_off", "no check-in for hours: each time the server asks to come later", {
    sinceMs: lastCheckInAtMs,
    next: "see the server's own log, and that of any proxy in front of it, for too many requests",
  })];
}

function outageWords({ why, status, offline }: Outage): string {
  if (offline) return `this host seems to be offline: ${factOf(why)}`;
  if (status === null) return `the server is not reachable: ${factOf(why)}`;
  return status < 500
    ? `the server gives no good answer: ${factOf(why)}`
    : `the server answers with errors: ${factOf(why)}`;
}

function outageAdvice({ why, status, offline }: Outage): string {
  if (blamesProxy(why)) {
    const test = `\`${pennonCommand("doctor")}\` tests it`;
    return `see to the proxy, proxy.http and proxy.https: ${test}; events wait meanwhile`;
  }
  if (offline) return "see the network of this host; events wait in the buffer meanwhile";
  if (status === null) {
    return "see whether the server runs and can be reached from here; events wait meanwhile";
  }
  return status < 500
    ? "see to the server's setup, and to what is in front of it: a proxy, a portal or a filter"
    : "see the server's own log; events wait in the buffer meanwhile";
}

type Outage = NonNullable<StoredState["connection"]["outage"]>;

function assessOverdue(status: Status): HealthReason[] {
  const dueMs = nextAttemptAtMs(status);
  if (dueMs === null || status.nowMs - dueMs < OVERDUE_MS) return [];
  const words = "the next attempt is overdue: the agent hangs, the host slept, or its clock jumped";
  const more = { sinceMs: dueMs, next: "see the log; restart the agent if it says nothing" };
  const isLong = status.nowMs - dueMs >= OVERDUE_FAILED_MS;
  return [isLong ? failed("overdue", words, more) : degraded("overdue", words, more)];
}

function assessKeys({ identity, signing: { keys }, nowMs }: Status): HealthReason[] {
  if (identity === null) return [];
  const fault = describeKeyFault(keys.trust);
  if (fault !== null) return [failed("signatures_refused", fault.words, { next: fault.next })];
  const { lastRefusal, refusedCommands } = keys;
  if (lastRefusal === null || nowMs - lastRefusal.atMs >= NEWS_MS) return [];
  const { type, why, atMs } = lastRefusal;
  const many = refusedCommands === 1 ? "a command was" : `${refusedCommands} commands were`;
  const words = `${many} refused for the signature, the last one ${type}: ${why}`;
  return [degraded("commands_refused", words, {
    sinceMs: atMs,
    next: "see docs/security.md, signed commands: somebody may send commands in the server's name",
  })];
}

function assessDisk(status: Status): HealthReason[] {
  const { disk, holder, damaged, last: { signOfLife } } = status;
  const { note, refusal, bufferError } = disk;
  const lastWrite = {
    sinceMs: signOfLife?.atMs ?? null,
    sinceIs: signOfLife && `the last write that succeeded, ${signOfLife.what}`,
  };
  const reasons: HealthReason[] = [];
  if (refusal !== null) {
    const runs = holder === null ? "; an agent may run on it without its lock" : "";
    reasons.push(failed("disk_denied", `${DISK_WORDS.denied.what}: ${refusal}${runs}`, {
      ...lastWrite,
      next: adviceOnDisk("denied"),
    }));
  } else if (holder !== null && note === null) {
    const code = disk.isFull ? "full" : "refused";
    const words = `${wordsOnDisk(code).what}: the agent could not even write its state to it`;
    reasons.push(failed(`disk_${code}`, words, {
      ...holder.since_ms === null
        ? lastWrite
        : { sinceMs: holder.since_ms, sinceIs: "the start of the agent" },
      next: adviceOnDisk(code),
    }));
  } else if (note !== null && note.disk !== "ok") {
    const atRisk = note.events + note.acknowledgements === 0
      ? ""
      : `; ${note.events} events are in memory alone`;
    const [why, next] = splitAdvice(note.why ?? note.disk);
    reasons.push(
      failed(`disk_${note.disk}`, `${wordsOnDisk(note.disk).what}: ${why}${atRisk}`, {
        ...note.since_ms === null ? lastWrite : { sinceMs: note.since_ms },
        next: next ?? adviceOnDisk(note.disk),
      }),
    );
  } else if (bufferError !== null) {
    const [why, next] = splitAdvice(bufferError);
    reasons.push(degraded("buffer_unreadable", `the buffer cannot be read: ${why}`, {
      next: next ??
        (holder === null ? START : "see the log of the agent, which salvages a damaged buffer"),
    }));
  }
  for (const { file, why } of damaged) {
    // A lost key is a reason of its own.
    if (file === "keys.json") continue;
    reasons.push(degraded("file_damaged", `"${file}" is damaged: ${why}`, {
      next: holder === null ? START : null, // It writes the file anew with the next change.
    }));
  }
  return reasons;
}

/** `refused`: the disk refuses writes, and no agent could say why. */
function wordsOnDisk(code: string): DiskWords {
  if (code === "refused") return { ...DISK_WORDS.denied, what: "the disk refuses writes" };
  return Object.hasOwn(DISK_WORDS, code) ? DISK_WORDS[code as DiskFailure] : DISK_WORDS.failed;
}

function adviceOnDisk(code: string): string {
  const { next, then } = wordsOnDisk(code);
  return then === null ? next : `${next}; ${then}`;
}

function assessBuffer({ buffer, limits, state, holder, nowMs }: Status): HealthReason[] {
  if (buffer === null) return [];
  const reasons: HealthReason[] = [];
  const { pending, deadLetters, sizeBytes, oldestPendingMs, evicted, firstEvictionMs } = buffer;
  if (deadLetters > 0) {
    const words = deadLetters === 1 ? "1 dead letter waits" : `${deadLetters} dead letters wait`;
    reasons.push(degraded("dead_letters", `${words} for an operator`, {
      next: `\`${pennonCommand("events", "list", "--dead")}\`, then requeue or purge them`,
    }));
  }
  const share = Math.max((pending + deadLetters) / limits.maxEvents, sizeBytes / limits.maxBytes);
  const isFull = share >= NEARLY_FULL;
  const lost = Object.values(evicted).reduce((sum, count) => sum + count, 0);
  if (lost > 0 && firstEvictionMs !== null && (isFull || nowMs - firstEvictionMs < NEWS_MS)) {
    const words = `the buffer was full and ${lost} events were evicted: they are lost`;
    reasons.push(degraded("evictions", words, {
      sinceMs: firstEvictionMs,
      next: "mend the connection; a larger buffer is set by buffer.max_events and buffer.max_size",
    }));
  } else if (isFull) {
    reasons.push(degraded("buffer_nearly_full", "the buffer is nearly full: events will be lost", {
      next: "mend the connection; a larger buffer is set by buffer.max_events and buffer.max_size",
    }));
  }
  const isConnected = holder !== null && state !== null && state.connection.outage === null &&
    state.connection.operatorAction === null && state.connection.breaker.state === "closed" &&
    state.connection.paths.check_in.failures === 0;
  if (isConnected && oldestPendingMs !== null && nowMs - oldestPendingMs >= DELIVERY_MS) {
    reasons.push(degraded("delivery_late", "the server takes check-ins, but events still wait", {
      sinceMs: oldestPendingMs,
      next: "see the log for `server failed on a report`, then the server's own log",
    }));
  }
  return reasons;
}

function assessClock(status: Status): HealthReason[] {
  const isServed = status.holder !== null || status.state?.isOnce === true;
  if (!isServed || clockBackMs(status) === 0) return [];
  const words =
    "the clock of this host went back: the times shown are wrong until the next check-in";
  return [degraded("clock_went_back", words, { next: "see the time service of this host" })];
}

function assessScanners(status: Status): HealthReason[] {
  const { scannerBreakers, scans, scanners, identity } = status;
  if (identity === null) return [];
  const { enabled, available } = scanners;
  if (enabled.length === 0) {
    return [degraded("scanners_disabled", "no scanner is enabled: this host reports no updates", {
      next: "name some in scanners.enabled",
    })];
  }
  if (available.length === 0) {
    const words = `no package manager found (looked for ${joinNames(enabled)})`;
    return [degraded("no_package_manager", words, {
      next: "see scanners.enabled: the package manager of this host is not among them",
    })];
  }
  const reasons: HealthReason[] = [];
  for (const name of available) {
    const breaker = scannerBreakers[name];
    const scan = scans[name];
    if (breaker !== undefined && breaker.state !== "closed") {
      const words = `${name} is paused after ${breaker.failures} failed scans: ${breaker.reason}`;
      reasons.push(degraded("scanner_paused", words, {
        sinceMs: breaker.sinceMs,
        next: `\`${pennonCommand("scan", "--only", name)}\` shows what is wrong; then ` +
          `\`${pennonCommand("breaker", "reset", name)}\``,
      }));
    } else if (scan?.result === "failed") {
      const words = `the last scan of ${name} failed: ${scan.error ?? "no reason saved"}`;
      reasons.push(degraded("scan_failed", words, {
        sinceMs: scan.at_ms,
        next: `\`${pennonCommand("scan", "--only", name)}\` shows what is wrong`,
      }));
    } else if (scan?.result === "degraded") {
      const words = `the list of ${name} is incomplete or out of date` +
        (scan.warning == null ? "" : `: ${scan.warning}`);
      reasons.push(degraded("scan_degraded", words, {
        sinceMs: scan.at_ms,
        next: `\`${pennonCommand("scan", "--only", name)}\` names each source`,
      }));
    }
  }
  return reasons;
}

type More =
  & Pick<HealthReason, "next">
  & Partial<Pick<HealthReason, "sinceMs" | "sinceIs" | "because">>;

function failed(code: string, words: string, more: More): HealthReason {
  const { sinceMs = null, sinceIs = null, because = null, next } = more;
  return { code, level: "failed", words, sinceMs, sinceIs, because, next };
}

function degraded(code: string, words: string, more: More): HealthReason {
  return { ...failed(code, words, more), level: "degraded" };
}
