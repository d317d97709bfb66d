/**
 * Sends metrics and the agent's events to an OpenTelemetry collector (`telemetry.otlp_endpoint`), beside
 * the agent's work: nothing waits for the collector, and what it does not take is bounded.
 */

import { cleanFields, type Log, type LogFields, type LogLevel, observeLog } from "../log.ts";
import { quoteWords, type Secrets } from "../redact.ts";
import { FileError } from "../system/files.ts";
import { HttpError, type HttpRequest } from "../system/http.ts";
import type { System } from "../system/system.ts";
import type { Metric } from "../telemetry/metric.ts";
import {
  type Delivery,
  encodeEvents,
  encodeMetrics,
  readDelivery,
  type Resource,
  type TelemetryEvent,
} from "../telemetry/otlp.ts";
import { eventKind } from "./agent_events.ts";

/** What of a request to the collector is the same each time. */
export type CollectorRequest = Pick<HttpRequest, "headers" | "tls" | "proxyUrl">;

interface OtlpExportDeps {
  readonly system: System;
  readonly log: Log;
  readonly secrets: Secrets;
  readonly resource: Resource;
  /** Without a trailing slash. */
  readonly endpoint: string;
  readonly request: CollectorRequest;
  readonly intervalMs: number;
  /** Throws `FileError`. */
  collect(): Promise<Metric[]>;
}

/** Events that wait for the collector; of more than this the oldest are dropped and counted. */
const MOST_EVENTS = 500;

/** Longest text in an event, in characters. */
const LONGEST_TEXT = 500;

const CONNECT_TIMEOUT_MS = 5_000;
const TIMEOUT_MS = 10_000;

/** A collector's answer is some bytes. */
const MAX_ANSWER_BYTES = 65_536;

/** What is under way, or one last export, may take this long after a stop request. */
const STOP_MS = 1_000;

/** Longest wait after failures, and how many of them double it. */
const LONGEST_WAIT_MS = 900_000;
const MOST_DOUBLINGS = 10;

/** Share of a wait that is random, so that a fleet does not export in step. */
const JITTER = 0.2;

/** Exports again and again. */
export class OtlpExport {
  /** The log from which events are taken. */
  readonly log: Log;
  readonly #deps: OtlpExportDeps;
  #events: TelemetryEvent[] = [];
  #dropped = 0;
  #failures = 0;
  #retryAfterMs: number | null = null;

  constructor(deps: OtlpExportDeps) {
    const { log } = deps;
    this.#deps = deps;
    this.log = observeLog(log, (level, message, fields) => this.#take(level, message, fields));
  }

  /**
   * Until `signal` is aborted, and then once more unless the collector is out; ends within a second of
   * that. Never throws because of the collector or of a disk.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps.system;
    const deadline = new AbortController();
    let cancel = () => {};
    signal.addEventListener("abort", () => {
      cancel = clock.after(STOP_MS, () => deadline.abort());
    });
    while (!signal.aborted) {
      await clock.sleep(this.#waitMs(), signal).catch(() => {});
      if (!signal.aborted || this.#failures === 0) await this.#export(deadline.signal);
    }
    cancel();
  }

  #take(level: LogLevel, message: string, fields: LogFields = {}): void {
    const kind = eventKind(level, message, fields);
    if (kind === undefined) return;
    const { system: { clock }, secrets } = this.#deps;
    const shown = Object.entries(cleanFields(fields, secrets)).map(([name, value]) =>
      [name, typeof value === "string" ? quoteWords(value, LONGEST_TEXT) : value] as const
    );
    this.#enqueue([{
      atMs: clock.nowMs(),
      level,
      message,
      name: `${kind.type}.${kind.subtype}`,
      fields: Object.fromEntries(shown),
    }]);
  }

  #enqueue(events: readonly TelemetryEvent[]): void {
    const all = [...this.#events, ...events];
    this.#events = all.slice(-MOST_EVENTS);
    this.#dropped += all.length - this.#events.length;
  }

  #waitMs(): number {
    const { intervalMs, system: { random } } = this.#deps;
    const doubled = intervalMs * 2 ** Math.min(this.#failures, MOST_DOUBLINGS);
    const backoffMs = Math.max(intervalMs, Math.min(doubled, LONGEST_WAIT_MS));
    return Math.max(backoffMs, this.#retryAfterMs ?? 0) * (1 + JITTER * (random() - 0.5));
  }

  async #export(signal: AbortSignal): Promise<void> {
    const { system: { clock }, resource, collect } = this.#deps;
    const events = this.#events;
    this.#events = [];
    const deliveries: Delivery[] = [];
    if (events.length > 0) {
      const body = encodeEvents(resource, events, clock.nowMs());
      const delivery = await this.#post("/v1/logs", body, signal);
      deliveries.push(delivery);
      if (delivery.kind === "retry") this.#putBack(events);
      if (delivery.kind === "refused") this.#dropped += events.length;
    }
    if (deliveries.every(({ kind }) => kind === "delivered")) {
      const metrics = await collect().catch((error) => {
        if (!(error instanceof FileError)) throw error;
        return null; // The log and the status say what is wrong with the disk.
      });
      if (metrics !== null) {
        const body = encodeMetrics(resource, metrics, clock.nowMs());
        deliveries.push(await this.#post("/v1/metrics", body, signal));
      }
    }
    if (!signal.aborted) this.#settle(deliveries);
  }

  /** Events that came meanwhile are newer. */
  #putBack(events: readonly TelemetryEvent[]): void {
    const newer = this.#events;
    this.#events = [];
    this.#enqueue([...events, ...newer]);
  }

  async #post(path: string, body: string, signal: AbortSignal): Promise<Delivery> {
    const { system: { sendHttp }, endpoint, request } = this.#deps;
    try {
      return readDelivery(
        await sendHttp({
          ...request,
          method: "POST",
          url: `${endpoint}${path}`,
          headers: { ...request.headers, "content-type": "application/json" },
          body,
          connectTimeoutMs: CONNECT_TIMEOUT_MS,
          timeoutMs: TIMEOUT_MS,
          maxBodyBytes: MAX_ANSWER_BYTES,
          signal,
        }),
      );
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      return { kind: "retry", why: error.message, afterMs: null };
    }
  }

  /** Logs the beginning and the end of an outage of the collector, not each attempt. */
  #settle(deliveries: readonly Delivery[]): void {
    const { log, endpoint } = this.#deps;
    const failed = deliveries.find((delivery) => delivery.kind !== "delivered");
    const wasOut = this.#failures > 0;
    this.#failures = failed === undefined ? 0 : this.#failures + 1;
    this.#retryAfterMs = failed?.kind === "retry" ? failed.afterMs : null;
    if (failed !== undefined) {
      const why = quoteWords(failed.why, LONGEST_TEXT);
      if (!wasOut) log.warning("telemetry not delivered", { collector: endpoint, why });
      return;
    }
    if (wasOut) {
      log.info("telemetry delivered again", { events_dropped: this.#dropped });
      this.#dropped = 0;
    }
    for (const delivery of deliveries) {
      if (delivery.kind !== "delivered" || delivery.rejected === 0) continue;
      const why = quoteWords(delivery.why, LONGEST_TEXT);
      log.debug("collector rejected a part", { rejected: delivery.rejected, why });
    }
  }
}
