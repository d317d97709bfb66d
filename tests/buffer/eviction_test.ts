import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as v from "valibot";
import {
  type BufferLimits,
  byKind,
  type EventKind,
  type NewEvent,
} from "../../src/buffer/buffer.ts";
import { OVERHEAD_BYTES } from "../../src/buffer/event_row.ts";
import {
  type Evictable,
  evictionNotice,
  NOTICE_BYTES,
  NOTICE_KEY,
  planEviction,
} from "../../src/buffer/eviction.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { LIMITS } from "../../src/server/limits.ts";
import type { LogBody } from "../../src/server/protocol.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { LogSchema } from "../../tools/refserver/bodies.ts";
import { FakeSystem } from "../fakes/system.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";

/** A buffer with room for so many events beside the notice of what was evicted. */
function make(limits: { events?: number; bytes?: number; attempts?: number }) {
  const database = openRealDatabase(":memory:");
  migrate(database);
  const all: BufferLimits = {
    maxEvents: (limits.events ?? 1_000) + 1,
    maxBytes: (limits.bytes ?? 1_000_000) + NOTICE_BYTES,
    maxAttempts: limits.attempts ?? 1,
  };
  return { database, buffer: new SqliteBuffer(database, new FakeSystem(), all) };
}

function event(kind: EventKind, body: string, snapshotOf: string | null = null): NewEvent {
  return { kind, commandId: null, snapshotOf, body };
}

/** What is kept, but for the notice, oldest first. */
function kept(buffer: SqliteBuffer): string[] {
  return buffer.list().filter(({ snapshotOf }) => snapshotOf !== NOTICE_KEY)
    .map(({ body }) => body);
}

/** That no count is of anything but what is there, or went. */
function assertBalanced(buffer: SqliteBuffer): void {
  const { appended, pending, deadLetters, delivered, purged, evicted, sizeBytes } = buffer.counts();
  const gone = Object.values(evicted).reduce((sum, count) => sum + count, delivered + purged);
  const listed = buffer.list();
  assertEquals([appended, listed.length], [pending + deadLetters + gone, pending + deadLetters]);
  assertEquals(listed.reduce((sum, each) => sum + each.sizeBytes, 0), sizeBytes);
}

Deno.test("a buffer holds its maximum of events, and one more evicts one", () => {
  const { buffer } = make({ events: 3 });
  const evicted = ["a", "b", "c", "d"].map((body) =>
    buffer.append([event("log", body)]).evicted.log
  );
  assertEquals([evicted, kept(buffer)], [[0, 0, 0, 1], ["b", "c", "d"]]);
  const together = make({ events: 3 }).buffer;
  const three = ["a", "b", "c"].map((body) => event("log", body));
  assertEquals(together.append(three).evicted.log, 0);
  const oneMore = make({ events: 3 }).buffer;
  assertEquals(oneMore.append([...three, event("log", "d")]).evicted.log, 1);
});

Deno.test("a buffer holds its maximum of bytes, and one more evicts an event", () => {
  const sizeBytes = 100 + OVERHEAD_BYTES;
  const body = (letter: string, length = 100) => letter.repeat(length);
  for (const [length, evicted] of [[100, 0], [101, 1]] as const) {
    const { buffer } = make({ bytes: 3 * sizeBytes });
    buffer.append([event("log", body("a")), event("log", body("b"))]);
    assertEquals(buffer.append([event("log", body("c", length))]).evicted.log, evicted);
    const together = make({ bytes: 3 * sizeBytes }).buffer;
    const three = [body("a"), body("b"), body("c", length)].map((text) => event("log", text));
    assertEquals(together.append(three).evicted.log, evicted);
    assertBalanced(buffer);
  }
});

Deno.test("of one kind the oldest goes first, of all kinds what matters least", () => {
  const { buffer } = make({ events: 5 });
  const kinds: EventKind[] = ["log", "dependencies", "updates", "system_info", "log"];
  buffer.append(kinds.map((kind, at) => event(kind, `${kind} ${at}`)));
  const went: string[] = [];
  let before = kept(buffer);
  for (let count = 0; count < 5; count++) {
    buffer.append([event("log", `new ${count}`)]);
    const after = kept(buffer);
    went.push(...before.filter((body) => !after.includes(body)));
    before = after;
  }
  assertEquals(went, ["system_info 3", "updates 2", "dependencies 1", "log 0", "log 4"]);
  assertBalanced(buffer);
});

