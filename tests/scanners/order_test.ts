import { assertEquals } from "@std/assert";
import { byWeight } from "../../src/scanners/order.ts";
import { tool } from "../cli/scan_reports.ts";

Deno.test("byWeight() puts security first, the worst in front, and what is ignored last", () => {
  const updates = [
    { ...tool, package: "ignored", security: true, severity: "critical", state: "ignored" },
    { ...tool, package: "held", state: "held" },
    { ...tool, package: "b" },
    { ...tool, package: "a" },
    { ...tool, package: "a", architecture: "i386" },
    { ...tool, package: "low", security: true, severity: "low" },
    { ...tool, package: "unstated", security: true },
    { ...tool, package: "critical", security: true, severity: "critical" },
  ] as const;
  assertEquals(
    updates.toSorted(byWeight).map(({ package: name, architecture }) => [name, architecture]),
    [
      ["critical", "amd64"],
      ["unstated", "amd64"],
      ["low", "amd64"],
      ["a", "amd64"],
      ["a", "i386"],
      ["b", "amd64"],
      ["held", "amd64"],
      ["ignored", "amd64"],
    ],
  );
});
