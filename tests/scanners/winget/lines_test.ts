import { assertEquals } from "@std/assert";
import { isDebris, wingetLines } from "../../../src/scanners/winget/lines.ts";

Deno.test("wingetLines() keeps what a terminal would show of each line", () => {
  const rows: [text: string, lines: string[]][] = [
    ["", []],
    ["\ufeffa\r\nb\n", ["a", "b"]],
    ["a\r\r\n", ["a"]],
    ["\r   - \r   \\ \r      \rName Id\r\n", ["Name Id"]],
    ["\x1b[?25l\x1b[1;31mred\x1b[0m \x1b]9;4;1;50\x07bar\x1b]9;4;0\x1b\\\r\n", ["red bar"]],
    ["a\b-\n\r\n", ["a-", ""]],
  ];
  for (const [text, lines] of rows) {
    assertEquals(wingetLines(text), { lines, dropped: 0 }, JSON.stringify(text));
  }
});

Deno.test("wingetLines() drops a last line without an end, and what is too long or too much", () => {
  assertEquals(wingetLines("a\nb"), { lines: ["a"], dropped: 1 });
  assertEquals(wingetLines("a\nb\r"), { lines: ["a"], dropped: 1 });
  assertEquals(wingetLines(`${"x".repeat(16_384)}\n`).dropped, 0);
  assertEquals(wingetLines(`${"x".repeat(16_385)}\n`).dropped, 1);
  const spinner = "\r   - ".repeat(100_000);
  assertEquals(wingetLines(`${spinner}\rName\r\n`), { lines: ["Name"], dropped: 0 });
  const { lines, dropped } = wingetLines("x\n".repeat(20_001));
  assertEquals([lines.length, dropped], [20_000, 1]);
});

Deno.test("isDebris() knows spinners and bars from text", () => {
  const debris = ["", "  ", "-", "   \\ ", "|", " ██████▒▒▒▒  1024 KB / 3.92 MB"];
  assertEquals(debris.filter((line) => !isDebris(line)), []);
  assertEquals(["Name", "- a", "3.92 MB"].filter(isDebris), []);
});
