/**
 * Feeds a buffer between two lives of its agent, through the buffer's own door: a backlog whose every
 * event is known, some of which no server takes; and commands that were handed over before.
 */

import type { BufferLimits, NewEvent } from "../../src/buffer/buffer.ts";
import type { StorableCommand } from "../../src/received_command.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { realSystem } from "../../src/system/real.ts";
import type { Random } from "../../src/system/system.ts";
import { identitiesOf } from "./identity_of.ts";

/** Items of a list; one of them bad makes five requests and more. */
const ITEMS = 12;

/** What was fed: appended when this exists. */
export interface Fed {
  /** Names of what was appended, of dropped ones too. */
  readonly identities: readonly string[];
  /** Those among them that no server takes. */
  readonly neverTaken: readonly string[];
}

/** Draws events of every sort. About one in four is such that no server ever takes it whole. */
export function drawEvents(random: Random, count: number): NewEvent[] {
  return Array.from({ length: count }, () => drawEvent(random)).flat();
}

/** Appends events and writes commands down; when it returns both are on disk. */
export async function feed(
  stateDirectory: string,
  limits: BufferLimits,
  what: { events: readonly NewEvent[]; commands: readonly StorableCommand[] },
): Promise<Fed> {
  const { buffer, journal, close } = await openBuffer(realSystem(), stateDirectory, limits);
  try {
    journal.receive(what.commands);
    buffer.append(what.events);
    return {
      identities: what.events.flatMap(identitiesOf),
      neverTaken: what.events.flatMap(badIdentitiesOf),
    };
  } finally {
    close();
  }
}

function badIdentitiesOf(event: NewEvent): string[] {
  const body = JSON.parse(event.body);
  const isBad = event.kind === "updates"
    ? body.updates.map(({ severity }: { severity: string }) => severity !== "low")
    : [body.action !== GOOD_ACTION];
  return identitiesOf(event).filter((_, number) => isBad[number]);
}

function drawEvent(random: Random): NewEvent[] {
  const commandId = crypto.randomUUID();
  const kind = random();
  if (kind < 0.4) return [log(commandId)];
  // The server wants an action: 400, about this event alone.
  if (kind < 0.5) return [log(commandId, { action: "" })];
  // An action that its column does not take: 500, whoever is to blame.
  if (kind < 0.55) return [log(commandId, { action: "x".repeat(51) })];
  const bad = kind < 0.7 ? Math.floor(random() * ITEMS) : -1;
  const snapshotOf = random() < 0.5 ? "updates/storm" : null;
  return [list(commandId, { bad, snapshotOf }), log(commandId)];
}

const GOOD_ACTION = "scan_updates";

function log(commandId: string, differently: Readonly<Record<string, string>> = {}): NewEvent {
  const body = {
    command_id: commandId,
    action: GOOD_ACTION,
    result: "success",
    stdout: "fed",
    stderr: "",
    exit_code: 0,
    duration_seconds: 0,
    ...differently,
  };
  return { kind: "log", commandId, snapshotOf: null, body: JSON.stringify(body) };
}

function list(
  commandId: string,
  { bad, snapshotOf }: { bad: number; snapshotOf: string | null },
): NewEvent {
  const updates = Array.from({ length: ITEMS }, (_, number) => ({
    package_type: "apt",
    package_name: `package-${number}`,
    current_version: "1",
    available_version: "2",
    severity: number === bad ? "dreadful" : "low",
    // A server of 0.2 forgets what it knew of a package without.
    metadata: {},
  }));
  const body = JSON.stringify({
    command_id: commandId,
    timestamp: "2026-11-24T12:00:00Z",
    updates,
  });
  return { kind: "updates", commandId, snapshotOf, body };
}
