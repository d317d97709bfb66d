import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import { realSystem } from "../../src/system/real.ts";
import { DnfRoot, missingPrograms, type RpmPackage } from "./dnf_root.ts";

const system = realSystem();

function onDnf(name: string, test: (root: DnfRoot) => Promise<void>): void {
  Deno.test(name, async () => {
    const missing = await missingPrograms();
    if (missing.length > 0) return console.log(`skipped: no ${missing.join(", ")} here`);
    await using root = await DnfRoot.make();
    await test(root);
  });
}

const INSTALLED: readonly RpmPackage[] = [
  { name: "bash", evr: "5.1.8-6.el9" },
  { name: "openssl-libs", evr: "1:3.0.7-24.el9" },
  { name: "tzdata", evr: "2024a-1.el9", architecture: "noarch" },
  { name: "multi", evr: "1-1.el9" },
  { name: "c++-tool_x", evr: "1.0~rc1-1.el9" },
  { name: "current", evr: "2-1.el9" },
];

const openssl: RpmPackage = { name: "openssl-libs", evr: "1:3.0.7-28.el9_4" };
const multi: RpmPackage = { name: "multi", evr: "1-3.el9" };

async function fill(root: DnfRoot): Promise<void> {
  await root.install(INSTALLED);
  await root.offer("updates", [
    { name: "bash", evr: "5.1.8-9.el9" },
    openssl,
    { name: "tzdata", evr: "2024b-2.el9", architecture: "noarch" },
    multi,
    { name: "current", evr: "2-1.el9" },
    { name: "not-installed", evr: "9-1.el9" },
  ], [
    {
      id: "RHSA-2026:1001",
      type: "security",
      severity: "Important",
      references: [{ type: "cve", id: "CVE-2026-0001" }, { type: "self", id: "RHSA-2026:1001" }],
      packages: [openssl],
    },
    {
      id: "RHSA-2026:1003",
      type: "security",
      severity: "Moderate",
      references: [{ type: "cve", id: "CVE-2026-0004" }],
      packages: [{ name: "multi", evr: "1-2.el9" }],
    },
    {
      id: "FEDORA-2026-1bbec06c4d",
      type: "bugfix",
      packages: [{ name: "bash", evr: "5.1.8-9.el9" }],
    },
    {
      id: "RHSA-2026:9999",
      type: "security",
      severity: "Critical",
      packages: [{ name: "not-installed", evr: "9-1.el9" }],
    },
  ]);
  await root.offer("vendor", [{ name: "c++-tool_x", evr: "1.0-1.el9" }]);
  const { code, stderr } = await root.dnf("makecache");
  assertEquals(code, 0, stderr);
}

onDnf("lists what dnf would upgrade, with severity, CVEs and advisories", async (root) => {
  await fill(root);
  const { updates, warnings, metadataAgeS } = await dnfScanner(root.options).scan(system, {});
  assertEquals(
    updates.map((update) =>
      `${update.package} ${update.currentVersion} -> ${update.availableVersion} ${update.source} ` +
      `${update.severity} ${update.security} ${update.cves} ${update.advisories}`
    ).toSorted(),
    [
      "bash 5.1.8-6.el9 -> 5.1.8-9.el9 updates null false  FEDORA-2026-1bbec06c4d",
      "c++-tool_x 1.0~rc1-1.el9 -> 1.0-1.el9 vendor null null  ",
      "multi 1-1.el9 -> 1-3.el9 updates moderate true CVE-2026-0004 RHSA-2026:1003",
      "openssl-libs 1:3.0.7-24.el9 -> 1:3.0.7-28.el9_4 updates important true CVE-2026-0001 " +
      "RHSA-2026:1001",
      "tzdata 2024a-1.el9 -> 2024b-2.el9 updates null false  ",
    ],
  );
  assertEquals(warnings, []);
  assert(updates.every(({ sizeBytes }) => (sizeBytes ?? 0) > 0));
  if (Deno.uid() === 0) assert(metadataAgeS !== null && metadataAgeS < 600);
  const own = await root.dnf("-q", "-C", "check-update");
  const listed = own.stdout.split("\n").filter((line) => /^\S+\.\S+ /.test(line)).map((line) => {
    const [nameAndArchitecture = "", evr] = line.split(/\s+/);
    return `${nameAndArchitecture} ${evr}`;
  });
  assertEquals(
    updates.map((update) => `${update.package}.${update.architecture} ${update.availableVersion}`)
      .toSorted(),
    listed.toSorted(),
  );
});

onDnf("a repository that is down is a failure, and a host without lists too", async (root) => {
  await root.install([{ name: "bash", evr: "5.1.8-6.el9" }]);
  await root.know("dead", "http://127.0.0.1:9/x");
  const error = await assertRejects(() => dnfScanner(root.options).scan(system, {}), ScanError);
  assertEquals(error.reason, "transient");
  const refreshed = await assertRejects(
    () => dnfScanner(root.options).scan(system, { refresh: true }),
    ScanError,
  );
  assert(refreshed.message.includes("'dead'"), refreshed.message);
});

onDnf("a repository that may be down is named, and the others are read", async (root) => {
  await fill(root);
  await root.know("dead", "http://127.0.0.1:9/x", "skip_if_unavailable=1");
  const { updates, warnings } = await dnfScanner(root.options).scan(system, { refresh: true });
  assertEquals(updates.length, 5);
  assertEquals(warnings, ["Repositories that could not be read: dead"]);
});
