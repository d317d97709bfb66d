import { assertEquals, assertRejects } from "@std/assert";
import { DiskNote, showDiskNote, tryFolder } from "../../src/agent/disk_status.ts";
import type { DiskCondition } from "../../src/buffer/disk_condition.ts";
import { settle } from "../fakes/clock.ts";
import { FakeSystem } from "../fakes/system.ts";
import { anyText } from "../fakes/texts.ts";

import fc from "fast-check";

const WELL: DiskCondition = { disk: "ok", why: null, events: 0, sizeBytes: 0, acknowledgements: 0 };
const PATH = "/state/disk.json";

function start() {
  const system = new FakeSystem();
  const known = { condition: WELL };
  const note = new DiskNote(system, "/state", () => known.condition);
  return { system, known, note };
}

Deno.test("showDiskNote() reads nothing out of missing, junk and half-written texts", async () => {
  const { system } = start();
  assertEquals(await showDiskNote(system, "/state"), undefined);
  for (const text of ["", "junk", "{}", "null", '{"schema":"pennon.disk/1","proc']) {
    system.files.texts.set(PATH, text);
    assertEquals(await showDiskNote(system, "/state"), undefined, text);
  }
});

Deno.test("tell() writes once, and over it in place where the disk is full by then", async () => {
  const { system, known, note } = start();
  await note.tell();
  const { length } = system.files.texts.get(PATH) ?? "";
  assertEquals([length, system.files.modes.get(PATH)], [1_024, 0o600]);
  // As long as a why may be, and with what takes more than a byte.
  const why = `Cannot write: "/state/\u00fc": ${"no room ".repeat(100)}`;
  known.condition = { disk: "full", why, events: 7, sizeBytes: 8_000, acknowledgements: 9 };
  const { writeText } = system.files;
  system.files.writeText = () => Promise.reject(new Error("it was to be written in place"));
  await note.tell();
  system.files.writeText = writeText;
  assertEquals(system.files.texts.get(PATH)?.length, 1_024);
  const told = await showDiskNote(system, "/state");
  assertEquals(
    [told?.disk, told?.events, told?.size_bytes, told?.acknowledgements, told?.process_id],
    ["full", 7, 8_000, 9, 4_242],
  );
  assertEquals(told?.why?.length, 200);
});

Deno.test("tell() goes on without a word where the disk takes none, and tells it later", async () => {
  const { system, known, note } = start();
  system.files.fail("tell of the disk", "denied");
  await note.tell();
  assertEquals(await showDiskNote(system, "/state"), undefined);
  system.files.heal("tell of the disk");
  await note.tell();
  assertEquals((await showDiskNote(system, "/state"))?.disk, "ok");
  // The same again is not written again, unless the folder is another.
  system.files.texts.delete(PATH);
  await note.tell();
  assertEquals(system.files.texts.has(PATH), false);
  await note.tellAgain();
  assertEquals(system.files.texts.has(PATH), true);
  known.condition = { ...WELL, events: 1 };
  await Promise.all([note.tell(), note.tell()]);
  assertEquals((await showDiskNote(system, "/state"))?.events, 1);
});

Deno.test("tell() is readable again and always as long, whatever the disk complained of", async () => {
  await fc.assert(
    fc.asyncProperty(anyText(400), async (why) => {
      const { system, known, note } = start();
      const most = Number.MAX_SAFE_INTEGER;
      known.condition = {
        disk: "corrupt",
        why,
        events: most,
        sizeBytes: most,
        acknowledgements: most,
      };
      await note.tell();
      const text = system.files.texts.get(PATH) ?? "";
      assertEquals(new TextEncoder().encode(text).length, 1_024);
      assertEquals((await showDiskNote(system, "/state"))?.why?.length, Math.min(200, why.length));
    }),
    { numRuns: 50 },
  );
});

Deno.test("showDiskNote() believes no count that is none, and no words that are too many", async () => {
  const { system, note } = start();
  await note.tell();
  const told = JSON.parse(system.files.texts.get(PATH) ?? "");
  const rows: [field: string, value: unknown, isRead: boolean][] = [
    ["events", 0, true],
    ["events", -1, false],
    ["events", 1.5, false],
    ["size_bytes", -1, false],
    ["acknowledgements", 0.5, false],
    ["disk", "x".repeat(20), true],
    ["disk", "x".repeat(21), false],
    ["why", "x".repeat(200), true],
    ["why", "x".repeat(201), false],
    ["process_id", "7", false],
  ];
  for (const [field, value, isRead] of rows) {
    system.files.texts.set(PATH, JSON.stringify({ ...told, [field]: value }));
    const read = await showDiskNote(system, "/state") !== undefined;
    assertEquals(read, isRead, `${field} ${value}`);
  }
});

Deno.test("tell() writes anew where the file is not as long as it is to be", async () => {
  const { system, known, note } = start();
  await note.tell();
  system.files.texts.set(PATH, "x".repeat(1_025));
  known.condition = { ...WELL, events: 1 };
  await note.tell();
  assertEquals(system.files.texts.get(PATH)?.length, 1_024);
  assertEquals((await showDiskNote(system, "/state"))?.events, 1);
});

Deno.test("tell() leaves the note alone in a folder that is another's", async () => {
  const { system, known, note } = start();
  await note.tell();
  const before = system.files.texts.get(PATH);
  known.condition = { ...WELL, disk: "held", events: 5 };
  await note.tell();
  await note.tellAgain();
  assertEquals(system.files.texts.get(PATH), before);
});

Deno.test("tell() that is asked while it tells tells the latest, and once", async () => {
  const { system, known, note } = start();
  const { files } = system;
  const { writeText, overwriteText } = files;
  let writes = 0;
  const counting =
    <T extends unknown[]>(write: (...words: T) => Promise<void>) => async (...words: T) => {
      writes += 1;
      await settle();
      await write.apply(files, words);
    };
  files.writeText = counting(writeText);
  files.overwriteText = counting(overwriteText);
  const first = note.tell();
  for (const events of [1, 2, 3]) {
    known.condition = { ...WELL, events };
    note.tell();
  }
  await first;
  assertEquals([writes, (await showDiskNote(system, "/state"))?.events], [2, 3]);
});

Deno.test("tell() hides no mistake of ours", async () => {
  const { system, note } = start();
  system.files.writeText = () => Promise.reject(new TypeError("a mistake"));
  await assertRejects(() => note.tell(), TypeError, "a mistake");
});

Deno.test("tryFolder() makes nothing where there is no folder", async () => {
  const system = new FakeSystem();
  assertEquals(await tryFolder(system, "/state"), undefined);
  assertEquals(system.files.texts.size, 0);
});

Deno.test("tryFolder() says whether a folder takes writes, and leaves nothing in it", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/state/identity.json", "{}");
  assertEquals(await tryFolder(system, "/state"), null);
  assertEquals([...system.files.texts.keys()], ["/state/identity.json"]);
  for (const reason of ["full", "denied", "failed"] as const) {
    system.files.fail("try the state folder", reason);
    const why = `Cannot try the state folder: ${reason} on purpose`;
    assertEquals(await tryFolder(system, "/state"), why);
  }
});

Deno.test("tryFolder() throws on what is no matter of files", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/state/identity.json", "{}");
  system.files.writeText = () => Promise.reject(new TypeError("a mistake of ours"));
  await assertRejects(() => tryFolder(system, "/state"), TypeError, "a mistake of ours");
});
