/** `pennon breaker`: lists the circuit breakers, or closes one. */

import { closeBreaker, CONNECTION } from "../agent/breaker_reset.ts";
import { readSavedBreakers, STATE_FILE } from "../agent/saved_state.ts";
import type { SavedBreaker } from "../breaker/saved.ts";
import { SCANNER_NAMES } from "../scanners/registry.ts";
import { Secrets } from "../redact.ts";
import { safeJson } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import { type CliCommand, type ExitCode, JSON_OPTION } from "./command.ts";
import { type CommandSettings, openLog, openSettings } from "./command_setup.ts";
import { formatTable } from "./table.ts";
import { describeDuration, isoInstant, outputWidth } from "./terminal_text.ts";

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
  const { stateDirectory } = settings;
  const state = await STATE_FILE.read(system.files, stateDirectory);
  const breakers: [string, SavedBreaker][] = [
    ...(state ? [[CONNECTION, state.connection.breaker] as [string, SavedBreaker]] : []),
    ...Object.entries(await readSavedBreakers(system, stateDirectory)),
  ];
  system.terminal.print(asJson ? breakersAsJson(breakers) : breakersAsTable(system, breakers));
  return 0;
}

/** The schema `pennon.breaker/1`, which only ever gains fields. */
function breakersAsJson(breakers: readonly [string, SavedBreaker][]): string {
  const listed = breakers.map(([name, breaker]) => ({
    name,
    state: breaker.state,
    failures: breaker.failures,
    reason: breaker.state === "closed" ? null : breaker.reason,
    since: isoInstant(breaker.state === "closed" ? null : breaker.sinceMs),
    next_try_at: isoInstant(breaker.state === "open" ? breaker.untilMs : null),
  }));
  return safeJson({ schema: "pennon.breaker/1", breakers: listed }, 2);
}

function breakersAsTable(
  { terminal, clock }: System,
  breakers: readonly [string, SavedBreaker][],
): string {
  if (breakers.length === 0) return "No breaker has been used yet";
  const rows = breakers.map(([name, breaker]) => [
    name,
    breaker.state.replace("_", "-"),
    String(breaker.failures),
    breaker.state === "open" ? `in ${describeDuration(breaker.untilMs - clock.nowMs())}` : "now",
    breaker.state === "closed" ? "" : breaker.reason,
  ]);
  const titles = ["NAME", "STATE", "FAILURES", "NEXT ATTEMPT", "REASON"];
  return formatTable(titles.map((title) => ({ title })), rows, outputWidth(terminal)).join("\n");
}

async function reset(
  system: System,
  settings: CommandSettings,
  { name, asJson }: { name: string; asJson: boolean },
): Promise<ExitCode> {
  const { stateDirectory, config } = settings;
  const log = openLog(system, config, { secrets: new Secrets() });
  const { byAgent } = await closeBreaker(system, { stateDirectory, log }, name);
  const how = byAgent ? "by the running agent" : "on disk; no agent is running";
  system.terminal.print(
    asJson
      ? safeJson({ schema: "pennon.breaker-reset/1", name, by_agent: byAgent })
      : `Breaker "${name}" is closed (${how})`,
  );
  return 0;
}
