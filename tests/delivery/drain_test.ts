import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  type EventBuffer,
  type NewEvent,
  PAGE_BYTES,
  type StoredEvent,
} from "../../src/buffer/buffer.ts";
import { drain, type DrainDeps, type ReportSender } from "../../src/delivery/drain.ts";
import type { Outcome } from "../../src/delivery/failure_attribution.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeClock, settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const LIMITS = { maxEvents: 1_000, maxBytes: 10_000_000, maxAttempts: 2 };

async function setUp(events: NewEvent[]) {
  const { buffer, journal } = await openBuffer(new FakeSystem(), "/state", LIMITS);
  buffer.append(events);
  const sent: string[] = [];
  const run = (answer: (body: string) => Outcome | "refused") =>
    drainBy(buffer, {
      send: (event) => {
        sent.push(event.body);
        const result = answer(event.body);
        const refusal = { event, why: "HTTP 400", mayBeOneItem: true };
        return Promise.resolve(result === "refused" ? { kind: result, ...refusal } : result);
      },
    });
  return { buffer, journal, sent, run };
}

function drainBy(buffer: EventBuffer, sender: ReportSender, more: Partial<DrainDeps> = {}) {
  return drain({ clock: new FakeClock(), buffer, log: new FakeLog(), sender, ...more });
}

function log(body: string, commandId: string | null = null): NewEvent {
  return { kind: "log", commandId, snapshotOf: null, body };
}

const delivered: Outcome = { kind: "delivered", isLast: false };

Deno.test("drain() sends everything, and forgets it only then", async () => {
  const { buffer, sent, run } = await setUp(Array.from({ length: 120 }, (_, n) => log(`${n}`)));
  assertEquals(await run(() => delivered), { delivered: 120, refused: 0, deadLettered: 0 });
  assertEquals(sent.length, 120);
  assertEquals(buffer.counts().pending, 0);
});

Deno.test("drain() reads on past a page that is full by its size, not by its number of events", async () => {
  const { buffer } = await openBuffer(new FakeSystem(), "/state", LIMITS);
  const body = "x".repeat(PAGE_BYTES / 4);
  buffer.append(Array.from({ length: 9 }, () => log(body)));
  assert(buffer.next(64).length < 9);
  const { delivered: count } = await drainBy(buffer, { send: () => Promise.resolve(delivered) });
  assertEquals([count, buffer.counts().pending], [9, 0]);
});

Deno.test("drain() stops at once when the way is not free, and counts no attempt", async () => {
  const { buffer, sent, run } = await setUp([log("a"), log("b")]);
  const nothing = { delivered: 0, refused: 0, deadLettered: 0 };
  assertEquals(await run(() => ({ kind: "later" })), nothing);
  assertEquals(sent, ["a"]);
  assertEquals(buffer.list().map(({ attempts }) => attempts), [0, 0]);
});

Deno.test("drain() sends the others past one that is refused, and dead-letters that in the end", async () => {
  const { buffer, sent, run } = await setUp([
    log("bad"),
    ...Array.from({ length: 70 }, () => log("x")),
  ]);
  const answer = (body: string) => body === "bad" ? "refused" : delivered;
  assertEquals(await run(answer), { delivered: 70, refused: 1, deadLettered: 0 });
  assertEquals(await run(answer), { delivered: 0, refused: 0, deadLettered: 1 });
  assertEquals(await run(answer), { delivered: 0, refused: 0, deadLettered: 0 });
  assertEquals(sent.filter((body) => body === "bad").length, 2);
  assertEquals(buffer.counts().deadLetters, 1);
});

Deno.test("drain() keeps a command's events in order, past a refusal too", async () => {
  const { sent, run } = await setUp([log("a1", "a"), log("a2", "a"), log("b1", "b")]);
  const answer = (body: string) => body === "a1" ? "refused" : delivered;
  await run(answer);
  assertEquals(sent, ["a1", "b1"]); // a2 waits for a1 …
  await run(answer);
  assertEquals(sent, ["a1", "b1", "a1", "a2"]); // … until a1 is a dead letter.
});

