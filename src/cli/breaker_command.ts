/** `pennon breaker`: lists the circuit breakers, or closes one. */

import { closeBreaker, CONNECTION } from "../agent/breaker_reset.ts";
import { nextAttemptAtMs } from "../agent/server_health.ts";
import { readStatus, type Status } from "../agent/status.ts";
import type { SavedBreaker } from "../breaker/saved.ts";
import { SCANNER_NAMES } from "../scanners/registry.ts";
import { Secrets } from "../redact.ts";
import { safeJson } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import { type CliCommand, type ExitCode, JSON_OPTION } from "./command.ts";
import { type CommandSettings, openLog, openSettings } from "./command_setup.ts";
import { formatTable } from "./table.ts";
import { describeTime, isoInstant, outputWidth } from "./terminal_text.ts";
import { describeDuration } from "../wording.ts";

/** A reset goes to the running agent, or to its files if none runs. */
export const breakerCommand: CliCommand = {
  usage: "[list | reset NAME] [--json]",
  details: [
    `NAME is "connection", or a scanner's: ${SCANNER_NAMES.join(", ")}. A reset`,
    "closes the breaker and ends its waits; a running agent retries at once.",
  ],
  options: [JSON_OPTION],
  maxArguments: 2,
  actions: [
    { name: "list", summary: "List the breakers; without an action too" },
    {
      name: "reset",
      argument: { name: "NAME", choices: [CONNECTION, ...SCANNER_NAMES] },
      summary: "Close a breaker",
    },
  ],
  async run(system, given) {
    const [action, name = ""] = given.positional;
    const settings = await openSettings(system, given);
    const asJson = given.flags.has("json");
    if (action === "reset") return await reset(system, settings, { name, asJson });
    return await list(system, settings, asJson);
  },
};

async function list(system: System, settings: CommandSettings, asJson: boolean): Promise<ExitCode> {
  const status = await readStatus(system, settings);
  const breakers = listBreakers(status);
  system.terminal.print(
    asJson ? breakersAsJson(status, breakers) : breakersAsTable(system, status, breakers),
  );
  return 0;
}

/** A breaker with what is known of its next attempt. */
interface ListedBreaker {
  readonly name: string;
  readonly breaker: SavedBreaker;
  /** Why the next attempt waits; empty if it only waits for its time. */
  readonly reason: string;
  /** Since when it is in this state, or in the trouble of `reason`; `null`: unknown. */
  readonly sinceMs: number | null;
  /** No attempt before this instant; `null`: unknown, or nothing holds it up. */
  readonly nextMs: number | null;
}

function listBreakers(status: Status): ListedBreaker[] {
  const { state, scannerBreakers } = status;
  const scanners = Object.entries(scannerBreakers).map(([name, breaker]): ListedBreaker => ({
    name,
    breaker,
    reason: breaker.state === "closed" ? "" : breaker.reason,
    sinceMs: breaker.state === "closed" ? null : breaker.sinceMs,
    nextMs: breaker.state === "open" ? breaker.untilMs : null,
  }));
  if (state === null) return scanners;
  const { breaker, outage, operatorAction } = state.connection;
  const ownReason = breaker.state === "closed" ? outage?.why ?? "" : breaker.reason;
  return [{
    name: CONNECTION,
    breaker,
    reason: operatorAction === null ? ownReason : `operator action required: ${operatorAction.why}`,
    sinceMs: operatorAction?.sinceMs ??
      (breaker.state === "closed" ? outage?.sinceMs ?? null : breaker.sinceMs),
    nextMs: nextAttemptAtMs(status),
  }, ...scanners];
}

/** The schema `pennon.breaker/1`, which only ever gains fields. */
function breakersAsJson({ holder }: Status, breakers: readonly ListedBreaker[]): string {
  const listed = breakers.map(({ name, breaker, reason, sinceMs, nextMs }) => ({
    name,
    state: breaker.state,
    failures: breaker.failures,
    reason: reason === "" ? null : reason,
    since: isoInstant(sinceMs),
    next_try_at: isoInstant(nextMs),
  }));
  return safeJson({ schema: "pennon.breaker/1", running: holder !== null, breakers: listed }, 2);
}

function breakersAsTable(
  system: System,
  status: Status,
  breakers: readonly ListedBreaker[],
): string {
  if (breakers.length === 0) return "No breaker has been used yet";
  const { terminal } = system;
  const rows = breakers.map((listed) => [
    listed.name,
    describeState(listed, status.nowMs),
    String(listed.breaker.failures),
    describeNextAttempt(listed, status),
    listed.reason,
  ]);
  const titles = ["NAME", "STATE", "FAILURES", "NEXT ATTEMPT", "REASON"];
  return formatTable(titles.map((title) => ({ title })), rows, outputWidth(terminal)).join("\n");
}

/** A closed breaker may let calls through that fail. */
function describeState({ breaker: { state }, sinceMs }: ListedBreaker, nowMs: number): string {
  const word = state.replace("_", "-");
  if (sinceMs === null) return word;
  const since = `since ${describeTime(sinceMs, nowMs)} (${describeDuration(nowMs - sinceMs)})`;
  return state === "closed" ? `${word}, trouble ${since}` : `${word} ${since}`;
}

function describeNextAttempt({ name, nextMs }: ListedBreaker, { holder, nowMs }: Status): string {
  if (holder === null) return "no agent runs";
  const inMs = (nextMs ?? -Infinity) - nowMs;
  if (name !== CONNECTION) {
    return inMs > 0 ? `scan after ${describeDuration(inMs)}` : "next scan";
  }
  if (nextMs === null) return "unknown";
  return inMs > 0 ? `in ${describeDuration(inMs)}` : "now";
}

async function reset(
  system: System,
  settings: CommandSettings,
  { name, asJson }: { name: string; asJson: boolean },
): Promise<ExitCode> {
  const { stateDirectory } = settings;
  const log = openLog(system, settings, { secrets: new Secrets() });
  const { byAgent } = await closeBreaker(system, { stateDirectory, log }, name);
  const how = byAgent ? "by the running agent" : "on disk; no agent is running";
  system.terminal.print(
    asJson
      ? safeJson({ schema: "pennon.breaker-reset/1", name, by_agent: byAgent })
      : `Breaker "${name}" is closed (${how})`,
  );
  return 0;
}
