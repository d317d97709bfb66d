import { assertEquals, assertRejects } from "@std/assert";
import { runScans } from "../../src/scanners/run_scans.ts";
import { ScanError, type Scanner } from "../../src/scanners/scanner.ts";
import { FakeSystem } from "../fakes/system.ts";

function scanner(name: string, scan: Scanner["scan"]): Scanner {
  return { name, isAvailable: () => Promise.resolve(true), scan };
}

const well = scanner("apt", () => Promise.resolve({ updates: [], warnings: [], metadataAgeS: 5 }));
const doubtful = scanner(
  "winget",
  () => Promise.resolve({ updates: [], warnings: ["half of it"], metadataAgeS: null }),
);
const locked = scanner(
  "dnf",
  () => Promise.reject(new ScanError("Cannot scan: locked", { reason: "locked" })),
);
const mistaken = scanner("winupdate", () => Promise.reject(new TypeError("x is undefined")));

Deno.test("runScans() tells of every scanner, and one that fails stops no other", async () => {
  const reports = await runScans(new FakeSystem(), [well, doubtful, locked, mistaken]);
  assertEquals(reports.map(({ name, result, error }) => [name, result, error]), [
    ["apt", "ok", null],
    ["winget", "degraded", null],
    ["dnf", "failed", { reason: "locked", message: "Cannot scan: locked" }],
    ["winupdate", "failed", {
      reason: "permanent",
      message: "Cannot scan with winupdate: TypeError: x is undefined",
    }],
  ]);
  assertEquals(reports.map(({ metadataAgeS }) => metadataAgeS), [5, null, null, null]);
});

Deno.test("runScans() that is called off is no failure of the scanner", async () => {
  const stop = AbortSignal.abort(new Error("stopped"));
  await assertRejects(() => runScans(new FakeSystem(), [locked], { signal: stop }), ScanError);
});

Deno.test("runScans() tells each scanner what its own last list held", async () => {
  const told: unknown[] = [];
  const curious = ["apt", "winget"].map((name) =>
    scanner(name, (_, options) => {
      told.push([name, options]);
      return Promise.resolve({ updates: [], warnings: [], metadataAgeS: null });
    })
  );
  await runScans(new FakeSystem(), curious, { lastCounts: new Map([["winget", 3]]) });
  assertEquals(told, [["apt", {}], ["winget", { lastCount: 3 }]]);
});

Deno.test("runScans() tells how long each scanner took, whether it succeeded or failed", async () => {
  const system = new FakeSystem();
  await system.clock.advance(5_000); // The clock does not begin at nothing.
  const slow = (name: string, ms: number, { scan }: Scanner) =>
    scanner(name, async (host, options) => {
      await system.clock.sleep(ms, new AbortController().signal);
      return await scan(host, options);
    });
  const scanning = runScans(system, [slow("apt", 1_000.4, well), slow("dnf", 2_000.6, locked)]);
  await system.clock.advance(3_000);
  const reports = await scanning;
  assertEquals(reports.map(({ name, durationMs }) => [name, durationMs]), [
    ["apt", 1_000],
    ["dnf", 2_001],
  ]);
});