Deno.test("drain() stops when the server accepts no more for now", async () => {
  const { sent, run } = await setUp([log("a"), log("b")]);
  assertEquals((await run(() => ({ kind: "delivered", isLast: true }))).delivered, 1);
  assertEquals(sent, ["a"]);
});

Deno.test("drain() notes which log has no answer", async () => {
  for (const isUnanswered of [true, false]) {
    const { journal, run } = await setUp([log("a", "c1")]);
    journal.receive([{ id: "c1", type: "reboot", params: "{}" }]);
    journal.finish("c1", () => {});
    await run(() => ({ kind: "later", isUnanswered }));
    assertEquals(journal.unconfirmed().results, isUnanswered ? ["c1"] : []);
  }
});

Deno.test("drain() bisects what is refused until the bad item is alone, and keeps the order", async () => {
  const updates = (items: number[]) => JSON.stringify({ updates: items });
  const whole = { ...log(updates([1, 2, 3, 4, 5]), "scan"), kind: "updates" } as const;
  const { buffer, sent, run } = await setUp([whole, log("scan log", "scan"), log("other")]);
  const answer = (body: string) => body.includes("4") ? "refused" : delivered;
  const drained = await run(answer);
  assertEquals([drained.delivered, drained.deadLettered], [4, 1]); // Of two attempts at most.
  assertEquals(sent, [
    "other",
    updates([1, 2, 3, 4, 5]),
    updates([1, 2, 3]),
    updates([4, 5]),
    updates([4]),
    updates([5]),
    "scan log",
  ]);
  assertEquals(buffer.list().map(({ body }) => body), [updates([4])]);
});

Deno.test("drain() passes over a list that the disk does not bisect", async () => {
  const body = JSON.stringify({ updates: [1, 2] });
  const list: NewEvent = { kind: "updates", commandId: null, snapshotOf: null, body };
  const { buffer, sent, run } = await setUp([list, log("other")]);
  buffer.bisect = () => [];
  buffer.refuse = () => "pending";
  const drained = await run((sent) => sent === body ? "refused" : delivered);
  assertEquals([drained.delivered, drained.refused, sent], [1, 1, ["other", body]]);
});

Deno.test("drain() counts no attempt for an outage, nor for a server that fails on all, however long", async () => {
  const { buffer, run } = await setUp([log("a"), log("b", "c"), log("b2", "c")]);
  const later: Outcome = { kind: "later" };
  for (
    const outage of [later, { ...later, isUnanswered: true }, { kind: "unattributed" } as const]
  ) {
    for (let round = 0; round < 50; round++) {
      assertEquals(await run(() => outage), { delivered: 0, refused: 0, deadLettered: 0 });
    }
  }
  assertEquals(
    new Set(buffer.list().map((one) => `${one.state} ${one.attempts}`)),
    new Set(["pending 0"]),
  );
  assertEquals(buffer.list().length, 3);
});

/** A drain whose sender is a function; returns what it logged, and what was bisected. */
async function drainWith(
  { buffer }: { buffer: EventBuffer },
  send: (event: StoredEvent) => Outcome,
) {
  const told = new FakeLog();
  const splits: [body: string, halves: number, isCounted: boolean][] = [];
  const bodies = new Map<string, string>();
  const drained = await drain({
    clock: new FakeClock(),
    buffer,
    log: told,
    sender: {
      send(event) {
        bodies.set(event.id, event.body);
        return Promise.resolve(send(event));
      },
    },
    attribution: {
      forget: () => {},
      bisected: (id, halves, isCounted) =>
        splits.push([bodies.get(id) ?? "", halves.length, isCounted]),
    },
  });
  return { drained, splits, told: told.events.map(({ message, fields }) => [message, fields]) };
}

