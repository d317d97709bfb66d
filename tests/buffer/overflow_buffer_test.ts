import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { drain } from "../../src/delivery/drain.ts";
import {
  MAX_OWED,
  OVERFLOW_MAX_BYTES,
  OVERFLOW_MAX_EVENTS,
} from "../../src/buffer/overflow_buffer.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { FakeClock } from "../fakes/clock.ts";
import { event, openTestStore, type TestStore } from "../fakes/test_store.ts";

/** Every count adds up, on the disk and in memory, and what waits is what both have waiting. */
function total({ buffer, supervisor: { opened, overflow }, disk }: TestStore): void {
  const buffers = [opened?.buffer ?? null, overflow.buffer].filter((each) => each !== null);
  const counts = disk.whileWell(() => buffers.map((each) => each.counts()));
  for (const { appended, delivered, pending, deadLetters, evicted, purged } of counts) {
    const gone = Object.values(evicted).reduce((sum, count) => sum + count, 0);
    assertEquals(appended, delivered + pending + deadLetters + gone + purged);
  }
  if (opened === null) return;
  const pending = counts.reduce((sum, each) => sum + each.pending, 0);
  const deadLetters = counts.reduce((sum, each) => sum + each.deadLetters, 0);
  const waiting = disk.whileWell(() => buffer.countWaiting());
  assertEquals(waiting, { pending: pending - overflow.owed.size, deadLetters });
}

Deno.test("drain() keeps a command's order from disk to memory, whatever their numbers", async () => {
  const { buffer, disk, log } = await openTestStore();
  buffer.append([event("first", "c")]);
  disk.fault = "full";
  buffer.append([event("second", "c"), event("other", "d")]);
  const sent: string[] = [];
  await drain({
    clock: new FakeClock(),
    buffer,
    log,
    sender: {
      send(event) {
        sent.push(event.body);
        const kind = event.body === "first" ? "unattributed" : "delivered";
        return Promise.resolve({ kind, isLast: false });
      },
    },
  });
  assertEquals(sent, ["first", "other"]); // The second one has the first one's number, in memory.
});

Deno.test("two lists of one scanner are not on their way together, from disk and memory neither", async () => {
  const { buffer, disk, log } = await openTestStore();
  const list = (commandId: string) => ({
    ...event("updates", commandId),
    snapshotOf: "updates/apt/0",
  });
  buffer.append([list("on-disk"), event("{}", "other")]);
  disk.fault = "full";
  buffer.append([list("in-memory")]);
  const inFlight = new Set<string>();
  const seen: string[][] = [];
  await drain({
    clock: new FakeClock(),
    buffer,
    log,
    sender: {
      maxInFlight: () => 8,
      async send({ commandId }) {
        inFlight.add(commandId!);
        seen.push([...inFlight].toSorted());
        await Promise.resolve();
        inFlight.delete(commandId!);
        return { kind: "delivered", isLast: false };
      },
    },
  });
  assertEquals(new Set(seen.flat()), new Set(["on-disk", "other", "in-memory"]));
  assert(
    seen.every((ids) => !(ids.includes("on-disk") && ids.includes("in-memory"))),
    String(seen),
  );
});

Deno.test("append() buffers in memory what the disk refuses, and writes it in order later", async () => {
  const testStore = await openTestStore();
  const { buffer, supervisor, disk, log } = testStore;
  buffer.append([event("1", "c")]);
  disk.fault = "full";
  buffer.append([event("2", "c"), event("3", "c")]);
  assertEquals(testStore.bodies(), ["1", "2", "3"]);
  const { disk: why, events, acknowledgements } = supervisor.condition;
  assertEquals([why, events, acknowledgements], ["full", 2, 0]);
  assertEquals(log.told("disk refuses writes, buffering events in memory").length, 1);
  await testStore.tryAgain();
  assertEquals(supervisor.condition.events, 2);
  disk.fault = null;
  await testStore.tryAgain();
  assertEquals([supervisor.condition.disk, supervisor.condition.events], ["ok", 0]);
  assertEquals(log.told("disk accepts writes again").map(({ written }) => written), [2]);
  assertEquals([testStore.backs, testStore.bodies()], [1, ["1", "2", "3"]]);
  assertEquals(disk.system.clock.sleeping, 0);
});

Deno.test("a disk that refuses every commit leaves everything in memory, however often it is tried", async () => {
  const testStore = await openTestStore();
  const { buffer, supervisor, disk } = testStore;
  const { ids } = buffer.append([event("1"), event("2", "c")]);
  disk.commitFault = "full";
  buffer.append([event("3", "c"), event("4")]);
  buffer.acknowledge(ids.slice(0, 1));
  for (let round = 0; round < 3; round++) {
    await testStore.tryAgain();
    const { events, acknowledgements } = supervisor.condition;
    assertEquals([events, acknowledgements, testStore.bodies()], [2, 1, ["2", "3", "4"]]);
    total(testStore);
  }
  disk.commitFault = null;
  await testStore.tryAgain();
  assertEquals([supervisor.condition.events, testStore.bodies()], [0, ["2", "3", "4"]]);
  assertEquals(testStore.stored.counts().delivered, 1);
  total(testStore);
});

