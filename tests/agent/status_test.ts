import { assertEquals, assertRejects } from "@std/assert";
import { readStatus } from "../../src/agent/status.ts";
import { loadConfig } from "../../src/config.ts";
import { FileError } from "../../src/system/files.ts";
import { CONDITION_STATE, ConditionHost, NOW } from "../fakes/condition_host.ts";
import type { FakeSystem } from "../fakes/system.ts";

async function read(system: FakeSystem) {
  const { config } = await loadConfig(system, {});
  return await readStatus(system, { stateDirectory: CONDITION_STATE, config });
}

Deno.test("readStatus() reads what there is, and writes nothing", async () => {
  const host = await ConditionHost.running();
  host.scanner(null, { result: "degraded", warning: "old lists" });
  const before = new Map(host.system.files.texts);
  const status = await read(host.system);
  assertEquals([status.nowMs, status.identity?.serverUrl], [NOW, "https://redflag.example"]);
  assertEquals([status.holder?.process_id, status.disk.note?.disk], [786, "ok"]);
  assertEquals(status.scans["apt"]?.warning, "old lists");
  assertEquals([status.damaged, status.scanners.available], [[], ["apt"]]);
  assertEquals([status.buffer, status.disk.bufferError, status.hasDrawnMachineId], [
    null,
    null,
    false,
  ]);
  assertEquals(host.system.files.texts, before);
});

Deno.test("readStatus() takes no word of a disk from an agent that has ended", async () => {
  const host = await ConditionHost.running();
  await host.disk("full", "no room", 3);
  assertEquals((await read(host.system)).disk.note?.disk, "full");
  host.system.files.fail("write to the disk", "denied");
  assertEquals(
    (await read(host.system)).disk.refusal,
    "Cannot write to the disk: denied on purpose",
  );
  host.system.files.heal("write to the disk");
  host.dies();
  const { holder, disk } = await read(host.system);
  assertEquals([holder, disk.note, disk.refusal], [null, null, null]);
  const other = await ConditionHost.running();
  other.file("agent.json", '{"process_id":99,"since_ms":1}');
  assertEquals((await read(other.system)).disk.note, null);
});

Deno.test("readStatus() names each damaged file, and goes on", async () => {
  const host = await ConditionHost.running();
  const files = ["state.json", "keys.json", "scanner-breakers.json", "last-scans.json"];
  for (const file of files) host.file(file, "{");
  const { damaged, state, scans, identity } = await read(host.system);
  assertEquals(damaged.map(({ file }) => file), files);
  assertEquals([state, scans, identity?.intervalMs], [null, {}, 300_000]);
  host.file("identity.json", "{");
  const worse = await read(host.system);
  assertEquals([worse.identity, worse.identityError?.includes("is corrupt")], [null, true]);
});

Deno.test("readStatus() says whether the machine id was drawn", async () => {
  const host = await ConditionHost.running();
  const machine = (own: string | null) =>
    JSON.stringify({ schema: "pennon.machine/1", own, registered: null });
  host.file("machine.json", machine("a".repeat(64)));
  assertEquals((await read(host.system)).hasDrawnMachineId, true);
  host.file("machine.json", machine(null));
  assertEquals((await read(host.system)).hasDrawnMachineId, false);
});

Deno.test("readStatus() calls a disk full up to what a file system keeps for itself", async () => {
  const MIB = 1_048_576;
  const { system } = await ConditionHost.running();
  const rows: [totalBytes: number, freeBytes: number, isFull: boolean][] = [
    [2_846_720, 82_944, true], // ext4 of 4 MiB without room for any file.
    [100, 5, true],
    [100, 6, false],
    [1e12, 64 * MIB, true],
    [1e12, 64 * MIB + 1, false],
  ];
  for (const [totalBytes, freeBytes, isFull] of rows) {
    system.machine = { ...system.machine, disk: () => ({ totalBytes, freeBytes }) };
    assertEquals((await read(system)).disk.isFull, isFull, `${totalBytes} ${freeBytes}`);
  }
  system.machine = { ...system.machine, disk: () => null };
  assertEquals((await read(system)).disk.isFull, false);
});

Deno.test("readStatus() throws where the files may not be read", async () => {
  const host = await ConditionHost.running();
  host.system.files.fail("read the identity", "denied");
  await assertRejects(() => read(host.system), FileError);
});
