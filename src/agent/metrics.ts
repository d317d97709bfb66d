/** Which metrics there are, and their values for a status of this host: pure. */

import { pennonCommand } from "../advice.ts";
import type { LastScans } from "../scanners/last_scans.ts";
import type { Metric, MetricDefinition, Sample } from "../telemetry/metric.ts";
import type { RebootState } from "../update.ts";
import { CONNECTION } from "./breaker_reset.ts";
import type { AgentHealth } from "./health.ts";
import type { Status } from "./status.ts";

/** Every metric, in the order of the page docs/monitoring.md, which a test compares with this. */
export const METRICS = {
  pennon_info: gauge("1", "Version of the agent, system and processor; the value is 1"),
  pennon_metrics_written_timestamp_seconds: gauge(
    "s",
    "When these metrics were collected; an old one in a file means that the agent no longer writes it",
  ),
  pennon_health: gauge(
    "1",
    `1 for the health level that holds, as ${pennonCommand("status")} shows it`,
  ),
  pennon_health_problems: gauge(
    "1",
    "Reasons why the health level is not ok, by their stable code",
  ),
  pennon_registered: gauge("1", "Whether this host is registered with a server"),
  pennon_agent_running: gauge("1", "Whether an agent runs on this state directory"),
  pennon_server_reachable: gauge("1", "Whether the server accepted the last check-in"),
  pennon_server_state: gauge("1", "1 for the state of the server as the agent last saw it"),
  pennon_operator_action_required: gauge(
    "1",
    "Whether only an operator can restore the connection",
  ),
  pennon_outage_seconds: gauge(
    "s",
    "How long the server has not served this agent: not reached, failing or refusing it; 0 if it does",
  ),
  pennon_refusal_seconds: gauge(
    "s",
    "How long the server has refused this agent (401, 403, 426, deleted); 0 if it does not",
  ),
  pennon_outage_failed_calls: gauge("1", "Failed calls while the server is not reached or fails"),
  pennon_last_check_in_timestamp_seconds: gauge("s", "When a check-in last succeeded"),
  pennon_token_expiry_timestamp_seconds: gauge("s", "When the access token expires"),
  pennon_breaker_state: gauge("1", "1 for the state of each circuit breaker that holds"),
  pennon_buffer_pending_events: gauge("1", "Events that wait to be delivered"),
  pennon_buffer_dead_letters: gauge("1", "Events that the server refused too often"),
  pennon_buffer_oldest_pending_seconds: gauge(
    "s",
    "Age of the oldest waiting event; 0 without one",
  ),
  pennon_buffer_size_bytes: gauge("By", "Size of the buffered events"),
  pennon_buffer_max_events: gauge("1", "Most events that the buffer holds"),
  pennon_buffer_max_bytes: gauge("By", "Most bytes that the buffer holds"),
  pennon_buffer_appended_events_total: counter("Events that were appended to the buffer"),
  pennon_buffer_delivered_events_total: counter("Events that the server accepted"),
  pennon_buffer_evicted_events_total: counter("Events that a full buffer evicted, by kind"),
  pennon_buffer_purged_events_total: counter("Events that an operator deleted"),
  pennon_disk_ok: gauge("1", "Whether the disk takes the running agent's writes"),
  pennon_memory_events: gauge("1", "Events in memory alone, while the disk refuses writes"),
  pennon_scan_timestamp_seconds: gauge("s", "When the scanner last ran"),
  pennon_scan_success_timestamp_seconds: gauge("s", "When the scanner last had a list"),
  pennon_scan_duration_seconds: gauge("s", "Duration of the scanner's last scan"),
  pennon_scan_result: gauge("1", "1 for the result of the scanner's last scan"),
  pennon_updates_pending: gauge("1", "Updates in the newest list, without ignored ones"),
  pennon_security_updates_pending: gauge("1", "Security updates in the newest list, as above"),
  pennon_updates: gauge("1", "Updates in the newest list by state, severity and security"),
  pennon_source_lists_age_seconds: gauge("s", "Age of the lists of a source"),
  pennon_source_ok: gauge("1", "Whether a source answered the last scan with current lists"),
  pennon_sources_omitted: gauge("1", "Sources beyond the 50 of a scanner that have metrics"),
  pennon_reboot_required: gauge("1", "Whether the host needs a restart; absent if unknown"),
} as const satisfies Readonly<Record<string, Definition>>;

type Definition = Omit<MetricDefinition, "name">;
type MetricName = keyof typeof METRICS;

