import { assertEquals, assertThrows } from "@std/assert";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeSystem } from "../fakes/system.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 3 };
const scan = { id: "c1", type: "scan_updates", params: "{}" };
const reboot = { id: "c2", type: "reboot", params: '{"delay_minutes":1}' };

async function open(system = new FakeSystem()) {
  return await openBuffer(system, "/state", limits);
}

Deno.test("receive() answers only the commands that were not known", async () => {
  const { journal } = await open();
  assertEquals(journal.receive([scan, reboot]), [scan, reboot]);
  assertEquals(journal.receive([scan]), []);
  journal.finish("c1", () => {});
  assertEquals(journal.receive([scan]), []);
});

Deno.test("unfinished() tells how far each command came, oldest first, after a restart too", async () => {
  const system = new FakeSystem();
  const { journal } = await open(system);
  journal.receive([scan, reboot, { ...scan, id: "c3" }]);
  journal.start("c2");
  journal.finish("c1", () => {});
  const { journal: reopened } = await open(system);
  assertEquals(reopened.unfinished().map(({ id, state, params }) => [id, state, params]), [
    ["c2", "started", '{"delay_minutes":1}'],
    ["c3", "received", "{}"],
  ]);
});

Deno.test("finish() keeps the report and the command's end, or neither", async () => {
  const { buffer, journal } = await open();
  journal.receive([scan]);
  const report = { kind: "log", commandId: "c1", snapshotOf: null, body: "{}" } as const;
  assertThrows(
    () =>
      journal.finish("c1", () => {
        buffer.append([report]);
        throw new Error("the disk is full");
      }),
    Error,
    "the disk is full",
  );
  assertEquals([buffer.counts().pending, journal.unfinished().length], [0, 1]);
  journal.finish("c1", () => void buffer.append([report]));
  assertEquals([buffer.counts().pending, journal.unfinished().length], [1, 0]);
});
