import { assertEquals, assertRejects } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { logEvent } from "../../src/commands/command_log.ts";
import {
  readReportedSnapshot,
  type ReportedSnapshot,
  saveReportedSnapshot,
  SNAPSHOT_FILE,
  withResentRow,
} from "../../src/commands/reported_snapshot.ts";
import { removedItem, type UpdateItem } from "../../src/server/update_item.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

const CURL = removedItem("apt", "curl", "2");
const SNAPSHOT: ReportedSnapshot = new Map([["apt", {
  fullAtMs: 5,
  items: {
    curl: { version: "2", sum: "sum", atMs: 4, row: CURL },
    wget: { version: "3", sum: "sum", atMs: 4, row: null },
    // Names of packages, and no keys of the file.
    removed: { version: "3", sum: "sum", atMs: 4, row: null },
    atMs: { version: "3", sum: "sum", atMs: 4, row: null },
  },
  removed: { old: { version: "1", atMs: 3 } },
}]]);
const PATH = "/state/told-updates.json";

Deno.test("readReportedSnapshot() returns what was saved, in a private file, until it is removed", async () => {
  const system = new FakeSystem();
  assertEquals(await readReportedSnapshot(system, "/state"), new Map());
  await saveReportedSnapshot(system, "/state", SNAPSHOT);
  assertEquals(system.files.modes.get(PATH), 0o600);
  assertEquals(await readReportedSnapshot(system, "/state"), new Map(SNAPSHOT));
  await SNAPSHOT_FILE.remove(system.files, "/state");
  assertEquals(await readReportedSnapshot(system, "/state"), new Map());
});

Deno.test("readReportedSnapshot() returns an empty snapshot for a foreign or unreadable file", async () => {
  const system = new FakeSystem();
  const texts = ["", "junk", "null", "[]", '{"schema":"pennon.told-updates/1","scanners":{}}'];
  for (const schema of ["pennon.told-updates/2", "pennon.reported-snapshot/1"]) {
    texts.push(JSON.stringify({ schema, scanners: { apt: 1 } }));
  }
  for (const text of texts) {
    system.files.texts.set(PATH, text);
    assertEquals(await readReportedSnapshot(system, "/state"), new Map(), text);
  }
  await saveReportedSnapshot(system, "/state", SNAPSHOT);
  system.files.fail("read the reported snapshot", "denied");
  assertEquals(await readReportedSnapshot(system, "/state"), new Map());
});

