/** `pennon events`: what waits in the buffer, and what a person does about what was set aside. */

import type { StoredEvent } from "../buffer/buffer.ts";
import type { SqliteBuffer } from "../buffer/sqlite_buffer.ts";
import { openBufferForChange, openBufferReadOnly } from "../buffer/store.ts";
import type { System } from "../system/system.ts";
import type { Arguments } from "./arguments.ts";
import type { CliCommand } from "./command.ts";
import {
  eventAsJson,
  eventAsText,
  eventsAsJson,
  eventsAsTable,
  stateName,
} from "./events_output.ts";
import { type EventsRequest, readEventsRequest } from "./events_request.ts";
import { openSettings, type Settings } from "./settings.ts";
import { safeJson } from "../strip_controls.ts";

/** More than a person reads; the rest is counted. */
const MOST_SHOWN = 1_000;

/** Events that a shortened ID fits, named before the rest is passed over. */
const MOST_MATCHES = 20;

export const eventsCommand: CliCommand = {
  usage: "list [--dead] | show ID | requeue ID | purge ID",
  details: [
    "Events wait here until the server has them. One that the server refused",
    "too often is set aside: --dead lists those. requeue lets them wait again,",
    "as if never refused; purge deletes one for good.",
    "",
    "ID may be its first 6 characters or more. The agent may be running: it",
    "takes up what was requeued after its next check-in at the latest, but one",
    "that the server broke over (HTTP 500, 404) up to an hour later.",
  ],
  options: [
    { name: "dead", summary: "list: only those set aside" },
    { name: "all", summary: "requeue: all that were set aside" },
    { name: "json", summary: "Answer in JSON" },
  ],
  maxArguments: 2,
  async run(system, given) {
    const request = readEventsRequest(given);
    const settings = await openSettings(system, given);
    system.terminal.print(await answer(system, settings, { request, given }));
    return 0;
  },
};

async function answer(
  system: System,
  settings: Settings,
  { request, given }: { request: EventsRequest; given: Arguments },
): Promise<string> {
  const isJson = given.flags.has("json");
  switch (request.action) {
    case "list":
      return await list(system, settings, { isDead: request.isDead, isJson });
    case "show": {
      const event = await look(system, settings, (buffer) => findOne(buffer, request));
      return isJson ? eventAsJson(event) : eventAsText(event, system.clock.nowMs());
    }
    case "requeue": {
      const count = await change(system, settings, (buffer) => requeue(buffer, request.id));
      if (isJson) return safeJson({ schema: "pennon.events-requeue/1", requeued: count });
      return count === 0 ? "No event is set aside" : `Requeued ${count} ${plural(count)}`;
    }
    case "purge": {
      const id = await change(system, settings, (buffer) => purge(buffer, request.id));
      if (isJson) return safeJson({ schema: "pennon.events-purge/1", id, purged: 1 });
      return `Purged event ${id}`;
    }
  }
}

async function list(
  system: System,
  settings: Settings,
  { isDead, isJson }: { isDead: boolean; isJson: boolean },
): Promise<string> {
  const { terminal, clock } = system;
  const { events, total } = await look(system, settings, (buffer) => {
    if (buffer === null) return { events: [], total: 0 };
    const { pending, deadLetters } = buffer.counts();
    const state = isDead ? { state: "dead_lettered" as const } : {};
    const events = buffer.list({ ...state, limit: MOST_SHOWN });
    return { events, total: deadLetters + (isDead ? 0 : pending) };
  });
  if (isJson) return eventsAsJson(events, total);
  if (events.length === 0) return "No events";
  if (total > events.length) terminal.printError(`${total - events.length} more are not shown`);
  const width = terminal.stdoutIsTerminal ? terminal.columns() : Infinity;
  return eventsAsTable(events, clock.nowMs(), width);
}

function requeue(buffer: SqliteBuffer | null, id: string | null): number {
  if (id === null) return buffer?.requeue("all") ?? 0;
  const event = findOne(buffer, { action: "requeue", id });
  const count = buffer?.requeue([event.id]) ?? 0;
  if (count > 0) return count;
  throw new Error(
    `Cannot requeue event: "${event.id}" is not set aside. It is sent when the server takes it`,
  );
}

function purge(buffer: SqliteBuffer | null, id: string): string {
  const event = findOne(buffer, { action: "purge", id });
  if (buffer?.purge(event.id)) return event.id;
  throw new Error(
    `Cannot purge event: "${event.id}" is pending, and only what was set aside may go. ` +
      "Next: wait until the server has it, or has refused it too often",
  );
}

/** The one event that an ID, or its beginning, names. */
function findOne(
  buffer: SqliteBuffer | null,
  { action, id }: { action: string; id: string },
): StoredEvent {
  const matches = buffer?.find(id, MOST_MATCHES + 1) ?? [];
  const [event] = matches;
  if (event === undefined) throw new Error(`Cannot ${action} event: no event "${id}"`);
  if (matches.length === 1) return event;
  const lines = matches.slice(0, MOST_MATCHES).map((match) =>
    `  ${match.id} ${match.kind} ${stateName(match.state)}`
  );
  const more = matches.length > MOST_MATCHES ? ["  and more"] : [];
  throw new Error(
    [`Cannot ${action} event: "${id}" may be any of these`, ...lines, ...more].join("\n"),
  );
}

async function look<T>(
  system: System,
  { stateDirectory, config }: Settings,
  work: (buffer: SqliteBuffer | null) => T,
): Promise<T> {
  const opened = await openBufferReadOnly(system, stateDirectory, config.buffer);
  try {
    return work(opened?.buffer ?? null);
  } finally {
    opened?.close();
  }
}

async function change<T>(
  system: System,
  { stateDirectory, config }: Settings,
  work: (buffer: SqliteBuffer | null) => T,
): Promise<T> {
  const opened = await openBufferForChange(system, stateDirectory, config.buffer);
  try {
    return work(opened?.buffer ?? null);
  } finally {
    opened?.close();
  }
}

function plural(count: number): string {
  return count === 1 ? "event" : "events";
}
