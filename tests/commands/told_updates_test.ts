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

Deno.test("readToldUpdates() takes a list with a field of another shape for nothing", async () => {
  const system = new FakeSystem();
  const read = async (list: unknown) => {
    const text = JSON.stringify({ schema: "pennon.told-updates/1", scanners: { apt: list } });
    system.files.texts.set(PATH, text);
    return (await readToldUpdates(system, "/state")).size;
  };
  assertEquals(await read({ fullAtMs: 5, items: { curl: ["2", "sum"] } }), 1);
  assertEquals(await read({ fullAtMs: null, items: {} }), 0);
  assertEquals(await read({ fullAtMs: 5, items: { curl: ["2"] } }), 0);
  assertEquals(await read({ fullAtMs: 5, items: { curl: [2, "sum"] } }), 0);
});

Deno.test("readToldUpdates() reads a host's tens of thousands of updates, and no endless file", async () => {
  const system = new FakeSystem();
  const item = (n: number) => [`package-with-a-long-name-${n}`, ["1".repeat(20), "s".repeat(36)]];
  const items = Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => item(n)));
  const text = JSON.stringify({
    schema: "pennon.told-updates/1",
    scanners: { apt: { fullAtMs: 5, items } },
  });
  system.files.texts.set(PATH, text);
  assertEquals((await readToldUpdates(system, "/state")).size, 1);
  system.files.texts.set(PATH, text + " ".repeat(8_388_609 - text.length));
  assertEquals((await readToldUpdates(system, "/state")).size, 0);
});

Deno.test("keepToldUpdates() says when the disk refuses", async () => {
  const system = new FakeSystem();
  system.files.fail("keep what was told", "full");
  await assertRejects(() => keepToldUpdates(system, "/state", TOLD), FileError);
});
