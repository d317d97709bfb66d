import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Breaker } from "../../src/breaker/breaker.ts";
import {
  loadScannerBreakers,
  saveScannerBreakers,
  showScannerBreakers,
} from "../../src/agent/scanner_breakers_file.ts";
import { FakeSystem } from "../fakes/system.ts";

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
