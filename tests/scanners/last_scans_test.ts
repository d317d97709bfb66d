import { assertEquals, assertRejects } from "@std/assert";
import {
  lastReboot,
  readLastCounts,
  readLastScans,
  saveLastScans,
} from "../../src/scanners/last_scans.ts";
import type { ScanReport } from "../../src/scanners/run_scans.ts";
import type { ScanSource } from "../../src/scanners/scanner.ts";
import type { Update } from "../../src/update.ts";
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

function updateOf(name: string, extra: Partial<Update> = {}): Update {
  return {
    package: name,
    currentVersion: "1",
    availableVersion: "2",
    architecture: null,
    source: null,
    state: "upgradable",
    severity: null,
    severityReason: "not told",
    security: null,
    cves: [],
    advisories: [],
    sizeBytes: null,
    description: null,
    sourcePackage: null,
    reboot: null,
    ...extra,
  };
}

function sourceOf(name: string, extra: Partial<ScanSource> = {}): ScanSource {
  return {
    name,
    url: null,
    result: "ok",
    why: null,
    metadataAgeS: null,
    expiresAtMs: null,
    marksSecurity: null,
    ...extra,
  };
}

Deno.test("saveLastScans() saves a scanner's last scan beside those of the others", async () => {
  const files = new FakeFiles();
  await saveLastScans(files, "/state", { reports: [report("apt"), report("dnf")], nowMs: 1_000 });
  const error = { reason: "locked" as const, message: "Cannot scan" };
  const again = report("dnf", { result: "failed", error });
  await saveLastScans(files, "/state", { reports: [again], nowMs: 2_000 });
  const kept = await readLastScans(files, "/state");
  assertEquals([kept["apt"]?.at_ms, kept["dnf"]?.at_ms], [1_000, 2_000]);
  assertEquals([kept["apt"]?.error, kept["dnf"]?.error], [null, "Cannot scan"]);
  assertEquals(files.modes.get("/state/last-scans.json"), 0o600);
});

Deno.test("saveLastScans() preserves the count of the newest list while scans fail", async () => {
  const files = new FakeFiles();
  const counts: (number | undefined)[] = [];
  const error = { reason: "transient" as const, message: "Cannot scan" };
  const update = updateOf("x");
  const reports = [
    report("apt", { result: "failed", error }),
    report("apt", { updates: [update, update] }),
    report("apt", { result: "failed", error }),
    report("apt", { result: "degraded" }),
  ];
  for (const each of reports) {
    await saveLastScans(files, "/state", { reports: [each], nowMs: 1_000 });
    counts.push((await readLastScans(files, "/state"))["apt"]?.last_count);
  }
  assertEquals(counts, [undefined, 2, 2, 0]);
});

Deno.test("saveLastScans() saves the first warning of a degraded scan, and of no other", async () => {
  const files = new FakeFiles();
  const warnings = ["w".repeat(1_001), "second"];
  const reports = [report("apt", { result: "degraded", warnings }), report("dnf", { warnings })];
  await saveLastScans(files, "/state", { reports, nowMs: 1_000 });
  const { apt, dnf } = await readLastScans(files, "/state");
  assertEquals([apt?.warning, dnf?.warning], ["w".repeat(1_000), null]);
});

Deno.test("readLastScans() returns no scan from an unreadable file", async () => {
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
  const update = updateOf("x");
  const reports = [
    report("apt", { updates: [update, update] }),
    report("dnf", { result: "failed", error }),
  ];
  await saveLastScans(files, "/state", { reports, nowMs: 0 });
  assertEquals(await readLastCounts(files, "/state"), new Map([["apt", 2]]));
  const refusing = new FakeFiles();
  refusing.readText = () => Promise.reject(new FileError("Cannot read", { reason: "denied" }));
  assertEquals(await readLastCounts(refusing, "/state"), new Map());
  refusing.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readLastCounts(refusing, "/state"), TypeError, "oops");
});

