import { assert } from "@std/assert";
import { scanAsCsv, scanAsJson, scanAsText } from "../../src/cli/scan_command.ts";
import type { ScanReport } from "../../src/scanners/run_scans.ts";
import { hasControls } from "../../src/strip_controls.ts";
import type { Update } from "../../src/update.ts";
import { apt, tool } from "../cli/scan_reports.ts";
import fc from "fast-check";

/** What makes a spreadsheet compute, what ends a cell, and what steers a terminal. */
const hostile = fc.array(
  fc.constantFrom(
    ...["=", "+", "-", "@", "|", "%", "\t", "\r", "\n", " ", "\u00a0", '"', ",", "'", "\u001b[2J"],
    ...[
      "\u202e",
      "\u2028",
      "\u200b",
      "\uff1d",
      "\ufe66",
      "\u2212",
      ";",
      "\ud800",
      "cmd",
      "HYPERLINK(1)",
      "a",
    ],
  ),
  { maxLength: 8 },
).map((parts) => parts.join(""));

const updates: fc.Arbitrary<Update> = fc.record({
  package: hostile,
  currentVersion: hostile,
  availableVersion: hostile,
  architecture: hostile,
  source: hostile,
  severityReason: hostile,
  description: hostile,
  cves: fc.array(hostile, { maxLength: 2 }),
  advisories: fc.array(hostile, { maxLength: 2 }),
}).map((odd) => ({ ...tool, ...odd }));

/** The cells of a CSV text, by RFC 4180. */
function cellsOf(csv: string): string[] {
  const cells: string[] = [];
  const pattern = /(?:^|[,\n])(?:"((?:[^"]|"")*)"|([^",\n]*))/g;
  for (const [, quoted, bare] of csv.matchAll(pattern)) {
    cells.push(quoted === undefined ? bare ?? "" : quoted.replaceAll('""', '"'));
  }
  return cells;
}

Deno.test("no cell of scan --csv is run by a spreadsheet, or steers a terminal", () => {
  fc.assert(fc.property(updates, (update) => {
    const csv = scanAsCsv([{ ...apt, updates: [update] }]);
    assert(!hasControls(csv, "\n") && csv.split("\n").length === 2, JSON.stringify(csv));
    for (const cell of cellsOf(csv)) {
      const formula = /(?:^|;)\s*[=+\-@|%\uff1d\uff0b\uff0d\uff20\ufe66\u2212]/;
      assert(!formula.test(cell), JSON.stringify(cell));
    }
  }));
});

Deno.test("neither table nor JSON of a scan steers a terminal", async () => {
  await fc.assert(
    fc.asyncProperty(
      updates,
      hostile,
      fc.integer({ min: 20, max: 200 }),
      async (update, text, width) => {
        const report: ScanReport = {
          ...apt,
          warnings: [text],
          sources: [{
            name: text,
            url: text,
            result: "failed",
            why: text,
            metadataAgeS: null,
            expiresAtMs: null,
            marksSecurity: null,
          }],
          reboot: { isRequired: true, reason: text },
          updates: [update],
        };
        const table = await scanAsText([report], { width, machine: "x86_64" });
        const json = scanAsJson({ reports: [report], names: ["apt"], host: text, startedMs: 0 });
        for (const shown of [table, json]) assert(!hasControls(shown, "\n"), JSON.stringify(shown));
      },
    ),
  );
});

Deno.test("two versions that differ never look the same in the table, however narrow it is", async () => {
  const version = fc.string({
    unit: fc.constantFrom("1", "2", ".", "+", "deb", "~"),
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(version, version, fc.integer({ min: 40, max: 120 }), async (a, b, width) => {
      if (a === b || a === "" || b === "") return;
      const update = { ...tool, currentVersion: a, availableVersion: b };
      const text = await scanAsText([{ ...apt, updates: [update] }], { width, machine: "x86_64" });
      const [heading = "", row = ""] = text.split("\n");
      const from = heading.indexOf("INSTALLED");
      const to = heading.indexOf("AVAILABLE");
      if (from < 0) return;
      const installed = row.slice(from, to).trim();
      const available = row.slice(to, heading.indexOf("SECURITY")).trim();
      assert(installed !== available, `${a} ${b}: ${row}`);
    }),
  );
});
