import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { wingetLines } from "../../../src/scanners/winget/layout.ts";
import { isTruncationOf, readTables, type WingetRow } from "../../../src/scanners/winget/table.ts";
import { readFixture } from "../fixture.ts";
import { renderTable, wingetWidth } from "./renderer.ts";
import { wingetGaps } from "../../../src/scanners/winget/answer.ts";
import { parseWingetUpgrades, type WingetUpgrades } from "../../../src/scanners/winget/upgrades.ts";

function read(lines: readonly string[], kind: "upgrades" | "installed" = "upgrades") {
  const tables = readTables(lines, kind);
  assertEquals(tables.length, 1);
  return tables[0]?.rows;
}

function cellsOf({ name, id, version, available, source }: WingetRow): string[] {
  return [name, id, version, available, source ?? ""];
}

const HEADINGS = [
  ["Name", "Id", "Version", "Available", "Source"],
  ["名前", "ID", "バージョン", "利用可能", "ソース"],
  ["이름", "장치 ID", "버전", "사용 가능", "원본"],
  ["Имя", "ИД", "Версия", "Доступно", "Источник"],
];

/** Unknown languages, one of them with headings of two words. */
const STRANGE = [
  ["Nazwa", "Identyfikator", "Wersja", "Dostępne", "Źródło"],
  ["Tên", "Mã", "Phiên bản", "Có sẵn", "Nguồn"],
];

const nameUnit = fc.constantFrom(
  ...["a", "Z", "7", "(", ")", ".", "-", "+", "é", "e\u0301", "中", "ー", "한", "ｱ", "Ж", "…", '"'],
  ...["x", "n", "w", "®"],
);
const words = fc.array(fc.string({ unit: nameUnit, minLength: 1, maxLength: 9 }), {
  minLength: 1,
  maxLength: 6,
}).map((parts) => parts.join(" "));
const id = fc.string({
  unit: fc.constantFrom(..."abcXYZ019.+-_,中"),
  minLength: 1,
  maxLength: 40,
});
const version = fc.tuple(
  fc.constantFrom("", "< ", "> "),
  fc.string({ unit: fc.constantFrom(..."0123456789."), minLength: 1, maxLength: 16 }),
  fc.constantFrom("", " (49583)", "-beta 2"),
).map((parts) => parts.join(""));
const rowsWith = (source: fc.Arbitrary<string>) =>
  fc.array(fc.tuple(words, id, version, version, source), { minLength: 1, maxLength: 12 });
const rows = fc.oneof(
  rowsWith(fc.constant("")),
  rowsWith(fc.constantFrom("winget", "msstore", "contoso-private")),
);

Deno.test("readTables() reads back what winget prints", () => {
  fc.assert(fc.property(fc.constantFrom(...HEADINGS), rows, (titles, printed) => {
    const lines = [...renderTable(titles, printed), `${printed.length} upgrades available.`, ""];
    assertEquals(read(lines)?.map(cellsOf), printed);
  }));
});

Deno.test("readTables() reads back what winget prints in an unknown language", () => {
  fc.assert(
    fc.property(fc.constantFrom(...STRANGE), rows, (titles, printed) => {
      const found = read([...renderTable(titles, printed), "Tổng: 3 bản.", ""])?.map(cellsOf);
      // A doubtful table is not read; it is never read differently.
      if (found) assertEquals(found, printed);
    }),
    { numRuns: 300 },
  );
  const printed = [
    ["7-Zip", "7zip.7zip", "23.01", "24.08", "winget"],
    ["Windows Terminal", "Microsoft.WindowsTerminal", "1.18.2822.0", "1.21.3231.0", "winget"],
  ];
  for (const titles of STRANGE) {
    const lines = [...renderTable(titles, printed), "2 to be had.", "3 more --include-unknown"];
    assertEquals(read(lines)?.map(cellsOf), printed);
  }
});

