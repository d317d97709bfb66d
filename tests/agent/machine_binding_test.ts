import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  loadMachineBinding,
  machineIdForCalls,
  peekMachineId,
  saveAdoptedId,
  saveRegisteredId,
} from "../../src/agent/machine_binding.ts";
import { readMachineId } from "../../src/host/machine_id.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

/** SHA-256 of the fake's machine id: protocol 0.2, section 9. */
const HOST_ID = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";

function bare(): FakeSystem {
  const system = new FakeSystem();
  system.files.ofHost.clear();
  return system;
}

Deno.test("loadMachineBinding() sends the id that the host has now, whatever was registered", async () => {
  const system = new FakeSystem();
  const warnings: string[] = [];
  const load = () => loadMachineBinding(system, "/state", (why) => warnings.push(why));
  assertEquals(await load(), { ownId: HOST_ID, sentId: HOST_ID });
  // As on a machine to which the state directory was copied.
  await saveRegisteredId(system, "/state", "f".repeat(64));
  assertEquals(await load(), { ownId: HOST_ID, sentId: HOST_ID });
  assertEquals(warnings, []);
});

Deno.test("loadMachineBinding() keeps the id of a host that has none of its own", async () => {
  const system = bare();
  const warnings: string[] = [];
  const load = () => loadMachineBinding(system, "/state", (why) => warnings.push(why));
  const first = await load();
  assertMatch(first.ownId, /^[0-9a-f]{64}$/);
  assertEquals(await load(), first);
  await saveRegisteredId(system, "/state", "e".repeat(64));
  assertEquals(await load(), { ownId: first.ownId, sentId: "e".repeat(64) });
  assertEquals([warnings.length, system.files.modes.get("/state/machine.json")], [3, 0o600]);
  await saveRegisteredId(system, "/state", null);
  assertEquals(await load(), first);
});

Deno.test("machineIdForCalls() goes on where the disk refuses the id, and says so", async () => {
  const system = bare();
  system.files.fail("save the machine id", "full");
  await assertRejects(() => loadMachineBinding(system, "/state", () => {}), FileError);
  const warnings: string[] = [];
  const id = await machineIdForCalls(system, "/state", (why) => warnings.push(why));
  assertEquals(id, (await readMachineId(system)).id);
  assert(warnings.some((why) => why.includes("save the machine id")));
});

Deno.test("saveAdoptedId() keeps the id that RedFlag's agent sent, even a poor one", async () => {
  const system = bare();
  await saveAdoptedId(system, "/state");
  const { id, isFallback } = await readMachineId(system);
  assertEquals(isFallback, true);
  assertEquals(await machineIdForCalls(system, "/state", () => {}), id);
});

Deno.test("peekMachineId() is what calls send, and draws nothing for a host that has no id yet", async () => {
  assertEquals(await peekMachineId(new FakeSystem(), "/state"), HOST_ID);
  const system = bare();
  assertEquals(await peekMachineId(system, "/state"), null);
  assertEquals(system.files.texts.size, 0);
  const { ownId } = await loadMachineBinding(system, "/state", () => {});
  assertEquals(await peekMachineId(system, "/state"), ownId);
  await saveRegisteredId(system, "/state", "e".repeat(64));
  assertEquals(await peekMachineId(system, "/state"), "e".repeat(64));
});