Deno.test("append() brings what is in memory to disk first, without waiting for its turn", async () => {
  const testStore = await openTestStore();
  testStore.disk.fault = "io";
  const { ids } = testStore.buffer.append([event("first", "c")]);
  testStore.disk.fault = null;
  testStore.buffer.append([event("second", "c")]);
  assertEquals([testStore.bodies(), testStore.supervisor.condition.events], [
    ["first", "second"],
    0,
  ]);
  assertEquals(testStore.buffer.next(1)[0]?.id, ids[0]); // It kept its id.
  total(testStore);
});

Deno.test("append() in memory fills its bounds, and evicts at one past them", async () => {
  const testStore = await openTestStore({ maxEvents: 50_000 });
  testStore.disk.fault = "full";
  // One place is kept for the word on what was evicted.
  const many = Array.from(
    { length: OVERFLOW_MAX_EVENTS - 1 },
    (_, number) => event(String(number)),
  );
  assertEquals(testStore.buffer.append(many).evicted.log, 0);
  assertEquals(testStore.buffer.append([event("one more")]).evicted.log, 1);
  assertEquals([testStore.supervisor.condition.events, testStore.bodies()[0]], [
    OVERFLOW_MAX_EVENTS,
    "1",
  ]);
  const tooLarge = event("x".repeat(OVERFLOW_MAX_BYTES));
  const refusal = assertThrows(() => testStore.buffer.append([tooLarge]), DatabaseError);
  assertEquals(refusal.reason, "full");
  testStore.disk.fault = null;
  await testStore.tryAgain();
  total(testStore);
  assertEquals(testStore.stored.counts().evicted.log, 1);
  assertEquals(testStore.stored.counts().appended, OVERFLOW_MAX_EVENTS + 1);
});

Deno.test("acknowledge() that the disk refuses is remembered, and written when it can be", async () => {
  const testStore = await openTestStore();
  const { buffer, supervisor, disk } = testStore;
  const { ids } = buffer.append([event("a"), event("b")]);
  disk.fault = "full";
  buffer.acknowledge(ids.slice(0, 1));
  assertEquals(testStore.bodies(), ["b"]);
  assertEquals(supervisor.condition.acknowledgements, 1);
  assertEquals(buffer.countWaiting(), { pending: 1, deadLetters: 0 });
  disk.fault = null;
  await testStore.tryAgain();
  assertEquals(supervisor.condition.acknowledgements, 0);
  const { pending, delivered } = testStore.stored.counts();
  assertEquals([pending, delivered], [1, 1]);
});

Deno.test("next() sends no more of the disk's events than can be remembered as sent", async () => {
  const testStore = await openTestStore({ maxEvents: 10_000 });
  const { buffer, disk } = testStore;
  const events = Array.from({ length: MAX_OWED + 1 }, (_, number) => event(String(number), "c"));
  const { ids } = buffer.append(events);
  disk.fault = "full";
  buffer.acknowledge(ids.slice(0, MAX_OWED - 1));
  assertEquals(testStore.bodies(), [String(MAX_OWED - 1), String(MAX_OWED)]);
  buffer.acknowledge([ids[MAX_OWED - 1]!]);
  buffer.append([event("alone"), event("behind", "c")]);
  assertEquals(testStore.bodies(), ["alone"]);
  disk.fault = null;
  await testStore.tryAgain();
  assertEquals(testStore.bodies(), [String(MAX_OWED), "alone", "behind"]);
});

Deno.test("next() of a disk that cannot be read lets nothing overtake its own command", async () => {
  const testStore = await openTestStore();
  testStore.buffer.append([event("early", "c")]);
  assertEquals(testStore.buffer.countWaiting().pending, 1);
  testStore.disk.isDead = true;
  testStore.buffer.append([event("late", "c"), event("alone")]);
  assertEquals(testStore.bodies(), ["alone"]);
  assertEquals(testStore.buffer.countWaiting().pending, 3); // As last counted.
  testStore.disk.isDead = false;
  await testStore.tryAgain();
  assertEquals(testStore.bodies(), ["early", "late", "alone"]);
});

