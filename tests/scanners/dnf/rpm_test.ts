import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  compareEvr,
  compareRpmParts,
  formatEvr,
  isDnfChatter,
  parseAvailableRpms,
  parseInstalledRpms,
  parseNameAndEvr,
  parseNevra,
  parseOfferedRpms,
} from "../../../src/scanners/dnf/rpm.ts";
import { checkLineParser } from "./parser_laws.ts";
import { readFixture } from "../fixture.ts";

Deno.test("parseOfferedRpms() parses rows with the summary last", () => {
  const row = (...fields: string[]) => `${["a", "0", "1", "2", "noarch", ...fields].join("\t")}\n`;
  assertEquals(parseOfferedRpms(""), { packages: [], unparsed: 0 });
  assertEquals(parseOfferedRpms("\n \n\t\n"), { packages: [], unparsed: 0 });
  // A line without a tab is a sentence and not an unparsed row.
  assertEquals(parseOfferedRpms("junk\n"), { packages: [], unparsed: 0 });
  assertEquals(parseOfferedRpms("junk\tof\twords\n"), { packages: [], unparsed: 1 });
  const { packages: [first] } = parseOfferedRpms(
    row("r", "7", "s-1-1.src.rpm", "Has a", "tab in it"),
  );
  assertEquals(first, {
    name: "a",
    epoch: "0",
    version: "1",
    release: "2",
    architecture: "noarch",
    repository: "r",
    sizeBytes: 7,
    sourcePackage: "s",
    summary: "Has a tab in it",
  });
  const { packages: [set] } = parseOfferedRpms(row("r", "7", "", "  A tool "));
  assertEquals(set?.summary, "A tool");
  const { packages: [bare] } = parseOfferedRpms(row("r", "?", "", ""));
  assertEquals({
    sizeBytes: bare?.sizeBytes,
    sourcePackage: bare?.sourcePackage,
    summary: bare?.summary,
  }, { sizeBytes: null, sourcePackage: null, summary: null });
  const wrong = [row("r", "7"), row("r", "7", ""), row("", "7", "", ""), "a\t0\t1\t2\n"];
  for (const repository of ["two words", "r ", "x".repeat(256)]) {
    wrong.push(row(repository, "7", "", ""));
  }
  for (const text of wrong) {
    assertEquals(parseOfferedRpms(text), { packages: [], unparsed: 1 }, text);
  }
  const { packages: [long] } = parseOfferedRpms(row("x".repeat(255), "9".repeat(16), "", ""));
  assertEquals([long?.repository.length, long?.sizeBytes], [255, null]);
});

Deno.test("parseAvailableRpms() parses rows of a package and its repository", () => {
  assertEquals(parseAvailableRpms("a\t1\t2\t3\tnoarch\tr\nsentence\n"), {
    packages: [{
      name: "a",
      epoch: "1",
      version: "2",
      release: "3",
      architecture: "noarch",
      repository: "r",
    }],
    unparsed: 0,
  });
  const row = "a\t1\t2\t3\tnoarch";
  for (const rest of ["", "\t", "\tr\tmore", "\ttwo words", "\tr ", `\t${"r".repeat(256)}`]) {
    assertEquals(parseAvailableRpms(`${row}${rest}\n`), { packages: [], unparsed: 1 }, rest);
  }
});

Deno.test("parseInstalledRpms() skips keys, and lines with a wrong number of fields", () => {
  const key = "gpg-pubkey\t0\t3cf50a8e\t5a4f7f1b\t(none)\t(none)\n";
  assertEquals(parseInstalledRpms(key), { packages: [], unparsed: 0 });
  assertEquals(parseInstalledRpms("a\t0\t1\t2\tnoarch\n").unparsed, 1);
  assertEquals(parseInstalledRpms("a\t0\t1\t2\tnoarch\ts-1-1.src.rpm\tmore\n").unparsed, 1);
  const source = (file: string) =>
    parseInstalledRpms(`a\t0\t1\t2\tnoarch\t${file}\n`).packages[0]?.sourcePackage;
  assertEquals(source("(none)"), null);
  assertEquals(source("a-b-1-2.src.rpm"), "a-b");
  assertEquals(source("a-1-2.nosrc.rpm"), "a");
  for (const file of ["two words-1-2.src.rpm", "a-1-2.src.rpm.asc", "a-1.src.rpm"]) {
    assertEquals(source(file), null, file);
  }
  const end = "-1-2.src.rpm";
  assertEquals(source("x".repeat(1_000 - end.length) + end)?.length, 1_000 - end.length);
  assertEquals(source("x".repeat(1_001 - end.length) + end), null);
  // Only both together identify a key.
  assertEquals(parseInstalledRpms(key.replace("\t(none)", "\tnoarch")).packages.length, 1);
  assertEquals(parseInstalledRpms(key.replace("gpg-pubkey", "other")).unparsed, 1);
});

