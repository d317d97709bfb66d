import { assertEquals } from "@std/assert";
import {
  isAdvisoryId,
  isAtLeast,
  isCveReference,
  type ListedRpm,
  mergeDetails,
  type ObsoletingRpm,
  parseCheckUpdate,
  parseDnfVersion,
  parseRebootText,
  readCheckUpdate,
  readSeverity,
} from "../../../src/scanners/dnf/dialect.ts";
import { readFixture } from "../fixture.ts";
import { formatEvr } from "../../../src/scanners/dnf/rpm.ts";
import { checkJunk, checkLineParser } from "./parser_laws.ts";

Deno.test("parseDnfVersion() parses both generations and skips messages of plugins", () => {
  const rows: [string, readonly number[] | undefined][] = [
    ["", undefined],
    ["junk", undefined],
    ["4.14.0", undefined], // A line without an end may be cut off.
    ["4.14.0\n  Installed: dnf-0:4.14.0-9.el9.noarch at Tue\n", [4, 14, 0]],
    ["4.24.0\r\n", [4, 24, 0]],
    ["  4.24.0 \n", [4, 24, 0]],
    ["x 4.24.0\n", undefined],
    ["4.24.0 x\n", undefined],
    ["4\n", undefined],
    ["4.1.2.3.4\n", undefined],
    ["123456.1\n", undefined],
    ["Updating Subscription Management repositories.\n4.14.0\n", [4, 14, 0]],
    ["dnf5 version 5.0.0\n", [5, 0, 0]],
    ["dnf5 version five\n", undefined],
    [readFixture("dnf5", "version.txt"), [5, 4, 3, 0]],
  ];
  for (const [text, version] of rows) assertEquals(parseDnfVersion(text), version, text);
});

Deno.test("isAtLeast() compares the parts as numbers", () => {
  const rows: [number[], number[], boolean][] = [
    [[5, 2, 6], [5, 2, 6], true],
    [[5, 2, 5, 9], [5, 2, 6], false],
    [[5, 2, 10], [5, 2, 9], true],
    [[5, 4], [5, 4, 0, 0], true],
    [[5, 3, 9], [5, 4], false],
    [[5, 4], [5, 4, 1], false],
    [[5, 4, 1], [5, 4], true],
    [[6], [5, 4], true],
  ];
  for (const [version, least, expected] of rows) {
    assertEquals(isAtLeast(version, least), expected, `${version} ${least}`);
  }
});

function formatListed({ package: package_, repository }: ListedRpm): string {
  return `${package_.name} ${formatEvr(package_)} ${repository}`;
}

function formatObsoleting(one: ObsoletingRpm): string {
  const old = one.replaces.map((one) => `${one.name} ${formatEvr(one)}`).join(", ");
  return `${formatListed(one)}: ${old}`;
}

Deno.test("parseCheckUpdate() parses the updates of both generations in dnf's order", () => {
  const dnf4 = parseCheckUpdate(readFixture("dnf", "check_update.txt"));
  assertEquals(dnf4.upgrades.map(formatListed), [
    "a-very-long-package-name-that-forces-wrapping-in-check-update " +
    "2024.11.12.654321-1.20241112git0123456789abcdef.el9 very-long-third-party-repository-identifier",
    "bash 5.1.8-9.el9 updates",
    "blocked 2-1.el9 updates",
    "kernel-core 5.14.0-427.40.1.el9_4 updates",
    "multi 1-3.el9 updates",
    "openssl-libs 1:3.0.7-28.el9_4 updates",
    "tzdata 2024b-2.el9 updates",
  ]);
  const table = readFixture("dnf5", "check_upgrade.txt");
  const dnf5 = parseCheckUpdate(table);
  assertEquals(dnf5.upgrades.map(formatListed), [
    "flac 1.3.3-8.fc29 dnf-ci-fedora-updates",
    "glibc 2.28-26.fc29 dnf-ci-fedora-updates",
    "glibc-common 2.28-26.fc29 dnf-ci-fedora-updates",
    "labirinto 1.56.2-6.fc30 advisories-updates",
  ]);
  assertEquals(parseCheckUpdate(`Upgrades\n${table}`), dnf5);
});

Deno.test("parseCheckUpdate() parses the rows below the heading of both generations", () => {
  const dnf4 = parseCheckUpdate(readFixture("dnf", "check_update.txt"));
  assertEquals(dnf4.obsoletes.map(formatObsoleting), [
    "newtool 2.0-1.el9 updates: oldtool 1.0-1.el9",
  ]);
  const dnf5 = parseCheckUpdate(readFixture("dnf5", "check_upgrade.txt"));
  assertEquals(dnf5.obsoletes.map(formatObsoleting), [
    "glibc 2.28-26.fc29 dnf-ci-fedora-updates: glibc 2.28-9.fc29",
    // The origin of an installed package may be unknown.
    "newtool 1:2.0-1.fc29 dnf-ci-fedora-updates: oldtool 1.0-1.fc29",
  ]);
  assertEquals([dnf4.unparsed, dnf5.unparsed], [0, 0]);
});

const HEADING = "Obsoleting Packages\n";

