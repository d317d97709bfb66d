import { assertEquals } from "@std/assert";
import { keep } from "../../src/buffer/keep.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("keep() tells what a full buffer dropped, and says nothing while there is room", async () => {
  const limits = { maxEvents: 3, maxBytes: 1_000_000, maxAttempts: 1 };
  const { buffer } = await openBuffer(new FakeSystem(), "/state", limits);
  const log = new FakeLog();
  const event = { kind: "log", commandId: null, snapshotOf: null, body: "{}" } as const;
  keep(buffer, log, [{ ...event, kind: "updates" }, event]);
  assertEquals(log.events, []);
  keep(buffer, log, [event]);
  assertEquals(log.told("events dropped, the buffer is full"), [
    { system_info: 0, updates: 1, dependencies: 0, log: 0 },
  ]);
});
