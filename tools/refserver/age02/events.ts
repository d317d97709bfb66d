/** `POST /agents/{id}/events` and `/security-events`: at most 100 a request, each stored or rejected alone. */

import { DatabaseError } from "../../../src/system/database.ts";
import type { Call } from "../backend.ts";
import type { Reply } from "../connection.ts";
import { YEAR_ONE } from "../reports_table.ts";
import { answer, type Backend02, read } from "./backend.ts";
import { EventsSchema, SecurityEventsSchema } from "./bodies.ts";

const MAX_EVENTS = 100;

/** So often a batch that is wholly known may come: its answer may have been lost. */
const PATIENCE = 3;

/** Keeps events under their own ids; one that is known counts as rejected. */
export function reportEvents(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, EventsSchema, "invalid request body");
  if ("reply" in decoded) return decoded.reply;
  const { events } = decoded.value;
  const refused = refuseMany(backend, call, events.length);
  if (refused) return refused;
  noteRepeated(backend, call, events.map(({ id }) => id ?? ""));
  return keepEach(events, {
    name: (at) => `event ${String.fromCharCode(48 + at)}: failed to create system event`,
    keep: (event) => {
      if (!event.created_at) backend.log.violate(call.request, "an event of the year 1");
      const id = event.id ?? crypto.randomUUID();
      if (backend.events.has(id)) {
        fail('pq: duplicate key value violates unique constraint "system_events_pkey"');
      }
      const created_at = event.created_at ?? YEAR_ONE;
      keep(
        backend,
        call,
        () => backend.events.add({ ...event, id, agent_id: call.agentId, created_at }),
      );
    },
  });
}

/** Keeps security events, which have no ids: what comes twice is there twice. */
export function reportSecurityEvents(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, SecurityEventsSchema, "invalid request body");
  if ("reply" in decoded) return decoded.reply;
  const { events } = decoded.value;
  const refused = refuseMany(backend, call, events.length);
  if (refused) return refused;
  return keepEach(events, {
    name: (at) => `event ${at}: failed to create security event`,
    keep: (row) =>
      keep(backend, call, () =>
        backend.rows.add({
          kind: "security_event",
          agentId: call.agentId,
          commandId: "",
          row,
          receivedAtMs: call.nowMs,
        })),
  });
}

function refuseMany(backend: Backend02, call: Call, actual: number): Reply | undefined {
  if (actual <= MAX_EVENTS) return undefined;
  backend.log.violate(call.request, `${actual} events in one request`);
  return answer(400, { error: "too many events", max: MAX_EVENTS, actual }, `${actual} events`);
}

function keepEach<Event>(
  events: readonly Event[],
  { name, keep }: { name: (at: number) => string; keep: (event: Event) => void },
): Reply {
  const errors: string[] = [];
  for (const [at, event] of events.entries()) {
    try {
      keep(event);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      errors.push(`${name(at)}: ${error.message}`);
    }
  }
  const rejected = errors.length;
  const accepted = events.length - rejected;
  const status = rejected === 0 ? 200 : accepted === 0 ? 500 : 206;
  const body = { accepted, rejected, ...rejected > 0 && { errors } };
  return answer(status, body, `${accepted} accepted, ${rejected} rejected`);
}

/** Keeps one; that it does not fit is a violation. */
function keep(backend: Backend02, call: Call, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (error instanceof DatabaseError) backend.log.violate(call.request, error.message);
    throw error;
  }
}

/** A batch whose every event is known is done with: a client that goes on sending it has not understood. */
function noteRepeated(backend: Backend02, call: Call, ids: readonly string[]): void {
  if (ids.length === 0 || !ids.every((id) => id !== "" && backend.events.has(id))) return;
  const key = ids.join(" ");
  const times = (backend.repeatedEvents.get(key) ?? 0) + 1;
  backend.repeatedEvents.set(key, times);
  if (times > PATIENCE) {
    backend.log.violate(call.request, `sends known events again, ${times} times`);
  }
}

function fail(message: string): never {
  throw new DatabaseError(message, { reason: "failed" });
}
