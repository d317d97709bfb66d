import { assertEquals } from "@std/assert";
import { tellOpened } from "../../src/buffer/opened_log.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };

Deno.test("tellOpened() says nothing of a buffer that is as it was left", async () => {
  const log = new FakeLog();
  tellOpened(log, "/state", await openBuffer(new FakeSystem(), "/state", limits));
  assertEquals(log.events, []);
});

Deno.test("tellOpened() tells of counters that were damaged, its own or a side file's", async () => {
  for (const name of ["buffer.sqlite", "buffer-v3.sqlite"]) {
    const system = new FakeSystem();
    const { database } = await openBuffer(system, "/state", limits);
    database.execute("UPDATE counters SET pending = 3");
    system.databases.delete("/state/buffer.sqlite");
    system.files.texts.delete("/state/buffer.sqlite");
    system.databases.set(`/state/${name}`, database);
    system.files.texts.set(`/state/${name}`, "");
    const log = new FakeLog();
    tellOpened(log, "/state", await openBuffer(system, "/state", limits));
    assertEquals(log.told("buffer's counters were damaged, counted anew"), [
      { wrong: "pending", events: 0 },
    ]);
  }
});