Deno.test("a list goes before everything else that waits as soon as a newer one comes", () => {
  const { buffer } = make({ events: 4 });
  buffer.append([
    event("system_info", "info"),
    event("updates", "dnf", "updates/dnf"),
    event("updates", "old apt", "updates/apt"),
    event("log", "log"),
  ]);
  buffer.append([event("updates", "new apt", "updates/apt")]);
  assertEquals(kept(buffer), ["info", "dnf", "log", "new apt"]);
  assertEquals(buffer.counts().evicted, { ...NONE_EVICTED, updates: 1 });
});

Deno.test("stale lists go before what waits, the least important of them first", () => {
  const { buffer } = make({ events: 6 });
  buffer.append([
    event("updates", "old apt", "updates/apt"),
    event("updates", "apt", "updates/apt"),
    event("system_info", "old info", "system_info"),
    event("system_info", "info", "system_info"),
    event("system_info", "other info"),
    event("log", "log"),
  ]);
  buffer.append([event("log", "1")]);
  assertEquals(kept(buffer).includes("old info"), false);
  buffer.append([event("log", "2")]);
  assertEquals(kept(buffer), ["apt", "info", "other info", "log", "1", "2"]);
});

Deno.test("nothing is counted twice where stale lists and others go for one event", () => {
  const { buffer } = make({ bytes: 3 * (1_000 + OVERHEAD_BYTES) });
  const body = (letter: string, length = 1_000) => letter.repeat(length);
  buffer.append([
    event("updates", body("a"), "updates/apt"),
    event("updates", body("b"), "updates/apt"),
    event("log", body("c")),
  ]);
  // Both lists and the log have to go.
  const { evicted } = buffer.append([event("log", body("d", 3_000))]);
  assertEquals(evicted, { ...NONE_EVICTED, updates: 2, log: 1 });
  assertEquals(kept(buffer), [body("d", 3_000)]);
  assertBalanced(buffer);
});

Deno.test("a newer list that finds no room leaves the older one current, and stale ones stale", () => {
  const { buffer, database } = make({ bytes: 5 * (1_000 + OVERHEAD_BYTES) });
  const body = (letter: string, length = 1_000) => letter.repeat(length);
  buffer.append([
    event("log", body("l")),
    event("log", body("m")),
    event("updates", body("a"), "updates/apt"),
    event("updates", body("b"), "updates/apt"),
    event("system_info", body("i")),
  ]);
  const stale = () =>
    database.all("SELECT body FROM events WHERE superseded = 1").map((row) =>
      String(row["body"])[0]
    );
  // The two logs matter more, and all else together makes no room for it.
  const { evicted } = buffer.append([event("updates", body("c", 4_500), "updates/apt")]);
  assertEquals(evicted, { ...NONE_EVICTED, updates: 1 });
  assertEquals([stale(), kept(buffer).length], [["a"], 5]);
  const counts = buffer.counts();
  assertEquals([counts.evicted.updates, counts.appended], [1, 5 + 1 + 1]); // And the notice.
  // So the stale list goes next, then what matters less than the current one.
  for (const letter of ["n", "o"]) buffer.append([event("log", body(letter))]);
  assertEquals(kept(buffer).map((text) => text[0]), ["l", "m", "b", "n", "o"]);
  assertBalanced(buffer);
});

Deno.test("a dead letter is never evicted, superseded or not", () => {
  const { buffer } = make({ events: 3 });
  const { ids: [list = "", log = ""] } = buffer.append([
    event("updates", "old apt", "updates/apt"),
    event("log", "log"),
  ]);
  buffer.refuse(list, "HTTP 400");
  buffer.refuse(log, "HTTP 400");
  buffer.append([event("updates", "new apt", "updates/apt")]);
  for (let count = 0; count < 3; count++) buffer.append([event("log", String(count))]);
  assertEquals(kept(buffer), ["old apt", "log", "2"]);
  assertEquals(buffer.counts().deadLetters, 2);
  assertBalanced(buffer);
});

Deno.test("a buffer full of dead letters evicts each new event, and reports that", () => {
  const { buffer } = make({ events: 2 });
  for (const id of buffer.append([event("log", "a"), event("log", "b")]).ids) {
    buffer.refuse(id, "HTTP 400");
  }
  const { ids, evicted } = buffer.append([event("log", "c")]);
  assertEquals([ids.length, evicted.log, kept(buffer)], [1, 1, ["a", "b"]]);
  const [notice] = buffer.next(9);
  assert(notice?.snapshotOf === NOTICE_KEY);
  assertBalanced(buffer);
});

Deno.test("room is looked for page after page", () => {
  const { buffer } = make({ bytes: 100 * (100 + OVERHEAD_BYTES) });
  buffer.append(Array.from({ length: 50 }, () => event("system_info", "x".repeat(100), "info")));
  buffer.append(Array.from({ length: 50 }, () => event("updates", "x".repeat(100))));
  const { evicted } = buffer.append([event("log", "y".repeat(90 * (100 + OVERHEAD_BYTES)))]);
  assertEquals([evicted.system_info, evicted.updates >= 40], [50, true]);
  assertBalanced(buffer);
});

