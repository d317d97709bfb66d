import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { AgentHealth } from "../../src/agent/health.ts";
import { collectMetrics, METRICS } from "../../src/agent/metrics.ts";
import type { Status } from "../../src/agent/status.ts";
import type { SavedBreaker } from "../../src/breaker/saved.ts";
import { encodeState, NEW_STATE, type StoredState } from "../../src/loop/state.ts";
import type { LastScans } from "../../src/scanners/last_scans.ts";
import { NO_SERVER_KEYS } from "../../src/server/key_trust.ts";
import { prometheusText } from "../../src/telemetry/prometheus.ts";
import { parseExposition } from "../fakes/exposition.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";
import { anyText } from "../fakes/texts.ts";

const NOW_MS = Date.UTC(2026, 10, 30);
const HOUR_MS = 3_600_000;

const OPEN: SavedBreaker = {
  state: "open",
  generation: 3,
  failures: 3,
  trips: 1,
  reason: "HTTP 500",
  sinceMs: NOW_MS - HOUR_MS,
  untilMs: NOW_MS + HOUR_MS,
};

function stateOf(connection: Partial<StoredState["connection"]> = {}): StoredState {
  const state = encodeState(NEW_STATE, { nowMs: NOW_MS, monotonicMs: 0 });
  return {
    ...state,
    lastCheckInAtMs: NOW_MS - HOUR_MS,
    connection: { ...state.connection, ...connection },
  };
}

const APT: LastScans[string] = {
  at_ms: NOW_MS - 2 * HOUR_MS,
  result: "degraded",
  updates: 4,
  security: 2,
  duration_ms: 1_500,
  error: null,
  listed_at_ms: NOW_MS - 2 * HOUR_MS,
  counts: [
    { state: "upgradable", severity: "important", security: true, count: 2 },
    { state: "held", severity: null, security: null, count: 2 },
    { state: "ignored", severity: null, security: true, count: 5 },
  ],
  sources: [
    { name: "main", result: "ok", lists_at_ms: NOW_MS - HOUR_MS },
    { name: "main", result: "old", lists_at_ms: NOW_MS - 3 * HOUR_MS },
    { name: "other", result: "ok", lists_at_ms: null },
  ],
  more_sources: 1,
};

function statusOf(change: Partial<Status> = {}): Status {
  return {
    nowMs: NOW_MS,
    identity: {
      agentId: "a1",
      serverUrl: "https://s",
      tokenEndsAtMs: NOW_MS + HOUR_MS,
      savedAtMs: null,
      intervalMs: 1,
    },
    identityError: null,
    configuredUrl: null,
    last: { leftBehind: null, signOfLife: null, logLine: null, bootMs: null },
    holder: { process_id: 1, since_ms: NOW_MS, manager: null },
    state: stateOf({
      breaker: OPEN,
      outage: {
        sinceMs: NOW_MS - HOUR_MS,
        failedCalls: 7,
        why: "HTTP 500",
        offline: false,
        status: 500,
      },
    }),
    signing: { keys: NO_SERVER_KEYS, unsigned: "read_only" },
    buffer: {
      pending: 12,
      deadLetters: 1,
      sizeBytes: 4_096,
      oldestPendingMs: NOW_MS - 60_000,
      appended: 20,
      delivered: 7,
      evicted: { ...NONE_EVICTED, log: 3 },
      firstEvictionMs: NOW_MS,
      purged: 2,
    },
    commands: null,
    limits: { maxEvents: 100, maxBytes: 10_000, maxAttempts: 10 },
    disk: {
      refusal: null,
      isFull: false,
      note: { disk: "ok", events: 0 } as Status["disk"]["note"],
      bufferError: null,
    },
    scannerBreakers: { apt: OPEN },
    scans: { apt: APT },
    scanners: { enabled: ["apt"], available: ["apt"] },
    damaged: [],
    hasDrawnMachineId: false,
    ...change,
  };
}

const HEALTH: AgentHealth = {
  level: "degraded",
  reasons: [
    {
      code: "outage",
      level: "degraded",
      words: "w",
      because: null,
      sinceMs: null,
      sinceIs: null,
      next: null,
    },
    {
      code: "scan_failed",
      level: "degraded",
      words: "w",
      because: null,
      sinceMs: null,
      sinceIs: null,
      next: null,
    },
    {
      code: "scan_failed",
      level: "degraded",
      words: "w",
      because: null,
      sinceMs: null,
      sinceIs: null,
      next: null,
    },
  ],
  server: { state: "failing", sinceMs: NOW_MS - HOUR_MS, why: "HTTP 500" },
  nextAttemptAtMs: null,
};

