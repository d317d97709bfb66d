import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseShow } from "../../../src/scanners/apt/show.ts";
import { readFixture } from "../fixture.ts";

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

Deno.test("parseShow() takes lines that are set in for the rest of a field, and counts what is none", () => {
  const stanza = (line: string) =>
    `Package: a\nVersion: 1\nArchitecture: all\n${line}\nDescription-en: a tool\nX: y\n`;
  const read = (line: string) => {
    const { packages, unparsed } = parseShow(stanza(line));
    return [packages.map(({ description }) => description), unparsed];
  };
  for (const line of [" of several lines", "\tand a tab", " Description-en: no field", " ."]) {
    assertEquals(read(`Description: a\n${line}`), [["a tool"], 0], line);
  }
  for (const line of ["no field", ": no name"]) assertEquals(read(line), [["a tool"], 1], line);
});

const WHOLE = { Package: "a", Version: "1:2-1", Architecture: "all", Size: "7" };

function stanzaOf(fields: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\n`]
  ).join("");
}

Deno.test("parseShow() reads the English purpose before any other, and null where there is none", () => {
  const read = (fields: Readonly<Record<string, string>>) =>
    parseShow(stanzaOf({ ...WHOLE, ...fields })).packages.map(({ description }) => description);
  const [english, other] = [{ "Description-en": "a tool" }, { Description: "ein Werkzeug" }];
  assertEquals(read({ ...other, ...english }), ["a tool"]);
  assertEquals(read(other), ["ein Werkzeug"]);
  assertEquals(read({ ...other, "Description-en": "" }), ["ein Werkzeug"]);
  assertEquals(read({}), [null]);
});

Deno.test("parseShow() leaves out stanzas that do not tell what they are of", () => {
  assertEquals(parseShow("Package: a\nVersion: 1\n\nno colon\n"), { packages: [], unparsed: 2 });
  assertEquals(parseShow(stanzaOf(WHOLE)).packages.length, 1, "the end of the text ends a stanza");
  for (const field of ["Package", "Version", "Architecture"]) {
    for (const value of [undefined, "", "-o $"]) {
      const text = `${stanzaOf({ ...WHOLE, [field]: value })}\n${stanzaOf(WHOLE)}`;
      const { packages, unparsed } = parseShow(text);
      assertEquals([packages.length, unparsed], [1, 1], `${field} ${value}`);
    }
  }
  fc.assert(fc.property(fc.string(), (text) => void parseShow(text)));
});
