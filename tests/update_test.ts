import { assertEquals } from "@std/assert";
import { combineReboots, compareUpdates, findCves, isCve, type Update } from "../src/update.ts";
import { tool } from "./cli/scan_reports.ts";

const IN_ORDER: readonly Update[] = [
  { ...tool, package: "g-critical", security: true, severity: "critical" },
  { ...tool, package: "f-important", security: true, severity: "important" },
  { ...tool, package: "e-unstated", security: true },
  { ...tool, package: "d-moderate", security: true, severity: "moderate" },
  { ...tool, package: "c-low", security: true, severity: "low" },
  { ...tool, package: "b-held", security: true, severity: "low", state: "held" },
  { ...tool, package: "x-critical", security: false, severity: "critical" },
  { ...tool, package: "a", architecture: null },
  { ...tool, package: "a" },
  { ...tool, package: "a", architecture: "i386" },
  { ...tool, package: "b" },
  { ...tool, package: "a-held", state: "held" },
  { ...tool, package: "a-ignored", security: true, severity: "critical", state: "ignored" },
];

Deno.test("compareUpdates() orders security updates first, by severity, and ignored updates last", () => {
  for (const [at, a] of IN_ORDER.entries()) {
    for (const [index, b] of IN_ORDER.entries()) {
      const names = `${a.package} ${a.architecture}, ${b.package} ${b.architecture}`;
      assertEquals(Math.sign(compareUpdates(a, b)), Math.sign(at - index), names);
    }
  }
});

Deno.test("combineReboots() requires a restart if one scanner does, and ignores those without an answer", () => {
  const due = (reason: string) => ({ reboot: { isRequired: true, reason } });
  const not = { reboot: { isRequired: false, reason: "nothing asks for it" } };
  const silent = { reboot: null };
  assertEquals(combineReboots([]), null);
  assertEquals(combineReboots([silent, silent]), null);
  assertEquals(combineReboots([silent, not]), not.reboot);
  assertEquals(combineReboots([not, due("a kernel")]), due("a kernel").reboot);
  assertEquals(combineReboots([due("a"), due("b"), due("a")]), due("a; b").reboot);
});

Deno.test("isCve() and findCves() recognise only CVEs", () => {
  assertEquals(["CVE-2026-0001", "CVE-2026-1234567890"].every(isCve), true);
  const others = [
    "",
    "CVE-2026",
    "CVE-26-0001",
    "CVE-2026-001",
    "xCVE-2026-0001",
    "CVE-2026-0001 x",
  ];
  for (const id of others) assertEquals(isCve(id), false, id);
  const text = "CVE-2026-0001, (CVE-2026-12345) CVE-2026-0001 CVE-26-1 ACVE-2026-1111";
  assertEquals(findCves(text), ["CVE-2026-0001", "CVE-2026-12345", "CVE-2026-0001"]);
  assertEquals(findCves("none"), []);
});
