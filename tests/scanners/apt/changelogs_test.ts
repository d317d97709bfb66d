import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  changelogFacts,
  changelogPaths,
  parseChangelogs,
  sourceVersion,
} from "../../../src/scanners/apt/changelogs.ts";
import { parseInstalled } from "../../../src/scanners/apt/installed.ts";
import type { WaitingUpdate } from "../../../src/scanners/apt/updates.ts";
import { readFixture } from "../fixture.ts";

const KRB5 = parseChangelogs(readFixture("apt", "changelog_krb5.txt"));

function facts(currentVersion: string, availableVersion: string, source = "krb5") {
  const { cves, urgency } = changelogFacts(KRB5, source, { currentVersion, availableVersion });
  return [cves, urgency];
}

Deno.test("parseChangelogs() of nothing, junk or a text without headings is empty", () => {
  for (const text of ["", "junk\n", "\n\n\n", "  * CVE-2026-1234\n", "krb5 (1.0) half a heading"]) {
    assertEquals(parseChangelogs(text).size, 0, text);
  }
});

Deno.test("parseChangelogs() reads versions, urgencies and the holes that were closed", () => {
  assertEquals(KRB5.get("krb5")?.map(({ version, urgency, cves }) => [version, urgency, cves]), [
    ["1.20.1-2+deb12u5", "high", ["CVE-2026-40355", "CVE-2026-40356"]],
    ["1.20.1-2+deb12u4", "medium", ["CVE-2025-3576"]],
    ["1.20.1-2+deb12u3", "medium", ["CVE-2024-26462", "CVE-2025-24528"]],
  ]);
});

Deno.test("parseChangelogs() keeps the texts of several sources apart, and reads advisories", () => {
  const text = "aa (1:2-1) x-security; urgency=HIGH\n\n  * DSA-6001-1, USN-7000-2: CVE-2026-1\n" +
    "  * CVE-2026-0001.\n\nbb (1) x; urgency=low, binary-only=yes\n\n  * CVE-2026-0002\n";
  const found = parseChangelogs(text);
  assertEquals(found.get("aa"), [{
    version: "1:2-1",
    urgency: "high",
    cves: ["CVE-2026-0001"],
    advisories: ["DSA-6001-1", "USN-7000-2"],
  }]);
  assertEquals(found.get("bb")?.[0]?.cves, ["CVE-2026-0002"]);
});

Deno.test("parseChangelogs() takes an entry for one of low urgency where none is told", () => {
  const urgencyOf = (metadata: string) =>
    parseChangelogs(`aa (1) x;${metadata}\n`).get("aa")?.map(({ urgency }) => urgency);
  for (const urgency of ["low", "medium", "high", "emergency", "critical"]) {
    assertEquals(urgencyOf(` urgency=${urgency}`), [urgency]);
  }
  for (const metadata of ["", " urgency=", " urgency=odd", " binary-only=yes"]) {
    assertEquals(urgencyOf(metadata), ["low"], metadata);
  }
});

Deno.test("parseChangelogs() looks for holes where the entry is set in, and for headings where it is not", () => {
  const text = "aa (2) x; urgency=low\n\n  * CVE-2026-0002\n  bb (1) x; urgency=low\n" +
    "CVE-2026-0009 is\nin the margin: CVE-2026-0008\n\n -- a <a@b>  Mon\n";
  const found = parseChangelogs(text);
  assertEquals([...found.keys()], ["aa"]);
  assertEquals(found.get("aa")?.[0]?.cves, ["CVE-2026-0002"]);
});

Deno.test("changelogFacts() tells what lies between the two versions, the newer one included", () => {
  const [, u4, u3] = ["1.20.1-2+deb12u5", "1.20.1-2+deb12u4", "1.20.1-2+deb12u3"];
  assertEquals(facts(u3, u4), [["CVE-2025-3576"], "medium"]);
  assertEquals(facts(u3, "1.20.1-2+deb12u5"), [
    ["CVE-2026-40355", "CVE-2026-40356", "CVE-2025-3576"],
    "high",
  ]);
  assertEquals(facts(`${u3}+b1`, `${u4}+b2`), [["CVE-2025-3576"], "medium"], "built anew");
  assertEquals(["1-1+b12", "1+b1-1", "1+b"].map(sourceVersion), ["1-1", "1+b1-1", "1+b"]);
});

Deno.test("changelogFacts() tells nothing where the changelog lacks the version that waits", () => {
  assertEquals(facts("1.20.1-2+deb12u3", "1.20.1-2+deb12u6"), [[], null]);
  assertEquals(facts("1.20.1-2+deb12u3", "1.20.1-2+deb12u5", "openssl"), [[], null]);
});

function row(name: string, version: string, source: string): string {
  return `${name}\t${version}\tamd64\tinstall\tinstalled\t${source}\ta tool\n`;
}

function waiting(name: string, currentVersion: string): WaitingUpdate {
  return {
    name,
    currentVersion,
    availableVersion: "9",
    state: "upgradable",
    stateReason: null,
    isDoubtful: false,
  };
}

Deno.test("changelogPaths() names one file a source, of the package that is furthest ahead", () => {
  const rows = [
    row("libkrb5-3", "1.20-1", "krb5"),
    row("krb5-user", "1.20-2", "krb5"),
    row("krb5-locales", "1.20-3", "krb5"),
    row("curl", "8-1", "curl"),
    row("libcurl4", "8-1+b1", "curl"),
  ];
  const wanted = [
    waiting("libkrb5-3", "1.20-1"),
    waiting("krb5-user", "1.20-2"),
    waiting("curl", "8-1"),
    waiting("gone", "0"),
  ];
  for (const text of [rows.join(""), rows.toReversed().join("")]) {
    assertEquals(changelogPaths(wanted, parseInstalled(text)), [
      "/usr/share/doc/krb5-locales/changelog.Debian.gz",
    ]);
  }
  assertEquals(changelogPaths([], parseInstalled(rows.join(""))), []);
});

Deno.test("changelogPaths() names forty at most", () => {
  const numbers = Array.from({ length: 41 }, (_, n) => n);
  const installed = parseInstalled(
    numbers.map((n) => row(`a${n}`, "1", `s${n}`) + row(`b${n}`, "2", `s${n}`)).join(""),
  );
  const paths = changelogPaths(numbers.map((n) => waiting(`a${n}`, "1")), installed);
  assertEquals([paths.length, paths.at(-1)], [40, "/usr/share/doc/b39/changelog.Debian.gz"]);
});

Deno.test("parseChangelogs() makes of any text only what it is made of", () => {
  const line = fc.constantFrom(
    "a (1) x; urgency=low",
    "b (2-1) x y; urgency=emergency",
    "  * CVE-2026-12345",
    " -- someone <a@b>  Mon",
    "",
    "(1) ; urgency=",
    "\u0000\u001b[31m",
  );
  fc.assert(fc.property(fc.array(fc.oneof(line, fc.string())), (lines) => {
    for (const [source, entries] of parseChangelogs(lines.join("\n"))) {
      for (const { version, cves } of entries) {
        assertEquals([/^[a-z0-9][a-z0-9+.-]+$/.test(source), /[\s()]/.test(version)], [
          true,
          false,
        ]);
        assertEquals(cves.every((cve) => /^CVE-\d{4}-\d{4,10}$/.test(cve)), true);
      }
    }
  }));
});
