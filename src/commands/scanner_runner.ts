/**
 * A breaker and a time limit around every scanner: one that hangs or keeps failing costs neither the
 * other scanners nor the check-in anything, and is left alone for a while.
 */

import { admit, type Breaker, NEW_BREAKER, settle, type Verdict } from "../breaker/breaker.ts";
import { breakerChange } from "../breaker/change.ts";
import { tellChange } from "../breaker/change_log.ts";
import { type ScannerBreakerSettings, scannerPolicy } from "../breaker/scanner.ts";
import type { Log } from "../log.ts";
import { failedReport, runScan, type ScanReport } from "../scanners/run_scans.ts";
import type { Scanner, ScanOptions } from "../scanners/scanner.ts";
import type { System } from "../system/system.ts";

/** The breakers by their scanners' names. */
export type ScannerBreakers = ReadonlyMap<string, Breaker>;

/** What a guard is made of. */
export interface ScannerGuardParts {
  readonly system: System;
  readonly log: Log;
  readonly settings: ScannerBreakerSettings;
  /** Where scanners may keep package lists of their own. */
  readonly cacheDirectory: string;
  /** See `ScanOptions.ignore`. */
  readonly ignore: readonly string[];
  /** See `ScanOptions.changelogs`. */
  readonly changelogs: boolean;
  /** Keeps the breakers through a restart; never throws. */
  keep(breakers: ScannerBreakers): Promise<void>;
}

export class ScannerGuard {
  readonly #parts: ScannerGuardParts;
  #breakers: ScannerBreakers;

  constructor(parts: ScannerGuardParts, breakers: ScannerBreakers) {
    this.#parts = parts;
    this.#breakers = breakers;
  }

  get breakers(): ScannerBreakers {
    return this.#breakers;
  }

  /** Runs one scan if its breaker allows it; a refusal is a report too. Throws only if `signal` does. */
  async scan(
    scanner: Scanner,
    signal: AbortSignal,
    known: Pick<ScanOptions, "lastCount"> = {},
  ): Promise<ScanReport> {
    const { name } = scanner;
    const admission = admit(this.#breakerOf(name), this.#step());
    await this.#enter(name, admission.breaker);
    if (!admission.admitted) return refused(name, admission.breaker, admission.retryInMs);
    const { permit } = admission;
    try {
      const report = await this.#scanInTime(scanner, { ...known, signal });
      const result = { permit, verdict: verdictOf(report), reason: report.error?.message ?? "" };
      await this.#enter(name, settle(this.#breakerOf(name), result, this.#step()));
      return report;
    } catch (error) {
      const result = { permit, verdict: "neutral", reason: "" } as const;
      await this.#enter(name, settle(this.#breakerOf(name), result, this.#step()));
      throw error;
    }
  }

  /** Closes a scanner's breaker because a person said so. */
  async reset(name: string): Promise<void> {
    const { generation } = this.#breakerOf(name);
    await this.#enter(name, { ...NEW_BREAKER, generation: generation + 1 });
  }

  /** A scanner may have forgotten its limits: nobody waits for it longer than for its own. */
  async #scanInTime(
    scanner: Scanner,
    given: ScanOptions & { readonly signal: AbortSignal },
  ): Promise<ScanReport> {
    const { system, settings: { timeoutMs }, cacheDirectory, ignore, changelogs } = this.#parts;
    const startedMs = system.clock.monotonicMs();
    const end = new AbortController();
    const tooLong = new AbortController();
    const signal = AbortSignal.any([given.signal, tooLong.signal]);
    const options = { ...given, cacheDirectory, ignore, changelogs, signal };
    const limit = system.clock.sleep(timeoutMs, end.signal).then(() => null, () => null);
    try {
      // What comes after the limit is nobody's.
      const report = await Promise.race([runScan(system, scanner, options), limit]);
      if (report !== null) return report;
      tooLong.abort(new Error("scan took too long"));
      const message = `Cannot scan with ${scanner.name}: no end within ${timeoutMs / 1_000} s`;
      const durationMs = system.clock.monotonicMs() - startedMs;
      return failedReport(scanner.name, { reason: "transient", message }, durationMs);
    } finally {
      end.abort();
    }
  }

  #breakerOf(name: string): Breaker {
    return this.#breakers.get(name) ?? NEW_BREAKER;
  }

  #step() {
    const { system: { clock, random }, settings } = this.#parts;
    return { nowMs: clock.monotonicMs(), policy: scannerPolicy(settings), random };
  }

  async #enter(name: string, breaker: Breaker): Promise<void> {
    const { log, system, keep } = this.#parts;
    const before = this.#breakerOf(name);
    if (before === breaker) return;
    const change = breakerChange(before, breaker, system.clock.monotonicMs());
    if (change) tellChange(log, { what: "scanner", scanner: name }, change);
    this.#breakers = new Map([...this.#breakers, [name, breaker]]);
    await keep(this.#breakers);
  }
}

/** A package manager that is busy, or not there, is not sick. */
function verdictOf({ error }: ScanReport): Verdict {
  switch (error?.reason) {
    case undefined:
      return "success";
    case "locked":
    case "not_available":
    case "withheld":
      return "neutral";
    case "transient":
    case "permanent":
      return "failure";
  }
}

function refused(name: Scanner["name"], breaker: Breaker, retryInMs: number): ScanReport {
  const why = breaker.state === "closed" ? "" : `: ${breaker.reason}`;
  const minutes = Math.ceil(retryInMs / 60_000);
  const message =
    `Cannot scan with ${name}: it failed ${breaker.failures} times in a row and is left alone for ` +
    `${minutes} min more${why}`;
  return failedReport(name, { reason: "withheld", message }, 0);
}
