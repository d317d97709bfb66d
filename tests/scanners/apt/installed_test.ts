import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseInstalled } from "../../../src/scanners/apt/installed.ts";
import { readFixture } from "../fixture.ts";

Deno.test("parseInstalled() reads nothing and junk as nothing", () => {
  assertEquals(parseInstalled(""), { packages: new Map(), ownArchitecture: null, unparsed: 0 });
  assertEquals(parseInstalled("\n\n").unparsed, 0);
  const junk = parseInstalled("bash\nbash\t5.2\n-o\t1\tamd64\tinstall\tinstalled\tx\ty\n");
  assertEquals([junk.packages.size, junk.unparsed], [0, 3]);
});

Deno.test("parseInstalled() names packages as apt does", () => {
  const { packages, ownArchitecture, unparsed } = parseInstalled(
    readFixture("apt", "made_installed.txt"),
  );
  assertEquals([ownArchitecture, unparsed, packages.size], ["amd64", 0, 24]);
  assertEquals(packages.get("libssl3t64")?.architecture, "amd64");
  assertEquals(packages.get("libssl3t64:i386")?.architecture, "i386");
  assertEquals(packages.has("libssl3t64:amd64"), false);
  assertEquals(packages.get("g++-tool")?.version, "1:9.0+dfsg-1");
});

Deno.test("parseInstalled() knows what is held, and leaves out what is only half there", () => {
  const { packages } = parseInstalled(readFixture("apt", "made_installed.txt"));
  const held = [...packages].filter(([, { isHeld }]) => isHeld).map(([name]) => name);
  assertEquals(held, ["held-tool"]);
  assertEquals(packages.has("removed-rc"), false);
  const rows = ["half-installed", "unpacked", "not-installed", "triggers-pending"]
    .map((status) => `${status}\t1\tamd64\tinstall\t${status}\tx\ty\n`);
  assertEquals([...parseInstalled(rows.join("")).packages.keys()], [
    "half-installed",
    "unpacked",
    "triggers-pending",
  ]);
});

Deno.test("parseInstalled() takes a package asked for but never there for what it is", () => {
  const { packages, unparsed } = parseInstalled("a\t\tamd64\tinstall\tnot-installed\ta\t\n");
  assertEquals([packages.size, unparsed], [0, 0]);
  const broken = parseInstalled("a\t\tamd64\tinstall\thalf-installed\ta\t\n");
  assertEquals([broken.packages.size, broken.unparsed], [0, 0]);
  const odd = parseInstalled("a\t\tamd64\tinstall\tinstalled\ta\t\n");
  assertEquals([odd.packages.size, odd.unparsed], [0, 1], "what is there has a version");
});

Deno.test("parseInstalled() counts a row that has a word in it which is none of dpkg's", () => {
  const row = ["libc6:i386", "2.36-9", "i386", "install", "installed", "glibc", "a library"];
  const read = (fields: readonly string[]) => parseInstalled(`${fields.join("\t")}\n`);
  assertEquals([read(row).packages.size, read(row).unparsed], [1, 0]);
  const damaged: readonly (readonly string[])[] = [
    row.slice(0, 6),
    row.with(0, "-o:i386"),
    row.with(0, "libc6:-o"),
    row.with(1, "2.36 9"),
    row.with(2, "$(x)"),
  ];
  for (const fields of damaged) {
    assertEquals([read(fields).packages.size, read(fields).unparsed], [0, 1], fields.join(" "));
  }
});

Deno.test("parseInstalled() knows the source by its own name, else by the package's", () => {
  const sourceOf = (source: string) =>
    parseInstalled(`libc6\t1\tamd64\tinstall\tinstalled\t${source}\t\n`).packages.get("libc6")
      ?.sourcePackage;
  assertEquals([sourceOf("glibc"), sourceOf(""), sourceOf("-o")], ["glibc", "libc6", "libc6"]);
});

Deno.test("parseInstalled() reads what a package is for, tabs in it or not", () => {
  const row = (summary: string) => `a\t1\tamd64\tinstall\tinstalled\ta\t${summary}\n`;
  const read = (summary: string) => parseInstalled(row(summary)).packages.get("a")?.summary;
  assertEquals([read("a tool"), read("a\ttool"), read("")], ["a tool", "a tool", null]);
  assertEquals([read(" a tool "), read(" ")], ["a tool", null]);
});

Deno.test("parseInstalled() never throws, and cut anywhere tells nothing new", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseInstalled(text)));
  const text = readFixture("apt", "debian12_installed.txt");
  const whole = parseInstalled(text).packages;
  fc.assert(fc.property(fc.nat(text.length), (length) => {
    for (const [name, found] of parseInstalled(text.slice(0, length)).packages) {
      assertEquals(whole.get(name), found);
    }
  }));
});

Deno.test("parseInstalled() takes no foreign architecture for the host's own, wherever it stands", () => {
  const row = (name: string, architecture: string) =>
    `${name}\t1\t${architecture}\tinstall\tinstalled\t${name}\t\n`;
  const { packages, ownArchitecture } = parseInstalled(
    row("a:i386", "i386") + row("b", "all") + row("c", "amd64"),
  );
  assertEquals(ownArchitecture, "amd64");
  assertEquals([...packages.keys()], ["a:i386", "b", "c"]);
});