Deno.test("refuse() and bisect() of what the disk cannot change leave it as it is", async () => {
  const testStore = await openTestStore({ maxAttempts: 1 });
  const { buffer, disk } = testStore;
  const { ids: [id = ""] } = buffer.append([event("on disk")]);
  disk.fault = "io";
  assertEquals(buffer.refuse(id, "HTTP 400"), "pending");
  assertEquals(buffer.bisect(id, ["a", "b"], { error: "HTTP 500", isCounted: true }), []);
  const { ids: [own = "", whole = ""] } = buffer.append([event("in memory"), event("whole")]);
  assertEquals(buffer.refuse(own, "HTTP 400"), "dead_lettered");
  assertEquals(buffer.bisect(whole, ["a", "b"], { error: "500", isCounted: true }).length, 2);
  disk.fault = null;
  await testStore.tryAgain();
  const set = testStore.stored.list({ state: "dead_lettered" });
  assertEquals(set.map(({ body, lastError }) => [body, lastError]), [["in memory", "HTTP 400"]]);
  assertEquals(testStore.bodies(), ["on disk", "a", "b"]);
  assertEquals(testStore.stored.requeue([own]), 1);
  assertEquals(buffer.find(own)?.state, "pending");
  total(testStore);
});

Deno.test("find() finds what is on disk or in memory, by its whole id", async () => {
  const { buffer, disk } = await openTestStore();
  const { ids: [early = ""] } = buffer.append([event("on disk")]);
  disk.fault = "full";
  const { ids: [first = "", second = ""] } = buffer.append([event("in memory"), event("too")]);
  const found = [early, first, second].map((id) => buffer.find(id)?.body);
  assertEquals(found, ["on disk", "in memory", "too"]);
  assertEquals([buffer.find(second.slice(0, 30)), buffer.find("unknown")], [null, null]);
  // What the server has is not found, though the disk does not know that yet.
  buffer.acknowledge([early]);
  assertEquals(buffer.find(early), null);
});

Deno.test("hasPending() looks on disk and in memory", async () => {
  const { buffer, disk } = await openTestStore();
  const of = (key: string) => ({ ...event(key), snapshotOf: key });
  buffer.append([of("on disk")]);
  disk.fault = "full";
  buffer.append([of("in memory")]);
  const found = ["on disk", "in memory", "nowhere"].map((key) => buffer.hasPending(key));
  assertEquals(found, [true, true, false]);
});

Deno.test("acknowledge() of what is not there makes no count less than none", async () => {
  const testStore = await openTestStore();
  const { buffer, disk } = testStore;
  disk.fault = "full";
  buffer.acknowledge(["unknown", "never heard of"]);
  assertEquals(buffer.countWaiting(), { pending: 0, deadLetters: 0 });
  disk.fault = null;
  await testStore.tryAgain();
  const { pending, delivered } = testStore.stored.counts();
  assertEquals([pending, delivered], [0, 0]);
});

Deno.test("next() gives no more than it is asked for, the disk's first, and meets what the disk says", async () => {
  const testStore = await openTestStore();
  const { buffer, disk, supervisor } = testStore;
  buffer.append([event("1"), event("2")]);
  disk.fault = "full";
  buffer.append([event("3"), event("4")]);
  assertEquals(buffer.next(3).map(({ body }) => body), ["1", "2", "3"]);
  assertEquals(buffer.next(1).map(({ body }) => body), ["1"]);
  disk.fault = null;
  await testStore.tryAgain();
  assertEquals(supervisor.condition.disk, "ok");
  disk.isDead = true;
  assertEquals(buffer.next(9), []);
  assertEquals(supervisor.condition.disk, "io");
});

Deno.test("indexPending() indexes what is on disk, and does nothing where the disk refuses", async () => {
  const { buffer, disk, supervisor } = await openTestStore();
  buffer.append([event("a"), event("b")]);
  const unsorted = () =>
    supervisor.opened?.database.all("SELECT count(*) AS n FROM events WHERE is_indexed = 0")[0]
      ?.["n"];
  assertEquals(unsorted(), 2);
  disk.fault = "full";
  buffer.indexPending();
  disk.fault = null;
  assertEquals(unsorted(), 2);
  buffer.indexPending();
  assertEquals(unsorted(), 0);
});

Deno.test("noteUnanswered() works on disk and in memory, and does nothing where the disk refuses", async () => {
  const testStore = await openTestStore();
  const { buffer, journal, disk } = testStore;
  const finish = (id: string) => {
    journal.receive([{ id, type: "reboot", params: "{}" }]);
    let ids: readonly string[] = [];
    journal.finish(id, (queue) => {
      ids = queue.append([event(id, id)]).ids;
    });
    return ids[0] ?? "";
  };
  const [first, second] = [finish("c1"), finish("c2")];
  buffer.noteUnanswered(first);
  assertEquals(journal.unconfirmed().results, ["c1"]);
  disk.fault = "full";
  buffer.noteUnanswered(second);
  const { ids: [own = ""] } = buffer.append([event("more of c2", "c2")]);
  buffer.noteUnanswered(own);
  disk.fault = null;
  await testStore.tryAgain();
  // Of c2 the disk did not take the first note; the one in memory came over.
  assertEquals(journal.unconfirmed().results, ["c1", "c2"]);
  assertEquals(journal.confirm({ results: ["c2"], receipts: [] }), 1);
});