const bounds = { maxEvents: 10, maxBytes: 1_000, maxAttempts: 1 };

function candidate(sequence: number, sizeBytes: number): Evictable {
  return { sequence, kind: "log", sizeBytes };
}

Deno.test("planEviction() evicts nothing while there is room, to the last event and byte", () => {
  const plan = (events: number, sizeBytes: number) =>
    planEviction([candidate(1, 100)], { load: { events, sizeBytes }, limits: bounds }, 100)?.length;
  assertEquals(plan(9, 900), 0);
  assertEquals(plan(10, 900), 1);
  assertEquals(plan(9, 901), 1);
});

Deno.test("planEviction() evicts in the given order, and no more than necessary", () => {
  const candidates = [candidate(1, 40), candidate(2, 40), candidate(3, 40)];
  const present = { load: { events: 5, sizeBytes: 1_000 }, limits: bounds };
  assertEquals(planEviction(candidates, present, 80)?.map(({ sequence }) => sequence), [1, 2]);
});

Deno.test("planEviction() evicts nothing at all for what would not fit anyway", () => {
  const present = { load: { events: 10, sizeBytes: 1_000 }, limits: bounds };
  assertEquals(planEviction([candidate(1, 40)], present, 41), null);
  assertEquals(planEviction([], present, 1), null);
});

Deno.test("planEviction() makes room exactly when room can be made", () => {
  const kinds = fc.constantFrom<EventKind>("log", "updates");
  const candidates = fc.array(
    fc.record({ sequence: fc.nat(), kind: kinds, sizeBytes: fc.integer({ min: 1, max: 400 }) }),
    { maxLength: 10 },
  );
  fc.assert(fc.property(candidates, fc.nat(1_200), fc.nat(500), (all, extraBytes, sizeBytes) => {
    const load = {
      events: all.length,
      sizeBytes: extraBytes + all.reduce((sum, one) => sum + one.sizeBytes, 0),
    };
    const plan = planEviction(all, { load, limits: bounds }, sizeBytes);
    const left = (gone: number) =>
      all.slice(gone).reduce((sum, one) => sum + one.sizeBytes, extraBytes) + sizeBytes;
    if (plan === null) return void assert(left(all.length) > bounds.maxBytes);
    assertEquals(plan, all.slice(0, plan.length));
    assert(left(plan.length) <= bounds.maxBytes && all.length - plan.length < bounds.maxEvents);
    const oneLess = plan.length - 1;
    if (plan.length === 0) return;
    assert(left(oneLess) > bounds.maxBytes || all.length - oneLess >= bounds.maxEvents);
  }));
});

Deno.test("evictionNotice() is a log of no command that the server accepts, with the counts and since when", () => {
  const { kind, commandId, body } = evictionNotice(
    { ...NONE_EVICTED, system_info: 3, updates: 12 },
    Date.UTC(2026, 0, 2),
  );
  assertEquals([kind, commandId], ["log", null]);
  const log: LogBody = v.parse(LogSchema, JSON.parse(body)) as LogBody;
  assertEquals([log.command_id, log.result], ["", "failed"]);
  assert(log.action.length <= LIMITS.logAction);
  assertEquals(
    log.stderr,
    "Events dropped because the agent's buffer was full: 3 system_info, 12 updates, " +
      "since 2026-01-02T00:00:00.000Z",
  );
});

Deno.test("evictionNotice() never needs more room than is reserved for it", () => {
  const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  fc.assert(fc.property(
    fc.record(byKind(() => count)),
    fc.oneof(fc.integer(), fc.constantFrom(-1, Number.MAX_SAFE_INTEGER)),
    (evicted, sinceMs) => {
      const { body } = evictionNotice(evicted, sinceMs);
      assert(new TextEncoder().encode(body).length + OVERHEAD_BYTES <= NOTICE_BYTES);
    },
  ));
});

Deno.test("evictionNotice() has a date, whatever damage has made of the instant", () => {
  const evicted = { ...NONE_EVICTED, log: 1 };
  const since = (ms: number) =>
    JSON.parse(JSON.parse(evictionNotice(evicted, ms).body).stdout).since;
  assertEquals([since(NaN), since(-5), since(0), since(1e18)], [
    "1970-01-01T00:00:00.000Z",
    "1970-01-01T00:00:00.000Z",
    "1970-01-01T00:00:00.000Z",
    "+275760-09-13T00:00:00.000Z",
  ]);
});