Deno.test("readTables() reads the truncated cells of a narrow table", () => {
  const limits = fc.integer({ min: 70, max: 119 });
  fc.assert(fc.property(fc.constantFrom(...HEADINGS), rows, limits, (titles, printed, limit) => {
    const lines = renderTable(titles, printed, { limit, measured: 5 });
    const found = read(lines)?.map(cellsOf) ?? [];
    assertEquals(found.length, printed.length);
    for (const [index, row] of found.entries()) {
      const isLeft = row.map((cell, column) => {
        const whole = printed[index]?.[column] ?? "";
        return cell === whole || isTruncationOf(cell, whole);
      });
      assertEquals(isLeft, [true, true, true, true, true], lines.join("\n"));
    }
  }));
});

Deno.test("readTables() reads installed packages, some of which have no newer version", () => {
  const spanish = read(
    wingetLines(readFixture("winget", "report_list_spanish.txt")).lines,
    "installed",
  );
  assertEquals(spanish?.map(({ id, version, available }) => `${id} ${version} ${available}`), [
    "12030rocksdanister.LivelyWallpaper_97hta… 1.0.137.0 ",
    "Blitz.Blitz 2.1.128 ",
    "Microsoft.VisualStudio.2022.Community 17.7.3 17.9.1",
    "40345RevoltCommunications.revolt.chat_dr… 1.0.6.0 ",
    "7zip.7zip 23.01 ",
    "AnyDeskSoftwareGmbH.AnyDesk 8.0.9 ",
    "Battle.net Unknown ",
  ]);
  const chinese = read(
    wingetLines(readFixture("winget", "report_list_chinese.txt")).lines,
    "installed",
  );
  assertEquals(chinese?.map(({ name, id, available, source }) => [name, id, available, source]), [
    ["阿里云盘", "Alibaba.aDrive", "", "winget"],
    ["MagicPods", "715AleksandrMaslov.MagicPods_vk1h99z2mpttm", "", ""],
    ["HP Smart", "AD2F1837.HPPrinterControl_v10z8vjag6ke6", "", ""],
    ["英特尔® 显卡控制中心", "AppUp.IntelGraphicsExperience_8j3eq9eme6ctt", "", ""],
    ["ThunderboltTM 控制中心", "AppUp.ThunderboltControlCenter_8j3eq9eme6ctt", "", ""],
    ["Ubuntu", "CanonicalGroupLimited.UbuntuonWindows_79rhkp…", "", ""],
    ["Docker Desktop", "Docker.DockerDesktop", "", "winget"],
  ]);
});

Deno.test("readTables() reads installed packages with ids without a dot", () => {
  const rows = [["App", "9NBLGGH4NNS1", "1.0", "", "msstore"], [
    "Git",
    "Git.Git",
    "2",
    "3",
    "winget",
  ]];
  assertEquals(read(renderTable(HEADINGS[0] ?? [], rows), "installed")?.map(cellsOf), rows);
});

Deno.test("readTables() does not use a source as an available version", () => {
  const rows = [["Git", "Git.Git", "2.31.0", "", "winget"]];
  assertEquals(read(renderTable(HEADINGS[0] ?? [], rows)), undefined);
});

Deno.test("readTables() reads a row whose name has another width for winget", () => {
  const titles = HEADINGS[0] ?? [];
  const lines = renderTable(titles, [
    ["Heart ❤️ Rate", "Contoso.Heart", "1.0", "1.1", "winget"],
    ["Another name", "Contoso.Other", "2.0", "2.1", "winget"],
  ]);
  const narrower = lines.map((line) => line.replace("❤️ Rate", "❤️ Rate "));
  assertEquals(read(narrower)?.map(({ id }) => id), ["Contoso.Heart", "Contoso.Other"]);
});

const RULE = "-".repeat(40);
const TITLES = "Name Id Version Available Source";