Deno.test("readReportedSnapshot() returns an empty snapshot where a field has another shape", async () => {
  const system = new FakeSystem();
  const read = async (list: unknown) => {
    const text = JSON.stringify({ schema: "pennon.told-updates/2", scanners: { apt: list } });
    system.files.texts.set(PATH, text);
    return (await readReportedSnapshot(system, "/state")).size;
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

Deno.test("readReportedSnapshot() reads the form of earlier releases, and the present one is saved", async () => {
  const system = new FakeSystem();
  const items = {
    curl: ["2", "sum", 4, CURL],
    wget: ["3", "sum", 4, null],
    removed: ["3", "sum", 4, null],
    atMs: ["3", "sum", 4, null],
  };
  const list = { fullAtMs: 5, items, gone: { old: ["1", 3] } };
  const earlier = { schema: "pennon.told-updates/2", scanners: { apt: list } };
  system.files.texts.set(PATH, JSON.stringify(earlier));
  assertEquals(await readReportedSnapshot(system, "/state"), SNAPSHOT);
  await saveReportedSnapshot(system, "/state", SNAPSHOT);
  const { schema, scanners } = JSON.parse(system.files.texts.get(PATH) ?? "");
  assertEquals([schema, scanners.apt.full_list_at, scanners.apt.removed], [
    "pennon.reported-snapshot/1",
    "1970-01-01T00:00:00.005Z",
    { old: { version: "1", reported_at: "1970-01-01T00:00:00.003Z" } },
  ]);
  const { curl } = scanners.apt.items;
  assertEquals([curl.reported_at, curl.row], ["1970-01-01T00:00:00.004Z", CURL]);
  assertEquals(await readReportedSnapshot(system, "/state"), SNAPSHOT);
});

Deno.test("readReportedSnapshot() reads a host's tens of thousands of updates, and no endless file", async () => {
  const system = new FakeSystem();
  const item = (n: number) => {
    const reported = { version: "1".repeat(20), sum: "s".repeat(36), atMs: 0, row: null };
    return [`package-with-a-long-name-${n}`, reported] as const;
  };
  const items = Object.fromEntries(Array.from({ length: 40_000 }, (_, n) => item(n)));
  const large = new Map([["apt", { fullAtMs: 5, items, removed: {} }]]);
  await saveReportedSnapshot(system, "/state", large);
  const text = system.files.texts.get(PATH) ?? "";
  system.files.texts.set(PATH, text);
  assertEquals((await readReportedSnapshot(system, "/state")).size, 1);
  system.files.texts.set(PATH, text + " ".repeat(8_388_609 - text.length));
  assertEquals((await readReportedSnapshot(system, "/state")).size, 0);
});

Deno.test("saveReportedSnapshot() throws when the disk refuses", async () => {
  const system = new FakeSystem();
  system.files.fail("save the reported snapshot", "full");
  await assertRejects(() => saveReportedSnapshot(system, "/state", SNAPSHOT), FileError);
});

Deno.test("saveReportedSnapshot() leaves out the rows of a list that would be too long with them", async () => {
  const system = new FakeSystem();
  const row = { ...CURL, package_description: "x".repeat(30_000) };
  const kept = async (count: number) => {
    const items = Object.fromEntries(
      Array.from(
        { length: count },
        (_, n) => [`p${n}`, { version: "2", sum: "sum", atMs: 4, row }],
      ),
    );
    const removed = { old: { version: "1", atMs: 3 } };
    await saveReportedSnapshot(
      system,
      "/state",
      new Map([["apt", { fullAtMs: 5, items, removed }]]),
    );
    const read = (await readReportedSnapshot(system, "/state")).get("apt")!;
    assertEquals([Object.keys(read.items).length, read.removed], [count, removed]);
    return Object.values(read.items).filter(({ version, row }) => version === "2" && row !== null)
      .length;
  };
  assertEquals([await kept(270), await kept(280)], [270, 0]);
});

const CURL_ROW: UpdateItem = { ...removedItem("apt", "curl", "8"), severity: "critical" };
const AT_MS = 1_800_000_000_000;

async function systemWithRows(): Promise<FakeSystem> {
  const system = new FakeSystem();
  await saveReportedSnapshot(
    system,
    "/state",
    new Map([["apt", {
      fullAtMs: AT_MS,
      items: {
        curl: { version: "8", sum: "sum", atMs: AT_MS, row: CURL_ROW },
        huge: { version: "9", sum: "sum", atMs: AT_MS, row: null },
      },
      removed: { old: { version: "1", atMs: AT_MS - 1_000 } },
    }]]),
  );
  return system;
}

/** The rows that are sent again after a command about a package, each with its report's timestamp. */
async function rowsAfter(
  system: FakeSystem,
  type: string,
  params: Record<string, unknown>,
  result: "success" | "failed" = "failed",
): Promise<[row: UpdateItem, timestamp: string][]> {
  const command = { id: "c1", type, params };
  const log = logEvent(command, { result, durationMs: 0 });
  const facts: NewEvent = { kind: "system_info", commandId: null, snapshotOf: null, body: "{}" };
  const events = await withResentRow(system, "/state", { command, events: [facts, log] });
  assertEquals([events[0], events.at(-1)], [facts, log], "the log stays the last event");
  return events.slice(1, -1).map(({ kind, commandId, body }) => {
    const { updates, timestamp, command_id } = JSON.parse(body);
    assertEquals([kind, commandId, command_id, updates.length], ["updates", "c1", "c1", 1]);
    return [updates[0], timestamp];
  });
}

const ABOUT_CURL = { package_type: "apt", package_name: "curl", update_id: "u1" };
const CURLS_ROW: [UpdateItem, string][] = [[CURL_ROW, new Date(AT_MS).toISOString()]];

Deno.test("withResentRow() sends the row after a command about it that was refused or has failed", async () => {
  const system = await systemWithRows();
  for (const type of ["dry_run_update", "confirm_dependencies", "install_updates"]) {
    assertEquals(await rowsAfter(system, type, ABOUT_CURL), CURLS_ROW, type);
  }
  for (const type of ["scan_updates", "reboot", "brew_coffee", "constructor"]) {
    assertEquals(await rowsAfter(system, type, ABOUT_CURL), [], type);
  }
});

Deno.test("withResentRow() sends the row after an installation that has ended, and not after a good dry run", async () => {
  const system = await systemWithRows();
  assertEquals(await rowsAfter(system, "confirm_dependencies", ABOUT_CURL, "success"), CURLS_ROW);
  assertEquals(await rowsAfter(system, "install_updates", ABOUT_CURL, "success"), CURLS_ROW);
  // The server waits for a person now, or installs at once: the row's state says so.
  assertEquals(await rowsAfter(system, "dry_run_update", ABOUT_CURL, "success"), []);
});

Deno.test("withResentRow() sends the row of a removed package as such", async () => {
  const system = await systemWithRows();
  const about = { package_type: "apt", package_name: "old" };
  assertEquals(await rowsAfter(system, "dry_run_update", about), [
    [removedItem("apt", "old", "1"), new Date(AT_MS - 1_000).toISOString()],
  ]);
});

Deno.test("withResentRow() sends no row that is not in the snapshot", async () => {
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
  system.files.fail("read the reported snapshot", "denied");
  assertEquals(await rowsAfter(system, "install_updates", ABOUT_CURL), []);
});

Deno.test("withResentRow() adds nothing where there is no log", async () => {
  const command = { id: "c1", type: "install_updates", params: ABOUT_CURL };
  const system = await systemWithRows();
  assertEquals(await withResentRow(system, "/state", { command, events: [] }), []);
});
