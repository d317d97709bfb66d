/** A host and repositories with a bit of everything that an update can be. */

import { assertEquals } from "@std/assert";
import type { DnfRoot } from "./dnf_root.ts";
import type { RpmPackage } from "./rpm_maker.ts";

const INSTALLED: readonly RpmPackage[] = [
  { name: "bash", evr: "5.1.8-6.el9" },
  { name: "openssl-libs", evr: "1:3.0.7-24.el9" },
  { name: "tzdata", evr: "2024a-1.el9", architecture: "noarch" },
  { name: "multi", evr: "1-1.el9" },
  { name: "c++-tool_x", evr: "1.0~rc1-1.el9" },
  { name: "current", evr: "2-1.el9" },
  { name: "described", evr: "1-1.el9" },
  { name: "lib", evr: "1-1.el9" },
  { name: "kernel-core", evr: "5.14.0-362.8.1.el9_3" },
  { name: "oldtool", evr: "1.0-1.el9", architecture: "noarch" },
];

const openssl: RpmPackage = { name: "openssl-libs", evr: "1:3.0.7-28.el9_4" };
const multi: RpmPackage = { name: "multi", evr: "1-3.el9" };
const kernel: RpmPackage = { name: "kernel-core", evr: "5.14.0-427.40.1.el9_4" };
const described: RpmPackage = { name: "described", evr: "2-1.el9" };
const lib: RpmPackage = { name: "lib", evr: "2-1.el9" };
const bash: RpmPackage = { name: "bash", evr: "5.1.8-9.el9" };
const notInstalled: RpmPackage = { name: "not-installed", evr: "9-1.el9" };

const cve = (id: string) => ({ type: "cve", id });

/** Installs, offers and fetches it all. */
export async function fillRoot(root: DnfRoot): Promise<void> {
  await root.install(INSTALLED);
  await root.install([{ name: "kernel-core", evr: "5.14.0-427.13.1.el9_4" }]);
  await root.offer("updates", [
    bash,
    openssl,
    { name: "tzdata", evr: "2024b-2.el9", architecture: "noarch" },
    multi,
    kernel,
    described,
    lib,
    notInstalled,
    { name: "current", evr: "2-1.el9" },
    {
      name: "newtool",
      evr: "2.0-1.el9",
      architecture: "noarch",
      lines: ["Obsoletes: oldtool < 2"],
    },
  ], [
    {
      id: "RHSA-2026:1001",
      type: "security",
      severity: "Important",
      references: [
        cve("CVE-2026-0001"),
        cve("CVE-2026-0002"),
        { type: "self", id: "RHSA-2026:1001" },
      ],
      packages: [openssl],
    },
    {
      id: "RLSA-2026:1002",
      type: "security",
      severity: "Critical",
      references: [cve("CVE-2026-0003"), cve("2999")],
      packages: [kernel],
    },
    {
      id: "RHSA-2026:1003",
      type: "security",
      severity: "Moderate",
      references: [cve("CVE-2026-0004")],
      packages: [{ name: "multi", evr: "1-2.el9" }],
    },
    {
      id: "RHSA-2026:1004",
      type: "security",
      severity: "Important",
      references: [cve("CVE-2026-0006")],
      packages: [multi],
    },
    {
      id: "RHSA-2026:1005",
      type: "security",
      severity: "None",
      description: "Closes CVE-2026-0005,\n  Update ID: not one of its own.",
      packages: [described],
    },
    { id: "RHSA-2026:1006", type: "security", severity: "Low", packages: [lib] },
    { id: "FEDORA-2026-1bbec06c4d", type: "bugfix", packages: [bash] },
    {
      id: "RHSA-2026:9999",
      type: "security",
      severity: "Critical",
      references: [cve("CVE-2026-9999")],
      packages: [notInstalled],
    },
  ]);
  await root.offer("vendor", [{ name: "c++-tool_x", evr: "1.0-1.el9" }]);
  const { code, stderr } = await root.dnf("makecache");
  assertEquals(code, 0, stderr);
}