/** Damage in one row: unexpected text in a name or another cell. */
const DAMAGES: readonly [what: string, damage: (row: readonly string[]) => string[]][] = [
  ["a leading blank in the name", ([name, ...rest]) => [` ${name}`, ...rest]],
  ["trailing blanks in the name", ([name, ...rest]) => [`${name}   `, ...rest]],
  ["a line end in the name", ([name, ...rest]) => [`Upper\r\n${name}`, ...rest]],
  ["a line feed in the name", ([name, ...rest]) => [`${name}\nLower`, ...rest]],
  ["an empty line in the name", ([name, ...rest]) => [`Upper\n\n${name}`, ...rest]],
  ["a carriage return in the name", ([name, ...rest]) => [`Upper\r${name}`, ...rest]],
  ["a number and a line end in the name", ([name, ...rest]) => [`Tool 2\n${name}`, ...rest]],
  ["a line of dashes in the name", ([name, ...rest]) => [`A\n${RULE}\n${name}`, ...rest]],
  [
    "a blank and a line of dashes in the name",
    ([n, ...rest]) => [`A\n\nB\n${RULE}\n${n}`, ...rest],
  ],
  ["two lines of dashes in the name", ([n, ...rest]) => [`A\n${RULE}\nB\n${RULE}\n${n}`, ...rest]],
  ["a heading and a rule in the name", ([n, ...rest]) => [`A\n${TITLES}\n${RULE}\n${n}`, ...rest]],
  ["a heading, a rule and no more in the name", ([, ...rest]) => [`${TITLES}\n${RULE}`, ...rest]],
  ["emoji with variation selectors", ([name, ...rest]) => [`${name}${"❤️".repeat(5)}`, ...rest]],
  ["joined emoji", ([name, ...rest]) => [`👩‍👩‍👧 ${name}`, ...rest]],
  ["zero-width characters", ([name, ...rest]) => [`\u200b\u200b${name}\u200d\ufeff`, ...rest]],
  ["wide characters", ([name, ...rest]) => [`端末ターミナル${name}`, ...rest]],
  ["a tab", ([name, ...rest]) => [`${name}\tx`, ...rest]],
  ["a leading blank in the version", ([a, b, v, ...rest]) => [a ?? "", b ?? "", ` ${v}`, ...rest]],
  ["a line end in the version", ([a, b, v, ...rest]) => [a ?? "", b ?? "", `${v}\r\n`, ...rest]],
  ["a line end inside the version", ([a, b, v, ...rest]) => [a ?? "", b ?? "", `${v}\n0`, ...rest]],
  ["a rule in the version", ([a, b, v, ...r]) => [a ?? "", b ?? "", `${v}\n${RULE}\n0`, ...r]],
  [
    "a heading in the version",
    ([a, b, , ...r]) => [a ?? "", b ?? "", `1\n${TITLES}\n${RULE}`, ...r],
  ],
  ["a carriage return in the version", ([a, b, v, ...r]) => [a ?? "", b ?? "", `${v}\r0`, ...r]],
  ["no id", ([name, _, ...rest]) => [name ?? "", "", ...rest]],
  ["no version", ([name, id, _, ...rest]) => [name ?? "", id ?? "", "", ...rest]],
  ["nothing but a name", ([name]) => [`${name} 7`, "", "", "", ""]],
];

const solidVersion = version.filter((text) => /^(?:[<>] )?\S*\d/.test(text));
const solidRows = fc.uniqueArray(
  fc.tuple(words, fc.nat(9_999), solidVersion, solidVersion),
  { minLength: 1, maxLength: 30, selector: ([, number]) => number },
).map((made) =>
  made.map(([name, number, from, to]) => [name, `Contoso.App${number}`, from, to, "winget"])
);

/** Whether the answer has a gap, or no row, which is an error. */
function isWarned(answer: WingetUpgrades): boolean {
  return answer.rows.length === 0 || wingetGaps(answer).length > 0;
}

const widths = fc.constantFrom({ widthOf: wingetWidth }, {});

