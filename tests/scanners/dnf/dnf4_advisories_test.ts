import { assertEquals } from "@std/assert";
import {
  parseDnf4Advisories,
  parseDnf4AdvisoryDetails,
} from "../../../src/scanners/dnf/dnf4_advisories.ts";
import { checkJunk, checkLineParser } from "./parser_laws.ts";
import { readFixture } from "../fixture.ts";

Deno.test("parseDnf4Advisories() reads any word for an id and any case for a severity", () => {
  const rows: [string, string | undefined][] = [
    ["", undefined],
    ["junk", undefined],
    ["RHSA-2026:1 Important/Sec. a-1-1.noarch", "RHSA-2026:1 true important"],
    ["  ALAS2023-2026-123 critical/Sec. a-1:1-1.noarch", "ALAS2023-2026-123 true critical"],
    ["X LOW/Sec. a-1-1.noarch   ", "X true low"],
    ["X Unknown/Sec. a-1-1.noarch", "X true null"],
    // An id may hold blanks, and dnf's word for a type does not.
    ["X custom severity/Sec. a-1-1.noarch", "X custom true null"],
    ["My Corp 2026 1 Low/Sec. a-1-1.noarch", "My Corp 2026 1 true low"],
    ["This system has release set to 9.4 and it receives updates.", undefined],
    ["bugfix a-1-1.noarch", undefined],
    ["FEDORA-2026-1bbec06c4d bugfix a-1-1.noarch", "FEDORA-2026-1bbec06c4d false null"],
    ["X Fehlerkorrektur a-1-1.noarch", undefined],
    ["X Kritisch/Sicherheit a-1-1.noarch", undefined],
    ["X bugfix a", undefined],
  ];
  for (const [line, expected] of rows) {
    const { packages, unparsed } = parseDnf4Advisories(`${line}\n`);
    const told = packages.map(({ id, isSecurity, severity }) => `${id} ${isSecurity} ${severity}`);
    assertEquals(told[0], expected, line);
    // A sentence is no row.
    const isRow = /Sec|bugfix|noarch/.test(line);
    assertEquals(unparsed, !isRow || expected ? 0 : 1, line);
  }
});

Deno.test("parseDnf4Advisories() does not half-read another language", () => {
  const { packages, unparsed } = parseDnf4Advisories(readFixture("dnf", "advisories_german.txt"));
  assertEquals([packages, unparsed], [[], 3]);
});

Deno.test("parseDnf4AdvisoryDetails() tells apart what an advisory lists and what it speaks of", () => {
  const found = parseDnf4AdvisoryDetails(readFixture("dnf", "cves.txt"));
  assertEquals(
    found.map(({ id, severity, listed, mentioned }) =>
      `${id} ${severity}: ${listed}; ${mentioned}`
    ),
    [
      "ALBA-2026:A003 null: ; ",
      // Its description holds a line like one that begins an advisory.
      "ALSA-2026:1004 null: ; CVE-2026-0005",
      "FEDORA-2026-1bbec06c4d null: ; CVE-2020-9999",
      "RHSA-2026:1001 important: CVE-2026-0001,CVE-2026-0002; ",
      // 2999 has the type of a CVE, too.
      "RHSA-2026:1003 moderate: CVE-2026-0004; ",
      "RLSA-2026:1002 critical: CVE-2026-0003; ",
    ],
  );
  assertEquals(parseDnf4AdvisoryDetails(""), []);
  assertEquals(parseDnf4AdvisoryDetails("junk\n       CVEs: CVE-2026-0001\n"), []);
});

Deno.test("parseDnf4AdvisoryDetails() looks for CVEs in titles and bugs as well", () => {
  const rule = "=".repeat(79);
  const text = `${rule}\n  fixes CVE-2026-0007\n${rule}\n  Update ID: A-1\n` +
    "       Type: security\n       Bugs: 1 - CVE-2026-0008 a: b\n           : 2 - CVE-2026-0009\n" +
    "   Severity: very low\n";
  assertEquals(parseDnf4AdvisoryDetails(text), [
    {
      id: "A-1",
      severity: null,
      ownWord: "very low",
      listed: [],
      mentioned: ["CVE-2026-0007", "CVE-2026-0008", "CVE-2026-0009"],
    },
  ]);
});

Deno.test("parseDnf4AdvisoryDetails() takes no line for a field that only has a colon in its place", () => {
  const text = "  Update ID: A-1\nDescription: fixes\n12345678901: as in a log\n" +
    "#          : CVE-2026-0008\n           : CVE-2026-0007\n       CVEs: CVE-2026-0001 \n";
  assertEquals(parseDnf4AdvisoryDetails(text).map(({ listed, mentioned }) => [listed, mentioned]), [
    [["CVE-2026-0001"], ["CVE-2026-0007"]],
  ]);
});

Deno.test("parsers of dnf 4's advisories keep to the laws", () => {
  const rows = (text: string) => parseDnf4Advisories(text).packages;
  checkLineParser(readFixture("dnf", "advisories.txt"), rows);
  checkJunk(readFixture("dnf", "cves.txt"), parseDnf4AdvisoryDetails);
});

Deno.test("parseDnf4AdvisoryDetails() takes no id with half a character, or what is none", () => {
  const rule = "=".repeat(79);
  const block = (id: string) => `${rule}\n  T\n${rule}\n  Update ID:${id}\n   Severity: Low\n`;
  const ids = (id: string) => parseDnf4AdvisoryDetails(block(id)).map((found) => found.id);
  assertEquals(ids(" RHSA-2026:1001"), ["RHSA-2026:1001"]);
  assertEquals(ids("  My  Corp 1 "), ["My Corp 1"]);
  assertEquals(ids("\u{10000} RHSA-2026:1001"), []);
  assertEquals(ids(" \u00e9"), []);
});

Deno.test("parseDnf4AdvisoryDetails() keeps what each advisory says to that advisory", () => {
  const rule = "=".repeat(79);
  const text = `${rule}\n  fixes CVE-2026-0001\n${rule}\n  Update ID: A-1\n` +
    "       Bugs: CVE-2026-0002\n  Update ID: A-2\n   Severity: Low\n" +
    `${rule}\n  Important: x\n${rule}\n       CVEs: CVE-2026-0003\n   Severity: Critical\n`;
  const none = { ownWord: null, listed: [] };
  assertEquals(parseDnf4AdvisoryDetails(text), [
    // A bug whose title is but a CVE is not yet one that the advisory says to close.
    { id: "A-1", severity: null, ...none, mentioned: ["CVE-2026-0001", "CVE-2026-0002"] },
    { id: "A-2", severity: "low", ...none, mentioned: [] },
  ]);
});

Deno.test("parseDnf4AdvisoryDetails() takes rules of dnf's own length alone for the end", () => {
  for (
    const line of ["=".repeat(78), "=".repeat(80), `${"=".repeat(79)} x`, `x ${"=".repeat(79)}`]
  ) {
    const text = `  Update ID: A-1\n${line}\n       CVEs: CVE-2026-0001\n`;
    assertEquals(parseDnf4AdvisoryDetails(text)[0]?.listed, ["CVE-2026-0001"], line);
  }
});