Deno.test("parseNevra() parses from the right", () => {
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

Deno.test("parseNameAndEvr() parses in two parts what parseNevra() parses in one", () => {
  assertEquals(parseNameAndEvr("c++-x.y_z.i686", "3:1.0~rc1-2.el9"), {
    name: "c++-x.y_z",
    epoch: "3",
    version: "1.0~rc1",
    release: "2.el9",
    architecture: "i686",
  });
  for (
    const [name, evr] of [["", ""], ["a", "1-1"], ["noarch", "1-1"], [".noarch", "1-1"], [
      "a.noarch",
      "1",
    ], ["a.noarch", "b-1-1"]] as const
  ) {
    assertEquals(parseNameAndEvr(name, evr), undefined);
  }
  const word = fc.stringMatching(/^[a-z0-9][a-z0-9.+_-]{0,10}[a-z0-9]$/);
  const part = fc.stringMatching(/^[a-z0-9][a-z0-9.~^]{0,8}$/);
  fc.assert(fc.property(word, fc.nat(9), part, part, (name, epoch, version, release) => {
    const read = parseNameAndEvr(`${name}.x86_64`, `${epoch}:${version}-${release}`);
    const expected = { name, epoch: `${epoch}`, version, release, architecture: "x86_64" };
    assertEquals(read, expected);
    assertEquals(parseNevra(`${name}-${epoch}:${version}-${release}.x86_64`), expected);
  }));
});

Deno.test("parsers of rows obey the laws of parsers", () => {
  checkLineParser(readFixture("dnf", "offered.txt"), (text) => parseOfferedRpms(text).packages);
  checkLineParser(readFixture("dnf5", "offered.txt"), (text) => parseOfferedRpms(text).packages);
  checkLineParser(readFixture("dnf", "installed.txt"), (text) => parseInstalledRpms(text).packages);
});

Deno.test("parseOfferedRpms() refuses a package with an invalid part", () => {
  const good = { name: "a", epoch: "0", version: "1", release: "2", architecture: "noarch" };
  const unparsed = (changed: Partial<typeof good>) => {
    const fields = [...Object.values({ ...good, ...changed }), "r", "7", "", "Words"];
    return parseOfferedRpms(`${fields.join("\t")}\n`).unparsed;
  };
  const rows: [part: keyof typeof good, right: string[], wrong: string[]][] = [
    ["name", ["A+b.c-d_e", "_a", "x".repeat(255)], ["", "-a", ".a", "a b", "x".repeat(256)]],
    ["epoch", ["1", "9".repeat(10)], ["", "x1", "1x", "-1", "9".repeat(11)]],
    ["version", ["1.0~rc1^git+2_3", "9".repeat(200)], ["", "1-2", "1:2", "9".repeat(201)]],
    ["release", ["2.el9", "9".repeat(200)], ["", "2-3", "2/3", "9".repeat(201)]],
    ["architecture", ["x86_64", "a".repeat(32)], ["", "X86", "i-686", "a".repeat(33)]],
  ];
  for (const [part, right, wrong] of rows) {
    for (const value of right) assertEquals(unparsed({ [part]: value }), 0, `${part} ${value}`);
    for (const value of wrong) assertEquals(unparsed({ [part]: value }), 1, `${part} ${value}`);
  }
});

/** In ascending order; from rpm-version(7) and rpm's own tests. */
const ASCENDING = [
  "1.0~rc1",
  "1.0~rc1^git1",
  "1.0~rc2",
  "1.0",
  "1.0^",
  "1.0^git1",
  "1.0^git2",
  "1.0A",
  "1.0.a",
  "1.0.1",
  "1.10",
  "2a",
  "2.0",
  "10",
  "99999999999999999999999",
];

Deno.test("compareRpmParts() sorts like rpm", () => {
  ASCENDING.forEach((older, index) => {
    assertEquals(compareRpmParts(older, older), 0);
    for (const newer of ASCENDING.slice(index + 1)) {
      assert(compareRpmParts(older, newer) < 0, `${older} < ${newer}`);
      assert(compareRpmParts(newer, older) > 0, `${newer} > ${older}`);
    }
  });
  for (const [a, b] of [["1.0", "1_0"], ["1.01", "1.1"], ["1.0", "1.0."]] as const) {
    assertEquals(compareRpmParts(a, b), 0, `${a} = ${b}`);
  }
});

Deno.test("compareRpmParts() is a total order on any input", () => {
  const part = fc.string({ unit: fc.constantFrom(..."019aZ~^.-"), maxLength: 8 });
  const sign = (a: string, b: string) => Math.sign(compareRpmParts(a, b));
  fc.assert(fc.property(part, part, part, (a, b, c) => {
    assertEquals(sign(a, b), 0 - sign(b, a));
    if (sign(a, b) <= 0 && sign(b, c) <= 0) assert(sign(a, c) <= 0, `${a} ${b} ${c}`);
  }));
});

Deno.test("compareEvr() compares the epoch first and the release last", () => {
  const evr = (epoch: string, version: string, release: string) => ({ epoch, version, release });
  assert(compareEvr(evr("1", "0", "1"), evr("0", "9", "9")) > 0);
  assert(compareEvr(evr("0", "1", "9"), evr("0", "2", "1")) < 0);
  assert(compareEvr(evr("0", "1", "9"), evr("0", "1", "10")) < 0);
});

Deno.test("formatEvr() omits an epoch of 0", () => {
  assertEquals(formatEvr({ epoch: "0", version: "1", release: "2" }), "1-2");
  assertEquals(formatEvr({ epoch: "3", version: "1", release: "2" }), "3:1-2");
});

Deno.test("isDnfChatter() recognises messages of plugins and progress", () => {
  for (
    const line of [
      "",
      "   ",
      "Updating Subscription Management repositories.",
      "Unable to read consumer identity",
      "This system is not registered with an entitlement server. You can use rhc.",
      "Loaded plugins: builddep",
      "Last metadata expiration check: 0:42:20 ago on Mon 05 Jan 2026 11:52:38 AM CET.",
      "Updates                                         1.1 MB/s | 2.9 kB     00:00    ",
      "Vendor                                          448 kB/s | 931  B     00:00    ",
      "Dead                                            0.0  B/s |   0  B     00:00    ",
      ...readFixture("dnf5", "progress.txt").trimEnd().split("\n"),
      " test                                   ???% |   0.0   B/s |   0.0   B |  00m00s",
      "Security: kernel-core-5.14.0-1.el9.x86_64 is an installed security update",
    ]
  ) assertEquals(isDnfChatter(line), true, line);
});

Deno.test("isDnfChatter() is false for answers", () => {
  const answers = ["offered.txt", "installed.txt", "advisories.txt", "advisories_german.txt"]
    .flatMap((name) => readFixture("dnf", name).trimEnd().split("\n"));
  for (const line of [...answers, "junk", "Fehler: x", `${" ".repeat(500)}`]) {
    assertEquals(isDnfChatter(line), false, line);
  }
});

Deno.test("isDnfChatter() is false for rows whose summary looks like progress", () => {
  const row = ["a", "0", "1", "2", "noarch", "updates", "7", "a-1-2.src.rpm"].join("\t");
  for (
    const progress of ["updates 100% | 36.6 KiB/s |", "updates ???% | ", "a 1.1 MB/s | 2.9 kB"]
  ) {
    assertEquals(isDnfChatter(progress), true, progress);
    assertEquals(isDnfChatter(`${row}\t${progress}`), false, progress);
  }
});

Deno.test("isDnfChatter() is false for lines that only contain such words", () => {
  const beginnings = [
    "Updating Subscription Management repositories.",
    "Unable to read consumer identity",
    "This system is not registered with an entitlement server.",
    "This system is registered with an entitlement server.",
    "Not root, Subscription Management repositories not updated",
    "Loaded plugins: builddep",
    "Last metadata expiration check: 0:42:20 ago on Mon 05 Jan 2026 11:52:38 AM CET.",
  ];
  const sentences = [
    "Updating and loading repositories:",
    "Repositories loaded.",
    "Security: kernel-core-5.14.0-1.el9.x86_64 is an installed security update",
    "Security: kernel-core-5.14.0-1.el9.x86_64 is the currently running version",
    "No security updates needed, but 4 updates available",
    "No security updates needed, but 1 update(s) available",
  ];
  for (const line of [...beginnings, ...sentences]) {
    assertEquals(isDnfChatter(line), true, line);
    // As the summary of a package.
    assertEquals(isDnfChatter(`a\t0\t1\t2\tnoarch\tupdates\t7\t\t${line}`), false, line);
  }
  for (const line of sentences) assertEquals(isDnfChatter(`${line} 1-1 r`), false, line);
});

Deno.test("isDnfChatter() is false for more than 400 characters", () => {
  assertEquals([400, 401].map((length) => isDnfChatter(" ".repeat(length))), [true, false]);
});