for (const [what, damage] of DAMAGES) {
  Deno.test(`readTables() reads every other row of a table in which one has ${what}`, () => {
    fc.assert(
      fc.property(solidRows, fc.nat(29), fc.boolean(), widths, (whole, place, hasSource, width) => {
        const at = place % whole.length;
        const rows = whole.map((row, index) => index === at ? damage(row) : row)
          .map((row) => hasSource ? row : row.with(4, ""));
        const count = `${rows.length} upgrades available.`;
        const table = renderTable(HEADINGS[0] ?? [], rows, width);
        const text = [...table, count, ""].join("\r\n");
        const answer = parseWingetUpgrades(text);
        const ids = answer.rows.map(({ id }) => id);
        const others = whole.filter((_, index) => index !== at).map(([, id]) => id);
        assertEquals(ids.filter((id) => id !== whole[at]?.[1]), others, text);
        if (others.length > 0) assertEquals(answer.announced, rows.length, text);
        // The damaged row is read correctly, or counted as missing.
        for (const row of answer.rows.filter(({ id }) => id === whole[at]?.[1])) {
          assertEquals([row.version, row.available], whole[at]?.slice(2, 4), text);
        }
        if (ids.length < whole.length) assert(isWarned(answer), text);
        const unchanged = answer.rows.filter(({ id }) => others.includes(id));
        const asPrinted = whole.filter((_, index) => index !== at);
        assertEquals(
          unchanged.map(({ version, available }) => [version, available]),
          asPrinted.map(([, , version, available]) => [version, available]),
          text,
        );
      }),
      { numRuns: 20 },
    );
  });
}

Deno.test("readTables() reads the other rows in an unknown language", () => {
  for (const titles of STRANGE) {
    for (const [what, damage] of DAMAGES) {
      const whole = [
        ["7-Zip", "7zip.7zip", "23.01", "24.08", "winget"],
        ["Windows Terminal", "Microsoft.WindowsTerminal", "1.18.2822.0", "1.21.3231.0", "winget"],
        ["Zoom Workplace", "Zoom.Zoom", "< 6.2.0", "6.2.7 (49583)", "winget"],
        ["Git", "Git.Git", "2.49", "2.54", "winget"],
      ];
      const rows = whole.map((row, index) => index === 2 ? damage(row) : row);
      const text = [...renderTable(titles, rows, { widthOf: wingetWidth }), "Razem: 4.", ""];
      const { rows: found } = parseWingetUpgrades(text.join("\r\n"));
      const ids = found.map(({ id }) => id).filter((id) => id !== "Zoom.Zoom");
      assertEquals(ids, ["7zip.7zip", "Microsoft.WindowsTerminal", "Git.Git"], what);
    }
  }
});

Deno.test("readTables() reads a row by its right-hand cells if its name shifts them", () => {
  const rows = [
    [" Beta Tool", "Contoso.Beta", "1.0", "1.1", ""],
    ["Heart ❤️❤️❤️❤️❤️", "Contoso.Heart", "2.0", "2.1", ""],
    ["Two\r\nlines", "Contoso.Lines", " 3.0", "3.1", ""],
    ["Plain", "Contoso.Plain", "< 4.0", "4.1 (5)", ""],
  ];
  const table = renderTable(HEADINGS[0] ?? [], rows, { widthOf: wingetWidth });
  const text = [...table, "4 upgrades available.", ""].join("\r\n");
  const answer = parseWingetUpgrades(text);
  assertEquals(answer.rows.map(({ id, version, available }) => [id, version, available]), [
    ["Contoso.Beta", "1.0", "1.1"],
    ["Contoso.Heart", "2.0", "2.1"],
    ["Contoso.Lines", "3.0", "3.1"],
    ["Contoso.Plain", "< 4.0", "4.1 (5)"],
  ]);
  assertEquals([answer.announced, answer.messages], [4, []]);
});

