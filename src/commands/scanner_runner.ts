/**
 * Runs scanners, each with a breaker and a time limit: a scanner that hangs or keeps failing is paused,
 * and affects neither the other scanners nor the check-in.
 */

import {
  admit,
  type Breaker,
  breakerTransition,
  type CallResult,
  logTransition,
  NEW_BREAKER,
  resetBreaker,
  settle,
  type Verdict,
} from "../breaker/breaker.ts";
import { type ScannerBreakerSettings, scannerPolicy } from "../breaker/policies.ts";
import type { Log } from "../log.ts";
import { failedReport, runScan, type ScanReport } from "../scanners/run_scans.ts";
import type { Scanner, ScanOptions } from "../scanners/scanner.ts";
import type { System } from "../system/system.ts";

/** The breakers, by the name of the scanner. */
export type ScannerBreakers = ReadonlyMap<string, Breaker>;

interface ScannerRunnerDeps {
  readonly system: System;
  readonly log: Log;
  readonly settings: ScannerBreakerSettings;
  /** Where scanners may save package lists of their own. */
  readonly cacheDirectory: string;
  /** See `ScanOptions.ignore`. */
  readonly ignore: readonly string[];
  /** See `ScanOptions.changelogs`. */
  readonly changelogs: boolean;
  /** Called with each report. @default nothing is */
  readonly onScan?: ((report: ScanReport) => void) | undefined;
  /** Saves the breakers for the next start; never throws. */
  save(breakers: ScannerBreakers): Promise<void>;
}

/** Runs scanners behind their breakers. */
export class ScannerRunner {
  readonly #deps: ScannerRunnerDeps;
  #breakers: ScannerBreakers;

  constructor(deps: ScannerRunnerDeps, breakers: ScannerBreakers) {
    this.#deps = deps;
    this.#breakers = breakers;
  }

  get breakers(): ScannerBreakers {
    return this.#breakers;
  }

  /**
   * Runs one scan if its breaker admits it; a rejection is a report too. Throws only if `signal` is
   * aborted.
   */
  async scan(
    scanner: Scanner,
    signal: AbortSignal,
    known: Pick<ScanOptions, "lastCount"> = {},
  ): Promise<ScanReport> {
    const { name } = scanner;
    const admission = admit(this.#breakerOf(name), this.#step());
    await this.#enter(name, admission.breaker);
    if (!admission.admitted) return rejectedReport(name, admission.breaker, admission.retryInMs);
    const { permit } = admission;
    try {
      const report = await this.#scanInTime(scanner, { ...known, signal });
      const reason = report.error?.message ?? "";
      await this.#settle(name, { permit, verdict: verdictOf(report), reason });
      this.#deps.onScan?.(report);
      return report;
    } catch (error) {
      await this.#settle(name, { permit, verdict: "neutral", reason: "" });
      throw error;
    }
  }

  async #settle(name: string, result: CallResult): Promise<void> {
    await this.#enter(name, settle(this.#breakerOf(name), result, this.#step()));
  }

  /** Closes a scanner's breaker on the operator's request. */
  async reset(name: string): Promise<void> {
    await this.#enter(name, resetBreaker(this.#breakerOf(name)));
  }

  /** Ends the wait at the time limit, even if the scanner ignores its own limits. */
  async #scanInTime(
    scanner: Scanner,
    given: ScanOptions & { readonly signal: AbortSignal },
  ): Promise<ScanReport> {
    const { system, settings: { timeoutMs }, cacheDirectory, ignore, changelogs } = this.#deps;
    const startedMs = system.clock.monotonicMs();
    const tooLong = new AbortController();
    const signal = AbortSignal.any([given.signal, tooLong.signal]);
    const options = { ...given, cacheDirectory, ignore, changelogs, signal };
    const { promise: limit, resolve } = Promise.withResolvers<null>();
    const cancel = system.clock.after(timeoutMs, () => resolve(null));
    try {
      // A result after the limit is dropped.
      const report = await Promise.race([runScan(system, scanner, options), limit]);
      if (report !== null) return report;
      tooLong.abort(new Error("scan took too long"));
      const message = `Cannot scan with ${scanner.name}: no end within ${timeoutMs / 1_000} s`;
      const durationMs = system.clock.monotonicMs() - startedMs;
      return failedReport(scanner.name, { reason: "transient", message }, durationMs);
    } finally {
      cancel();
    }
  }

  #breakerOf(name: string): Breaker {
    return this.#breakers.get(name) ?? NEW_BREAKER;
  }

  #step() {
    const { system: { clock, random }, settings } = this.#deps;
    return { nowMs: clock.monotonicMs(), policy: scannerPolicy(settings), random };
  }

  async #enter(name: string, breaker: Breaker): Promise<void> {
    const { log, system, save } = this.#deps;
    const before = this.#breakerOf(name);
    if (before === breaker) return;
    const change = breakerTransition(before, breaker, system.clock.monotonicMs());
    if (change) logTransition(log, { what: "scanner", scanner: name }, change);
    this.#breakers = new Map([...this.#breakers, [name, breaker]]);
    await save(this.#breakers);
  }
}

/** A package manager that is busy or not installed has not failed. */
function verdictOf({ error }: ScanReport): Verdict {
  switch (error?.reason) {
    case undefined:
      return "success";
    case "locked":
    case "not_available":
    case "circuit_open":
      return "neutral";
    case "transient":
    case "permanent":
      return "failure";
  }
}

function rejectedReport(name: Scanner["name"], breaker: Breaker, retryInMs: number): ScanReport {
  const why = breaker.state === "closed" ? "" : `: ${breaker.reason}`;
  const minutes = Math.ceil(retryInMs / 60_000);
  const message =
    `Cannot scan with ${name}: it failed ${breaker.failures} times in a row and is paused for ` +
    `${minutes} min more${why}`;
  return failedReport(name, { reason: "circuit_open", message }, 0);
}
