import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { NewEvent, StoredEvent } from "../../src/buffer/buffer.ts";
import { type Delivery, drain } from "../../src/buffer/delivery.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const delivered: Delivery = { kind: "delivered", isLast: false };

async function bufferWith(events: readonly NewEvent[]) {
  const limits = { maxEvents: 1_000, maxBytes: 10_000_000, maxAttempts: 2 };
  const { buffer } = await openBuffer(new FakeSystem(), "/state", limits);
  buffer.append(events);
  const groups: number[] = [];
  const acknowledge = buffer.acknowledge.bind(buffer);
  buffer.acknowledge = (ids) => {
    groups.push(ids.length);
    acknowledge(ids);
  };
  return { buffer, groups };
}

function event(body: string, commandId: string | null = null): NewEvent {
  return { kind: "log", commandId, snapshotOf: null, body };
}

Deno.test("however answers come, a command's events stay in order and none is sent twice or lost", async () => {
  const commands = fc.array(fc.option(fc.constantFrom("a", "b", "c")), { maxLength: 40 });
  const most = fc.integer({ min: 1, max: 8 });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), commands, most, async (scheduler, commands, most) => {
      const { buffer } = await bufferWith(commands.map((id, number) => event(`${number}`, id)));
      const sent: number[] = [];
      const flying: StoredEvent[] = [];
      const draining = drain(buffer, new FakeLog(), {
        mostInFlight: () => most,
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

Deno.test("deliveries are written down in groups while others are on their way, else one by one", async () => {
  const events = Array.from({ length: 40 }, (_, number) => event(`${number}`));
  const overlapping = await bufferWith(events);
  const send = () => Promise.resolve(delivered);
  await drain(overlapping.buffer, new FakeLog(), { mostInFlight: () => 8, send });
  assertEquals(overlapping.groups, [16, 16, 8]);
  const alone = await bufferWith(events.slice(0, 3));
  await drain(alone.buffer, new FakeLog(), { send });
  assertEquals(alone.groups, [1, 1, 1]);
});

Deno.test("after the way is found not free nothing more is sent, and what is on its way counts", async () => {
  const { buffer } = await bufferWith(Array.from({ length: 20 }, (_, n) => event(`${n}`)));
  const sent: string[] = [];
  const { delivered: count } = await drain(buffer, new FakeLog(), {
    mostInFlight: () => 4,
    send({ body }) {
      sent.push(body);
      return Promise.resolve(body === "1" ? { kind: "later" } : delivered);
    },
  });
  assertEquals(sent.length, 5); // 0 to 3, and one in the place of 0.
  assertEquals([count, buffer.counts().pending], [4, 16]);
});

Deno.test("a send that throws ends the drain when the others have landed, whose deliveries count", async () => {
  const { buffer } = await bufferWith(Array.from({ length: 8 }, (_, n) => event(`${n}`)));
  const landed: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const draining = drain(buffer, new FakeLog(), {
    mostInFlight: () => 4,
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
  const { buffer } = await bufferWith([list, ...[0, 1, 2].map((n) => event(`${n}`))]);
  const sent: string[] = [];
  await drain(buffer, new FakeLog(), {
    mostInFlight: () => 4,
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