Deno.test("readTables() ends a table at a line whose cells begin elsewhere, or at the next table", () => {
  const lines = ["Name Id Version Available", "-".repeat(25), "a    b  1       2"];
  assertEquals(read(lines)?.length, 1);
  assertEquals(read([...lines, "so   it  goes   on"])?.length, 1);
  assertEquals(read([...lines, "so   it goes    on"])?.length, 2);
  const two = readTables([...lines, ...lines], "upgrades");
  assertEquals(two.map(({ rows, startsAt, endsAt }) => [rows?.length, startsAt, endsAt]), [
    [1, 0, 3],
    [1, 3, 6],
  ]);
});

Deno.test("readTables() reads a row by its right-hand cells after a name of any width", () => {
  const heading = "Name            Id            Version Available Source";
  const rule = "-".repeat(heading.length);
  const read = (name: string, shift: number) => {
    const line = `${name.padEnd(16 + shift)}Contoso.Heart 1.0     1.1       winget`;
    return readTables([heading, rule, line], "upgrades")[0]?.rows?.map(({ id }) => id);
  };
  for (let shift = -5; shift <= 5; shift++) {
    for (const name of ["Caf\u00e9", "Cafe"]) {
      assertEquals(read(name, shift), ["Contoso.Heart"], `${name} by ${shift}`);
    }
  }
});

Deno.test("readTables() reads eight tables at most, and needs a heading above a rule", () => {
  const table = ["Name Id Version Available", "-".repeat(25), "a    b  1       2"];
  const count = (tables: number) =>
    readTables(Array.from({ length: tables }, () => table).flat(), "upgrades").length;
  assertEquals([count(0), count(1), count(8), count(9)], [0, 1, 8, 8]);
  assertEquals(readTables(table.slice(1), "upgrades"), []);
  assertEquals(readTables(table.slice(0, 2), "upgrades").map(({ rows }) => rows), [[]]);
});

Deno.test("readTables() accepts only eight or more dashes as a rule", () => {
  const count = (rule: string) =>
    readTables(["Name Id Version Available", rule, "a    b  1       2"], "upgrades").length;
  assertEquals(["-".repeat(8), "-".repeat(60)].map(count), [1, 1]);
  const others = ["-".repeat(7), `x${"-".repeat(8)}`, `${"-".repeat(8)}x`, "=".repeat(8), ""];
  assertEquals(others.map(count), [0, 0, 0, 0, 0]);
});

const HEADING = "Name            Id            Version Available Source";
const ALIGNED = "Git             Git.Git       2.31.0  2.33.0    winget";
const CELLS = "Contoso.Heart 1.0     1.1       winget";

/** Ids in a table of these lines, and the number of unreadable lines. */
function idsIn(...lines: string[]): [ids: string[] | undefined, unreadable: number | undefined] {
  const [table] = readTables([HEADING, "-".repeat(HEADING.length), ...lines, ALIGNED], "upgrades");
  return [table?.rows?.map(({ id }) => id), table?.unreadable];
}

Deno.test("readTables() analyses misfit rows within limits, and counts the others", () => {
  const both = ["Contoso.Heart", "Git.Git"];
  const row = (length: number) => `${"x".repeat(length - CELLS.length - 1)} ${CELLS}`;
  assertEquals([idsIn(row(2_000)), idsIn(row(2_001))], [[both, 0], [["Git.Git"], 1]]);
  const words = (count: number) => `${"x ".repeat(count)}  ${CELLS}`;
  assertEquals([idsIn(words(99)), idsIn(words(100))], [[both, 0], [["Git.Git"], 1]]);
  const junk = (count: number) => idsIn(...Array(count).fill("junk"), `${"x".repeat(20)} ${CELLS}`);
  assertEquals([junk(199), junk(200)], [[both, 199], [["Git.Git"], 201]]);
});

Deno.test("readTables() joins a name of five lines, and reads the row of a longer one", () => {
  const both = ["Contoso.Heart", "Git.Git"];
  const named = (lines: number) => {
    const last = "x".padEnd(16 - 2 * (lines - 1));
    return idsIn(...Array(lines - 1).fill("y"), `${last}${CELLS}`);
  };
  assertEquals([named(1), named(2), named(5)], [[both, 0], [both, 0], [both, 0]]);
  assertEquals(named(6), [both, 5]);
});

