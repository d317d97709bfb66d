import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { DISK_STATUS_FILE, DiskStatusWriter } from "../../src/agent/disk_status.ts";
import type { DiskCondition } from "../../src/buffer/store_supervisor.ts";
import { settle } from "../fakes/clock.ts";
import { FakeSystem } from "../fakes/system.ts";
import { anyText } from "../fakes/texts.ts";

const WELL: DiskCondition = { disk: "ok", why: null, events: 0, sizeBytes: 0, acknowledgements: 0 };
const PATH = "/state/disk.json";

function start() {
  const system = new FakeSystem();
  const known = { condition: WELL };
  const file = new DiskStatusWriter(system, "/state", () => known.condition);
  return { system, known, file };
}

Deno.test("DISK_STATUS_FILE returns nothing for missing, junk and partly written files", async () => {
  const { system } = start();
  assertEquals(await DISK_STATUS_FILE.read(system.files, "/state"), undefined);
  for (const text of ["", "junk", "{}", "null", '{"schema":"pennon.disk/2","proc']) {
    system.files.texts.set(PATH, text);
    assertEquals(await DISK_STATUS_FILE.read(system.files, "/state"), undefined, text);
  }
});

Deno.test("update() writes one file, and overwrites it in place where the disk is full by then", async () => {
  const { system, known, file } = start();
  await file.update();
  const { length } = system.files.texts.get(PATH) ?? "";
  assertEquals([length, system.files.modes.get(PATH)], [1_024, 0o600]);
  // As long as a why may be, and with what takes more than a byte.
  const why = `Cannot write: "/state/\u00fc": ${"no room ".repeat(100)}`;
  known.condition = { disk: "full", why, events: 7, sizeBytes: 8_000, acknowledgements: 9 };
  const { writeText } = system.files;
  system.files.writeText = () => Promise.reject(new Error("it was to be written in place"));
  await file.update();
  system.files.writeText = writeText;
  assertEquals(system.files.texts.get(PATH)?.length, 1_024);
  const saved = await DISK_STATUS_FILE.read(system.files, "/state");
  assertEquals(
    [saved?.disk, saved?.events, saved?.size_bytes, saved?.acknowledgements, saved?.process_id],
    ["full", 7, 8_000, 9, 4_242],
  );
  assertEquals(saved?.why?.length, 200);
});

Deno.test("update() does not fail where the disk refuses, and writes later", async () => {
  const { system, known, file } = start();
  system.files.fail("save the disk status", "denied");
  await file.update();
  assertEquals(await DISK_STATUS_FILE.read(system.files, "/state"), undefined);
  system.files.heal("save the disk status");
  await file.update();
  assertEquals((await DISK_STATUS_FILE.read(system.files, "/state"))?.disk, "ok");
  // An unchanged condition is not written again, unless the directory is another.
  system.files.texts.delete(PATH);
  await file.update();
  assertEquals(system.files.texts.has(PATH), false);
  await file.rewrite();
  assertEquals(system.files.texts.has(PATH), true);
  known.condition = { ...WELL, events: 1 };
  await Promise.all([file.update(), file.update()]);
  assertEquals((await DISK_STATUS_FILE.read(system.files, "/state"))?.events, 1);
});

Deno.test("update() writes a readable file of one length, whatever the disk reports", async () => {
  await fc.assert(
    fc.asyncProperty(anyText(400), async (why) => {
      const { system, known, file } = start();
      const most = Number.MAX_SAFE_INTEGER;
      known.condition = {
        disk: "corrupt",
        why,
        events: most,
        sizeBytes: most,
        acknowledgements: most,
      };
      await file.update();
      const text = system.files.texts.get(PATH) ?? "";
      assertEquals(new TextEncoder().encode(text).length, 1_024);
      assertEquals(
        (await DISK_STATUS_FILE.read(system.files, "/state"))?.why?.length,
        Math.min(200, why.length),
      );
    }),
    { numRuns: 50 },
  );
});

Deno.test("DISK_STATUS_FILE accepts no invalid count and no text that is too long", async () => {
  const { system, file } = start();
  await file.update();
  const saved = JSON.parse(system.files.texts.get(PATH) ?? "");
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
    system.files.texts.set(PATH, JSON.stringify({ ...saved, [field]: value }));
    const read = await DISK_STATUS_FILE.read(system.files, "/state") !== undefined;
    assertEquals(read, isRead, `${field} ${value}`);
  }
});

Deno.test("update() replaces a file of another length", async () => {
  const { system, known, file } = start();
  await file.update();
  system.files.texts.set(PATH, "x".repeat(1_025));
  known.condition = { ...WELL, events: 1 };
  await file.update();
  assertEquals(system.files.texts.get(PATH)?.length, 1_024);
  assertEquals((await DISK_STATUS_FILE.read(system.files, "/state"))?.events, 1);
});

Deno.test("update() leaves the file alone in a directory of another agent", async () => {
  const { system, known, file } = start();
  await file.update();
  const before = system.files.texts.get(PATH);
  known.condition = { ...WELL, disk: "held", events: 5 };
  await file.update();
  await file.rewrite();
  assertEquals(system.files.texts.get(PATH), before);
});

Deno.test("update() during a write writes the latest condition, once", async () => {
  const { system, known, file } = start();
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
  const first = file.update();
  for (const events of [1, 2, 3]) {
    known.condition = { ...WELL, events };
    file.update();
  }
  await first;
  assertEquals([writes, (await DISK_STATUS_FILE.read(system.files, "/state"))?.events], [2, 3]);
});

Deno.test("update() throws what is not a file error", async () => {
  const { system, file } = start();
  system.files.writeText = () => Promise.reject(new TypeError("a mistake"));
  await assertRejects(() => file.update(), TypeError, "a mistake");
});

Deno.test("DISK_STATUS_FILE reads the form of earlier releases, and update() writes the present one", async () => {
  const { system, file } = start();
  const figures = { disk: "ok", why: null, events: 0, size_bytes: 0, acknowledgements: 0 };
  const status = { process_id: 4_242, ...figures };
  const earlier = { schema: "pennon.disk/1", ...status, at_ms: 60_000 };
  system.files.texts.set(PATH, `${JSON.stringify(earlier).padEnd(1_023)}\n`);
  assertEquals(await DISK_STATUS_FILE.read(system.files, "/state"), {
    ...status,
    at_ms: 60_000,
    since_ms: null,
  });
  await file.update();
  assertEquals(JSON.parse(system.files.texts.get(PATH) ?? ""), {
    schema: "pennon.disk/2",
    ...status,
    written_at: new Date(system.clock.nowMs()).toISOString(),
    since_at: null,
  });
});