Deno.test("drain() bisects what a server fails on without counting that, and sends the halves", async () => {
  const body = JSON.stringify({ updates: [1, 2] });
  const list: NewEvent = { kind: "updates", commandId: null, snapshotOf: null, body };
  const made = await setUp([list]);
  const { drained, splits, told } = await drainWith(
    made,
    (event) =>
      event.body === body
        ? { kind: "bisect", event, why: "HTTP 500", mayBeOneItem: true }
        : { kind: "unattributed" },
  );
  assertEquals([drained, splits], [{ delivered: 0, refused: 0, deadLettered: 0 }, [[
    body,
    2,
    false,
  ]]]);
  assertEquals(told.map(([message]) => message), ["event bisected"]);
  assertEquals(made.buffer.list().map(({ attempts, lastError }) => [attempts, lastError]), [
    [0, "HTTP 500"],
    [0, "HTTP 500"],
  ]);
  // What cannot be divided is passed over, and counts for nothing either.
  const alone = await setUp([log("a"), log("b")]);
  const passed = await drainWith(
    alone,
    (event) =>
      event.body === "a"
        ? { kind: "bisect", event, why: "HTTP 500", mayBeOneItem: true }
        : delivered,
  );
  assertEquals([passed.drained, passed.splits], [
    { delivered: 1, refused: 0, deadLettered: 0 },
    [],
  ]);
  assertEquals(alone.buffer.list().map(({ attempts }) => attempts), [0]);
});

Deno.test("drain() bisects nothing that is refused as a whole", async () => {
  const body = JSON.stringify({ updates: [1, 2] });
  const made = await setUp([{ kind: "updates", commandId: null, snapshotOf: null, body }]);
  const { drained, splits, told } = await drainWith(made, (event) => ({
    kind: "refused",
    event,
    why: "HTTP 409",
    mayBeOneItem: false,
  }));
  assertEquals([drained, splits], [{ delivered: 0, refused: 1, deadLettered: 0 }, []]);
  const [event] = made.buffer.list();
  assertEquals(told, [["event refused", {
    event: event?.id ?? "",
    kind: "updates",
    attempts: 1,
    why: "HTTP 409",
  }]]);
});

Deno.test("drain() counts a refusal that turned out to be an event's own, and says when it is the last", async () => {
  const made = await setUp([log("bad"), log("good")]);
  let bad: StoredEvent | undefined;
  const send = (event: StoredEvent): Outcome => {
    if (event.body === "bad") {
      bad = event;
      return { kind: "unattributed" };
    }
    const alsoRefused = { id: (bad ?? event).id, why: "HTTP 500", mayBeOneItem: false };
    return { kind: "delivered", isLast: true, alsoRefused };
  };
  const first = await drainWith(made, send);
  assertEquals(first.drained, { delivered: 1, refused: 1, deadLettered: 0 });
  made.buffer.append([log("good")]);
  const second = await drainWith(made, send);
  assertEquals(second.drained, { delivered: 1, refused: 0, deadLettered: 1 });
  assertEquals([first, second].map(({ told }) => told[0]?.[0]), [
    "event refused",
    "event dead-lettered",
  ]);
  assertEquals(made.buffer.counts().deadLetters, 1);
});

Deno.test("drain() passes over what is postponed, and what of its command comes after it", async () => {
  const { buffer } = await setUp([log("a1", "a"), log("a2", "a"), log("b")]);
  const sent: string[] = [];
  await drainBy(buffer, {
    send: (event) => (sent.push(event.body), Promise.resolve(delivered)),
  }, { postponed: buffer.list().filter(({ body }) => body === "a1") });
  assertEquals([sent, buffer.list().map(({ body }) => body)], [["b"], ["a1", "a2"]]);
});

Deno.test("drain() leaves what comes while it sends to the next drain once it has seen the end", async () => {
  const { buffer } = await setUp([log("a")]);
  const sent: string[] = [];
  const sender = {
    send: (event: StoredEvent) => {
      sent.push(event.body);
      if (event.body === "a") buffer.append([log("late")]);
      return Promise.resolve(delivered);
    },
  };
  await drainBy(buffer, sender);
  assertEquals(sent, ["a"]);
  await drainBy(buffer, sender);
  assertEquals(sent, ["a", "late"]);
});

Deno.test("drain() sends once per drain what is not attributed, and nothing of its command after it", async () => {
  const many = Array.from({ length: 40 }, (_, n) => log(`${n}`));
  for (const kind of ["unattributed", "bisect"] as const) {
    const { buffer } = await setUp([log("a1", "a"), log("a2", "a"), ...many]);
    const sent: string[] = [];
    await drainBy(buffer, {
      send: (event) => {
        sent.push(event.body);
        const refusal = { event, why: "HTTP 500", mayBeOneItem: true };
        if (event.body !== "a1") return Promise.resolve(delivered);
        return Promise.resolve(kind === "unattributed" ? { kind } : { kind, ...refusal });
      },
    });
    assertEquals([sent.filter((body) => body.startsWith("a")), sent.length], [["a1"], 41], kind);
  }
});