Deno.test("readTables() joins the lines of a name to at most 2,000 characters", () => {
  const named = (length: number) => {
    const width = length - CELLS.length;
    const heading = `${"Name".padEnd(width)}Id            Version Available Source`;
    const lines = ["y", `${"x".padEnd(width - 2)}${CELLS}`];
    const [table] = readTables([heading, "-".repeat(length), ...lines], "upgrades");
    return [table?.rows?.map(({ name }) => name), table?.unreadable];
  };
  assertEquals([named(2_000), named(2_001)], [[["y x"], 0], [["x"], 1]]);
});

Deno.test("readTables() returns the end of a table that it cannot read", () => {
  const other = [
    "Before.",
    "",
    "Name Id",
    "--------",
    "Git  Git.Git",
    "Zip  7zip.7zip",
    "",
    "After.",
  ];
  const [table] = readTables(other, "upgrades");
  assertEquals(table, { startsAt: 2, endsAt: 6, rows: undefined, unreadable: 0 });
});

Deno.test("readTables() ends a table at a line of blanks", () => {
  const lines = [HEADING, "-".repeat(HEADING.length), ALIGNED, "   ", "5 things elsewhere."];
  const strange = renderTable(STRANGE[0] ?? [], [["Git", "Git.Git", "1.0", "1.1", ""]]);
  const many = Array.from({ length: 5 }, (_, n) => `${n} things elsewhere.`);
  assertEquals(readTables(lines, "upgrades").map(({ endsAt }) => endsAt), [3]);
  assertEquals(read([...strange, "   ", ...many])?.map(({ id }) => id), ["Git.Git"]);
});

Deno.test("readTables() reads a misaligned row without a name, or with a blank before it", () => {
  const both = ["Contoso.Heart", "Git.Git"];
  assertEquals([idsIn(CELLS), idsIn(` ${"x".repeat(20)} ${CELLS}`)], [[both, 0], [both, 0]]);
});

Deno.test("readTables() continues after a blank line, up to the next heading", () => {
  const rule = "-".repeat(HEADING.length);
  const lines = [HEADING, rule, ALIGNED, "", `Heart           ${CELLS}`, HEADING, rule, ALIGNED];
  const tables = readTables(lines, "upgrades");
  assertEquals(tables.map(({ startsAt, endsAt, rows }) => [startsAt, endsAt, rows?.length]), [
    [0, 5, 2],
    [5, 8, 1],
  ]);
});

Deno.test("readTables() counts a last line that looks like a row, but not a sentence", () => {
  const ends = (line: string) => {
    const [table] = readTables([HEADING, "-".repeat(HEADING.length), ALIGNED, line], "upgrades");
    return [table?.rows?.length, table?.unreadable, table?.endsAt];
  };
  for (const row of ["Tool   1.0", "  1.0 1.1", "Tool Contoso.Tool 1.0"]) {
    assertEquals(ends(row), [1, 1, 4], row);
  }
  assertEquals(ends("1 upgrades available."), [1, 0, 3]);
});

Deno.test("readTables() accepts a misaligned row only with an id and versions", () => {
  const shifted = (id: string, version: string, available: string, source = "winget") => {
    const cells = [id.padEnd(13), version.padEnd(7), available.padEnd(9), source].join(" ");
    return idsIn(`${"x".repeat(20)} ${cells}`)[0]?.length === 2;
  };
  const rows: readonly [id: string, version: string, available: string, isRow: boolean][] = [
    ["Contoso.Heart", "1.0", "1.1", true],
    ["A.B", "< 1.0", "> 1.1", true],
    ["A.B…", "1.0", "1.1", true],
    ["ARP\\User\\X", "Unknown", "v2", true],
    ["A.B", "unknown", "1.1", false],
    ["A.B", "Unknowns", "1.1", false],
    ["A.B", "none", "1.1", false],
    ["A.B", "1.0", "none", false],
    ["Contoso", "1.0", "1.1", false],
    ["A.", "1.0", "1.1", false],
    ["A.B.", "1.0", "1.1", false],
    ["A..B", "1.0", "1.1", false],
    [".B", "1.0", "1.1", false],
    ["1.2", "1.0", "1.1", false],
    ["v1.2.x", "1.0", "1.1", false],
    ["12.34", "1.0", "1.1", false],
  ];
  for (const [id, version, available, isRow] of rows) {
    assertEquals(shifted(id, version, available), isRow, `${id} ${version} ${available}`);
  }
  assertEquals(shifted("A.B", "1.0", "1.1", "private"), true);
  assertEquals(shifted("A.B", "1.0", "1.1", "is there"), false, "a source is one word");
});

