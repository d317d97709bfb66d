import { assertEquals, assertRejects } from "@std/assert";
import {
  forgetToldUpdates,
  keepToldUpdates,
  readToldUpdates,
} from "../../src/commands/told_updates.ts";
import { goneItem } from "../../src/server/update_item.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

const CURL = goneItem("apt", "curl", "2");
const TOLD = new Map([["apt", {
  fullAtMs: 5,
  items: { curl: ["2", "sum", 4, CURL] as const, wget: ["3", "sum", 4, null] as const },
  gone: { old: ["1", 3] as const },
}]]);
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
  const texts = ["", "junk", "null", "[]", '{"schema":"pennon.told-updates/1","scanners":{}}'];
  for (const text of [...texts, '{"schema":"pennon.told-updates/2","scanners":{"apt":1}}']) {
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
    const text = JSON.stringify({ schema: "pennon.told-updates/2", scanners: { apt: list } });
    system.files.texts.set(PATH, text);
    return (await readToldUpdates(system, "/state")).size;
  };
  const good = { fullAtMs: 5, items: { curl: ["2", "sum", 4, CURL] }, gone: { old: ["1", 3] } };
  assertEquals(await read(good), 1);
  const bad: [field: string, value: unknown][] = [
    ["fullAtMs", null],
    ["gone", undefined],
    ["gone", { old: ["1"] }],
    ["gone", { old: ["1", 9e15] }],
    ["items", { curl: ["2", "sum"] }],
    ["items", { curl: [2, "sum", 4, null] }],
    ["items", { curl: ["2", "sum", "4", null] }],
    ["items", { curl: ["2", "sum", 4, { ...CURL, severity: "dreadful" }] }],
    ["items", { curl: ["2", "sum", 4, { ...CURL, package_type: "snap" }] }],
    ["items", { curl: ["2", "sum", 4, { ...CURL, size_bytes: 1.5 }] }],
    ["items", { curl: ["2", "sum", 4, { ...CURL, cve_list: "CVE-2026-1" }] }],
    ["items", { curl: ["2", "sum", 4, { ...CURL, metadata: { state: null } }] }],
  ];
  for (const [field, value] of bad) {
    assertEquals(await read({ ...good, [field]: value }), 0, `${field}: ${JSON.stringify(value)}`);
  }
});

Deno.test("readToldUpdates() reads a host's tens of thousands of updates, and no endless file", async () => {
  const system = new FakeSystem();
  const item = (
    n: number,
  ) => [`package-with-a-long-name-${n}`, ["1".repeat(20), "s".repeat(36), 0, null]];
  const items = Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => item(n)));
  const text = JSON.stringify({
    schema: "pennon.told-updates/2",
    scanners: { apt: { fullAtMs: 5, items, gone: {} } },
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

Deno.test("keepToldUpdates() leaves out the rows of a list that would be too long with them", async () => {
  const system = new FakeSystem();
  const row = { ...CURL, package_description: "x".repeat(30_000) };
  const kept = async (count: number) => {
    const items = Object.fromEntries(
      Array.from({ length: count }, (_, n) => [`p${n}`, ["2", "sum", 4, row] as const]),
    );
    const told = new Map([["apt", { fullAtMs: 5, items, gone: { old: ["1", 3] as const } }]]);
    await keepToldUpdates(system, "/state", told);
    const { items: read, gone } = (await readToldUpdates(system, "/state")).get("apt")!;
    assertEquals([Object.keys(read).length, gone], [count, { old: ["1", 3] }]);
    return Object.values(read).filter(([version, , , row]) => version === "2" && row !== null)
      .length;
  };
  assertEquals([await kept(270), await kept(280)], [270, 0]);
});
