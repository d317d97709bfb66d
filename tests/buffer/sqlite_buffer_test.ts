import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type BufferCounts,
  type EventKind,
  type NewEvent,
  PAGE_BYTES,
  type StoredEvent,
} from "../../src/buffer/buffer.ts";
import { NOTICE_KEY } from "../../src/buffer/eviction.ts";
import { BufferError } from "../../src/buffer/schema.ts";
import type { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import { openBuffer, type OpenedBuffer } from "../../src/buffer/store.ts";
import { FakeSystem } from "../fakes/system.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 3 };

function event(kind: EventKind, extra: Partial<NewEvent> = {}): NewEvent {
  return { kind, commandId: null, snapshotOf: null, body: "{}", ...extra };
}

async function open(bounds = limits, system = new FakeSystem()): Promise<OpenedBuffer> {
  return await openBuffer(system, "/state", bounds);
}

function droppedIn(counts: BufferCounts): number {
  return Object.values(counts.evicted).reduce((sum, count) => sum + count, 0);
}

/** Of what is to be sent, but for the notice of what was evicted. */
function bodies(buffer: SqliteBuffer): string[] {
  return buffer.next(1_000).filter(({ snapshotOf }) => snapshotOf !== NOTICE_KEY)
    .map(({ body }) => body);
}

Deno.test("next() gives what matters most first, oldest first", async () => {
  const { buffer } = await open();
  buffer.append([event("system_info", { body: "info" })]);
  buffer.append([event("updates", { body: "u1" })]);
  buffer.append([event("log", { commandId: "a", body: "l1" })]);
  buffer.append([event("updates", { body: "u2" })]);
  buffer.append([event("log", { commandId: "b", body: "l2" })]);
  assertEquals(bodies(buffer), ["l1", "l2", "u1", "u2", "info"]);
});

Deno.test("next() never returns a command's result before its earlier events", async () => {
  const { buffer } = await open();
  buffer.append([
    event("updates", { commandId: "scan", body: "scan 1" }),
    event("updates", { commandId: "scan", body: "scan 2" }),
    event("log", { commandId: "scan", body: "scan log" }),
  ]);
  buffer.append([event("log", { commandId: "beat", body: "beat log" })]);
  assertEquals(bodies(buffer), ["beat log", "scan 1", "scan 2", "scan log"]);
  buffer.append([event("updates", { commandId: "late", body: "late 1" })]);
  buffer.append([event("log", { commandId: "late", body: "late log" })]);
  assertEquals(bodies(buffer).slice(-2), ["late 1", "late log"]);
});

const reason = { error: "HTTP 500", isCounted: true };

Deno.test("bisect() puts two halves in an event's place, before what came after it", async () => {
  const { buffer } = await open();
  const { ids: [id = ""] } = buffer.append([
    event("updates", { commandId: "scan", body: "whole", snapshotOf: "updates/apt" }),
    event("log", { commandId: "scan", body: "scan log" }),
  ]);
  const [first = ""] = buffer.bisect(id, ["a", "b"], reason);
  assertEquals(bodies(buffer), ["a", "b", "scan log"]);
  buffer.bisect(first, ["a1", "a2"], reason);
  assertEquals(bodies(buffer), ["b", "a1", "a2", "scan log"]);
  const [, quarter] = buffer.next(2);
  assert(quarter);
  assertEquals([quarter.attempts, quarter.lastError, quarter.commandId, quarter.snapshotOf], [
    2,
    "HTTP 500",
    "scan",
    "updates/apt",
  ]);
  const { appended, pending, sizeBytes } = buffer.counts();
  assertEquals([appended, pending], [4, 4]);
  assertEquals(sizeBytes, buffer.list().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  assertEquals(buffer.bisect(id, ["x", "y"], reason), []); // It is gone: nothing happens.
});

Deno.test("bisect() leaves the last attempt to the halves, however often", async () => {
  const { buffer } = await open();
  let { ids: [id = ""] } = buffer.append([event("updates")]);
  for (let count = 0; count < 9; count++) [id = ""] = buffer.bisect(id, ["a", "b"], reason);
  const [last] = buffer.bisect(id, ["a", "b"], { ...reason, isCounted: false });
  assertEquals(buffer.list().find((event) => event.id === last)?.attempts, 2);
  [id = ""] = buffer.bisect(last ?? "", ["a", "b"], reason);
  assertEquals(buffer.counts().deadLetters, 0);
  assertEquals(buffer.refuse(id, "HTTP 500"), "dead_lettered");
});

Deno.test("bisect() divides nothing that waits for a person", async () => {
  const { buffer } = await open({ ...limits, maxAttempts: 1 });
  const { ids: [id = ""] } = buffer.append([event("updates", { body: "whole" })]);
  buffer.refuse(id, "HTTP 400");
  assertEquals(buffer.bisect(id, ["a", "b"], reason), []);
  assertEquals([buffer.list().map(({ body }) => body), buffer.counts().deadLetters], [
    ["whole"],
    1,
  ]);
});

Deno.test("append() appends all events or none", async () => {
  const { buffer } = await open();
  const tooLarge = event("log", { body: "x".repeat(limits.maxBytes) });
  assertThrows(
    () => buffer.append([event("log"), tooLarge]),
    BufferError,
    "Cannot append an event",
  );
  assertEquals(buffer.counts().appended, 0);
  assertEquals(buffer.list(), []);
});

Deno.test("append() gives every event an id of its own, in order of time", async () => {
  const { buffer } = await open();
  const { ids } = buffer.append(Array.from({ length: 50 }, () => event("log")));
  assertEquals(new Set(ids).size, 50);
  assert(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(id)));
});

Deno.test("append() to a full buffer evicts superseded snapshots first, then the least important events", async () => {
  const { buffer } = await open({ ...limits, maxEvents: 5 });
  buffer.append([
    event("updates", { snapshotOf: "updates/apt", body: "old list" }),
    event("system_info", { body: "info" }),
    event("log", { body: "log" }),
    event("updates", { snapshotOf: "updates/apt", body: "new list" }),
  ]);
  buffer.append([event("log", { body: "log 2" })]);
  assertEquals(bodies(buffer).toSorted(), ["info", "log", "log 2", "new list"]);
  buffer.append([event("log", { body: "log 3" })]);
  assertEquals(bodies(buffer).toSorted(), ["log", "log 2", "log 3", "new list"]);
  buffer.append([event("log", { body: "log 4" })]);
  buffer.append([event("log", { body: "log 5" })]);
  assertEquals(bodies(buffer), ["log 2", "log 3", "log 4", "log 5"]);
  const { ids, evicted } = buffer.append([event("system_info", { body: "too unimportant" })]);
  assertEquals([ids.length, evicted.system_info], [1, 1]);
  assertEquals(bodies(buffer), ["log 2", "log 3", "log 4", "log 5"]);
  assertEquals(buffer.counts().evicted, { ...NONE_EVICTED, system_info: 2, updates: 2, log: 1 });
});

Deno.test("append() that finds no room leaves an earlier snapshot current", async () => {
  const { buffer } = await open({ ...limits, maxEvents: 3 });
  buffer.append([event("system_info", { snapshotOf: "system_info", body: "info" })]);
  buffer.append([event("log", { body: "log" })]);
  buffer.append([event("updates", { body: "list" })]);
  assertEquals(bodies(buffer), ["log", "list"]);
  const { evicted } = buffer.append([event("system_info", { snapshotOf: "system_info" })]);
  assertEquals(evicted, { ...NONE_EVICTED, system_info: 1 });
  assertEquals(bodies(buffer), ["log", "list"]);
});

Deno.test("append() never evicts a dead letter", async () => {
  const { buffer } = await open({ ...limits, maxEvents: 3, maxAttempts: 1 });
  const { ids: [id = ""] } = buffer.append([event("system_info", { body: "refused" })]);
  buffer.refuse(id, "HTTP 400");
  for (const body of ["a", "b", "c"]) buffer.append([event("log", { body })]);
  assertEquals(buffer.list().map(({ body }) => body).slice(0, 2), ["refused", "c"]);
});

Deno.test("append() holds the bound in bytes too", async () => {
  const { buffer } = await open({ ...limits, maxBytes: 10_000 });
  for (let count = 0; count < 50; count++) {
    buffer.append([event("log", { body: "x".repeat(1_000) })]);
  }
  const counts = buffer.counts();
  assert(counts.sizeBytes <= 10_000);
  assertEquals(counts.pending + droppedIn(counts), 50 + 1);
});

/** A full buffer of two events and the notice's place. */
async function full(system = new FakeSystem()) {
  const opened = await open({ ...limits, maxEvents: 3, maxAttempts: 1 }, system);
  opened.buffer.append(["a", "b"].map((body) => event("log", { body })));
  return { ...opened, system };
}

function notices(buffer: SqliteBuffer): StoredEvent[] {
  return buffer.list().filter(({ snapshotOf }) => snapshotOf === NOTICE_KEY);
}

Deno.test("append() reports evictions in one event, with all counts since the first eviction", async () => {
  const { buffer, system } = await full();
  assertEquals(notices(buffer), []);
  buffer.append([event("system_info")]);
  const [first] = notices(buffer);
  await system.clock.advance(60_000);
  buffer.append([event("log", { body: "c" })]);
  const [notice, ...more] = notices(buffer);
  assert(notice && first && notice.id !== first.id);
  assertEquals(more, []);
  assertEquals([notice.kind, notice.commandId, notice.state], ["log", null, "pending"]);
  const { evicted, firstEvictionMs, appended, pending } = buffer.counts();
  assertEquals(JSON.parse(JSON.parse(notice.body).stdout), {
    since: new Date(first.createdMs).toISOString(),
    dropped: evicted,
  });
  assertEquals(firstEvictionMs, first.createdMs);
  assertEquals(evicted, { ...NONE_EVICTED, system_info: 1, log: 1 });
  // a, b, the host's facts, c, and the notice once.
  assertEquals([appended, pending], [5, 3]);
  assertEquals(bodies(buffer), ["b", "c"]);
});

Deno.test("append() writes a new eviction notice while the old one is being delivered", async () => {
  const { buffer } = await full();
  buffer.append([event("log")]);
  const [sent] = notices(buffer);
  buffer.append([event("log")]);
  buffer.acknowledge([sent!.id]);
  const [notice] = notices(buffer);
  assertEquals(JSON.parse(JSON.parse(notice!.body).stdout).dropped.log, 2);
  buffer.acknowledge([notice!.id]);
  assertEquals(notices(buffer), []);
  buffer.append([event("log"), event("log")]);
  assertEquals(JSON.parse(JSON.parse(notices(buffer)[0]!.body).stdout).dropped.log, 4);
});

Deno.test("append() replaces an eviction notice that became a dead letter", async () => {
  const { buffer } = await full();
  buffer.append([event("log")]);
  assertEquals(buffer.refuse(notices(buffer)[0]!.id, "HTTP 400"), "dead_lettered");
  buffer.append([event("log")]);
  assertEquals(notices(buffer).map(({ state }) => state), ["pending"]);
  const { deadLetters, pending, appended, evicted } = buffer.counts();
  assertEquals([deadLetters, pending, appended - evicted.log], [0, 3, 3]);
});

Deno.test("append() that fails evicts nothing and reports nothing", async () => {
  const { buffer } = await full();
  const tooLarge = event("log", { body: "x".repeat(limits.maxBytes) });
  assertThrows(() => buffer.append([event("log"), tooLarge]), BufferError);
  assertEquals([notices(buffer), buffer.counts().firstEvictionMs], [[], null]);
  assertEquals(bodies(buffer), ["a", "b"]);
});

Deno.test("refuse() dead-letters an event at the last attempt and not before", async () => {
  const { buffer } = await open();
  const { ids: [id = ""] } = buffer.append([event("log")]);
  assertEquals([1, 2, 3].map(() => buffer.refuse(id, "HTTP 400")), [
    "pending",
    "pending",
    "dead_lettered",
  ]);
  assertEquals(buffer.next(10), []);
  const [kept] = buffer.list({ state: "dead_lettered" });
  assertEquals([kept?.attempts, kept?.lastError], [3, "HTTP 400"]);
});

Deno.test("refuse() of a dead letter, an evicted or a delivered event counts nothing", async () => {
  const { buffer } = await open({ ...limits, maxAttempts: 1 });
  const { ids: [dead = "", gone = ""] } = buffer.append([event("log"), event("log")]);
  buffer.refuse(dead, "HTTP 400");
  buffer.acknowledge([gone]);
  const before = buffer.counts();
  assertEquals(
    ["dead_lettered", "dead_lettered", "dead_lettered"],
    [dead, gone, "unknown"].map((id) => buffer.refuse(id, "again")),
  );
  assertEquals(buffer.counts(), before);
  const [kept] = buffer.list();
  assertEquals([kept?.attempts, kept?.lastError], [1, "HTTP 400"]);
});

Deno.test("acknowledge() deletes what became a dead letter meanwhile", async () => {
  const { buffer } = await open({ ...limits, maxAttempts: 1 });
  const { ids: [id = ""] } = buffer.append([event("log")]);
  buffer.refuse(id, "HTTP 400");
  buffer.acknowledge([id]);
  const { pending, deadLetters, delivered, sizeBytes } = buffer.counts();
  assertEquals({ pending, deadLetters, delivered, sizeBytes }, {
    pending: 0,
    deadLetters: 0,
    delivered: 1,
    sizeBytes: 0,
  });
});

Deno.test("list() is oldest first, of one state or of all, and no longer than it may be", async () => {
  const { buffer } = await open({ ...limits, maxAttempts: 1 });
  const events = ["a", "b", "c", "d"].map((body, at) =>
    event(at % 2 === 0 ? "log" : "system_info", { body })
  );
  const { ids } = buffer.append(events);
  for (const id of [ids[3] ?? "", ids[0] ?? ""]) buffer.refuse(id, "HTTP 400");
  const listed = (options: Parameters<SqliteBuffer["list"]>[0]) =>
    buffer.list(options).map(({ body }) => body).join("");
  assertEquals(listed({}), "abcd");
  assertEquals(listed({ limit: 3 }), "abc");
  assertEquals(listed({ state: "dead_lettered" }), "ad");
  assertEquals(listed({ state: "pending", limit: 1 }), "b");
});

Deno.test("acknowledge() deletes an event once, however often it is called", async () => {
  const { buffer } = await open();
  const { ids } = buffer.append([event("log"), event("log")]);
  buffer.acknowledge(ids);
  buffer.acknowledge(ids);
  const { pending, delivered, sizeBytes } = buffer.counts();
  assertEquals({ pending, delivered, sizeBytes }, { pending: 0, delivered: 2, sizeBytes: 0 });
});

/** A buffer with three events, each of which becomes a dead letter at its first refusal. */
async function threeEvents() {
  const opened = await open({ ...limits, maxAttempts: 1 });
  const { ids } = opened.buffer.append(["a", "b", "c"].map((body) => event("log", { body })));
  return { ...opened, ids: ids as [string, string, string] };
}

Deno.test("findByPrefix() returns the events whose id begins so, whatever their state", async () => {
  const { buffer, ids: [first, second] } = await threeEvents();
  buffer.refuse(second, "HTTP 400");
  assertEquals(buffer.findByPrefix(first, 10).map(({ body }) => body), ["a"]);
  assertEquals(buffer.findByPrefix(second.slice(0, 30), 10).map(({ body }) => body), ["b"]);
  // Appended within the same minute: the beginning is that instant.
  assertEquals(buffer.findByPrefix(first.slice(0, 8), 10).length, 3);
  assertEquals(buffer.findByPrefix(first.slice(0, 8), 2).length, 2);
  for (const unknown of ["ffffffff", "00000000", `${first}0`, "%", "_"]) {
    assertEquals(buffer.findByPrefix(unknown, 10), [], unknown);
  }
});

Deno.test("hasPending() finds a pending event by its key, and next() says what is superseded", async () => {
  const { buffer } = await open({ ...limits, maxAttempts: 1 });
  const key = "updates/apt/0";
  const one = { ...event("updates"), snapshotOf: key };
  assertEquals(buffer.hasPending(key), false);
  const { ids: [first = ""] } = buffer.append([one]);
  assertEquals([buffer.hasPending(key), buffer.hasPending("updates/apt/1")], [true, false]);
  const { ids: [second = ""] } = buffer.append([one]);
  assertEquals(buffer.next(9).map(({ isSuperseded }) => isSuperseded), [true, false]);
  buffer.acknowledge([first]);
  assertEquals(buffer.hasPending(key), true);
  buffer.refuse(second, "HTTP 400"); // A dead letter waits for an operator.
  assertEquals(buffer.hasPending(key), false);
});

Deno.test("requeue() makes a dead letter pending again, with all its attempts", async () => {
  const { buffer, ids: [first, second, third] } = await threeEvents();
  buffer.refuse(first, "HTTP 400");
  buffer.refuse(third, "HTTP 422");
  assertEquals(bodies(buffer), ["b"]);
  assertEquals(buffer.requeue([first, second, "unknown"]), 1);
  assertEquals(bodies(buffer), ["a", "b"]);
  const again = buffer.find(first);
  assertEquals([again?.state, again?.attempts, again?.lastError], ["pending", 0, "HTTP 400"]);
  assertEquals([buffer.counts().pending, buffer.counts().deadLetters], [2, 1]);
  assertEquals(buffer.requeue([first]), 0);
});

Deno.test("requeue() of all requeues every dead letter, and nothing else", async () => {
  const { buffer, ids: [first, second] } = await threeEvents();
  assertEquals(buffer.requeue("all"), 0);
  buffer.refuse(second, "HTTP 400");
  buffer.refuse(first, "HTTP 400");
  assertEquals(buffer.requeue("all"), 2);
  assertEquals(bodies(buffer), ["a", "b", "c"]);
  assertEquals([buffer.counts().pending, buffer.counts().deadLetters], [3, 0]);
});

Deno.test("purge() deletes a dead letter, counts it, and leaves what is pending", async () => {
  const { buffer, ids: [first, second] } = await threeEvents();
  buffer.refuse(second, "HTTP 400");
  const before = buffer.counts();
  assertEquals([buffer.purge(first), buffer.purge("unknown")], [false, false]);
  assertEquals(buffer.counts(), before);
  assertEquals([buffer.purge(second), buffer.purge(second)], [true, false]);
  assertEquals(buffer.list().map(({ body }) => body), ["a", "c"]);
  const { deadLetters, purged, sizeBytes } = buffer.counts();
  assertEquals([deadLetters, purged, sizeBytes < before.sizeBytes], [0, 1, true]);
});

type Step = { kind: "append"; event: EventKind; size: number } | { kind: "acknowledge" } | {
  kind: "refuse" | "requeue" | "requeue_all" | "purge";
} | { kind: "reopen" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("append" as const),
    event: fc.constantFrom<EventKind>("updates", "log", "dependencies", "system_info"),
    size: fc.nat(3_000),
  }),
  fc.constantFrom<Step>(
    { kind: "acknowledge" },
    { kind: "refuse" },
    { kind: "refuse" },
    { kind: "requeue" },
    { kind: "requeue_all" },
    { kind: "purge" },
    { kind: "reopen" },
  ),
);

