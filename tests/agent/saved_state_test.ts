import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  forgetState,
  loadScannerBreakers,
  loadState,
  saveScannerBreakers,
  saveState,
  showScannerBreakers,
  showState,
} from "../../src/agent/saved_state.ts";
import type { Breaker } from "../../src/breaker/breaker.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";
import { anyText } from "../fakes/texts.ts";

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

import fc from "fast-check";

const PATH = "/state/scanner-breakers.json";
const HOUR_MS = 3_600_000;

function openBreaker(system: FakeSystem, reason: string): Breaker {
  const nowMs = system.clock.monotonicMs();
  return {
    state: "open",
    generation: 3,
    failures: 4,
    trips: 1,
    reason,
    sinceMs: nowMs,
    untilMs: nowMs + 2 * HOUR_MS,
  };
}

Deno.test("loadScannerBreakers() goes on where saveScannerBreakers() stopped", async () => {
  const system = new FakeSystem();
  assertEquals(await loadScannerBreakers(system, "/state", HOUR_MS), new Map());
  const closed: Breaker = { state: "closed", generation: 1, failures: 2, recent: [] };
  const breakers = new Map([["apt", openBreaker(system, "exit 100")], ["dnf", closed]]);
  await saveScannerBreakers(system, "/state", breakers);
  assertEquals(system.files.modes.get(PATH), 0o600);
  assertEquals(await loadScannerBreakers(system, "/state", 2 * HOUR_MS), breakers);
  const cut = (await loadScannerBreakers(system, "/state", HOUR_MS)).get("apt");
  assert(cut?.state === "open");
  assertEquals(cut.untilMs, system.clock.monotonicMs() + HOUR_MS);
});

Deno.test("a damaged file of the scanners' breakers holds nothing against a scanner", async () => {
  const system = new FakeSystem();
  const name = "x".repeat(51);
  const tooLong = { [name]: { state: "closed", generation: 0, failures: 0, recent: [] } };
  const long = JSON.stringify({ schema: "pennon.scanner-breakers/1", breakers: tooLong });
  for (const text of ["", "{", "null", '{"schema":"pennon.scanner-breakers/2"}', long]) {
    system.files.texts.set(PATH, text);
    assertEquals(await showScannerBreakers(system, "/state"), {}, text);
  }
  system.files.texts.set(PATH, long.replace(name, "x".repeat(50)));
  assertEquals(Object.keys(await showScannerBreakers(system, "/state")), ["x".repeat(50)]);
  system.files.fail("read the scanners' breakers", "denied");
  await assertRejects(() => loadScannerBreakers(system, "/state", HOUR_MS), FileError);
});

Deno.test("saveScannerBreakers() is readable again, whatever a scanner said and at what length", async () => {
  await fc.assert(
    fc.asyncProperty(anyText(2_500), async (reason) => {
      const system = new FakeSystem();
      const breakers = new Map([["apt", openBreaker(system, reason)]]);
      await saveScannerBreakers(system, "/state", breakers);
      const loaded = (await loadScannerBreakers(system, "/state", 2 * HOUR_MS)).get("apt");
      assert(loaded?.state === "open");
      assertEquals(loaded.reason, reason.slice(0, 1_000));
    }),
    { numRuns: 50 },
  );
});

const tripped = { generation: 1, failures: 3, trips: 1, reason: "HTTP 500", sinceMs: 0 };

Deno.test("saveScannerBreakers() writes what loadScannerBreakers() reads", async () => {
  const system = new FakeSystem();
  const breakers = new Map<string, Breaker>([
    ["apt", { state: "open", ...tripped, untilMs: system.clock.monotonicMs() + 1_000 }],
    ["dnf", { state: "closed", generation: 2, failures: 0, recent: [] }],
  ]);
  await saveScannerBreakers(system, "/state", breakers);
  assertEquals(await loadScannerBreakers(system, "/state", Infinity), breakers);
});

Deno.test("saveScannerBreakers() lets no breaker cost the others, whatever it is", async () => {
  const number = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, 1e300));
  const odd: fc.Arbitrary<Breaker> = fc.record({
    state: fc.constant("open" as const),
    generation: number,
    failures: number,
    trips: number,
    reason: fc.oneof(fc.string(), fc.constant("x".repeat(2_000))),
    sinceMs: number,
    untilMs: number,
  });
  const names = fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "x".repeat(51)));
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(names, odd)), async (entries) => {
    const system = new FakeSystem();
    const apt = { state: "closed" as const, generation: 2, failures: 0, recent: [] };
    await saveScannerBreakers(system, "/state", new Map([...entries, ["apt", apt]]));
    assertEquals((await showScannerBreakers(system, "/state"))["apt"], apt);
  }));
});
