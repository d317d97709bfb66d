import { assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { type Delivery, drain } from "../../src/buffer/delivery.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

async function setUp(events: NewEvent[]) {
  const limits = { maxEvents: 1_000, maxBytes: 1_000_000, maxAttempts: 2 };
  const { buffer, journal } = await openBuffer(new FakeSystem(), "/state", limits);
  buffer.append(events);
  const sent: string[] = [];
  const run = (answer: (body: string) => Delivery | "refused") =>
    drain(buffer, new FakeLog(), {
      send: (event) => {
        sent.push(event.body);
        const result = answer(event.body);
        const refusal = { event, why: "HTTP 400", mayBeOneItem: true };
        return Promise.resolve(result === "refused" ? { kind: result, ...refusal } : result);
      },
    });
  return { buffer, journal, sent, run };
}

function log(body: string, commandId: string | null = null): NewEvent {
  return { kind: "log", commandId, snapshotOf: null, body };
}

const delivered: Delivery = { kind: "delivered", isLast: false };

Deno.test("drain() sends everything, and forgets it only then", async () => {
  const { buffer, sent, run } = await setUp(Array.from({ length: 120 }, (_, n) => log(`${n}`)));
  assertEquals(await run(() => delivered), { delivered: 120, refused: 0, setAside: 0 });
  assertEquals(sent.length, 120);
  assertEquals(buffer.counts().pending, 0);
});

Deno.test("drain() stops at once when the way is not free, and counts no attempt", async () => {
  const { buffer, sent, run } = await setUp([log("a"), log("b")]);
  assertEquals(await run(() => ({ kind: "later" })), {
    delivered: 0,
    refused: 0,
    setAside: 0,
  });
  assertEquals(sent, ["a"]);
  assertEquals(buffer.list().map(({ attempts }) => attempts), [0, 0]);
});

Deno.test("drain() sends the others past one that is refused, and sets that aside in the end", async () => {
  const { buffer, sent, run } = await setUp([
    log("bad"),
    ...Array.from({ length: 70 }, () => log("x")),
  ]);
  const answer = (body: string) => body === "bad" ? "refused" : delivered;
  assertEquals(await run(answer), { delivered: 70, refused: 1, setAside: 0 });
  assertEquals(await run(answer), { delivered: 0, refused: 0, setAside: 1 });
  assertEquals(await run(answer), { delivered: 0, refused: 0, setAside: 0 });
  assertEquals(sent.filter((body) => body === "bad").length, 2);
  assertEquals(buffer.counts().setAside, 1);
});

Deno.test("drain() keeps a command's events in order, past a refusal too", async () => {
  const { sent, run } = await setUp([log("a1", "a"), log("a2", "a"), log("b1", "b")]);
  const answer = (body: string) => body === "a1" ? "refused" : delivered;
  await run(answer);
  assertEquals(sent, ["a1", "b1"]); // a2 waits for a1 …
  await run(answer);
  assertEquals(sent, ["a1", "b1", "a1", "a2"]); // … until a1 is set aside.
});

Deno.test("drain() stops when the server takes no more for now", async () => {
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
    assertEquals(journal.unconfirmed(), isUnanswered ? ["c1"] : []);
  }
});

Deno.test("drain() splits what is refused until the bad item is alone, and keeps the order", async () => {
  const updates = (items: number[]) => JSON.stringify({ updates: items });
  const list: NewEvent = {
    kind: "updates",
    commandId: "scan",
    snapshotOf: null,
    body: updates([1, 2, 3, 4, 5]),
  };
  const { buffer, sent, run } = await setUp([list, log("scan log", "scan"), log("other")]);
  const answer = (body: string) => body.includes("4") ? "refused" : delivered;
  const drained = await run(answer);
  assertEquals([drained.delivered, drained.setAside], [4, 1]); // Of two attempts at most.
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

Deno.test("drain() passes over a list that the disk will not have split", async () => {
  const body = JSON.stringify({ updates: [1, 2] });
  const list: NewEvent = { kind: "updates", commandId: null, snapshotOf: null, body };
  const { buffer, sent, run } = await setUp([list, log("other")]);
  buffer.split = () => [];
  buffer.refuse = () => "pending";
  const drained = await run((sent) => sent === body ? "refused" : delivered);
  assertEquals([drained.delivered, drained.refused, sent], [1, 1, ["other", body]]);
});
