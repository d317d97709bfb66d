/**
 * The judge: from all that is known of a storm, what should not be. Pure; an empty list is a storm
 * that cost nothing.
 */

import type { EventKind } from "../../src/buffer/buffer.ts";
import { commandComplaints, isUnfinished } from "./command_verdict.ts";
import { identitiesAt, identitiesOf } from "./identity_of.ts";
import { markComplaints } from "./mark_verdict.ts";
import type { StormRecord } from "./record.ts";
import type { KeptEvent, WitnessedEvent } from "./witness.ts";

/** Lines that a whole disk gives no reason for. */
const NEVER_SAID = [
  "buffer was damaged, salvaged into a new file",
  "state file unreadable; starting with defaults",
  "commands lost: the disk accepted no writes",
  "command left for the next start",
  "not saved",
];

/** Refusals that the storm asks for. */
const ASKED_FOR = /CHECK constraint|invalid length|action|failed to record|failed to save/i;

/** Every complaint, each a sentence with what it is about. */
export function complaints(record: StormRecord): string[] {
  return [
    ...eventComplaints(record),
    ...counterComplaints(record),
    ...commandComplaints(record),
    ...markComplaints(record),
    ...otherComplaints(record),
    ...(record.isSettled ? settledComplaints(record) : []),
  ];
}

/** What was appended and is neither at the server nor kept; wholes whose parts took their place are not. */
export function missingEvents(record: StormRecord): WitnessedEvent[] {
  const { testimony, server } = record;
  const there = new Set([
    ...identitiesAt(server),
    ...testimony.kept.flatMap(identitiesOf),
  ]);
  const missing = testimony.appended.filter((event) =>
    identitiesOf(event).some((identity) => !there.has(identity))
  );
  return missing.filter((event) => !isDivided(event, testimony.appended));
}

function eventComplaints(record: StormRecord): string[] {
  const { testimony, fed, lives, server } = record;
  const found: string[] = [];
  const missing = missingEvents(record);
  for (const kind of ["updates", "log", "dependencies", "system_info"] as const) {
    const gone = missing.filter((event) => event.kind === kind);
    const dropped = testimony.counters[`evicted_${kind}`] ?? 0;
    if (gone.length > dropped) {
      const ids = gone.slice(0, 5).map(({ id }) => id).join(" ");
      found.push(`${gone.length} of kind ${kind} are gone, ${dropped} counted as dropped: ${ids}`);
    }
    if (dropped > 0 && !record.mayDrop) found.push(`${dropped} of kind ${kind} were dropped`);
  }
  // What a caller was told is appended must be among what was committed. A dropped one never was.
  const appended = new Set(testimony.appended.flatMap(identitiesOf));
  const lost = fed.filter((identity) => !appended.has(identity));
  if (lost.length > 0 && !record.mayDrop) {
    found.push(`${lost.length} appends returned and are nowhere: ${lost.slice(0, 5).join(" ")}`);
  }
  const told = lives.flatMap(({ lines }) => lines);
  const facts = told.filter(({ message }) => message === "host facts appended").length;
  const kept =
    testimony.appended.filter((event) => event.kind === "system_info" && event.commandId === null)
      .length;
  if (facts > kept && !record.mayDrop) {
    found.push(`host facts were told to be kept ${facts} times, and were ${kept} times`);
  }
  const delivered = testimony.counters["delivered"] ?? 0;
  if (delivered > 0 && server.logs.length === 0) found.push("delivered, and nothing is there");
  return found;
}

function counterComplaints({ testimony }: StormRecord): string[] {
  const { counters, kept } = testimony;
  const count = (name: string) => counters[name] ?? 0;
  const dropped = (["updates", "log", "dependencies", "system_info"] satisfies EventKind[])
    .reduce((sum, kind) => sum + count(`evicted_${kind}`), 0);
  const rows = (state: string) => kept.filter((event) => event.state === state).length;
  const found: string[] = [];
  const same = (what: string, one: number, other: number) => {
    if (one !== other) found.push(`${what}: ${one} counted, ${other} there`);
  };
  same("pending", count("pending"), rows("pending"));
  same("set aside", count("dead_lettered"), rows("dead_lettered"));
  same(
    "appended",
    count("appended"),
    count("delivered") + count("pending") + count("dead_lettered") + dropped + count("purged"),
  );
  for (const event of kept) {
    if (event.state === "dead_lettered" && event.lastError === null) {
      found.push(`event ${event.id} was set aside, and nobody can see why`);
    }
  }
  return found;
}

/** Once a server that is well has been there for long enough, only what it never takes still waits. */
export function settledComplaints(
  { testimony: { kept, commands }, neverTaken }: Pick<StormRecord, "testimony" | "neverTaken">,
): string[] {
  const pending = kept.filter(({ state }) => state === "pending");
  const isNeverTaken = (event: KeptEvent) =>
    identitiesOf(event).some((identity) => neverTaken.has(identity));
  // What is left of a command waits for what came before it, however long that takes.
  const heldUp = new Set(pending.filter(isNeverTaken).map(({ commandId }) => commandId));
  const waiting = pending.filter((event) =>
    !isNeverTaken(event) && (event.commandId === null || !heldUp.has(event.commandId))
  );
  const open = commands.filter(({ state }) => isUnfinished(state));
  return [
    ...waiting.map(({ id, kind }) => `event ${id} of kind ${kind} still waits`),
    ...open.map(({ id, state }) => `command ${id} is still ${state}`),
  ];
}

function otherComplaints({ lives, server, doubleStarts }: StormRecord): string[] {
  const found: string[] = [];
  for (const { message, ...fields } of lives.flatMap(({ lines }) => lines)) {
    if (NEVER_SAID.includes(message)) found.push(`said "${message}" ${JSON.stringify(fields)}`);
  }
  if (server.agents.length !== 1) found.push(`registered ${server.agents.length} times`);
  for (const { method, path, what } of server.violations) {
    if (!ASKED_FOR.test(what)) found.push(`wronged the server: ${method} ${path}: ${what}`);
  }
  for (const { code, said } of doubleStarts) {
    if (code === 1 && said.includes("already runs an agent")) continue;
    found.push(`a second agent on one folder ended with ${code}: ${said}`);
  }
  return found;
}

/** Whether there are parts of this list, with fewer items each. */
function isDivided(event: WitnessedEvent, all: readonly WitnessedEvent[]): boolean {
  if (event.kind !== "updates") return false;
  const items = new Set(identitiesOf(event));
  return all.some((other) => {
    if (other.kind !== "updates" || other.commandId !== event.commandId) return false;
    const parts = identitiesOf(other);
    return parts.length < items.size && parts.every((part) => items.has(part));
  });
}