Deno.test("parseCheckUpdate() counts unparsed rows, and requires a heading for replaced packages", () => {
  const rows: [string, string[], number][] = [
    ["", [], 0],
    ["junk\n", [], 0],
    ["This system has release set to 9.4 and it receives updates only for it.\n", [], 0],
    ["a.noarch 1 r\n", [], 1],
    ["a.noarch 1-1 r more\n", [], 1],
    // Sentences that begin like a package's name, for example with a host or a file.
    ["/etc/yum.conf is ignored\n", [], 0],
    ["updates.repo: no mirrors\n", [], 0],
    ["example.com is not reached\n", [], 0],
    ["example.com is not to be reached\n", [], 0],
    ["example.com up-to-date since today\n", [], 0],
    ["a.noarch 1-1 r\n    b.noarch 1-1 @r\n", [], 1],
    ["No security updates needed, but 4 updates available\n", [], 0],
    [`${HEADING}junk of words\n`, [], 0],
    [`${HEADING}a.noarch 1 r\n`, [], 1],
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
    // A sentence does not belong to the row below it.
    [`${HEADING}a.noarch 1-1 r\nnote\n    b.noarch 1-1\n`, ["a 1-1 r: b 1-1"], 0],
    [`${HEADING}a.noarch 1-1 r\nnote\n    b.noarch\n      1-1  @r\n`, ["a 1-1 r: b 1-1"], 0],
    // Wrapped at 80 columns.
    [`${HEADING}a.noarch\n      1-1   r\n    b.noarch\n      1-1  @r\n`, ["a 1-1 r: b 1-1"], 0],
  ];
  for (const [text, expected, unparsed] of rows) {
    const found = parseCheckUpdate(text);
    assertEquals(
      [found.obsoletes.map(formatObsoleting), found.unparsed],
      [expected, unparsed],
      text,
    );
  }
});

Deno.test("parseCheckUpdate() joins rows whose last columns are on the next line", () => {
  const rows: [string, string[], number][] = [
    ["a.noarch\n          1-1   r\nb.noarch  1-1   r\n", ["a 1-1 r", "b 1-1 r"], 0],
    ["a.noarch\n          1-1\n                r\nb.noarch  1-1   r\n", ["a 1-1 r", "b 1-1 r"], 0],
    ["a.noarch  1-1\n                r\n", ["a 1-1 r"], 0],
    ["a.noarch\n   1-1   r\n   note\n", ["a 1-1 r"], 0],
    ["a.noarch\n   1-1\n   r\n   note\n", ["a 1-1 r"], 0],
    ["a.noarch\n   \n updates   ???% | 0.0 B/s |\n   1-1   r\n", ["a 1-1 r"], 0],
    // A line without an indentation is a row of its own.
    ["word\na.noarch  1-1   r\n", ["a 1-1 r"], 0],
    ["a.noarch\nb.noarch  1-1   r\n", ["b 1-1 r"], 1],
    ["a.noarch\nb.noarch  1-1\n   r\n", ["b 1-1 r"], 1],
    ["a.noarch  1-1\n", [], 1],
  ];
  for (const [text, expected, unparsed] of rows) {
    const found = parseCheckUpdate(text);
    assertEquals([found.upgrades.map(formatListed), found.unparsed], [expected, unparsed], text);
  }
});

Deno.test("readCheckUpdate() refuses an empty list if the exit code reports updates", () => {
  assertEquals(readCheckUpdate("", 100), undefined);
  assertEquals(readCheckUpdate("", 0), { upgrades: [], obsoletes: [], unparsed: 0 });
  assertEquals(readCheckUpdate("a.noarch 1-1 r\n", 100)?.upgrades.length, 1);
  const replacing = `${HEADING}a.noarch 1-1 r\n    b.noarch 1-1\n`;
  assertEquals(readCheckUpdate(replacing, 100)?.obsoletes.length, 1);
  assertEquals(readCheckUpdate(`c.noarch 1-1 r\n${replacing}`, 100)?.upgrades.length, 1);
  assertEquals(readCheckUpdate(`${HEADING}a.noarch 1-1 r\n b.noarch 1-1\n`, 100), undefined);
});

Deno.test("parseCheckUpdate() obeys the laws of parsers", () => {
  const parse = (text: string) => {
    const { upgrades, obsoletes } = parseCheckUpdate(text);
    return [...upgrades.map(formatListed), ...obsoletes.map(formatObsoleting)];
  };
  checkJunk(readFixture("dnf5", "check_upgrade.txt"), parseCheckUpdate);
  checkLineParser(readFixture("dnf", "check_update.txt"), parse);
});

Deno.test("parseCheckUpdate() accepts repositories of up to 255 characters", () => {
  const read = (length: number) => parseCheckUpdate(`a.noarch 1-1 ${"r".repeat(length)}\n`);
  assertEquals([read(255).upgrades.length, read(255).unparsed], [1, 0]);
  assertEquals([read(256).upgrades.length, read(256).unparsed], [0, 1]);
});

