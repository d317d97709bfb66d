import { assertEquals } from "@std/assert";
import { type ObsoletingRpm, parseObsoletes } from "../../src/scanners/dnf_obsoletes.ts";
import { formatEvr } from "../../src/scanners/rpm_version.ts";
import { checkJunk, checkLineParser } from "./dnf_parser_laws.ts";
import { readFixture } from "./fixture.ts";

function tell({ package: package_, repository, replaces }: ObsoletingRpm): string {
  const old = replaces.map((one) => `${one.name} ${formatEvr(one)}`).join(", ");
  return `${package_.name} ${formatEvr(package_)} ${repository}: ${old}`;
}

Deno.test("parseObsoletes() reads what both generations have below their heading", () => {
  const dnf4 = parseObsoletes(readFixture("dnf", "obsoletes.txt"));
  assertEquals(dnf4.packages.map(tell), ["newtool 2.0-1.el9 updates: oldtool 1.0-1.el9"]);
  const dnf5 = parseObsoletes(readFixture("dnf5", "check_upgrade.txt"));
  assertEquals(dnf5.packages.map(tell), [
    "glibc 2.28-26.fc29 dnf-ci-fedora-updates: glibc 2.28-9.fc29",
    // Where an installed package came from may be unknown.
    "newtool 1:2.0-1.fc29 dnf-ci-fedora-updates: oldtool 1.0-1.fc29",
  ]);
  assertEquals([dnf4.unparsed, dnf5.unparsed], [0, 0]);
});

const HEADING = "Obsoleting Packages\n";

Deno.test("parseObsoletes() counts what is no row, and needs a heading for one", () => {
  const rows: [string, string[], number][] = [
    ["", [], 0],
    ["junk\n", [], 0],
    ["a.noarch 1-1 r\n    b.noarch 1-1 @r\n", [], 0],
    [`${HEADING}junk of words\n`, [], 1],
    [`${HEADING}    b.noarch 1-1 @r\n`, [], 1],
    [`${HEADING}a.noarch 1-1 r\n`, [], 0],
    [`${HEADING}a.noarch 1-1 r\n    b.noarch 1-1 @r\n    c.noarch 2-1 @r\n`, [
      "a 1-1 r: b 1-1, c 2-1",
    ], 0],
    [
      `${HEADING}a.noarch 1-1 r\n    b.noarch 1-1 @r\n\nSecurity: kernel-1-1.x86_64 is an ` +
      "installed security update\n",
      ["a 1-1 r: b 1-1"],
      0,
    ],
    // As on a terminal of 80 columns.
    [`${HEADING}a.noarch\n      1-1   r\n    b.noarch\n      1-1  @r\n`, ["a 1-1 r: b 1-1"], 0],
  ];
  for (const [text, expected, unparsed] of rows) {
    const found = parseObsoletes(text);
    assertEquals([found.packages.map(tell), found.unparsed], [expected, unparsed], text);
  }
});

Deno.test("parseObsoletes() keeps to the laws", () => {
  const told = (text: string) => parseObsoletes(text).packages.map(tell);
  checkLineParser(readFixture("dnf", "obsoletes.txt"), told);
  checkJunk(readFixture("dnf5", "check_upgrade.txt"), parseObsoletes);
});
