/** `pennon events`: lists the events in the buffer, and requeues or deletes dead letters. */

import type { StoredEvent } from "../buffer/buffer.ts";
import type { SqliteBuffer } from "../buffer/sqlite_buffer.ts";
import { openBufferForChange, openBufferReadOnly } from "../buffer/store.ts";
import { LOCAL_LIMITS, parseJson } from "../json.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import { type Arguments, type CliCommand, JSON_OPTION, UsageError } from "./command.ts";
import { type CommandSettings, openSettings } from "./command_setup.ts";
import { formatTable } from "./table.ts";
import { describeSize, isoInstant, outputWidth } from "./terminal_text.ts";
import { describeDuration } from "../wording.ts";

/** `list` shows at most this many events and counts the others. */
const MOST_SHOWN = 1_000;

/** At most this many events are named if a shortened ID fits several. */
const MOST_MATCHES = 20;

/** A shorter ID would fit too many events. */
const SHORTEST_ID = 6;

/** Works on the buffer file, with or without a running agent. */
export const eventsCommand: CliCommand = {
  usage: "[list [--dead] | show ID | requeue [ID] | purge ID]",
  details: [
    "Events wait in the buffer until the server has accepted them. An event that",
    "the server refuses too often becomes a dead letter: --dead lists those.",
    "requeue puts a dead letter back into the queue with a fresh count of",
    "attempts; purge deletes it.",
    "",
    "ID may be shortened to its first 6 characters or more. The agent may be",
    "running: it sends a requeued event after its next check-in at the latest, but",
    "up to an hour later if the server answered that event with HTTP 500 or 404.",
  ],
  options: [
    { name: "dead", actions: ["list"], summary: "list: only dead letters" },
    { name: "all", actions: ["requeue"], summary: "requeue: all dead letters" },
    JSON_OPTION,
  ],
  maxArguments: 2,
  actions: [
    { name: "list", summary: "List the events in the buffer; without an action too" },
    { name: "show", argument: { name: "ID" }, summary: "Print an event with its body" },
    {
      name: "requeue",
      argument: { name: "ID", isOptional: true },
      summary: "Send a dead letter again; --all sends all",
    },
    { name: "purge", argument: { name: "ID" }, summary: "Delete a dead letter" },
  ],
  async run(system, given) {
    const request = readRequest(given);
    const settings = await openSettings(system, given);
    system.terminal.print(await answer(system, settings, { request, given }));
    return 0;
  },
};

type EventsRequest =
  | { readonly action: "list"; readonly isDead: boolean }
  | { readonly action: "show"; readonly id: string }
  /** `null`: all dead letters. */
  | { readonly action: "requeue"; readonly id: string | null }
  | { readonly action: "purge"; readonly id: string };

/** Throws `UsageError` if the words do not fit together. The action has been checked. */
function readRequest({ positional, flags }: Arguments): EventsRequest {
  const [action, id] = positional;
  switch (action) {
    case "show":
    case "purge":
      return { action, id: readId(action, id) };
    case "requeue":
      if (!flags.has("all")) return { action, id: readId(action, id) };
      if (id === undefined) return { action, id: null };
      throw new UsageError("Cannot requeue events: it takes an ID or --all, not both");
    default:
      return { action: "list", isDead: flags.has("dead") };
  }
}

function readId(action: "show" | "purge" | "requeue", id: string | undefined): string {
  if (id === undefined || id === "") {
    const needs = action === "requeue" ? "an ID or --all" : "an ID";
    throw new UsageError(`Cannot ${action} event: it takes ${needs}`);
  }
  if (id.length >= SHORTEST_ID) return id.toLowerCase();
  throw new UsageError(
    `Cannot ${action} event: "${id}" is too short, an ID takes ${SHORTEST_ID} characters or more`,
  );
}

