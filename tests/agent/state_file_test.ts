import { assertEquals, assertRejects } from "@std/assert";
import { forgetState, loadState, saveState, showState } from "../../src/agent/state_file.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const longest = {
  notBeforeMs: 7_200_000,
  openMs: 300_000,
  rapidMs: 3_600_000,
  intervalMs: 600_000,
};

Deno.test("the loop's state is found again after a restart", async () => {
  const system = new FakeSystem();
  const log = new FakeLog();
  assertEquals(await loadState(system, "/state", { longest, log }), NEW_STATE);
  const nextCheckInMs = system.clock.monotonicMs() + 60_000;
  await saveState(system, "/state", { ...NEW_STATE, nextCheckInMs });
  const loaded = await loadState(system, "/state", { longest, log });
  assertEquals(loaded.nextCheckInMs, nextCheckInMs);
  assertEquals((await showState(system, "/state"))?.nextCheckInMs, system.clock.nowMs() + 60_000);
  assertEquals(system.files.modes.get("/state/state.json"), 0o600);
  await forgetState(system, "/state");
  assertEquals(await loadState(system, "/state", { longest, log }), NEW_STATE);
  assertEquals(log.events, []);
});

Deno.test("a damaged state is told of and begun anew, a disk that fails is not hidden", async () => {
  const system = new FakeSystem();
  for (const text of ["", "{", "null", '{"schema":"pennon.state/1"}']) {
    const log = new FakeLog();
    system.files.texts.set("/state/state.json", text);
    assertEquals(await loadState(system, "/state", { longest, log }), NEW_STATE, text);
    assertEquals(log.events.map(({ level }) => level), ["warning"]);
    assertEquals(await showState(system, "/state"), undefined);
  }
  system.files.fail("read state", "denied");
  const options = { longest, log: new FakeLog() };
  await assertRejects(() => loadState(system, "/state", options), FileError);
});