Deno.test("readTables() allows a name outside ASCII to be four columns wider or narrower", () => {
  const isRead = (name: string, shift: number) => {
    const line = `${name.padEnd(16 + shift)}9NBLGGH4NNS1  1.0     1.1       winget`;
    const [table] = readTables([HEADING, "-".repeat(HEADING.length), line, ALIGNED], "installed");
    return table?.rows?.[0]?.id === "9NBLGGH4NNS1";
  };
  const shifts = [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5];
  assertEquals(shifts.filter((shift) => isRead("Caf\u00e9", shift)), shifts.slice(1, -1));
  assertEquals(shifts.filter((shift) => isRead("Cafe", shift)), [0]);
});

Deno.test("readTables() ends a table in an unknown language at the next one", () => {
  const rows = Array.from(
    { length: 40 },
    (_, n) => [`Tool ${n}`, `Contoso.App${n}`, "1.0", "1.1", ""],
  );
  for (const titles of STRANGE) {
    const table = renderTable(titles, rows);
    const found = readTables([...table, ...table], "upgrades");
    assertEquals(found.map((one) => one.rows?.map(cellsOf)), [rows, rows]);
  }
});

Deno.test("readTables() separates a table in another language even if the first could read its rows", () => {
  const [titles = []] = STRANGE;
  const many = [["Git", "Git.Git", "1.0", "1.1", ""], ["Zoom Two", "Zoom.Zoom", "2.0", "2.1", ""]];
  // One row does not determine the columns if the rule is wider than their content.
  const odd = renderTable(titles, [["Zoom Two", "Zoom.Two", "2.0", "2.1", ""]]);
  const lines = [...renderTable(titles, many), "", ...odd.with(1, "-".repeat(70))];
  const found = readTables(lines, "upgrades");
  assertEquals(found.map((one) => one.rows?.length), [2, undefined]);
});

Deno.test("readTables() analyses eight rules below the first row of a table", () => {
  const named = (rules: number) => {
    const name = [...Array(rules).fill(`y\n${"-".repeat(8)}`), "x".padEnd(15)].join("\n");
    const lines = [...`${name} ${CELLS}`.split("\n"), ALIGNED];
    const [table] = readTables([HEADING, "-".repeat(HEADING.length), ...lines], "upgrades");
    return table?.rows?.map(({ id }) => id);
  };
  assertEquals([named(8), named(9)], [["Contoso.Heart", "Git.Git"], []]);
});

Deno.test("readTables() joins the lines of a name, but not of a version", () => {
  const rows = (name: string, version: string) => {
    const cells = [["Git", "Git.Git", "2.31.0", "2.33.0", ""], [name, "A.B", version, "2.0", ""]];
    const table = renderTable(HEADINGS[0] ?? [], cells, { widthOf: wingetWidth });
    const lines = table.join("\n").split("\n");
    return read(lines)?.slice(1).map((row) => [row.name, row.version]);
  };
  assertEquals(rows("Two\nlines", "1.0"), [["Two lines", "1.0"]]);
  for (const version of ["1.0\n", "\n1.0"]) assertEquals(rows("Tool", version), [["Tool", "1.0"]]);
  for (const version of ["1.\n0", "1\n1.0", "< 1\n0"]) assertEquals(rows("Tool", version), []);
});
