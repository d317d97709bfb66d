import { assertEquals } from "@std/assert";
import { cutAt, findColumns, isDebris, wingetLines } from "../../../src/scanners/winget/layout.ts";

Deno.test("wingetLines() returns what a terminal shows of each line", () => {
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

Deno.test("wingetLines() drops a last line without an end, and lines that are too long or too many", () => {
  assertEquals(wingetLines("a\nb"), { lines: ["a"], dropped: 1 });
  assertEquals(wingetLines("a\nb\r"), { lines: ["a"], dropped: 1 });
  assertEquals(wingetLines(`${"x".repeat(16_384)}\n`).dropped, 0);
  assertEquals(wingetLines(`${"x".repeat(16_385)}\n`).dropped, 1);
  const spinner = "\r   - ".repeat(100_000);
  assertEquals(wingetLines(`${spinner}\rName\r\n`), { lines: ["Name"], dropped: 0 });
  const { lines, dropped } = wingetLines("x\n".repeat(20_001));
  assertEquals([lines.length, dropped], [20_000, 1]);
});

Deno.test("isDebris() distinguishes spinners and progress bars from text", () => {
  const debris = ["", "  ", "-", "   \\ ", "|", " ██████▒▒▒▒  1024 KB / 3.92 MB"];
  assertEquals(debris.filter((line) => !isDebris(line)), []);
  assertEquals(["Name", "- a", "3.92 MB"].filter(isDebris), []);
});

Deno.test("findColumns() rejects empty text, junk and prose", () => {
  const headings = [
    "",
    "Name",
    "Name Id",
    "a b c d",
    "Failed in attempting to update the source: winget",
    "7-Zip 7zip.7zip 23.01 24.08",
  ];
  for (const heading of headings) {
    assertEquals(findColumns(heading, "--------", []), undefined, heading);
    const row = "Git  Git.Git 2.31.0  2.33.0";
    assertEquals(findColumns(heading, "-".repeat(27), [row]), undefined, heading);
  }
});

Deno.test("findColumns() does not use a row as a heading, even if it fits", () => {
  const row = "Git Git.Git 2.31.0 2.33.0";
  assertEquals(findColumns(row, "-".repeat(row.length), [row, row]), undefined);
  const heading = "Aaa Bbb.Bbb Cccccc Dddddd";
  assertEquals(findColumns(heading, "-".repeat(row.length), [row, row])?.starts, [0, 4, 12, 19]);
});

Deno.test("findColumns() recognizes a known heading by its words, above any rows", () => {
  const heading = "이름      장치 ID  버전 사용 가능 원본";
  assertEquals(findColumns(heading, "--------", []), {
    starts: [0, 10, 19, 24, 34],
    fields: ["name", "id", "version", "available", "source"],
  });
  const decomposed = "Nombre Id Versión Disponible".normalize("NFD");
  assertEquals(findColumns(decomposed, "--------", [])?.starts, [0, 7, 10, 18]);
  assertEquals(findColumns("NAME ID VERSION SOURCE", "--------", [])?.fields, [
    "name",
    "id",
    "version",
    "source",
  ]);
});

Deno.test("findColumns() joins words of an unknown heading only as far as the rows allow", () => {
  const heading = "Tên      Mã      Phiên bản Có sẵn";
  const rows = ["Git      Git.Git 2.31.0    2.33.0", "Zoom One Zm.Zoom < 6.2.0   6.2.7 (4)"];
  const rule = "-".repeat(36);
  assertEquals(findColumns(heading, rule, rows)?.starts, [0, 9, 17, 27]);
  // One row with text across the second word of a heading is enough, at any position.
  const spaced = [rows[0]!.replace("2.31.0   ", "12345 b1 "), rows[1]!];
  for (const some of [spaced, spaced.toReversed()]) {
    assertEquals(findColumns(heading, rule, some)?.starts, [0, 9, 17, 27]);
  }
  // The rule is as wide as the table, and the columns are as wide as their content.
  assertEquals(findColumns(heading, `${rule}-`, rows), undefined);
  assertEquals(findColumns(heading, rule, rows.slice(0, 1)), undefined);
});

Deno.test("findColumns() allows one column of padding after a truncated cell, and not more", () => {
  const heading = (gap: string) => `Aaa${gap}Bbb.Bbb Cccccc Dddddd`;
  const find = (name: string, gap: string) => {
    const row = `${name}${gap}Git.Git 2.31.0 2.33.0`;
    return findColumns(heading(gap), "-".repeat(row.length), [row, row])?.starts;
  };
  assertEquals(find("Git", " "), [0, 4, 12, 19]);
  assertEquals(find("Gi…", "  "), [0, 5, 13, 20]);
  assertEquals(find("Git", "  "), undefined);
  assertEquals(find("Gi…", "   "), undefined);
});

Deno.test("findColumns() rejects a table without sources in its last column", () => {
  const find = (source: string) => {
    const row = `Git Git.Git 2.31.0 2.33.0 ${source}`;
    const heading = "Aaa Bbb.Bbb Cccccc Dddddd Eeeeee";
    return findColumns(heading, "-".repeat(Math.max(row.length, heading.length)), [row])?.fields;
  };
  assertEquals(find("winget"), ["name", "id", "version", "available", "source"]);
  assertEquals(find("wingot"), undefined);
});

Deno.test("cutAt() cuts by display width, and not across a character", () => {
  assertEquals(cutAt("ab cd", [0, 3]), ["ab ", "cd"]);
  assertEquals(cutAt("中 cd", [0, 3]), ["中 ", "cd"]);
  assertEquals(cutAt("e\u0301\u0301  cd", [0, 3]), ["e\u0301\u0301  ", "cd"]);
  assertEquals(cutAt("ab", [0, 3]), ["ab", ""]);
  assertEquals(cutAt("abc d", [0, 3]), undefined);
  assertEquals(cutAt("a中中", [0, 2]), undefined);
});

Deno.test("findColumns() finds a column that is empty in one row", () => {
  const heading = "Aaa Bbb.Bbb Cccccc Dddddd";
  const rows = ["Git Git.Git 2.31.0 2.33.0", "Git Git.Git        2.33.0"];
  for (const some of [rows, rows.toReversed()]) {
    assertEquals(findColumns(heading, "-".repeat(25), some)?.starts, [0, 4, 12, 19]);
  }
});

/** A table in an unknown language: its heading, its rule, and this many rows. */
function strange(count: number) {
  const row = (n: number) => `Tool ${`${n}`.padStart(4)} Contoso.App${n % 10} 2.31.0    2.33.0`;
  return {
    heading: "Tên       Mã           Phiên bản Có sẵn",
    rule: "-".repeat(39),
    rows: Array.from({ length: count }, (_, n) => row(n)),
  };
}

const STARTS = [0, 10, 23, 33];

Deno.test("findColumns() reads at most 2,000 rows below an unknown heading", () => {
  for (const [count, starts] of [[2_000, STARTS], [2_001, undefined]] as const) {
    const { heading, rule, rows } = strange(count);
    assertEquals(findColumns(heading, rule, rows)?.starts, starts);
  }
});

Deno.test("findColumns() reads an unknown heading of at most ten words", () => {
  const find = (name: string) => {
    const { rows } = strange(3);
    const heading = `${name} Mã           Phiên bản Có sẵn`;
    const wide = rows.map((row) => name.replace(/./g, "x") + row.slice(9));
    return findColumns(heading, "-".repeat(heading.length), wide)?.starts;
  };
  assertEquals(find("a b c d e"), STARTS);
  assertEquals(find("a b c d e f"), undefined);
});

Deno.test("findColumns() allows one misfit row of up to three lines among sixty lines", () => {
  const find = (good: number, odd: readonly string[]) => {
    const { heading, rule, rows } = strange(good);
    return [0, Math.floor(good / 2), good].map((at) =>
      findColumns(heading, rule, rows.toSpliced(at, 0, ...odd))?.starts
    );
  };
  const found = [STARTS, STARTS, STARTS];
  const none = [undefined, undefined, undefined];
  const odd = "One that does not fit at all here";
  assertEquals([find(59, [odd]), find(60, [odd]).slice(0, 2)], [found, none.slice(0, 2)]);
  assertEquals(find(9, [odd, odd, odd]), found);
  assertEquals(find(9, [odd, odd, odd, odd]).slice(0, 2), none.slice(0, 2));
  assertEquals([find(2, [odd]), find(1, [odd]).slice(0, 1)], [found, [undefined]]);
});

Deno.test("findColumns() allows a misfit row only if all others have certain ids and versions", () => {
  const { heading, rule, rows } = strange(20);
  const find = (change: (row: string) => string) => {
    const [first = "", ...others] = rows;
    const odd = "One that does not fit at all here";
    return findColumns(heading, rule, [change(first), ...others.toSpliced(9, 0, odd)])?.starts;
  };
  assertEquals(find((row) => row), STARTS);
  // A second row that does not fit, an id of two words, none with a dot, a version without a digit.
  assertEquals(find((row) => row.replace("Contoso.App0", "Contoso. Ap0")), undefined);
  assertEquals(find(() => "Another that does not fit here either"), undefined);
  assertEquals(find((row) => row.replace("Contoso.App0", "Contoso_App0")), undefined);
  assertEquals(find((row) => row.replace("2.33.0", "newest")), undefined);
  assertEquals(find((row) => row.replace("Contoso.App0", "0123456.7890")), undefined);
});

Deno.test("findColumns() allows four sentences after the rows", () => {
  const { heading, rule, rows } = strange(70); // Too many for one of them to be left out.
  const sentence = "2 more packages cannot be told from what is there.";
  const find = (sentences: number) =>
    findColumns(heading, rule, [...rows, ...Array(sentences).fill(sentence)])?.starts;
  assertEquals([find(0), find(1), find(4), find(5)], [STARTS, STARTS, STARTS, undefined]);
});

Deno.test("findColumns() segments each line of an unknown table once", () => {
  const { heading, rule, rows } = strange(60);
  const { segment } = Intl.Segmenter.prototype;
  let count = 0;
  Intl.Segmenter.prototype.segment = function (text) {
    if (text.length > 1) count++; // One character's width is looked up by itself.
    return segment.call(this, text);
  };
  try {
    const odd = rows.map((row) => `${row} ééé`);
    assertEquals(findColumns(heading, `${rule}--`, odd), undefined);
  } finally {
    Intl.Segmenter.prototype.segment = segment;
  }
  assertEquals(count, 61);
});
