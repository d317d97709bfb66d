import { assertEquals, assertRejects } from "@std/assert";
import {
  keepLastScans,
  lastReboot,
  readLastCounts,
  readLastScans,
} from "../../src/scanners/last_scans.ts";
import type { ScanReport } from "../../src/scanners/run_scans.ts";
import { FileError } from "../../src/system/files.ts";
import fc from "fast-check";
import { settle } from "../fakes/clock.ts";
import { FakeFiles } from "../fakes/files.ts";
import { anyText } from "../fakes/texts.ts";

function report(name: "apt" | "dnf", extra: Partial<ScanReport> = {}): ScanReport {
  return {
    name,
    result: "ok",
    durationMs: 5,
    error: null,
    warnings: [],
    sources: [],
    metadataAgeS: null,
    reboot: null,
    updates: [],
    ...extra,
  };
}

Deno.test("keepLastScans() keeps a scanner's last scan beside the others'", async () => {
  const files = new FakeFiles();
  await keepLastScans(files, "/state", { reports: [report("apt"), report("dnf")], nowMs: 1_000 });
  const error = { reason: "locked" as const, message: "Cannot scan" };
  const again = report("dnf", { result: "failed", error });
  await keepLastScans(files, "/state", { reports: [again], nowMs: 2_000 });
  const kept = await readLastScans(files, "/state");
  assertEquals([kept["apt"]?.at_ms, kept["dnf"]?.at_ms], [1_000, 2_000]);
  assertEquals([kept["apt"]?.error, kept["dnf"]?.error], [null, "Cannot scan"]);
  assertEquals(files.modes.get("/state/last-scans.json"), 0o600);
});

Deno.test("keepLastScans() keeps the count of the newest list through scans that fail", async () => {
  const files = new FakeFiles();
  const counts: (number | undefined)[] = [];
  const error = { reason: "transient" as const, message: "Cannot scan" };
  const update = { package: "x" } as ScanReport["updates"][number];
  const reports = [
    report("apt", { result: "failed", error }),
    report("apt", { updates: [update, update] }),
    report("apt", { result: "failed", error }),
    report("apt", { result: "degraded" }),
  ];
  for (const each of reports) {
    await keepLastScans(files, "/state", { reports: [each], nowMs: 1_000 });
    counts.push((await readLastScans(files, "/state"))["apt"]?.last_count);
  }
  assertEquals(counts, [undefined, 2, 2, 0]);
});

Deno.test("readLastScans() reads a damaged file as none", async () => {
  const files = new FakeFiles();
  assertEquals(await readLastScans(files, "/state"), {});
  for (const text of ["{", "[]", '{"apt":{"at_ms":"soon"}}', "null"]) {
    files.texts.set("/state/last-scans.json", text);
    assertEquals(await readLastScans(files, "/state"), {}, text);
  }
});

Deno.test("readLastCounts() knows the newest lists, and nothing of what it may not read", async () => {
  const files = new FakeFiles();
  assertEquals(await readLastCounts(files, "/state"), new Map());
  const error = { reason: "transient" as const, message: "Cannot scan" };
  const update = { package: "x" } as ScanReport["updates"][number];
  const reports = [
    report("apt", { updates: [update, update] }),
    report("dnf", { result: "failed", error }),
  ];
  await keepLastScans(files, "/state", { reports, nowMs: 0 });
  assertEquals(await readLastCounts(files, "/state"), new Map([["apt", 2]]));
  const refusing = new FakeFiles();
  refusing.readText = () => Promise.reject(new FileError("Cannot read", { reason: "denied" }));
  assertEquals(await readLastCounts(refusing, "/state"), new Map());
  refusing.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readLastCounts(refusing, "/state"), TypeError, "oops");
});

Deno.test("keepLastScans() is readable again, whatever a scanner complained of and at what length", async () => {
  await fc.assert(
    fc.asyncProperty(anyText(3_000), async (message) => {
      const files = new FakeFiles();
      const error = { reason: "transient" as const, message };
      const reports = [report("apt", { result: "failed", error }), report("dnf")];
      await keepLastScans(files, "/state", { reports, nowMs: 1_000 });
      const kept = await readLastScans(files, "/state");
      assertEquals(kept["apt"]?.error, message.slice(0, 1_000));
      assertEquals(kept["dnf"]?.error, null);
    }),
    { numRuns: 50 },
  );
  // Megabytes of it would make a file that is never read again, nor therefore written.
  const files = new FakeFiles();
  const error = { reason: "transient" as const, message: "x".repeat(2_000_000) };
  const failed = [report("apt", { result: "failed", error })];
  await keepLastScans(files, "/state", { reports: failed, nowMs: 1_000 });
  await keepLastScans(files, "/state", { reports: [report("apt")], nowMs: 2_000 });
  assertEquals((await readLastScans(files, "/state"))["apt"]?.at_ms, 2_000);
});

Deno.test("lastReboot() goes by scans since the host last started", async () => {
  const files = new FakeFiles();
  const reboot = { isRequired: true, reason: "a new kernel" };
  await keepLastScans(files, "/state", { reports: [report("apt", { reboot })], nowMs: 1_000 });
  const scans = await readLastScans(files, "/state");
  assertEquals(lastReboot(scans, null), reboot);
  assertEquals(lastReboot(scans, 1_000), reboot);
  assertEquals(lastReboot(scans, 1_001), null);
  const early = new FakeFiles(); // By a clock that was set to before 1970.
  await keepLastScans(early, "/state", { reports: [report("apt", { reboot })], nowMs: -1_000 });
  assertEquals(lastReboot(await readLastScans(early, "/state"), null), reboot);
  await keepLastScans(files, "/state", { reports: [report("apt")], nowMs: 2_000 });
  assertEquals(lastReboot(await readLastScans(files, "/state"), null), null);
});

Deno.test("keepLastScans() counts updates and those that are security's, without what is ignored", async () => {
  const files = new FakeFiles();
  const updates = [
    { package: "a", security: true },
    { package: "b", security: true },
    { package: "c", security: false },
    { package: "d", security: null },
    { package: "e", security: true, state: "ignored" },
  ] as unknown as ScanReport["updates"];
  await keepLastScans(files, "/state", { reports: [report("apt", { updates })], nowMs: 0 });
  const kept = (await readLastScans(files, "/state"))["apt"];
  assertEquals([kept?.updates, kept?.security, kept?.last_count], [4, 2, 5]);
});

Deno.test("keepLastScans() keeps 1,000 characters of why a restart is due", async () => {
  const files = new FakeFiles();
  for (const length of [1_000, 1_001]) {
    const reboot = { isRequired: true, reason: "x".repeat(length) };
    await keepLastScans(files, "/state", { reports: [report("apt", { reboot })], nowMs: 0 });
    const kept = (await readLastScans(files, "/state"))["apt"];
    assertEquals(kept?.reboot, { required: true, reason: "x".repeat(1_000) });
  }
});

Deno.test("keepLastScans() ends when they are kept, or cannot be", async () => {
  const files = new FakeFiles();
  files.writeText = async () => {
    await settle();
    throw new FileError("Cannot keep", { reason: "full" });
  };
  const scans = { reports: [report("apt")], nowMs: 0 };
  await assertRejects(() => keepLastScans(files, "/state", scans), FileError, "Cannot keep");
});
