import { assertEquals, assertRejects } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { logEvent } from "../../src/commands/command_log.ts";
import {
  forgetToldUpdates,
  keepToldUpdates,
  readToldUpdates,
  withRowAgain,
} from "../../src/commands/reported_snapshot.ts";
import { goneItem, type UpdateItem } from "../../src/server/update_item.ts";
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

const CURL_ROW: UpdateItem = { ...goneItem("apt", "curl", "8"), severity: "critical" };
const AT_MS = 1_800_000_000_000;

async function systemWithRows(): Promise<FakeSystem> {
  const system = new FakeSystem();
  await keepToldUpdates(
    system,
    "/state",
    new Map([["apt", {
      fullAtMs: AT_MS,
      items: {
        curl: ["8", "sum", AT_MS, CURL_ROW] as const,
        huge: ["9", "sum", AT_MS, null] as const,
      },
      gone: { old: ["1", AT_MS - 1_000] as const },
    }]]),
  );
  return system;
}

/** The rows that a command about a package sends again, each with its report's timestamp. */
async function rowsAfter(
  system: FakeSystem,
  type: string,
  params: Record<string, unknown>,
  result: "success" | "failed" = "failed",
): Promise<[row: UpdateItem, timestamp: string][]> {
  const command = { id: "c1", type, params };
  const log = logEvent(command, { result, durationMs: 0 });
  const facts: NewEvent = { kind: "system_info", commandId: null, snapshotOf: null, body: "{}" };
  const events = await withRowAgain(system, "/state", { command, events: [facts, log] });
  assertEquals([events[0], events.at(-1)], [facts, log], "the log stays the last word");
  return events.slice(1, -1).map(({ kind, commandId, body }) => {
    const { updates, timestamp, command_id } = JSON.parse(body);
    assertEquals([kind, commandId, command_id, updates.length], ["updates", "c1", "c1", 1]);
    return [updates[0], timestamp];
  });
}

const ABOUT_CURL = { package_type: "apt", package_name: "curl", update_id: "u1" };
const CURLS_ROW: [UpdateItem, string][] = [[CURL_ROW, new Date(AT_MS).toISOString()]];

Deno.test("withRowAgain() sends the row after a command about it that was refused or has failed", async () => {
  const system = await systemWithRows();
  for (const type of ["dry_run_update", "confirm_dependencies", "install_updates"]) {
    assertEquals(await rowsAfter(system, type, ABOUT_CURL), CURLS_ROW, type);
  }
  for (const type of ["scan_updates", "reboot", "brew_coffee", "constructor"]) {
    assertEquals(await rowsAfter(system, type, ABOUT_CURL), [], type);
  }
});

Deno.test("withRowAgain() sends the row after an installation that has ended, and not after a good dry run", async () => {
  const system = await systemWithRows();
  assertEquals(await rowsAfter(system, "confirm_dependencies", ABOUT_CURL, "success"), CURLS_ROW);
  assertEquals(await rowsAfter(system, "install_updates", ABOUT_CURL, "success"), CURLS_ROW);
  // The server waits for a person now, or installs at once: the row's state says so.
  assertEquals(await rowsAfter(system, "dry_run_update", ABOUT_CURL, "success"), []);
});

Deno.test("withRowAgain() sends the row of a package that waits no more as such", async () => {
  const system = await systemWithRows();
  const about = { package_type: "apt", package_name: "old" };
  assertEquals(await rowsAfter(system, "dry_run_update", about), [
    [goneItem("apt", "old", "1"), new Date(AT_MS - 1_000).toISOString()],
  ]);
});

Deno.test("withRowAgain() leaves a row that is not known to the next whole list", async () => {
  const system = await systemWithRows();
  const unknown: Record<string, unknown>[] = [
    {},
    { package_type: "apt" },
    { package_type: "apt", package_name: "none" },
    { package_type: "apt", package_name: "huge" },
    { package_type: "apt", package_name: "constructor" },
    { package_type: "dnf", package_name: "curl" },
    { package_type: "docker_image", package_name: "curl" },
    { package_type: "constructor", package_name: "curl" },
    { package_type: 1, package_name: ["curl"] },
    { action: "update_all", package_type: "apt" },
  ];
  for (const params of unknown) {
    assertEquals(await rowsAfter(system, "install_updates", params), [], JSON.stringify(params));
  }
  assertEquals(await rowsAfter(new FakeSystem(), "install_updates", ABOUT_CURL), []);
  system.files.fail("read what was told", "denied");
  assertEquals(await rowsAfter(system, "install_updates", ABOUT_CURL), []);
});

Deno.test("withRowAgain() adds nothing where there is no log", async () => {
  const command = { id: "c1", type: "install_updates", params: ABOUT_CURL };
  const system = await systemWithRows();
  assertEquals(await withRowAgain(system, "/state", { command, events: [] }), []);
});