async function answer(
  system: System,
  settings: CommandSettings,
  { request, given }: { request: EventsRequest; given: Arguments },
): Promise<string> {
  const isJson = given.flags.has("json");
  switch (request.action) {
    case "list":
      return await list(system, settings, { isDead: request.isDead, isJson });
    case "show": {
      const event = await read(system, settings, (buffer) => findOne(buffer, request));
      return isJson ? eventAsJson(event) : eventAsText(event, system.clock.nowMs());
    }
    case "requeue": {
      const count = await change(system, settings, (buffer) => requeue(buffer, request.id));
      if (isJson) return safeJson({ schema: "pennon.events-requeue/1", requeued: count });
      if (count === 0) return "The buffer holds no dead letters";
      return `Requeued ${count} ${count === 1 ? "event" : "events"}`;
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
  settings: CommandSettings,
  { isDead, isJson }: { isDead: boolean; isJson: boolean },
): Promise<string> {
  const { terminal, clock } = system;
  const { events, total } = await read(system, settings, (buffer) => {
    if (buffer === null) return { events: [], total: 0 };
    const { pending, deadLetters } = buffer.counts();
    const state = isDead ? { state: "dead_lettered" as const } : {};
    const events = buffer.list({ ...state, limit: MOST_SHOWN });
    return { events, total: deadLetters + (isDead ? 0 : pending) };
  });
  if (isJson) return eventsAsJson(events, total);
  if (events.length === 0) return "No events";
  if (total > events.length) terminal.printError(`${total - events.length} more are not shown`);
  return eventsAsTable(events, clock.nowMs(), outputWidth(terminal));
}
function requeue(buffer: SqliteBuffer | null, id: string | null): number {
  if (id === null) return buffer?.requeue("all") ?? 0;
  const event = findOne(buffer, { action: "requeue", id });
  if (buffer?.requeue([event.id])) return 1;
  throw new Error(
    `Cannot requeue event: "${event.id}" is no dead letter. The agent sends it by itself`,
  );
}

function purge(buffer: SqliteBuffer | null, id: string): string {
  const event = findOne(buffer, { action: "purge", id });
  if (buffer?.purge(event.id)) return event.id;
  throw new Error(
    `Cannot purge event: "${event.id}" is pending, and only a dead letter can be deleted. ` +
      "Next: wait until the server accepts it, or refuses it too often",
  );
}

/** The one event whose ID starts with `id`. Throws if none or several do. */
function findOne(
  buffer: SqliteBuffer | null,
  { action, id }: { action: string; id: string },
): StoredEvent {
  const matches = buffer?.findByPrefix(id, MOST_MATCHES + 1) ?? [];
  const [event] = matches;
  if (event === undefined) throw new Error(`Cannot ${action} event: no event "${id}"`);
  if (matches.length === 1) return event;
  const lines = matches.slice(0, MOST_MATCHES).map((match) =>
    `  ${match.id} ${match.kind} ${describeState(match)}`
  );
  const more = matches.length > MOST_MATCHES ? ["  and more"] : [];
  throw new Error(
    [`Cannot ${action} event: "${id}" may be any of these`, ...lines, ...more].join("\n"),
  );
}

const read = withBuffer(openBufferReadOnly);
const change = withBuffer(openBufferForChange);

/** A function that opens the buffer, works with it (`null` if there is none), and closes it. */
function withBuffer(open: typeof openBufferReadOnly | typeof openBufferForChange) {
  return async <T>(
    system: System,
    { stateDirectory, config }: CommandSettings,
    work: (buffer: SqliteBuffer | null) => T,
  ): Promise<T> => {
    const opened = await open(system, stateDirectory, config.buffer);
    try {
      return work(opened?.buffer ?? null);
    } finally {
      opened?.close();
    }
  };
}
/** The schema `pennon.events/1` for several events; it only ever gains fields. */
export function eventsAsJson(events: readonly StoredEvent[], total: number): string {
  return safeJson({ schema: "pennon.events/1", total, events: events.map(fieldsOf) }, 2);
}

/** The schema `pennon.events/1` for one event with its body; it only ever gains fields. */
export function eventAsJson(event: StoredEvent): string {
  const body = readBody(event.body);
  return safeJson({ schema: "pennon.events/1", event: { ...fieldsOf(event), body } }, 2);
}

/** One line per event, at most `width` columns wide. */
export function eventsAsTable(
  events: readonly StoredEvent[],
  nowMs: number,
  width: number,
): string {
  const columns = [
    { title: "ID" },
    { title: "KIND" },
    { title: "AGE", alignRight: true },
    { title: "STATE" },
    { title: "ATTEMPTS", alignRight: true },
    { title: "SIZE", alignRight: true },
    { title: "LAST ERROR" },
  ];
  const rows = events.map((event) => [
    event.id,
    event.kind,
    describeDuration(nowMs - event.createdMs),
    describeState(event),
    String(event.attempts),
    describeSize(event.sizeBytes),
    event.lastError ?? "-",
  ]);
  return formatTable(columns, rows, width).join("\n");
}

/** Every field of one event, then its whole body. */
export function eventAsText(event: StoredEvent, nowMs: number): string {
  const age = describeDuration(nowMs - event.createdMs);
  const lines = [
    ["Id", event.id],
    ["Kind", event.kind],
    ["Command", event.commandId ?? "-"],
    ["Snapshot of", event.snapshotOf ?? "-"],
    ["Sequence", String(event.sequence)],
    ["Created", `${isoInstant(event.createdMs) ?? "unknown"} (${age} ago)`],
    ["State", describeState(event)],
    ["Attempts", String(event.attempts)],
    ["Size", describeSize(event.sizeBytes)],
    ["Last error", event.lastError ?? "-"],
    ["Body", ""],
  ] as const;
  const fields = lines.map(([name, text]) => `${name.padEnd(13)}${stripControls(text)}`.trimEnd());
  return [...fields, safeJson(readBody(event.body), 2)].join("\n");
}

function describeState({ state }: StoredEvent): string {
  return state === "dead_lettered" ? "dead letter" : state;
}

function fieldsOf(event: StoredEvent): Readonly<Record<string, unknown>> {
  return {
    id: event.id,
    kind: event.kind,
    command_id: event.commandId,
    snapshot_of: event.snapshotOf,
    sequence: event.sequence,
    created_at: isoInstant(event.createdMs),
    state: event.state,
    attempts: event.attempts,
    size_bytes: event.sizeBytes,
    last_error: event.lastError,
  };
}

/** The body as a value. A body that is not JSON, which Pennon does not write, stays text. */
function readBody(text: string): unknown {
  const parsed = parseJson(text, LOCAL_LIMITS);
  return parsed.ok ? parsed.value : text;
}
