import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { outputLines } from "../../src/scanners/output_lines.ts";
import { hasControls } from "../../src/strip_controls.ts";
import { anyString } from "../fakes/texts.ts";

Deno.test("outputLines() accepts all line ends, and a byte order mark", () => {
  for (const text of ["a\nb\n", "a\r\nb\r\n", "a\rb\r", "\ufeffa\nb\n", "a\0\nb\x1b\n"]) {
    assertEquals(outputLines(text), { lines: ["a", "b"], dropped: 0 });
  }
});

Deno.test("outputLines() drops a last line that was cut off, and counts it", () => {
  assertEquals(outputLines("a\nb"), { lines: ["a"], dropped: 1 });
  assertEquals(outputLines(""), { lines: [], dropped: 0 });
});

Deno.test("outputLines() drops lines of more than 65,536 characters", () => {
  const longest = "x".repeat(65_536);
  assertEquals(outputLines(`${longest}\n`).lines.length, 1);
  assertEquals(outputLines(`${longest}x\n`), { lines: [], dropped: 1 });
});

Deno.test("outputLines() removes everything that moves a cursor", () => {
  fc.assert(fc.property(anyString(), (text) => {
    for (const line of outputLines(text).lines) {
      assert(!hasControls(line, "\t"), JSON.stringify(line));
    }
  }));
  assertEquals(outputLines("a\tb\u202ec\n").lines, ["a\tbc"]);
});
