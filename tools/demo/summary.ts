/** The demo's closing summary: what the server has, what the outage cost, what was lost. */

import type { AgentLine } from "./timeline.ts";

/** What the demo reads of the reference server's state. */
export interface ServerState {
  readonly agents: readonly unknown[];
  readonly packages: readonly { package_type: string; severity: string }[];
  readonly logs: readonly { command_id: string; result: string; stdout: string; stderr: string }[];
  readonly violations: readonly unknown[];
}

/** What the summary is made of. */
export interface DemoResult {
  readonly state: ServerState;
  /** `pennon status --json` at the end. */
  readonly status: {
    readonly buffer: {
      appended: number;
      delivered: number;
      pending: number;
      dead_lettered: number;
      evicted: Readonly<Record<string, number>>;
    };
  };
  /** The agent's own line on its recovery. */
  readonly recovery: Readonly<Record<string, unknown>>;
  /** The agent's lines on attempts that failed. */
  readonly attempts: readonly (AgentLine | undefined)[];
  /** The commands whose results the server must have. */
  readonly commands: readonly string[];
  readonly tookS: number;
}

const SEVERITIES = ["critical", "important", "moderate", "low"];

/** Prints the summary; answers whether nothing was lost. */
export function printSummary(result: DemoResult): boolean {
  const { state, status: { buffer }, recovery, attempts } = result;
  const bySeverity = SEVERITIES.map((severity) => {
    const count = state.packages.filter((known) => known.severity === severity).length;
    return `${count} ${severity}`;
  });
  const waits = attempts.map((line) => `${line?.["next_in_s"]} s`).join(", ");
  const evicted = Object.values(buffer.evicted).reduce((sum, count) => sum + count, 0);
  const kept = buffer.delivered + buffer.pending + buffer.dead_lettered + evicted;
  const unreported = result.commands.filter((id) =>
    !state.logs.some(({ command_id }) => command_id === id)
  );
  const lost = buffer.appended - kept + evicted + unreported.length;
  const lines = [
    `updates at the server    ${state.packages.length} (${bySeverity.join(", ")})`,
    `outage                   ${recovery["outage_s"]} s, as the agent saw it`,
    `attempts in the outage   ${attempts.length}`,
    `waits after each         ${waits}`,
    `events                   ${buffer.appended} kept on disk, ${buffer.delivered} delivered, ` +
    `${buffer.pending} waiting`,
    `events lost              ${lost}`,
    `agents at the server     ${state.agents.length}`,
    `protocol violations      ${state.violations.length}`,
    `took                     ${result.tookS.toFixed(0)} s`,
  ];
  console.log(lines.map((line) => `  ${line}`).join("\n"));
  return lost === 0 && state.violations.length === 0 && state.agents.length === 1;
}
