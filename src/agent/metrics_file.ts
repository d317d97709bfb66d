/**
 * Keeps the file of metrics current while the agent runs (`metrics.textfile`). It looks at the state
 * files, which the agent writes at each check-in and scan, so that no part of the agent waits for it.
 */

import { temporaryOf } from "../config/textfile_path.ts";
import type { Log } from "../log.ts";
import { checkMetricsFile } from "../trusted_path.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { prometheusText } from "../telemetry/prometheus.ts";
import type { Metric } from "../telemetry/metric.ts";

interface MetricsFileDeps {
  readonly system: System;
  readonly log: Log;
  /** Of the file. */
  readonly path: string;
  /** The files whose change makes new metrics. */
  readonly sources: readonly string[];
  /** Throws `FileError`. */
  collect(): Promise<Metric[]>;
}

/** Between two looks at the state files, and so between two writes at least. */
const LOOK_EVERY_MS = 15_000;

/** Between two writes at most: ages and the buffer change without a check-in. */
const WRITE_EVERY_MS = 120_000;

/** Node_exporter, which reads it, is another user. */
const READABLE_BY_ALL = 0o644;

/** Writes the metrics again and again. */
export class MetricsFile {
  readonly #deps: MetricsFileDeps;
  #writtenAtMs = -Infinity;
  #seen = "";
  #isRefused = false;

  constructor(deps: MetricsFileDeps) {
    this.#deps = deps;
  }

  /** Until `signal` is aborted, and then once more. Never throws because of a disk. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps.system;
    while (!signal.aborted) {
      if (await this.#isDue()) await this.#write();
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {});
    }
    await this.#write();
  }

  async #isDue(): Promise<boolean> {
    const { system: { clock, files }, sources } = this.#deps;
    const look = (path: string) =>
      files.inspect("look at the state", path).then((facts) => facts?.modifiedMs, () => undefined);
    const seen = JSON.stringify(await Promise.all(sources.map(look)));
    const hasChanged = seen !== this.#seen;
    this.#seen = seen;
    return hasChanged || clock.monotonicMs() - this.#writtenAtMs >= WRITE_EVERY_MS;
  }

  async #write(): Promise<void> {
    const { system, log, path, collect } = this.#deps;
    this.#writtenAtMs = system.clock.monotonicMs();
    try {
      const { errors: [error] } = await checkMetricsFile(system, path);
      if (error !== undefined) return this.#onRefused(error);
      const text = prometheusText(await collect());
      await system.files.writeText("write the metrics", path, text, {
        mode: READABLE_BY_ALL,
        durability: "none", // After a power cut the agent writes it anew.
        temporaryPath: temporaryOf(path),
      });
      if (this.#isRefused) log.info("metrics written again", { file: path });
      this.#isRefused = false;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.#onRefused(error.message);
    }
  }

  /** Logged once, not for each attempt. */
  #onRefused(why: string): void {
    if (!this.#isRefused) this.#deps.log.warning("metrics not written", { why });
    this.#isRefused = true;
  }
}
