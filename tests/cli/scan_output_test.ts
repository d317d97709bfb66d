import { assert, assertEquals } from "@std/assert";
import { scanAsCsv, scanAsJson } from "../../src/cli/scan_output.ts";
import { apt, dnf, tool } from "./scan_reports.ts";

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
