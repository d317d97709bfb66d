import { assertEquals } from "@std/assert";
import { appendEvents } from "../../src/buffer/buffer.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";

Deno.test("appendEvents() logs what a full buffer evicted, and nothing while there is room", async () => {
  const limits = { maxEvents: 3, maxBytes: 1_000_000, maxAttempts: 1 };
  const { buffer } = await openBuffer(new FakeSystem(), "/state", limits);
  const log = new FakeLog();
  const event = { kind: "log", commandId: null, snapshotOf: null, body: "{}" } as const;
  appendEvents(buffer, log, [{ ...event, kind: "updates" }, event]);
  assertEquals(log.events, []);
  appendEvents(buffer, log, [event]);
  assertEquals(log.told("events evicted, the buffer is full"), [
    { ...NONE_EVICTED, updates: 1 },
  ]);
});
