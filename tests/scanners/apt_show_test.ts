import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseShow } from "../../src/scanners/apt_show.ts";
import { readFixture } from "./fixture.ts";

Deno.test("parseShow() reads size, source and purpose, for each architecture", () => {
  const { packages, unparsed } = parseShow(readFixture("apt", "made_show.txt"));
  assertEquals(unparsed, 0);
  assertEquals(packages.map(({ name, architecture }) => `${name} ${architecture}`), [
    "held-tool amd64",
    "kept-back amd64",
    "phased-tool amd64",
    "pinned-down amd64",
  ]);
  assertEquals(packages[2], {
    name: "phased-tool",
    version: "2.0-0ubuntu1",
    architecture: "amd64",
    sourcePackage: "phased",
    sizeBytes: 1_011,
    description: "The package phased-tool",
  });
  assertEquals(packages[3]?.sourcePackage, "pinned-down");
});

Deno.test("parseShow() reads real stanzas with fields over several lines", () => {
  const text = readFixture("apt", "debian12_show.txt");
  const { packages, unparsed } = parseShow(text);
  assertEquals([packages.length, unparsed], [text.match(/^Package: /gm)?.length, 0]);
  assertEquals(packages.every(({ sizeBytes, description }) => sizeBytes && description), true);
});

Deno.test("parseShow() does without a size, and refuses one that is none", () => {
  const stanza = (size: string) => `Package: a\nVersion: 1\nArchitecture: all\n${size}\n`;
  for (const size of ["", "Size: -1\n", "Size: 1e9\n", `Size: ${"9".repeat(16)}\n`]) {
    assertEquals(parseShow(stanza(size)).packages[0]?.sizeBytes, null);
  }
});

Deno.test("parseShow() leaves out stanzas that do not tell what they are of", () => {
  assertEquals(parseShow("Package: a\nVersion: 1\n\nno colon\n"), { packages: [], unparsed: 2 });
  fc.assert(fc.property(fc.string(), (text) => void parseShow(text)));
});
