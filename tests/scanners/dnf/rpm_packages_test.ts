import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  parseInstalled,
  parseNameAndEvr,
  parseNames,
  parseNevra,
  parseOffered,
} from "../../../src/scanners/dnf/rpm_packages.ts";
import { checkLineParser } from "./parser_laws.ts";
import { readFixture } from "../fixture.ts";

Deno.test("parseOffered() reads rows of fields, the summary last", () => {
  const row = (...fields: string[]) => `${["a", "0", "1", "2", "noarch", ...fields].join("\t")}\n`;
  assertEquals(parseOffered(""), { packages: [], unparsed: 0 });
  assertEquals(parseOffered("\n \n\t\n"), { packages: [], unparsed: 0 });
  // A line without a tab is a sentence of somebody's, and no row is lost with it.
  assertEquals(parseOffered("junk\n"), { packages: [], unparsed: 0 });
  assertEquals(parseOffered("junk\tof\twords\n"), { packages: [], unparsed: 1 });
  const { packages: [first] } = parseOffered(row("r", "7", "s-1-1.src.rpm", "Has a", "tab in it"));
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
  const { packages: [set] } = parseOffered(row("r", "7", "", "  A tool "));
  assertEquals(set?.summary, "A tool");
  const { packages: [bare] } = parseOffered(row("r", "?", "", ""));
  assertEquals([bare?.sizeBytes, bare?.sourcePackage, bare?.summary], [null, null, null]);
  const wrong = [row("r", "7"), row("r", "7", ""), row("", "7", "", ""), "a\t0\t1\t2\n"];
  for (const repository of ["two words", "r ", "x".repeat(256)]) {
    wrong.push(row(repository, "7", "", ""));
  }
  for (const text of wrong) assertEquals(parseOffered(text), { packages: [], unparsed: 1 }, text);
  const { packages: [long] } = parseOffered(row("x".repeat(255), "9".repeat(16), "", ""));
  assertEquals([long?.repository.length, long?.sizeBytes], [255, null]);
});

Deno.test("parseNames() reads rows of a package and its repository", () => {
  assertEquals(parseNames("a\t1\t2\t3\tnoarch\tr\nsentence\n"), {
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
    assertEquals(parseNames(`${row}${rest}\n`), { packages: [], unparsed: 1 }, rest);
  }
});

Deno.test("parseInstalled() leaves keys out, and lines with more or less than their fields", () => {
  const key = "gpg-pubkey\t0\t3cf50a8e\t5a4f7f1b\t(none)\t(none)\n";
  assertEquals(parseInstalled(key), { packages: [], unparsed: 0 });
  assertEquals(parseInstalled("a\t0\t1\t2\tnoarch\n").unparsed, 1);
  assertEquals(parseInstalled("a\t0\t1\t2\tnoarch\ts-1-1.src.rpm\tmore\n").unparsed, 1);
  const source = (file: string) =>
    parseInstalled(`a\t0\t1\t2\tnoarch\t${file}\n`).packages[0]?.sourcePackage;
  assertEquals(source("(none)"), null);
  assertEquals(source("a-b-1-2.src.rpm"), "a-b");
  assertEquals(source("a-1-2.nosrc.rpm"), "a");
  for (const file of ["two words-1-2.src.rpm", "a-1-2.src.rpm.asc", "a-1.src.rpm"]) {
    assertEquals(source(file), null, file);
  }
  const end = "-1-2.src.rpm";
  assertEquals(source("x".repeat(1_000 - end.length) + end)?.length, 1_000 - end.length);
  assertEquals(source("x".repeat(1_001 - end.length) + end), null);
  // Only both together tell a key.
  assertEquals(parseInstalled(key.replace("\t(none)", "\tnoarch")).packages.length, 1);
  assertEquals(parseInstalled(key.replace("gpg-pubkey", "other")).unparsed, 1);
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

Deno.test("parseNameAndEvr() reads what parseNevra() reads, in two parts", () => {
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

Deno.test("parsers of rows keep to the laws", () => {
  checkLineParser(readFixture("dnf", "offered.txt"), (text) => parseOffered(text).packages);
  checkLineParser(readFixture("dnf5", "offered.txt"), (text) => parseOffered(text).packages);
  checkLineParser(readFixture("dnf", "installed.txt"), (text) => parseInstalled(text).packages);
});

Deno.test("parseOffered() refuses a package of which any part is not what rpm allows", () => {
  const good = { name: "a", epoch: "0", version: "1", release: "2", architecture: "noarch" };
  const unparsed = (changed: Partial<typeof good>) => {
    const fields = [...Object.values({ ...good, ...changed }), "r", "7", "", "Words"];
    return parseOffered(`${fields.join("\t")}\n`).unparsed;
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