Deno.test("drain() sends a dead letter that was requeued meanwhile in the next drain", async () => {
  const others = Array.from({ length: 40 }, (_, n) => log(`${n}`));
  const { buffer, sent, run } = await setUp([log("bad"), ...others]);
  const answer = (body: string) => {
    if (body === "9") buffer.requeue("all");
    return body === "bad" ? "refused" : delivered;
  };
  for (let round = 1; round <= 2; round++) {
    if (round === 2) buffer.append([...others]);
    await run(answer);
    assertEquals(sent.filter((body) => body === "bad").length, round);
  }
  assertEquals(buffer.counts().deadLetters, 0);
});

Deno.test("drain() goes on with a command past a single item that the server does not take", async () => {
  const list = (count: number): NewEvent => {
    const updates = Array.from({ length: count }, (_, n) => `item ${n} of ${count}`);
    return { kind: "updates", commandId: "c", snapshotOf: null, body: JSON.stringify({ updates }) };
  };
  for (const kind of ["refused", "unattributed", "bisect"] as const) {
    for (const count of [1, 2]) {
      const { buffer } = await setUp([list(count), log("log", "c")]);
      const sent: string[] = [];
      await drainBy(buffer, {
        send: (event) => {
          sent.push(event.kind);
          const refusal = { event, why: "HTTP 500", mayBeOneItem: false };
          if (event.kind === "log") return Promise.resolve(delivered);
          return Promise.resolve(kind === "unattributed" ? { kind } : { kind, ...refusal });
        },
      });
      assertEquals(sent, count === 1 ? ["updates", "log"] : ["updates"], `${kind}, ${count} items`);
    }
  }
});

Deno.test("drain() dead-letters at once what is refused for good", async () => {
  const { buffer } = await setUp([log("a")]);
  const sender = (isFinal: boolean) => ({
    send: (event: StoredEvent): Promise<Outcome> =>
      Promise.resolve({ kind: "refused", event, why: "HTTP 400", mayBeOneItem: false, isFinal }),
  });
  assertEquals((await drainBy(buffer, sender(true))).deadLettered, 1);
  assertEquals(buffer.list().map(({ state, attempts }) => [state, attempts]), [[
    "dead_lettered",
    1,
  ]]);
});

async function bufferWith(events: readonly NewEvent[]) {
  const { buffer } = await openBuffer(new FakeSystem(), "/state", LIMITS);
  buffer.append(events);
  const groups: number[] = [];
  const acknowledge = buffer.acknowledge.bind(buffer);
  buffer.acknowledge = (ids) => {
    groups.push(ids.length);
    acknowledge(ids);
  };
  return { buffer, groups };
}

Deno.test("however answers come, a command's events stay in order and none is sent twice or lost", async () => {
  // More than a page, too.
  const commands = fc.array(fc.option(fc.constantFrom("a", "b", "c")), {
    maxLength: 150,
    size: "max",
  });
  const most = fc.integer({ min: 1, max: 8 });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), commands, most, async (scheduler, commands, most) => {
      const { buffer } = await bufferWith(commands.map((id, number) => log(`${number}`, id)));
      const sent: number[] = [];
      const flying: StoredEvent[] = [];
      const draining = drainBy(buffer, {
        maxInFlight: () => most,
        async send(event) {
          sent.push(Number(event.body));
          const { commandId } = event;
          const isSecond = commandId !== null && flying.some((one) => one.commandId === commandId);
          assert(!isSecond, "two of one command");
          flying.push(event);
          assert(flying.length <= most, `${flying.length} at once`);
          await scheduler.schedule(Promise.resolve());
          flying.splice(flying.indexOf(event), 1);
          return delivered;
        },
      });
      await scheduler.waitFor(draining);
      assertEquals((await draining).delivered, commands.length);
      assertEquals(sent.toSorted((a, b) => a - b), commands.map((_, number) => number));
      for (const command of ["a", "b", "c"]) {
        const own = sent.filter((number) => commands[number] === command);
        assertEquals(own, own.toSorted((a, b) => a - b));
      }
      assertEquals(buffer.counts().pending, 0);
    }),
    { numRuns: 50 },
  );
});

