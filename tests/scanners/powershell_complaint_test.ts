import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { describeComplaint } from "../../src/scanners/powershell_complaint.ts";
import { hasControls } from "../../src/strip_controls.ts";

const ROWS: readonly [string, string][] = [
  ["", ""],
  ["\r\n \t\r\n", ""],
  ["\ufeff\r\nAccess is denied.\r\nMore\r\n", "Access is denied."],
  ["\x1b[31mred\x07", "[31mred"],
  ["#< CLIXML\r\n<Objs/>", ""],
  [
    '#< CLIXML\r\n<Objs><Obj S="progress"/><S S="Error">Zugriff &lt;x&gt;_x000D__x000A_</S>' +
    '<S S="Error">mehr</S></Objs>',
    "Zugriff <x>",
  ],
];

Deno.test("describeComplaint() tells the first line that says anything", () => {
  for (const [output, told] of ROWS) assertEquals(describeComplaint(output), told);
});

Deno.test("describeComplaint() looks at the first 64 KiB, and tells 300 characters of a line", () => {
  const blanks = " ".repeat(65_535);
  assertEquals(describeComplaint(`${blanks}x`), "x");
  assertEquals(describeComplaint(`${blanks} x`), "");
  assertEquals(describeComplaint("x".repeat(301)), "x".repeat(300));
});

Deno.test("describeComplaint() is short, and text alone", () => {
  const output = fc.string({ unit: "binary", maxLength: 1_000 });
  fc.assert(fc.property(output, fc.boolean(), (text, isXml) => {
    const told = describeComplaint(isXml ? `#< CLIXML <S S="Error">${text}</S>` : text);
    assert(told.length <= 300 && told.isWellFormed());
    assert(!hasControls(told));
  }));
});
