import { assert, assertEquals } from "@std/assert";
import { cutToWidth, formatTable } from "../../src/cli/table.ts";
import { hasControls } from "../../src/strip_controls.ts";
import fc from "fast-check";
import stringWidth from "string-width";
import { anyString } from "../fakes/texts.ts";

Deno.test("formatTable() aligns columns and leaves no trailing blanks", () => {
  const columns = [{ title: "PACKAGE" }, { title: "SIZE", alignRight: true }];
  assertEquals(formatTable(columns, [["bash", "1.4 MiB"], ["腾讯QQ", "9 B"]], 80), [
    "PACKAGE     SIZE",
    "bash     1.4 MiB",
    "腾讯QQ       9 B",
  ]);
});

Deno.test("formatTable() cuts the widest column first", () => {
  const columns = [{ title: "A" }, { title: "B" }];
  const lines = formatTable(columns, [["x".repeat(50), "short"]], 30);
  assertEquals(lines[1], `${"x".repeat(22)}\u2026  short`);
});

Deno.test("formatTable() leaves spare columns out before it cuts others too narrow", () => {
  const columns = [
    { title: "NAME", narrowest: 8 },
    { title: "OLD", narrowest: 4, spare: 2 },
    { title: "SIZE", spare: 1 },
  ];
  const rows = [["a-long-name", "1.0.0", "12 MiB"]];
  const at = (width: number) => formatTable(columns, rows, width)[1];
  assertEquals(at(26), "a-long-name  1.0.0  12 MiB");
  assertEquals(at(25), "a-long-na\u2026  1.0.0  12 MiB");
  assertEquals(at(22), "a-long-\u2026  1.0\u2026  12 MiB", "8 + 4 + 6 and two gaps");
  assertEquals(at(21), "a-long-name  1.0.0", "the size goes first");
  assertEquals(at(14), "a-long-\u2026  1.0\u2026");
  assertEquals(at(13), "a-long-name");
  assertEquals(at(7), "a-long\u2026");
});

Deno.test("formatTable() cuts no column below `narrowest` until it must, and then none below six", () => {
  const columns = [{ title: "A", narrowest: 10 }, { title: "B" }];
  const at = (width: number) =>
    formatTable(columns, [["a".repeat(12), "b".repeat(12)]], width)[1]?.split("  ")
      .map((cell) => cell.length);
  assertEquals(at(26), [12, 12]);
  assertEquals(at(25), [11, 12], "of two that are as wide the first is cut");
  assertEquals(at(24), [11, 11]);
  assertEquals(at(18), [10, 6]);
  assertEquals(at(17), [9, 6]);
  assertEquals(at(14), [6, 6]);
  assertEquals(at(5), [6, 6], "narrower than any table can be");
});

Deno.test("formatTable() treats a missing cell as empty", () => {
  assertEquals(formatTable([{ title: "A" }, { title: "B" }], [["x"]], 80), ["A  B", "x"]);
  assertEquals(formatTable([{ title: "A" }], [], 80), ["A"]);
});

Deno.test("formatTable() fits 60 columns for any cells", () => {
  const cell = anyString({ maxLength: 80 });
  fc.assert(fc.property(fc.array(fc.tuple(cell, cell, cell), { maxLength: 5 }), (rows) => {
    const columns = [{ title: "A" }, { title: "B" }, { title: "C" }];
    for (const line of formatTable(columns, rows, 60)) {
      assert(stringWidth(line) <= 60, line);
      assert(!hasControls(line));
    }
  }));
});

Deno.test("cutToWidth() marks a cut, and cuts no character in half", () => {
  assertEquals(cutToWidth("abc", 3), "abc");
  assertEquals(cutToWidth("abcd", 3), "ab\u2026");
  assertEquals(cutToWidth("腾讯QQ", 4), "腾\u2026");
  assertEquals(cutToWidth("\u0600", 4), "\u0600"); // string-width 8.1.0 threw here.
});
