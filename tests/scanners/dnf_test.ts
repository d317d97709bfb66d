import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { parseAdvisories } from "../../src/scanners/dnf_advisories.ts";
import { dnfFailure, dnfWarnings, hasNoCache } from "../../src/scanners/dnf_failure.ts";
import { parseInstalled, parseNevra, parseOffered } from "../../src/scanners/rpm_packages.ts";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import type { RunResult } from "../../src/system/process.ts";
import { FakeSystem } from "../fakes/system.ts";
import { readFixture, succeeded } from "./fixture.ts";

type Question = "version" | "offered" | "installed" | "advisories" | "advisories_cve";

function questionOf([program, ...args]: readonly string[]): Question {
  if (program === "/usr/bin/rpm") return "installed";
  assertEquals(program, "/usr/bin/dnf");
  if (args[0] === "--version") return "version";
  if (args.includes("repoquery")) return "offered";
  return args.includes("--with-cve") ? "advisories_cve" : "advisories";
}

class DnfHost extends FakeSystem {
  readonly asked: string[][] = [];
  answers: Partial<Record<Question, RunResult>> = {};

  override runCommand = (argv: readonly string[]): Promise<RunResult> => {
    this.asked.push([...argv]);
    const question = questionOf(argv);
    const captured = question === "version"
      ? "4.14.0\n  Installed: dnf\n"
      : readFixture("dnf", `${question}.txt`);
    return Promise.resolve(this.answers[question] ?? succeeded(captured));
  };
}

function exit1(fixture: string): RunResult {
  return { code: 1, stdout: "", stderr: readFixture("dnf", fixture), truncated: false };
}

Deno.test("scan() joins what is offered, installed and advised", async () => {
  const { updates, warnings } = await dnfScanner().scan(new DnfHost(), {});
  assertEquals(
    updates.map((update) =>
      `${update.package} ${update.currentVersion} -> ${update.availableVersion} ` +
      `${update.severity} ${update.security} ${update.cves} ${update.advisories}`
    ),
    [
      "a-very-long-package-name-that-forces-wrapping-in-check-update 2023.01.01-1.el9 -> " +
      "2024.11.12.654321-1.20241112git0123456789abcdef.el9 null null  ",
      "bash 5.1.8-6.el9 -> 5.1.8-9.el9 null false  FEDORA-2026-1bbec06c4d",
      "blocked 1-1.el9 -> 2-1.el9 null true  ALSA-2026:1004",
      "kernel-core 5.14.0-427.13.1.el9_4 -> 5.14.0-427.40.1.el9_4 critical true CVE-2026-0003 " +
      "RLSA-2026:1002",
      "multi 1-1.el9 -> 1-3.el9 moderate true CVE-2026-0004 RHSA-2026:1003",
      "openssl-libs 1:3.0.7-24.el9 -> 1:3.0.7-28.el9_4 important true CVE-2026-0001,CVE-2026-0002 " +
      "RHSA-2026:1001",
      "tzdata 2024a-1.el9 -> 2024b-2.el9 null false  ALBA-2026:A003",
    ],
  );
  assertEquals(warnings, []);
  assertEquals(updates[3]?.severityReason, "advisory RLSA-2026:1002");
  assertEquals([updates[1]?.source, updates[1]?.sizeBytes], ["updates", 5_657]);
});

const FAILURES: readonly [string, DnfHost["answers"], ScanErrorReason][] = [
  ["dnf 5 is there", { version: succeeded("dnf5 version 5.2.6\n") }, "not_available"],
  ["no mirror answers", { offered: exit1("stderr_unreachable.txt") }, "transient"],
  ["a signature is wrong", { offered: exit1("stderr_gpg.txt") }, "permanent"],
  ["rpm fails", { installed: { ...succeeded("", "error: x\n"), code: 1 } }, "permanent"],
  ["the answer is too long", { offered: { ...succeeded(""), truncated: true } }, "permanent"],
];

for (const [name, answers, reason] of FAILURES) {
  Deno.test(`scan() fails, and has no empty list to show, when ${name}`, async () => {
    const host = new DnfHost();
    host.answers = answers;
    const error = await assertRejects(() => dnfScanner().scan(host, {}), ScanError);
    assertEquals(error.reason, reason);
  });
}

Deno.test("scan() as root fetches nothing by itself; others have lists of their own", async () => {
  const host = new DnfHost();
  host.machine = { ...host.machine, userId: () => 0 };
  host.answers = { offered: exit1("stderr_no_cache.txt") };
  const error = await assertRejects(() => dnfScanner().scan(host, {}), ScanError);
  assert(error.message.includes('run "dnf makecache"'), error.message);
  host.machine = { ...host.machine, userId: () => 1000 };
  await assertRejects(() => dnfScanner().scan(host, {}), ScanError);
  const queries = host.asked.filter((argv) => questionOf(argv) === "offered");
  assertEquals(queries.map((argv) => argv.includes("-C")), [true, true, false]);
});

Deno.test("scan() without advisories is a list all the same, and says what is missing", async () => {
  const host = new DnfHost();
  host.answers = { advisories: exit1("stderr_gpg.txt") };
  const { updates, warnings } = await dnfScanner().scan(host, {});
  assertEquals(updates.length, 7);
  assert(warnings[0]?.startsWith("Cannot read advisories: "), warnings[0]);
});

Deno.test("parseAdvisories() does not half-read another language", () => {
  const { packages, unparsed } = parseAdvisories(readFixture("dnf", "advisories_german.txt"));
  assertEquals([packages, unparsed], [[], 3]);
});

Deno.test("dnfWarnings() names what was left out, whatever else is said", () => {
  const stderr = readFixture("dnf", "stderr_repository_down.txt");
  assertEquals(dnfWarnings(succeeded("", stderr)), [
    'A repository\'s file could not be read: "/etc/yum.repos.d/bad.repo"',
    "Repositories that could not be read: dead",
  ]);
});

Deno.test("dnfFailure() tells dnf's own words, in bounds", () => {
  assertEquals(
    dnfFailure("list", exit1("stderr_no_cache.txt")).message,
    "Cannot list: Cache-only enabled but no cache for 'dead'",
  );
  assertEquals(dnfFailure("list", { ...succeeded(""), code: 3 }).message, "Cannot list: exit 3");
  const waiting = "Waiting for process with pid 12 to finish.\n";
  assertEquals(dnfFailure("list", { ...succeeded("", waiting), code: 1 }).reason, "locked");
  assertEquals(hasNoCache(succeeded("", "Cache-only enabled but no cache")), false);
});

Deno.test("parseNevra() reads from the right", () => {
  assertEquals(parseNevra("java-17-openjdk-1:17.0.1-2.el9.x86_64"), {
    name: "java-17-openjdk",
    epoch: "1",
    version: "17.0.1",
    release: "2.el9",
    architecture: "x86_64",
  });
  for (const text of ["", "x", "a-b", "a-1.x86_64", "-1-1.noarch", "a-1-1"]) {
    assertEquals(parseNevra(text), undefined, text);
  }
});

Deno.test("parsers cut anywhere tell nothing that the whole does not, and never throw", () => {
  const offered = readFixture("dnf", "offered.txt");
  const all = parseOffered(offered).packages;
  fc.assert(fc.property(fc.nat(offered.length), (length) => {
    const { packages } = parseOffered(offered.slice(0, length));
    assertEquals(packages, all.slice(0, packages.length));
  }));
  fc.assert(fc.property(fc.string(), (text) => {
    parseAdvisories(text);
    parseInstalled(text);
    parseOffered(text);
  }));
});