Deno.test("saveLastScans() writes a readable file, whatever a scanner reports", async () => {
  await fc.assert(
    fc.asyncProperty(anyText(3_000), async (message) => {
      const files = new FakeFiles();
      const error = { reason: "transient" as const, message };
      const reports = [report("apt", { result: "failed", error }), report("dnf")];
      await saveLastScans(files, "/state", { reports, nowMs: 1_000 });
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
  await saveLastScans(files, "/state", { reports: failed, nowMs: 1_000 });
  await saveLastScans(files, "/state", { reports: [report("apt")], nowMs: 2_000 });
  assertEquals((await readLastScans(files, "/state"))["apt"]?.at_ms, 2_000);
});

Deno.test("lastReboot() goes by scans since the host last started", async () => {
  const files = new FakeFiles();
  const reboot = { isRequired: true, reason: "a new kernel" };
  await saveLastScans(files, "/state", { reports: [report("apt", { reboot })], nowMs: 1_000 });
  const scans = await readLastScans(files, "/state");
  assertEquals(lastReboot(scans, null), reboot);
  assertEquals(lastReboot(scans, 1_000), reboot);
  assertEquals(lastReboot(scans, 1_001), null);
  const early = new FakeFiles(); // By a clock that was set to before 1970.
  await saveLastScans(early, "/state", { reports: [report("apt", { reboot })], nowMs: -1_000 });
  assertEquals(lastReboot(await readLastScans(early, "/state"), null), reboot);
  await saveLastScans(files, "/state", { reports: [report("apt")], nowMs: 2_000 });
  assertEquals(lastReboot(await readLastScans(files, "/state"), null), null);
});

Deno.test("saveLastScans() counts updates and those that are security's, without what is ignored", async () => {
  const files = new FakeFiles();
  const updates = [
    updateOf("a", { security: true }),
    updateOf("b", { security: true }),
    updateOf("c", { security: false }),
    updateOf("d"),
    updateOf("e", { security: true, state: "ignored" }),
  ];
  await saveLastScans(files, "/state", { reports: [report("apt", { updates })], nowMs: 0 });
  const kept = (await readLastScans(files, "/state"))["apt"];
  assertEquals([kept?.updates, kept?.security, kept?.last_count], [4, 2, 5]);
});

Deno.test("saveLastScans() saves 1,000 characters of why a restart is due", async () => {
  const files = new FakeFiles();
  for (const length of [1_000, 1_001]) {
    const reboot = { isRequired: true, reason: "x".repeat(length) };
    await saveLastScans(files, "/state", { reports: [report("apt", { reboot })], nowMs: 0 });
    const kept = (await readLastScans(files, "/state"))["apt"];
    assertEquals(kept?.reboot, { required: true, reason: "x".repeat(1_000) });
  }
});

Deno.test("saveLastScans() ends when the file is written, or cannot be", async () => {
  const files = new FakeFiles();
  files.writeText = async () => {
    await settle();
    throw new FileError("Cannot keep", { reason: "full" });
  };
  const scans = { reports: [report("apt")], nowMs: 0 };
  await assertRejects(() => saveLastScans(files, "/state", scans), FileError, "Cannot keep");
});

Deno.test("readLastScans() reads the form of earlier releases, and saveLastScans() writes the present one", async () => {
  const files = new FakeFiles();
  const path = "/state/last-scans.json";
  const scan = {
    result: "ok",
    updates: 3,
    last_count: 3,
    security: 1,
    duration_ms: 5,
    error: null,
  };
  files.texts.set(path, JSON.stringify({ apt: { ...scan, at_ms: 60_000 } }));
  assertEquals((await readLastScans(files, "/state"))["apt"]?.at_ms, 60_000);
  await saveLastScans(files, "/state", { reports: [report("dnf")], nowMs: 120_000 });
  const { schema, scanners } = JSON.parse(files.texts.get(path) ?? "");
  assertEquals(schema, "pennon.last-scans/1");
  assertEquals(scanners.apt, { scanned_at: "1970-01-01T00:01:00.000Z", ...scan });
  assertEquals(scanners.dnf.scanned_at, "1970-01-01T00:02:00.000Z");
  assertEquals((await readLastScans(files, "/state"))["apt"]?.at_ms, 60_000);
});

Deno.test("saveLastScans() counts the newest list by state, severity and security, also while scans fail", async () => {
  const files = new FakeFiles();
  const updates = [
    updateOf("a", { security: true, severity: "critical" }),
    updateOf("b", { security: true, severity: "critical" }),
    updateOf("c", { security: false }),
    updateOf("d", { state: "ignored" }),
  ];
  const counts = [
    { state: "upgradable", severity: "critical", security: true, count: 2 },
    { state: "upgradable", severity: null, security: false, count: 1 },
    { state: "ignored", severity: null, security: null, count: 1 },
  ];
  const error = { reason: "locked" as const, message: "Cannot scan" };
  const reports = [report("apt", { updates }), report("apt", { result: "failed", error })];
  for (const [index, each] of reports.entries()) {
    await saveLastScans(files, "/state", { reports: [each], nowMs: 1_000 * (index + 1) });
    const kept = (await readLastScans(files, "/state"))["apt"];
    assertEquals(kept?.counts, counts);
    assertEquals([kept?.at_ms, kept?.listed_at_ms], [1_000 * (index + 1), 1_000]);
  }
  await saveLastScans(files, "/state", { reports: [report("apt")], nowMs: 3_000 });
  assertEquals((await readLastScans(files, "/state"))["apt"]?.counts, []);
});

Deno.test("saveLastScans() saves 50 sources by name with the instant of their lists", async () => {
  const files = new FakeFiles();
  const sources = [
    sourceOf("main", { metadataAgeS: 60 }),
    sourceOf("disc", { result: "not_asked" }),
    sourceOf("x".repeat(201), { result: "failed" }),
  ];
  await saveLastScans(files, "/state", { reports: [report("apt", { sources })], nowMs: 90_000 });
  const expected = [
    { name: "main", result: "ok", lists_at_ms: 30_000 },
    { name: "x".repeat(200), result: "failed", lists_at_ms: null },
  ];
  const error = { reason: "transient" as const, message: "Cannot scan" };
  const failed = report("apt", { result: "failed", error });
  for (let round = 0; round < 2; round++) {
    const kept = (await readLastScans(files, "/state"))["apt"];
    assertEquals([kept?.sources, kept?.more_sources], [expected, 0]);
    await saveLastScans(files, "/state", { reports: [failed], nowMs: 100_000 });
  }
  for (const [count, more] of [[50, 0], [51, 1]] as const) {
    const many = Array.from({ length: count }, (_, index) => sourceOf(`s${index}`));
    await saveLastScans(files, "/state", { reports: [report("apt", { sources: many })], nowMs: 0 });
    const kept = (await readLastScans(files, "/state"))["apt"];
    assertEquals([kept?.sources?.length, kept?.more_sources], [50, more]);
  }
});