const FACTS = { version: "1.0.0", os: "linux", architecture: "x86_64" };

/** `name{label=value}` and the value, of every sample. */
function samplesOf(status: Status, health = HEALTH, isRequired: boolean | null = true) {
  const reboot = isRequired === null ? null : { isRequired, reason: "a kernel" };
  const metrics = collectMetrics({ ...FACTS, status, health, reboot });
  return new Map(metrics.flatMap(({ name, samples }) =>
    samples.map(({ labels, value }) => {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}=${text}`).join();
      return [pairs === "" ? name : `${name}{${pairs}}`, value] as const;
    })
  ));
}

Deno.test("collectMetrics() shows a whole status in numbers", () => {
  const samples = samplesOf(statusOf());
  const expected: [string, number][] = [
    ["pennon_info{version=1.0.0,os=linux,architecture=x86_64}", 1],
    ["pennon_metrics_written_timestamp_seconds", NOW_MS / 1_000],
    ["pennon_health{level=ok}", 0],
    ["pennon_health{level=degraded}", 1],
    ["pennon_health{level=failed}", 0],
    ["pennon_health_problems{code=outage,level=degraded}", 1],
    ["pennon_health_problems{code=scan_failed,level=degraded}", 2],
    ["pennon_registered", 1],
    ["pennon_agent_running", 1],
    ["pennon_server_reachable", 0],
    ["pennon_server_state{state=failing}", 1],
    ["pennon_server_state{state=reachable}", 0],
    ["pennon_operator_action_required", 0],
    ["pennon_outage_seconds", 3_600],
    ["pennon_refusal_seconds", 0],
    ["pennon_outage_failed_calls", 7],
    ["pennon_last_check_in_timestamp_seconds", NOW_MS / 1_000 - 3_600],
    ["pennon_token_expiry_timestamp_seconds", NOW_MS / 1_000 + 3_600],
    ["pennon_breaker_state{breaker=connection,state=open}", 1],
    ["pennon_breaker_state{breaker=connection,state=closed}", 0],
    ["pennon_breaker_state{breaker=apt,state=open}", 1],
    ["pennon_buffer_pending_events", 12],
    ["pennon_buffer_dead_letters", 1],
    ["pennon_buffer_oldest_pending_seconds", 60],
    ["pennon_buffer_size_bytes", 4_096],
    ["pennon_buffer_max_events", 100],
    ["pennon_buffer_max_bytes", 10_000],
    ["pennon_buffer_appended_events_total", 20],
    ["pennon_buffer_delivered_events_total", 7],
    ["pennon_buffer_evicted_events_total{kind=log}", 3],
    ["pennon_buffer_purged_events_total", 2],
    ["pennon_disk_ok", 1],
    ["pennon_memory_events", 0],
    ["pennon_scan_timestamp_seconds{scanner=apt}", NOW_MS / 1_000 - 7_200],
    ["pennon_scan_success_timestamp_seconds{scanner=apt}", NOW_MS / 1_000 - 7_200],
    ["pennon_scan_duration_seconds{scanner=apt}", 1.5],
    ["pennon_scan_result{scanner=apt,result=degraded}", 1],
    ["pennon_scan_result{scanner=apt,result=ok}", 0],
    ["pennon_updates_pending{scanner=apt}", 4],
    ["pennon_security_updates_pending{scanner=apt}", 2],
    ["pennon_updates{scanner=apt,state=upgradable,severity=important,security=true}", 2],
    ["pennon_updates{scanner=apt,state=held,severity=unknown,security=unknown}", 2],
    ["pennon_updates{scanner=apt,state=ignored,severity=unknown,security=true}", 5],
    ["pennon_source_lists_age_seconds{scanner=apt,source=main}", 10_800],
    ["pennon_source_ok{scanner=apt,source=main}", 0],
    ["pennon_source_ok{scanner=apt,source=other}", 1],
    ["pennon_sources_omitted{scanner=apt}", 1],
    ["pennon_reboot_required", 1],
  ];
  assertEquals(expected.map(([name]) => [name, samples.get(name)]), expected);
  const shown = new Set(expected.map(([name]) => name.split("{")[0]));
  assertEquals(Object.keys(METRICS).filter((name) => !shown.has(name)), []);
});

Deno.test("collectMetrics() has no sample for what is unknown", () => {
  const status = statusOf({
    identity: null,
    holder: null,
    state: null,
    buffer: null,
    disk: { refusal: null, isFull: false, note: null, bufferError: "damaged" },
    scannerBreakers: {},
    scans: {
      apt: {
        at_ms: 0,
        result: "failed",
        updates: 0,
        security: 0,
        duration_ms: 0,
        error: "of an earlier release",
      },
    },
  });
  const server = { state: "unknown", lastMs: null } as const;
  const names = new Set(
    [...samplesOf(status, { ...HEALTH, server, reasons: [] }, null).keys()]
      .map((name) => name.split("{")[0]),
  );
  assertEquals([...names], [
    "pennon_info",
    "pennon_metrics_written_timestamp_seconds",
    "pennon_health",
    "pennon_registered",
    "pennon_agent_running",
    "pennon_server_reachable",
    "pennon_server_state",
    "pennon_scan_timestamp_seconds",
    "pennon_scan_duration_seconds",
    "pennon_scan_result",
  ]);
});

Deno.test("collectMetrics() shows 0, not nothing, where all is well", () => {
  const buffer = { ...statusOf().buffer!, oldestPendingMs: null };
  const scans = { apt: { ...APT, counts: [] } };
  const server = { state: "reachable", lastMs: NOW_MS } as const;
  const status = statusOf({ buffer, scans, state: stateOf() });
  const samples = samplesOf(status, { ...HEALTH, server }, false);
  assertEquals(samples.get("pennon_server_reachable"), 1);
  for (
    const name of [
      "pennon_outage_seconds",
      "pennon_refusal_seconds",
      "pennon_outage_failed_calls",
      "pennon_buffer_oldest_pending_seconds",
      "pennon_updates_pending{scanner=apt}",
      "pennon_security_updates_pending{scanner=apt}",
      "pennon_reboot_required",
    ]
  ) assertEquals(samples.get(name), 0, name);
});

Deno.test("collectMetrics() shows no negative age after the clock was set back", () => {
  const samples = samplesOf({ ...statusOf(), nowMs: 0 });
  for (const [name, value] of samples) assert(value >= 0, `${name} ${value}`);
});

Deno.test("every metric is named as Prometheus' conventions want it", () => {
  for (const [name, { type, unit, help }] of Object.entries(METRICS)) {
    assert(/^pennon(_[a-z]+)+$/.test(name), name);
    assertEquals(name.endsWith("_total"), type === "counter", name);
    assertEquals(/_seconds$/.test(name), unit === "s", name);
    assertEquals(/_bytes$/.test(name), unit === "By", name);
    assert(/^[A-Z1].*[^.]$/.test(help), help);
  }
});

Deno.test("property: the text is valid and no series comes twice, whatever sources are called", () => {
  const source = fc.record({
    name: fc.oneof(anyText(50), fc.constantFrom("a", "__proto__", "constructor")),
    result: fc.constantFrom("ok", "old", "missing", "failed"),
    lists_at_ms: fc.option(fc.integer()),
  });
  fc.assert(fc.property(fc.array(source, { maxLength: 10 }), (sources) => {
    const status = statusOf({ scans: { apt: { ...APT, sources } } });
    const metrics = collectMetrics({ ...FACTS, status, health: HEALTH, reboot: null });
    for (const { name, samples } of parseExposition(prometheusText(metrics))) {
      const series = samples.map(({ labels }) => JSON.stringify(labels));
      assertEquals(new Set(series).size, series.length, name);
    }
  }));
});

Deno.test("docs/monitoring.md lists every metric with its type and its labels, and no other", async () => {
  const page = new URL("../../docs/monitoring.md", import.meta.url);
  const lines = (await Deno.readTextFile(page)).split("\n");
  const listed = lines.map((line) => /^\| `(pennon_\w+)` +\| (\w+) +\| (.*?) *\|/.exec(line))
    .filter((row) => row !== null).map(([, name, type, labels = ""]) => [
      name,
      type,
      [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
    ]);
  const reboot = { isRequired: true, reason: "" };
  const metrics = collectMetrics({ ...FACTS, status: statusOf(), health: HEALTH, reboot });
  assertEquals(
    listed,
    metrics.map(({ name, type, samples }) => [name, type, Object.keys(samples[0]?.labels ?? {})]),
  );
});
