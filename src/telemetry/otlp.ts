/**
 * Encodes metrics and events as OTLP/JSON, and reads a collector's answer:
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (64-bit numbers are texts) and
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp-response.
 */

import * as v from "valibot";
import { ANSWER_LIMITS, decodeJson } from "../json.ts";
import type { LogFields, LogLevel } from "../log.ts";
import type { HttpResponse } from "../system/http.ts";
import type { Metric, Sample } from "./metric.ts";

/** Which agent on which host it is. Attributes without a value are left out. */
export interface Resource {
  readonly version: string;
  /** `null`: this host is not registered. */
  readonly agentId: string | null;
  readonly hostName: string;
  /** By the server's names. */
  readonly os: "linux" | "windows" | "macos";
}

/** One event of the agent. */
export interface TelemetryEvent {
  readonly atMs: number;
  readonly level: LogLevel;
  readonly message: string;
  /** What happened, in two words: `circuit_breaker.opened`. */
  readonly name: string;
  /** Without secrets. */
  readonly fields: LogFields;
}

/** The body of a request to `/v1/metrics`. A value that JSON has no number for is left out. */
export function encodeMetrics(
  resource: Resource,
  metrics: readonly Metric[],
  nowMs: number,
): string {
  const scopeMetrics = [{
    scope: scopeOf(resource),
    metrics: metrics.filter(({ samples }) => samples.length > 0).map((metric) => {
      const dataPoints = metric.samples.filter(({ value }) => Number.isFinite(value))
        .map((sample) => dataPoint(sample, nowMs));
      const { name, help: description, unit } = metric;
      return metric.type === "counter"
        ? {
          name,
          description,
          unit,
          sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true },
        }
        : { name, description, unit, gauge: { dataPoints } };
    }),
  }];
  return JSON.stringify({
    resourceMetrics: [{ resource: encodeResource(resource), scopeMetrics }],
  });
}

/** The body of a request to `/v1/logs`. */
export function encodeEvents(
  resource: Resource,
  events: readonly TelemetryEvent[],
  nowMs: number,
): string {
  const scopeLogs = [{
    scope: scopeOf(resource),
    logRecords: events.map(({ atMs, level, message, name, fields }) => ({
      timeUnixNano: nanoseconds(atMs),
      observedTimeUnixNano: nanoseconds(nowMs),
      severityNumber: SEVERITY_NUMBERS[level],
      severityText: level.toUpperCase(),
      body: { stringValue: message.toWellFormed() },
      attributes: [attribute("event.name", name), ...fieldAttributes(fields)],
    })),
  }];
  return JSON.stringify({ resourceLogs: [{ resource: encodeResource(resource), scopeLogs }] });
}

/** AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE. */
const CUMULATIVE = 2;

/** https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber. */
const SEVERITY_NUMBERS: Readonly<Record<LogLevel, number>> = {
  debug: 5,
  info: 9,
  warning: 13,
  error: 17,
};

/** https://opentelemetry.io/docs/specs/semconv/registry/attributes/os/. */
const OS_TYPES = { linux: "linux", windows: "windows", macos: "darwin" } as const;

function encodeResource({ version, agentId, hostName, os }: Resource) {
  return {
    attributes: [
      attribute("service.name", "pennon"),
      attribute("service.version", version),
      ...(agentId === null ? [] : [attribute("service.instance.id", agentId)]),
      attribute("host.name", hostName),
      attribute("os.type", OS_TYPES[os]),
    ],
  };
}

function scopeOf({ version }: Resource) {
  return { name: "pennon", version };
}

function dataPoint({ labels, value }: Sample, nowMs: number) {
  return {
    attributes: Object.entries(labels).map(([name, text]) => attribute(name, text)),
    timeUnixNano: nanoseconds(nowMs),
    asDouble: value,
  };
}

function fieldAttributes(fields: LogFields) {
  return Object.entries(fields).filter(([, value]) => value !== null).map(([key, value]) => {
    if (typeof value === "boolean") return { key, value: { boolValue: value } };
    if (typeof value === "number" && Number.isFinite(value)) {
      return { key, value: { doubleValue: value } };
    }
    return attribute(key, String(value));
  });
}

/** Half a character would make collectors refuse the whole request. */
function attribute(key: string, text: string) {
  return { key: key.toWellFormed(), value: { stringValue: text.toWellFormed() } };
}

/** Nanoseconds since the epoch; the clock's fractions of a ms are dropped. */
function nanoseconds(ms: number): string {
  return `${BigInt(Math.max(0, Math.trunc(ms))) * 1_000_000n}`;
}

/**
 * What a collector did with a request. `retry`: it asks for another attempt, after `afterMs` if it says
 * so. `refused`: the same request would be refused again.
 */
export type Delivery =
  | { readonly kind: "delivered"; readonly rejected: number; readonly why: string }
  | { readonly kind: "retry"; readonly why: string; readonly afterMs: number | null }
  | { readonly kind: "refused"; readonly why: string };

/** The statuses that the specification allows to retry. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Longest wait that a collector can ask for. */
const LONGEST_RETRY_AFTER_S = 3_600;

const rejectedCount = v.optional(
  v.union([
    v.pipe(v.number(), v.integer(), v.minValue(0)),
    v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number)),
  ]),
  0,
);

const partialAnswer = v.object({
  partialSuccess: v.optional(v.object({
    rejectedDataPoints: rejectedCount,
    rejectedLogRecords: rejectedCount,
    errorMessage: v.optional(v.string(), ""),
  })),
});

/** Reads a collector's answer. Its words are not redacted or cut yet. */
export function readDelivery({ status, headers, body }: HttpResponse): Delivery {
  if (status >= 200 && status < 300) {
    const read = decodeJson(partialAnswer, new TextDecoder().decode(body), ANSWER_LIMITS);
    const partial = read.ok ? read.value.partialSuccess : undefined;
    const rejected = (partial?.rejectedDataPoints ?? 0) + (partial?.rejectedLogRecords ?? 0);
    return { kind: "delivered", rejected, why: partial?.errorMessage ?? "" };
  }
  const why = `HTTP ${status}`;
  if (!RETRYABLE.has(status)) return { kind: "refused", why };
  const seconds = /^\d{1,9}$/.test(headers["retry-after"] ?? "")
    ? Number(headers["retry-after"])
    : null;
  const afterMs = seconds === null ? null : Math.min(seconds, LONGEST_RETRY_AFTER_S) * 1_000;
  return { kind: "retry", why, afterMs };
}
