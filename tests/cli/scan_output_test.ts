import { assert, assertEquals } from "@std/assert";
import { scanAsCsv, scanAsJson, scanAsText } from "../../src/cli/scan_output.ts";
import type { ScanReport } from "../../src/scanners/run_scans.ts";
import type { Update } from "../../src/scanners/scanner.ts";

const tool: Update = {
  package: "tool",
  currentVersion: "1.0",
  availableVersion: "1.1",
  architecture: "amd64",
  source: "Debian:12/stable",
  state: "upgradable",
  severity: null,
  severityReason: "apt does not tell",
  security: false,
  cves: [],
  advisories: [],
  sizeBytes: 1_024,
  description: null,
  sourcePackage: null,
  reboot: null,
};
const libssl: Update = { ...tool, package: "libssl3", security: true, sizeBytes: 2_048 };
const held: Update = { ...tool, package: "aaa-held", state: "held", sizeBytes: null };

const apt: ScanReport = {
  name: "apt",
  result: "ok",
  durationMs: 1_200,
  error: null,
  warnings: [],
  metadataAgeS: 60,
  updates: [held, tool, libssl],
};
const dnf: ScanReport = {
  name: "dnf",
  result: "failed",
  durationMs: 5,
  error: { reason: "transient", message: "Cannot scan with dnf: no network" },
  warnings: [],
  metadataAgeS: null,
  updates: [],
};

Deno.test("scanAsText() puts first what matters, and totals last", () => {
  assertEquals(scanAsText([apt, dnf], 80).split("\n"), [
    "PACKAGE         INSTALLED  AVAILABLE  SECURITY  STATE        SIZE",
    "libssl3:amd64   1.0        1.1        yes       upgradable  2 KiB",
    "tool:amd64      1.0        1.1        no        upgradable  1 KiB",
    "aaa-held:amd64  1.0        1.1        no        held            -",
    "",
    "apt: 3 updates, 1 security, 3 KiB to download",
    "dnf: failed",
  ]);
});

Deno.test("scanAsText() calls Windows Update's sizes what they are", () => {
  const windows = { ...apt, name: "winupdate", updates: [tool] } as const;
  assertEquals(
    scanAsText([windows], 80).split("\n").at(-1),
    "winupdate: 1 update, 0 security, at most 1 KiB to download",
  );
});

Deno.test("scanAsText() puts the worst hole first, and one of unknown severity in the middle", () => {
  const severities = ["low", "critical", null, "moderate", "important"] as const;
  const updates = severities.map((severity) => ({ ...libssl, package: `${severity}`, severity }));
  const lines = scanAsText([{ ...apt, updates }], 80).split("\n").slice(1, 6);
  assertEquals(lines.map((line) => line.split(":")[0]), [
    "critical",
    "important",
    "null",
    "moderate",
    "low",
  ]);
});

Deno.test("scanAsText() fits 60 columns by leaving out what matters least", () => {
  const long = {
    ...libssl,
    package: "libpython3.11-minimal",
    currentVersion: "3.11.2-6+deb12u6",
    availableVersion: "3.11.2-6+deb12u9",
  };
  const [heading, row] = scanAsText([{ ...apt, updates: [long] }], 60).split("\n");
  assertEquals(heading, "PACKAGE                 AVAILABLE       SECURITY  STATE");
  assertEquals(row, "libpython3.11-minimal~  3.11.2-6+deb1~  yes       upgradable");
});

Deno.test("scanAsText() says so when there is nothing to update", () => {
  assertEquals(scanAsText([{ ...apt, updates: [] }], 80), "apt: 0 updates, 0 security");
  const degraded = { ...apt, updates: [], result: "degraded" } as const;
  assertEquals(scanAsText([degraded], 80), "apt: 0 updates, 0 security (not complete)");
});

Deno.test("scanAsJson() has the contract's fields, absent scanners too", () => {
  const answer = { reports: [apt, dnf], names: ["apt", "dnf", "winget"], host: "h", startedMs: 0 };
  const json = JSON.parse(scanAsJson(answer));
  assertEquals(json.schema, "pennon.scan/1");
  assertEquals(json.scanned_at, "1970-01-01T00:00:00.000Z");
  const [first, second, third] = json.scanners;
  assertEquals([first.available, first.result, first.error], [true, "ok", null]);
  assertEquals([second.available, second.result], [true, "failed"]);
  assertEquals([third.available, third.error.reason], [false, "not_available"]);
  const required = [
    "package",
    "current_version",
    "available_version",
    "architecture",
    "source",
    "state",
    "severity",
    "severity_reason",
    "security",
    "cves",
    "advisories",
    "size_bytes",
    "description",
  ];
  for (const field of required) assert(field in first.updates[0], field);
});

Deno.test("scanAsCsv() quotes, and disarms what a spreadsheet would calculate", () => {
  const evil = { ...tool, package: '=cmd|"x"', source: "A, B", sizeBytes: null };
  assertEquals(scanAsCsv([{ ...apt, updates: [evil] }]).split("\n"), [
    "scanner,package,current_version,available_version,architecture,source,state,severity," +
    "security,cves,advisories,size_bytes",
    `apt,"'=cmd|""x""",1.0,1.1,amd64,"A, B",upgradable,,false,,,`,
  ]);
});