/** Samples by metric; one that is missing has none. */
type Samples = Partial<Record<MetricName, readonly Sample[]>>;

/** What the metrics show. */
export interface MetricsInput {
  readonly status: Status;
  readonly health: AgentHealth;
  readonly version: string;
  readonly os: string;
  readonly architecture: string;
  /** `null`: no scan says. */
  readonly reboot: RebootState | null;
}

const HEALTH_LEVELS = ["ok", "degraded", "failed"] as const;

const SERVER_STATES = [
  "reachable",
  "unreachable",
  "offline",
  "failing",
  "refusing",
  "limiting",
  "unknown",
] as const;

const BREAKER_STATES = ["closed", "half_open", "open"] as const;
type BreakerState = typeof BREAKER_STATES[number];

const SCAN_RESULTS = ["ok", "degraded", "failed"] as const;

/** The metrics in the order of `METRICS`; one without a sample says nothing. */
export function collectMetrics(input: MetricsInput): Metric[] {
  const samples: Samples = {
    ...agentSamples(input),
    ...connectionSamples(input),
    ...bufferSamples(input),
    ...scanSamples(input),
    ...sourceSamples(input),
  };
  return Object.entries(METRICS).map(([name, definition]) => ({
    name,
    ...definition,
    samples: samples[name as MetricName] ?? [],
  }));
}

function agentSamples(
  { status, health, version, os, architecture, reboot }: MetricsInput,
): Samples {
  const { nowMs, identity, holder, disk: { note } } = status;
  const problems = Map.groupBy(health.reasons, ({ code }) => code);
  return {
    pennon_info: [{ labels: { version, os, architecture }, value: 1 }],
    pennon_metrics_written_timestamp_seconds: seconds(nowMs),
    pennon_health: oneOf("level", HEALTH_LEVELS, health.level),
    pennon_health_problems: [...problems].map(([code, reasons]) => ({
      labels: { code, level: reasons[0]?.level ?? "" },
      value: reasons.length,
    })),
    pennon_registered: one(identity !== null),
    pennon_agent_running: one(holder !== null),
    pennon_token_expiry_timestamp_seconds: seconds(identity?.tokenEndsAtMs ?? null),
    pennon_disk_ok: one(note && note.disk === "ok"),
    pennon_memory_events: one(note && note.events),
    pennon_reboot_required: one(reboot && reboot.isRequired),
  };
}

function connectionSamples({ status, health }: MetricsInput): Samples {
  const { state, scannerBreakers, nowMs } = status;
  const breakers: [string, { state: BreakerState }][] = Object.entries(scannerBreakers);
  if (state !== null) breakers.unshift([CONNECTION, state.connection.breaker]);
  const always = {
    pennon_server_reachable: one(health.server.state === "reachable"),
    pennon_server_state: oneOf("state", SERVER_STATES, health.server.state),
    pennon_breaker_state: breakers.flatMap(([breaker, { state }]) =>
      oneOf("state", BREAKER_STATES, state, { breaker })
    ),
  };
  if (state === null) return always;
  const { outage, operatorAction, doubt } = state.connection;
  // A refusal begins with its first sign, which is a doubt.
  const refusedMs = operatorAction?.sinceMs ?? doubt?.sinceMs ?? null;
  const sinceMs = [refusedMs, outage?.sinceMs ?? null].filter((ms) => ms !== null);
  return {
    ...always,
    pennon_operator_action_required: one(operatorAction !== null),
    pennon_outage_seconds: one(sinceMs.length === 0 ? 0 : elapsedS(nowMs, Math.min(...sinceMs))),
    pennon_refusal_seconds: one(refusedMs === null ? 0 : elapsedS(nowMs, refusedMs)),
    pennon_outage_failed_calls: one(outage?.failedCalls ?? 0),
    pennon_last_check_in_timestamp_seconds: seconds(state.lastCheckInAtMs),
  };
}

function bufferSamples({ status: { buffer, limits, nowMs } }: MetricsInput): Samples {
  if (buffer === null) return {};
  const { oldestPendingMs } = buffer;
  return {
    pennon_buffer_pending_events: one(buffer.pending),
    pennon_buffer_dead_letters: one(buffer.deadLetters),
    pennon_buffer_oldest_pending_seconds: one(
      oldestPendingMs === null ? 0 : elapsedS(nowMs, oldestPendingMs),
    ),
    pennon_buffer_size_bytes: one(buffer.sizeBytes),
    pennon_buffer_max_events: one(limits.maxEvents),
    pennon_buffer_max_bytes: one(limits.maxBytes),
    pennon_buffer_appended_events_total: one(buffer.appended),
    pennon_buffer_delivered_events_total: one(buffer.delivered),
    pennon_buffer_evicted_events_total: Object.entries(buffer.evicted).map(([kind, value]) => ({
      labels: { kind },
      value,
    })),
    pennon_buffer_purged_events_total: one(buffer.purged),
  };
}

