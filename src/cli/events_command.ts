/** `pennon events list`: what waits in the buffer, and what was set aside. */

import type { StoredEvent } from "../buffer/buffer.ts";
import { openBufferReadOnly } from "../buffer/store.ts";
import type { System } from "../system/system.ts";
import type { Arguments } from "./arguments.ts";
import { type CliCommand, UsageError } from "./command.ts";
import { describeDuration, describeSize } from "./duration.ts";
import { openSettings, type Settings } from "./settings.ts";
import { formatTable } from "./table.ts";

/** More than a person reads; the rest is counted. */
const MOST_SHOWN = 1_000;

export const eventsCommand: CliCommand = {
  name: "events",
  summary: "List what waits in the buffer",
  usage: "list [--dead] [--json]",
  details: [
    "Events wait here until the server has them. One that the server refused",
    "too often is set aside: --dead lists those.",
  ],
  options: [
    { name: "dead", summary: "Only those set aside" },
    { name: "json", summary: "Answer in JSON" },
  ],
  maxArguments: 1,
  async run(system, given) {
    const [action] = given.positional;
    if (action !== "list") {
      throw new UsageError(`Cannot run "events ${action ?? ""}": it takes "list"`);
    }
    const settings = await openSettings(system, given);
    const { events, total } = await readEvents(system, settings, given);
    if (given.flags.has("json")) system.terminal.print(asJson(events, total));
    else printTable(system, events, total);
    return 0;
  },
};

async function readEvents(system: System, settings: Settings, given: Arguments) {
  const { stateDirectory, config } = settings;
  const opened = await openBufferReadOnly(system, stateDirectory, config.buffer);
  if (opened === null) return { events: [], total: 0 };
  try {
    const counts = opened.buffer.counts();
    const isDead = given.flags.has("dead");
    const state = isDead ? { state: "set_aside" as const } : {};
    const events = opened.buffer.list({ ...state, limit: MOST_SHOWN });
    return { events, total: counts.setAside + (isDead ? 0 : counts.pending) };
  } finally {
    opened.close();
  }
}

function asJson(events: readonly StoredEvent[], total: number): string {
  return JSON.stringify(
    {
      schema: "pennon.events/1",
      total,
      events: events.map((event) => ({
        id: event.id,
        kind: event.kind,
        command_id: event.commandId,
        created_at: new Date(event.createdMs).toISOString(),
        state: event.state,
        attempts: event.attempts,
        size_bytes: event.sizeBytes,
        last_error: event.lastError,
      })),
    },
    null,
    2,
  );
}

function printTable(system: System, events: readonly StoredEvent[], total: number): void {
  const { terminal, clock } = system;
  if (events.length === 0) return terminal.print("No events");
  const columns = [
    { title: "ID" },
    { title: "KIND" },
    { title: "AGE", alignRight: true },
    { title: "STATE" },
    { title: "TRIES", alignRight: true },
    { title: "SIZE", alignRight: true },
    { title: "LAST ERROR" },
  ];
  const rows = events.map((event) => [
    event.id,
    event.kind,
    describeDuration(clock.nowMs() - event.createdMs),
    event.state,
    String(event.attempts),
    describeSize(event.sizeBytes),
    event.lastError ?? "-",
  ]);
  const width = terminal.stdoutIsTerminal ? terminal.columns() : Infinity;
  terminal.print(formatTable(columns, rows, width).join("\n"));
  if (total > events.length) terminal.printError(`${total - events.length} more are not shown`);
}