Deno.test("all places are in use at the end of a page, and when a group is written down", async () => {
  const count = 200;
  const { buffer } = await bufferWith(Array.from({ length: count }, (_, n) => log(`${n}`)));
  const inFlight: number[] = [];
  const ends: (() => void)[] = [];
  let sent = 0;
  const acknowledge = buffer.acknowledge.bind(buffer);
  buffer.acknowledge = (ids) => {
    const written = count - buffer.counts().pending + ids.length;
    assertEquals(sent, Math.min(count, written + 8));
    acknowledge(ids);
  };
  const draining = drainBy(buffer, {
    maxInFlight: () => 8,
    async send() {
      for (let turn = 0; turn < 5; turn++) await Promise.resolve(); // A request takes some to go out.
      sent += 1;
      await new Promise<void>((resolve) => ends.push(resolve));
      return delivered;
    },
  }, { clock: { turn: settle } });
  for (let left = count; left > 0; left--) {
    await settle();
    inFlight.push(ends.length);
    ends.shift()?.();
  }
  assertEquals((await draining).delivered, count);
  assertEquals(inFlight, inFlight.map((_, done) => Math.min(8, count - done)));
});

Deno.test("deliveries are written down in groups while others are on their way, else one by one", async () => {
  const events = Array.from({ length: 40 }, (_, number) => log(`${number}`));
  const overlapping = await bufferWith(events);
  const send = () => Promise.resolve(delivered);
  await drainBy(overlapping.buffer, { maxInFlight: () => 8, send });
  assertEquals(overlapping.groups, [16, 16, 8]);
  const alone = await bufferWith(events.slice(0, 3));
  await drainBy(alone.buffer, { send });
  assertEquals(alone.groups, [1, 1, 1]);
});

Deno.test("after the way is found not free nothing more is sent, and what is on its way counts", async () => {
  const { buffer } = await bufferWith(Array.from({ length: 20 }, (_, n) => log(`${n}`)));
  const sent: string[] = [];
  const { delivered: count } = await drainBy(buffer, {
    maxInFlight: () => 4,
    send({ body }) {
      sent.push(body);
      return Promise.resolve(body === "1" ? { kind: "later" } : delivered);
    },
  });
  assertEquals(sent.length, 5); // 0 to 3, and one in the place of 0.
  assertEquals([count, buffer.counts().pending], [4, 16]);
});

Deno.test("a send that throws ends the drain when the others have landed, whose deliveries count", async () => {
  const { buffer } = await bufferWith(Array.from({ length: 8 }, (_, n) => log(`${n}`)));
  const landed: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const draining = drainBy(buffer, {
    maxInFlight: () => 4,
    async send({ body }) {
      if (body === "0") throw new Error("a mistake");
      await promise;
      landed.push(body);
      return delivered;
    },
  });
  const ended = assertRejects(() => draining, Error, "a mistake");
  resolve();
  await ended;
  assertEquals(landed, ["1", "2", "3"]);
  assertEquals(buffer.counts().pending, 5);
});

Deno.test("halves of a refused event go out when the others have landed", async () => {
  const list: NewEvent = {
    kind: "updates",
    commandId: null,
    snapshotOf: null,
    body: JSON.stringify({ updates: [1, 2] }),
  };
  const { buffer } = await bufferWith([list, ...[0, 1, 2].map((n) => log(`${n}`))]);
  const sent: string[] = [];
  await drainBy(buffer, {
    maxInFlight: () => 4,
    send(event) {
      sent.push(event.body);
      const refusal = { event, why: "HTTP 400", mayBeOneItem: true };
      return Promise.resolve(
        event.body === list.body ? { kind: "refused", ...refusal } : delivered,
      );
    },
  });
  assertEquals(
    sent.toSorted(),
    ["0", "1", "2", list.body, '{"updates":[1]}', '{"updates":[2]}'].toSorted(),
  );
  assertEquals(buffer.counts().pending, 0);
});
