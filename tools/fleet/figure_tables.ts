/** The figures of one scenario's runs as two tables: what the server felt, what the agents did. */

import type { Figures } from "./figures.ts";
import type { Table } from "./table.ts";

/** The load on the server after its return, beside the policy's own ordinary rate. */
export function loadTable(runs: readonly Figures[]): Table {
  return {
    head: [
      "policy",
      "ordinary/s",
      "check-ins 1 s",
      "check-ins 10 s",
      "requests 1 s",
      "requests 10 s",
    ],
    rows: runs.map(({ policy, ordinary, peaks, overloadedBefore }) => [
      policy + (overloadedBefore > 0 ? " !" : ""),
      whole(ordinary),
      ...[peaks.checkIns1s, peaks.checkIns10s, peaks.requests1s, peaks.requests10s]
        .map((rate) => `${whole(rate)} (${times(rate / ordinary)})`),
    ]),
  };
}

/** What it cost the agents, and when they were back. */
export function agentTable(runs: readonly Figures[]): Table {
  return {
    head: [
      "policy",
      "touched",
      "in vain",
      "most",
      "back 50%",
      "99%",
      "100%",
      "all 50%",
      "refused",
      "late",
    ],
    rows: runs.map((figures) => [
      figures.policy + (figures.overloadedBefore > 0 ? " !" : ""),
      whole(figures.touched),
      figures.deadPerAgent.mean.toFixed(1),
      whole(figures.deadPerAgent.max),
      seconds(figures.back.medianMs),
      seconds(figures.back.p99Ms),
      seconds(figures.back.maxMs),
      seconds(figures.fleetBack.medianMs),
      whole(figures.refused),
      whole(figures.timedOut),
    ]),
  };
}

/** The note under a scenario's tables, or none. */
export function overloadNote(runs: readonly Figures[]): string {
  const names = runs.filter(({ overloadedBefore }) => overloadedBefore > 0)
    .map(({ policy }) => policy);
  if (names.length === 0) return "";
  return `! ${names.join(", ")}: overloads this server before the outage already, and refusals ` +
    "are its daily bread.";
}

/** `1.36x`; three digits are enough. */
export function times(ratio: number): string {
  return `${ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0)}x`;
}

/** `12.3 s`, `304 s`, `never`. */
export function seconds(ms: number): string {
  if (!Number.isFinite(ms)) return "never";
  return `${(ms / 1_000).toFixed(ms < 99_950 ? 1 : 0)} s`;
}

/** `12,345`, whatever the language of the system. */
export function whole(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}