/** What may happen, by chance. */
type Act =
  | { do: "append"; commands: (string | null)[] }
  | { do: "deliver" | "refuse" | "split"; nth: number }
  | { do: "fault"; reason: "full" | "io" | null; at: "write" | "commit" }
  | { do: "die" | "revive" | "wait" | "vanish" }
  | { do: "refuse call"; number: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      commands: fc.array(fc.constantFrom("c", "d", null), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "deliver" as const,
        "deliver" as const,
        "refuse" as const,
        "split" as const,
      ),
      nth: fc.nat(2),
    }),
  },
  fc.record({
    do: fc.constant("fault" as const),
    reason: fc.constantFrom("full" as const, "io" as const, null),
    at: fc.constantFrom("write" as const, "commit" as const),
  }),
  fc.record({
    do: fc.constantFrom("die" as const, "revive" as const, "wait" as const, "vanish" as const),
  }),
  fc.record({ do: fc.constant("refuse call" as const), number: fc.nat(40) }),
);

/** A delivery as the drain does it: the first that is not behind another of its command. */
class Model {
  readonly sent: string[] = [];
  readonly told: { body: string; commandId: string | null }[] = [];
  #number = 0;

  constructor(readonly testStore: TestStore) {}

  async play(step: Act): Promise<void> {
    const { buffer, disk } = this.testStore;
    switch (step.do) {
      case "append": {
        const events = step.commands.map((command) => this.#make(command));
        buffer.append(events);
        this.told.push(...events);
        return;
      }
      case "deliver":
      case "refuse":
      case "split": {
        const found = buffer.next(20);
        const chosen = found.filter(({ commandId }, index) =>
          commandId === null ||
          found.findIndex((other) => other.commandId === commandId) === index
        )[step.nth];
        if (chosen === undefined) return;
        if (step.do === "refuse") return void buffer.refuse(chosen.id, "HTTP 400");
        if (step.do === "split" && chosen.commandId === null) {
          const halves = [`${chosen.body}a`, `${chosen.body}b`] as const;
          const ids = buffer.bisect(chosen.id, halves, { error: "HTTP 500", isCounted: false });
          if (ids.length === 0) return;
          const at = this.told.findIndex(({ body }) => body === chosen.body);
          this.told.splice(at, 1, ...halves.map((body) => ({ body, commandId: null })));
          return;
        }
        assert(!this.sent.includes(chosen.body), `"${chosen.body}" is sent twice`);
        this.sent.push(chosen.body);
        return buffer.acknowledge([chosen.id]);
      }
      case "fault":
        disk.fault = step.at === "write" ? step.reason : null;
        disk.commitFault = step.at === "commit" ? step.reason : null;
        return;
      case "die":
      case "revive":
        disk.isDead = step.do === "die";
        return;
      case "refuse call":
        return disk.refuseCall(step.number);
      case "vanish":
        disk.vanish();
        return await this.testStore.supervisor.check();
      case "wait":
        return await this.testStore.tryAgain();
    }
  }

  #make(commandId: string | null): NewEvent {
    return event(String(this.#number++), commandId);
  }
}

Deno.test("a disk that fails and recovers at random loses nothing, sends nothing twice, keeps the order", () =>
  fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const testStore = await openTestStore({ maxAttempts: 2 });
      const model = new Model(testStore);
      for (const step of acts) {
        await model.play(step);
        total(testStore);
      }
      testStore.disk.heal();
      await testStore.supervisor.check();
      await testStore.tryAgain();
      total(testStore);
      assertEquals([testStore.supervisor.condition.disk, testStore.supervisor.condition.events], [
        "ok",
        0,
      ]);
      while (testStore.buffer.next(1).length > 0) await model.play({ do: "deliver", nth: 0 });
      const aside = testStore.stored.list({ state: "dead_lettered" }).map(({ body }) => body);
      assertEquals([...model.sent, ...aside].sort(), model.told.map(({ body }) => body).sort());
      for (const command of ["c", "d"]) {
        const own = model.told.filter(({ commandId }) => commandId === command)
          .map(({ body }) => body);
        const order = model.sent.filter((body) => own.includes(body)).map(Number);
        assertEquals(order, order.toSorted((a, b) => a - b), command);
      }
      testStore.supervisor.close();
    }),
    { numRuns: 200 },
  ));
