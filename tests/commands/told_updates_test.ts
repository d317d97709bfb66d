import { assertEquals, assertRejects } from "@std/assert";
import {
  forgetToldUpdates,
  keepToldUpdates,
  readToldUpdates,
} from "../../src/commands/told_updates.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

const TOLD = new Map([["apt", { fullAtMs: 5, items: { curl: ["2", "sum"] as const } }]]);
const PATH = "/state/told-updates.json";

Deno.test("readToldUpdates() finds what was kept, for nobody else to read, until it is forgotten", async () => {
  const system = new FakeSystem();
  assertEquals(await readToldUpdates(system, "/state"), new Map());
  await keepToldUpdates(system, "/state", TOLD);
  assertEquals(system.files.modes.get(PATH), 0o600);
  assertEquals(await readToldUpdates(system, "/state"), new Map(TOLD));
  await forgetToldUpdates(system, "/state");
  assertEquals(await readToldUpdates(system, "/state"), new Map());
});

Deno.test("readToldUpdates() takes a file that is none of ours, or cannot be read, for nothing", async () => {
  const system = new FakeSystem();
  const texts = ["", "junk", "null", "[]", '{"schema":"pennon.told-updates/2","scanners":{}}'];
  for (const text of [...texts, '{"schema":"pennon.told-updates/1","scanners":{"apt":1}}']) {
    system.files.texts.set(PATH, text);
    assertEquals(await readToldUpdates(system, "/state"), new Map(), text);
  }
  await keepToldUpdates(system, "/state", TOLD);
  system.files.fail("read what was told", "denied");
  assertEquals(await readToldUpdates(system, "/state"), new Map());
});

Deno.test("keepToldUpdates() says when the disk refuses", async () => {
  const system = new FakeSystem();
  system.files.fail("keep what was told", "full");
  await assertRejects(() => keepToldUpdates(system, "/state", TOLD), FileError);
});