Deno.test("whatever happens: delivered + pending + dead letters + evicted + purged = appended", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const bounds = { maxEvents: 10, maxBytes: 20_000, maxAttempts: 2 };
      const system = new FakeSystem();
      let { buffer } = await open(bounds, system);
      for (const action of steps) {
        const [first] = buffer.next(1);
        const [dead] = buffer.list({ state: "dead_lettered", limit: 1 });
        if (action.kind === "append") {
          buffer.append([event(action.event, { body: "x".repeat(action.size) })]);
        } else if (action.kind === "reopen") buffer = (await open(bounds, system)).buffer;
        else if (action.kind === "requeue_all") buffer.requeue("all");
        else if (dead && action.kind === "requeue") buffer.requeue([dead.id]);
        else if (dead && action.kind === "purge") assert(buffer.purge(dead.id));
        else if (first && action.kind === "acknowledge") buffer.acknowledge([first.id]);
        else if (first && action.kind === "refuse") buffer.refuse(first.id, "HTTP 400");
        const counts = buffer.counts();
        const kept = counts.delivered + counts.pending + counts.deadLetters + droppedIn(counts);
        assertEquals(kept + counts.purged, counts.appended);
        const { pending, deadLetters } = counts;
        assertEquals(buffer.countWaiting(), { pending, deadLetters });
        const listed = buffer.list();
        assertEquals(listed.length, counts.pending + counts.deadLetters);
        assertEquals(listed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), counts.sizeBytes);
        assert(listed.length <= bounds.maxEvents && counts.sizeBytes <= bounds.maxBytes);
        const told = notices(buffer);
        assert(told.length <= 1, "more than one notice");
        if (told[0]?.state !== "pending") continue;
        assertEquals(JSON.parse(JSON.parse(told[0].body).stdout).dropped, counts.evicted);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("next() skips the given ids, and reads no more bodies than a page holds", async () => {
  const body = fc.integer({ min: 1, max: 700_000 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(body, { maxLength: 12 }),
      fc.array(fc.nat(11)),
      fc.integer({ min: 1, max: 12 }),
      async (sizes, skipped, limit) => {
        const limits = { maxEvents: 1_000, maxBytes: 100_000_000, maxAttempts: 3 };
        const { buffer } = await openBuffer(new FakeSystem(), "/state", limits);
        const { ids } = buffer.append(
          sizes.map((size) => event("log", { body: "x".repeat(size) })),
        );
        const passedOver = new Set(skipped.flatMap((index) => ids[index] ?? []));
        const waiting = buffer.list().filter(({ id }) => !passedOver.has(id));
        const expected: string[] = [];
        let bytes = 0;
        for (const { id, sizeBytes } of waiting.slice(0, limit)) {
          if (bytes >= PAGE_BYTES) break;
          expected.push(id);
          bytes += sizeBytes;
        }
        assertEquals(buffer.next(limit, passedOver).map(({ id }) => id), expected);
      },
    ),
    { numRuns: 60 },
  );
});