function scanSamples({ status: { scans } }: MetricsInput): Samples {
  const all = Object.entries(scans).map(([scanner, scan]) => ({ scanner, scan }));
  type Each = (typeof all)[number];
  const perScanner = (valueOf: (scan: Each["scan"]) => number | null | undefined) =>
    all.flatMap(({ scanner, scan }) => labelled({ scanner }, valueOf(scan) ?? null));
  return {
    pennon_scan_timestamp_seconds: perScanner(({ at_ms }) => at_ms / 1_000),
    pennon_scan_success_timestamp_seconds: perScanner(({ listed_at_ms }) =>
      listed_at_ms == null ? null : listed_at_ms / 1_000
    ),
    pennon_scan_duration_seconds: perScanner(({ duration_ms }) => duration_ms / 1_000),
    pennon_scan_result: all.flatMap(({ scanner, scan }) =>
      oneOf("result", SCAN_RESULTS, scan.result, { scanner })
    ),
    pennon_updates_pending: perScanner(({ counts }) => sumOf(counts, () => true)),
    pennon_security_updates_pending: perScanner(({ counts }) =>
      sumOf(counts, ({ security }) => security === true)
    ),
    pennon_updates: all.flatMap(({ scanner, scan }) =>
      (scan.counts ?? []).map(({ state, severity, security, count }) => ({
        labels: {
          scanner,
          state,
          severity: severity ?? "unknown",
          security: security === null ? "unknown" : String(security),
        },
        value: count,
      }))
    ),
  };
}

type Counts = LastScans[string]["counts"];

/** The number of the updates that are not ignored; `null`: an earlier release saved no counts. */
function sumOf(
  counts: Counts,
  isCounted: (count: NonNullable<Counts>[number]) => boolean,
): number | null {
  if (counts === undefined) return null;
  return counts.filter((count) => count.state !== "ignored" && isCounted(count))
    .reduce((sum, { count }) => sum + count, 0);
}

/** Of sources with the same name, the worst counts: a second sample would make the text invalid. */
function sourceSamples({ status: { scans, nowMs } }: MetricsInput): Samples {
  const ages: Sample[] = [];
  const sound: Sample[] = [];
  const omitted: Sample[] = [];
  for (const [scanner, { sources = [], more_sources }] of Object.entries(scans)) {
    for (const [source, same] of Map.groupBy(sources, ({ name }) => name)) {
      const labels = { scanner, source };
      const made = same.map(({ lists_at_ms }) => lists_at_ms).filter((ms) => ms !== null);
      if (made.length > 0) ages.push({ labels, value: elapsedS(nowMs, Math.min(...made)) });
      sound.push({ labels, value: Number(same.every(({ result }) => result === "ok")) });
    }
    omitted.push(...labelled({ scanner }, more_sources ?? null));
  }
  return {
    pennon_source_lists_age_seconds: ages,
    pennon_source_ok: sound,
    pennon_sources_omitted: omitted,
  };
}

/** A sample without labels; none if the value is unknown. */
function one(value: number | boolean | null): Sample[] {
  return labelled({}, value === null ? null : Number(value));
}

function labelled(labels: Sample["labels"], value: number | null): Sample[] {
  return value === null ? [] : [{ labels, value }];
}

function seconds(ms: number | null): Sample[] {
  return one(ms === null ? null : ms / 1_000);
}

/** One sample per possible value of a label, of which one is 1. */
function oneOf(
  label: string,
  values: readonly string[],
  value: string,
  labels: Sample["labels"] = {},
): Sample[] {
  return values.map((each) => ({
    labels: { ...labels, [label]: each },
    value: Number(each === value),
  }));
}

/** 0 where the clock was set back meanwhile. */
function elapsedS(nowMs: number, sinceMs: number): number {
  return Math.max(0, nowMs - sinceMs) / 1_000;
}

function gauge(unit: MetricDefinition["unit"], help: string): Definition {
  return { type: "gauge", unit, help };
}

function counter(help: string): Definition {
  return { type: "counter", unit: "1", help };
}