Deno.test("parseCheckUpdate() does not confuse rows and sentences with the heading", () => {
  const text = "Upgrades.noarch 1-1 Upgrades\nObsoleting packages takes a while\n" +
    "See: Obsoleting packages\na.noarch 1-1 r\n";
  const { upgrades, obsoletes, unparsed } = parseCheckUpdate(text);
  assertEquals(upgrades.map(formatListed), ["Upgrades 1-1 Upgrades", "a 1-1 r"]);
  assertEquals([obsoletes, unparsed], [[], 0]);
});

Deno.test("parseCheckUpdate() accepts rows of up to 4,000 characters", () => {
  const read = (length: number) =>
    parseCheckUpdate(`${"a.noarch 1-1".padEnd(length - 2)} r\n`).upgrades.length;
  assertEquals([read(4_000), read(4_001)], [1, 0]);
});

const NEEDED = "Core libraries or services have been updated since boot-up:\n" +
  "  * glibc\n  * kernel-core\n\nReboot is required to fully utilize these updates.\n" +
  "More information: https://access.redhat.com/solutions/27943\n";
const NOT_NEEDED = "No core libraries or services have been updated since boot-up.\n" +
  "Reboot should not be necessary.\n";

const REQUIRED = {
  isRequired: true,
  reason: "dnf needs-restarting: updated since the host was started: glibc, kernel-core",
};
const NOT_REQUIRED = { isRequired: false, reason: "dnf needs-restarting: not necessary" };

Deno.test("parseRebootText() recognises two sentences and otherwise returns null", () => {
  assertEquals(parseRebootText(`This system has release set to 9.4.\n${NEEDED}`), REQUIRED);
  assertEquals(parseRebootText(NOT_NEEDED), NOT_REQUIRED);
  const quoted = `See "${NEEDED.split("\n")[4]}"\nSee "${NOT_NEEDED.split("\n")[1]}"\n`;
  for (const text of ["", "No such command: needs-restarting.\n", "  * glibc\n", quoted]) {
    assertEquals(parseRebootText(text), null, text);
  }
  const odd = "  * glibc and more\nas in:   * glibc\n";
  assertEquals(parseRebootText(odd + NEEDED), REQUIRED);
});

Deno.test("parseRebootText() obeys the laws of parsers", () => {
  checkJunk(NEEDED, parseRebootText);
});

Deno.test("parseRebootText() names the first five packages", () => {
  const text = `${[..."abcdef"].map((name) => `  * ${name}\n`).join("")}` +
    "Reboot is required to fully utilize these updates.\n";
  assertEquals(parseRebootText(text)?.reason.split(": ").at(-1), "a, b, c, d, e and 1 more");
});

Deno.test("readSeverity() reads the four words and 'medium' in any case; 'none' and 'unknown' are no severity", () => {
  for (const word of ["critical", "important", "moderate", "low"] as const) {
    for (const text of [word, word.toUpperCase(), ` ${word} `]) {
      assertEquals(readSeverity(text), { severity: word, ownWord: null });
    }
  }
  for (const text of ["", "None", "none", "NONE", "Unknown"]) {
    assertEquals(readSeverity(text), { severity: null, ownWord: null });
  }
  // The word of Amazon Linux.
  assertEquals(readSeverity("Medium"), { severity: "moderate", ownWord: "Medium" });
  assertEquals(readSeverity("custom_severity"), { severity: null, ownWord: "custom_severity" });
  assertEquals(readSeverity("\u001b[31mHigh").ownWord, "[31mHigh");
  assertEquals(readSeverity("x".repeat(99)).ownWord?.length, 40);
});

Deno.test("isCveReference() recognises only CVEs", () => {
  for (const id of ["CVE-2999", "CVE-2026-0001"]) assertEquals(isCveReference(id), true, id);
  for (
    const id of ["", "2999", "RHSA-2026:1", "xCVE-2026-1", "CVE-\u001b", "CVE-", "CVE-2026-1 x"]
  ) {
    assertEquals(isCveReference(id), false, id);
  }
});

Deno.test("isAdvisoryId() accepts up to 200 printable characters with inner spaces", () => {
  for (const id of ["A", "RHSA-2026:1001", "My Corp 1", "x".repeat(200)]) {
    assertEquals(isAdvisoryId(id), true, id);
  }
  for (const id of ["", " ", " A", "A ", "A\u001b", "\u001bA", "é", "x".repeat(201)]) {
    assertEquals(isAdvisoryId(id), false, id);
  }
});

Deno.test("mergeDetails() combines the details of an advisory in two repositories", () => {
  const silent = { id: "A", severity: null, ownWord: null, listed: [], mentioned: [] };
  const complete = {
    id: "A",
    severity: "low" as const,
    ownWord: "High",
    listed: ["CVE-2026-0001"],
    mentioned: ["CVE-2026-0002"],
  };
  for (const both of [[silent, complete], [complete, silent], [complete, complete]]) {
    assertEquals([...mergeDetails(both).values()], [complete]);
  }
  // Of two words, the first repository's.
  const [merged] = mergeDetails([complete, { ...complete, ownWord: "Low" }]).values();
  assertEquals(merged?.ownWord, "High");
});
