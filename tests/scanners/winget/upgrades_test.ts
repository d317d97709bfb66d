import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  markPinned,
  parseWingetUpgrades,
  type WingetUpgrade,
} from "../../../src/scanners/winget/upgrades.ts";
import { readFixture } from "../fixture.ts";
import { hasControls } from "../../../src/strip_controls.ts";
import { renderTable } from "./renderer.ts";
import { anyString } from "../../fakes/texts.ts";

const LANGUAGES = ["de", "en", "es", "fr", "it", "ja", "ko", "pt-BR", "ru", "zh-CN", "zh-TW"];
const WITH_SECOND_TABLE = ["de", "en", "fr", "ja"];

function read(name: string) {
  return parseWingetUpgrades(readFixture("winget", name));
}

function show({ id, version, available, source, state }: WingetUpgrade): string {
  const from = source === null ? "" : ` (${source})`;
  return `${id} ${version} -> ${available}${from}${state === "upgradable" ? "" : ` ${state}`}`;
}

for (const language of LANGUAGES) {
  Deno.test(`parseWingetUpgrades() reads winget in ${language}`, () => {
    const answer = read(`language_${language}.txt`);
    const hasSecond = WITH_SECOND_TABLE.includes(language);
    assertEquals(answer.rows.map(show), [
      "7zip.7zip 23.01 -> 24.08 (winget)",
      "Microsoft.WindowsTerminal 1.18.2822.0 -> 1.21.3231.0 (winget)",
      "Tencent.QQ 9.7.23.29392 -> 9.9.15 (winget)",
      "Zoom.Zoom < 6.2.0 -> 6.2.7 (49583) (winget)",
      "GOG.Galaxy Unknown -> 2.0.43.71a (winget)",
      ...(hasSecond ? ["Discord.Discord 1.0.9163 -> 1.0.9167 (winget) explicit_only"] : []),
    ]);
    assertEquals(answer.rows.map(({ name }) => name).slice(0, 3), [
      "7-Zip 23.01 (x64)",
      "Windows ターミナル",
      "腾讯QQ",
    ]);
    assertEquals([answer.announced, answer.messages], [hasSecond ? 6 : 5, []]);
  });
}

Deno.test("parseWingetUpgrades() returns at most 300 characters of a sentence", () => {
  const { messages } = parseWingetUpgrades(`${"x".repeat(301)}\n`);
  assertEquals(messages, [`${"x".repeat(295)}(cut)`]);
});

/** The file, its rows, and the other content. */
const CASES: readonly [
  file: string,
  rows: readonly string[],
  rest: Partial<ReturnType<typeof parseWingetUpgrades>>,
][] = [
  ["new_four_columns.txt", [
    "7zip.7zip 23.01 -> 24.08",
    "Microsoft.PowerShell 7.4.5.0 -> 7.4.6.0",
  ], { announced: 2 }],
  ["old_progress.txt", [
    "7zip.7zip 23.01 -> 24.08",
    "Microsoft.PowerShell 7.4.5.0 -> 7.4.6.0",
  ], { announced: 2 }],
  ["new_limit.txt", [
    "7zip.7zip 23.01 -> 24.08",
    "Microsoft.PowerShell 7.4.5.0 -> 7.4.6.0",
  ], { announced: 2, messages: ["<additional entries truncated due to result limit>"] }],
  ["old_spinner.txt", [
    "7zip.7zip 23.01 -> 24.08 (winget)",
    "Microsoft.Azure.FunctionsCoreTools 4.0.5455 -> 4.0.6610 (winget)",
    "Microsoft.VCRedist.2015+.x64 14.38.33135.0 -> 14.42.34433.0 (winget)",
    "Microsoft.PowerShell 7.4.5.0 -> 7.4.6.0 (winget)",
    "Zoom.Zoom < 6.2.0 -> 6.2.7 (49583) (winget)",
    "Discord.Discord 1.0.9163 -> 1.0.9167 (winget) explicit_only",
  ], { announced: 6, unknown: 2 }],
  ["new_three_tables.txt", [
    "7zip.7zip 23.01 -> 24.08",
    "Microsoft.PowerShell 7.4.5.0 -> 7.4.6.0",
    "Discord.Discord 1.0.9163 -> 1.0.9167 explicit_only",
    "Mozilla.Firefox.de 142.0.1 -> 150.0 pinned",
  ], { announced: 4 }],
  ["new_explicit_alone.txt", ["Discord.Discord 1.0.9163 -> 1.0.9167 explicit_only"], {
    hasMainTable: false,
    messages: ["No installed package found matching input criteria."],
  }],
  ["new_pinned_alone.txt", ["Mozilla.Firefox.de 142.0.1 -> 150.0 pinned"], {
    hasMainTable: false,
    messages: ["No installed package found matching input criteria."],
  }],
  ["new_source_failed.txt", [
    "7zip.7zip 23.01 -> 24.08 (winget)",
    "Microsoft.Azure.FunctionsCoreTools 4.0.5455 -> 4.0.6610 (winget)",
  ], {
    announced: 2,
    messages: ["Failed when searching source; results will not be included: msstore"],
  }],
  ["new_nothing.txt", [], {
    hasMainTable: false,
    messages: ["No installed package found matching input criteria."],
  }],
  ["nothing_pins.txt", [], {
    hasMainTable: false,
    pinned: 2,
    messages: ["No installed package found matching input criteria."],
  }],
  ["report_nothing_unknown.txt", [], {
    hasMainTable: false,
    unknown: 5,
    messages: ["No installed package found matching input criteria."],
  }],
  ["report_unknown.txt", [
    "Mega.MEGASync Unknown -> 4.6.1.0 (winget)",
    "GOG.Galaxy Unknown -> 2.0.43.71a (winget)",
  ], { announced: 2 }],
  ["report_explicit_four_columns.txt", [
    "Adobe.Acrobat.Reader.64-bit 22.001.20142 -> 22.003.20310",
    "Microsoft.Teams 1.5.0.8070 -> 1.6.00.376 explicit_only",
  ], { announced: 2, unknown: 1 }],
  ["report_explicit_one.txt", [
    "BiniSoft.WindowsFirewallControl 6.9.0.0 -> 6.9.2.0 (winget)",
    "XnSoft.XnViewMP 1.4.3 -> 1.4.4 (winget)",
    "OpenJS.NodeJS.LTS 18.15.0 -> 18.16.0 (winget)",
    "Discord.Discord 1.0.9011 -> 1.0.9012 (winget) explicit_only",
  ], { announced: 4 }],
  ["report_pins.txt", [
    "chrisant996.Clink 1.9.30 -> 1.9.31 (winget)",
    "Martchus.syncthingtray 2.1.3 -> 2.1.4 (winget)",
    "Discord.Discord 1.0.9251 -> 1.0.9252 (winget) explicit_only",
    "Meta.Oculus 1.103.0 -> 1.115.0 (winget) explicit_only",
    "SlackTechnologies.Slack 4.51.180 -> 4.51.185 (winget) explicit_only",
  ], { announced: 5, unknown: 4, pinned: 3 }],
  ["report_same_id.txt", [
    "Git.Git 2.20.1 -> 2.35.1.2 (winget)",
    "HexChat.HexChat 2.14.2 -> 2.16.1 (winget)",
    "Microsoft.Teams 1.4.00.23957 -> 1.5.00.4689 (winget)",
    "Twilio.Authy 1.9.0 -> 2.0.0 (winget)",
    "Microsoft.Teams 1.2.0.24753 -> 1.5.00.4689 (winget)",
  ], { announced: 5, unknown: 1 }],
  ["report_german.txt", [
    "CPUID.CPU-Z 2.16 -> 2.19 (winget)",
    "Git.Git 2.49.0 -> 2.54.0 (winget)",
    "Mozilla.Firefox.de 142.0.1 -> 150.0 (winget)",
    "VideoLAN.VLC 3.0.20 -> 3.0.23 (winget)",
    "Zen-Team.Zen-Browser 1.16b -> 1.19.8b (winget)",
    "darktable.darktable 5.2.0 -> 5.4.1 (winget)",
    "MiniTool.PartitionWizard.Free 12.9 -> 13.6 (winget)",
  ], { announced: null }],
];

for (const [file, rows, other] of CASES) {
  Deno.test(`parseWingetUpgrades() reads ${file}`, () => {
    const answer = read(file);
    assertEquals(answer.rows.map(show), rows);
    const { rows: _, ...fields } = answer;
    assertEquals(fields, {
      announced: null,
      pinned: 0,
      unknown: 0,
      messages: [],
      hasMainTable: true,
      unreadable: 0,
      unreadableRows: 0,
      dropped: 0,
      ...other,
    });
  });
}

Deno.test("parseWingetUpgrades() returns no row for empty output, junk or no table", () => {
  for (const text of ["", "\r\n", "junk", "----------\n", "\n----------\n", "a\n-------\nb\n"]) {
    assertEquals(parseWingetUpgrades(text).rows, [], text);
  }
  assertEquals(read("agreements.txt").rows, []);
  assertEquals(read("report_option_unknown.txt").rows, []);
});

Deno.test("parseWingetUpgrades() rejects a table without its blanks, or of another program", () => {
  const squeezed = read("report_squeezed_french.txt");
  assertEquals([squeezed.rows, squeezed.hasMainTable], [[], true]);
  const found = "Multiple installed packages found.\r\nName Id\r\n---------\r\nGit  Git.Git\r\n";
  const { rows, unreadable } = parseWingetUpgrades(found);
  assertEquals([rows, unreadable], [[], 1]);
});

Deno.test("parseWingetUpgrades() reads names with blanks, and ids with special characters", () => {
  const { rows } = read("report_cut_names.txt");
  assertEquals(rows.length, 8);
  assertEquals([rows[3]?.name, rows[3]?.version], [
    "Windows Software Development Kit - Windows 10.0.1904…",
    "< 10.0.22000.832",
  ]);
  assertEquals(rows[6]?.id, "IDMComputerSolutions,Inc.UltraEdit");
});

Deno.test("parseWingetUpgrades() reads rows after the fiftieth, whose cells are truncated", () => {
  const { rows, announced } = read("old_fifty_rows.txt");
  assertEquals([rows.length, announced], [52, 52]);
  const [long, last] = rows.slice(-2);
  assertEquals([long?.id, long?.available], ["Example.Package.…", "2.51.0.1…"]);
  assertEquals(last?.id, "Example.Last");
});

Deno.test("parseWingetUpgrades() returns no control character, and accepts invalid UTF-8", () => {
  const text = readFixture("winget", "new_four_columns.txt")
    .replace("7-Zip 23.01", "\x1b[31m7-Z\u202ep 23.01\x1b[0m")
    .replace("PowerShell 7", "Power\ufffdhell 7");
  const { rows } = parseWingetUpgrades(text);
  assertEquals(rows.map(({ name }) => name), ["7-Zp 23.01 (x64)", "Power\ufffdhell 7-x64"]);
});

Deno.test("parseWingetUpgrades() reads winget's count below the table, not in a warning", () => {
  const text = readFixture("winget", "new_four_columns.txt");
  const { announced, messages } = parseWingetUpgrades(`Die Quelle meldet 503.\r\n${text}`);
  assertEquals([announced, messages], [2, ["Die Quelle meldet 503."]]);
});

const FILES = [
  ...LANGUAGES.map((language) => `language_${language}.txt`),
  ...CASES.map(([file]) => file),
  "old_fifty_rows.txt",
  "old_cut_ids.txt",
  "report_cut_names.txt",
];

const encoded = new Map(FILES.map((file) => {
  const text = readFixture("winget", file);
  const { rows } = parseWingetUpgrades(text);
  return [file, {
    text,
    bytes: new TextEncoder().encode(text),
    known: new Set(rows.map((row) => JSON.stringify(row))),
    ids: new Set(rows.map(({ id }) => id)),
  }];
}));

function strangeRows(file: string, length: number): WingetUpgrade[] {
  const { bytes, known } = encoded.get(file) ?? { bytes: new Uint8Array(), known: new Set() };
  const { rows } = parseWingetUpgrades(new TextDecoder().decode(bytes.subarray(0, length)));
  return rows.filter((row) => !known.has(JSON.stringify(row)));
}

Deno.test("parseWingetUpgrades() of output truncated at any byte returns no other package", () => {
  for (const file of ["language_ko.txt", "new_three_tables.txt"]) {
    for (let length = 0; length < (encoded.get(file)?.bytes.length ?? 0); length++) {
      assertEquals(strangeRows(file, length), [], `${file} at ${length}`);
    }
  }
  fc.assert(
    fc.property(fc.constantFrom(...FILES), fc.nat(6_000), (file, at) => {
      assertEquals(strangeRows(file, at % (encoded.get(file)?.bytes.length ?? 1)), []);
    }),
    { numRuns: 1_000 },
  );
});

const chatter = fc.oneof(
  fc.constantFrom(
    "Failed in attempting to update the source: winget",
    "2 package(s) have version numbers that cannot be determined. Use --include-unknown",
    "  ██████▒▒▒▒  1024 KB / 3.92 MB",
    "   - ",
    "The following packages have an upgrade available, but require explicit targeting for upgrade:",
    "Доступны обновления: 3.",
    "2 mises à niveau disponibles.",
    "--------",
    "",
  ),
  fc.string({ maxLength: 120 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.array(fc.string({ unit: fc.constantFrom(..."ab1. -…"), maxLength: 30 }), { maxLength: 4 })
    .map((words) => words.join(" ")),
);

Deno.test("parseWingetUpgrades() returns no package for other output anywhere", () => {
  const cases = fc.record({
    file: fc.constantFrom(...FILES),
    line: chatter,
    at: fc.nat(60),
  });
  fc.assert(
    fc.property(cases, ({ file, line, at }) => {
      const { text, ids } = encoded.get(file) ?? { text: "", ids: new Set() };
      const lines = text.split("\r\n");
      const noisy = lines.toSpliced(at % lines.length, 0, line);
      const { rows } = parseWingetUpgrades(noisy.join("\r\n"));
      assertEquals(rows.filter(({ id }) => !ids.has(id)), []);
    }),
    { numRuns: 600 },
  );
});

Deno.test("parseWingetUpgrades() never throws, and reads LF and CRLF alike", () => {
  const mutated = fc.record({
    file: fc.constantFrom(...FILES),
    at: fc.nat(4_000),
    remove: fc.nat(20),
    insert: anyString({ maxLength: 12 }),
  });
  fc.assert(
    fc.property(mutated, ({ file, at, remove, insert }) => {
      const { text } = encoded.get(file) ?? { text: "" };
      const start = at % text.length;
      const other = text.slice(0, start) + insert + text.slice(start + remove);
      const { rows } = parseWingetUpgrades(other);
      assert(!hasControls(rows.map(show).join("")));
    }),
    { numRuns: 500 },
  );
  for (const [file, { text }] of encoded) {
    assertEquals(
      parseWingetUpgrades(text.replaceAll("\r\n", "\n")),
      parseWingetUpgrades(text),
      file,
    );
  }
});

Deno.test("parseWingetUpgrades() takes linear time for ten megabytes, in one line or in many", () => {
  const size = 10_000_000;
  const heading = "Name Id Version Available\r\n-------------------------\r\n";
  const texts = [
    "-".repeat(size),
    `${" ".repeat(size)}\n`,
    `${heading}${"a ".repeat(size / 2)}\n`,
    `${heading}${"\x1b[".repeat(size / 2)}\n`,
    `${"\r   - ".repeat(size / 6)}\r${heading}a    b  1       2\r\n`,
    `${"x\n----------\n".repeat(size / 13)}`,
    `a b c d e f\n--------\n${"ü ".repeat(20)}\n`.repeat(100_000),
  ];
  for (const text of texts) {
    const startedMs = performance.now();
    parseWingetUpgrades(text);
    const tookMs = performance.now() - startedMs;
    assert(tookMs < 3_000, `${JSON.stringify(text.slice(0, 40))} took ${tookMs} ms`);
  }
});

const TABLE = ["Name Id Version Available", "-".repeat(25), "a    b  1       2"];

/** An answer whose table is above these lines. */
function below(...lines: string[]) {
  return parseWingetUpgrades([...TABLE, ...lines, ""].join("\r\n"));
}

Deno.test("parseWingetUpgrades() accepts a single number as winget's count", () => {
  const rows: readonly [sentence: string, announced: number | null][] = [
    ["1 upgrades available.", 1],
    ["3", 3],
    ["Доступны обновления: 3.", 3],
    ["利用可能な更新が 3件あります。", 3],
    ["123456789 upgrades available.", 123_456_789],
    ["1234567890 upgrades available.", null],
    ["2 of 3 upgrades available.", null],
    ["Version 1.2 is there.", null],
    ["Use 7-Zip.", null],
    ["See KB12 for more.", null],
    ["12th of May", null],
    ["None.", null],
  ];
  for (const [sentence, announced] of rows) {
    const answer = below(sentence);
    assertEquals([answer.announced, answer.messages], [
      announced,
      announced === null ? [sentence] : [],
    ], sentence);
  }
});

Deno.test("parseWingetUpgrades() prefers the count directly below the table", () => {
  const apart = below("1 upgrades available.", "", "5 things elsewhere.");
  assertEquals([apart.announced, apart.messages], [1, ["5 things elsewhere."]]);
  const further = below("", "1 upgrades available.", "5 things elsewhere.");
  assertEquals([further.announced, further.messages], [1, ["5 things elsewhere."]]);
  const last = below("Rest of 7", "1 upgrades available.");
  assertEquals([last.announced, last.messages], [1, ["Rest of 7"]]);
  const above = parseWingetUpgrades(["5 things.", "", ...TABLE, ""].join("\r\n"));
  assertEquals([above.announced, above.messages], [null, ["5 things."]]);
});

Deno.test("parseWingetUpgrades() adds up the counts of sentences that name an option", () => {
  const answer = below(
    "2 packages are hidden. Use --include-unknown",
    "3 more are hidden. Use --include-unknown",
    "4 packages have a pin. Use winget pin",
    "5 more have a pin. Use --include-pinned",
    "See --include-unknown",
    "See winget pin",
  );
  assertEquals([answer.unknown, answer.pinned], [5, 9]);
  assertEquals([answer.announced, answer.messages], [null, []]);
});

Deno.test("parseWingetUpgrades() reads the main table directly under a warning", () => {
  const states = (...lines: string[]) =>
    parseWingetUpgrades([...lines, ""].join("\r\n")).rows.map(({ state }) => state);
  assertEquals(states(...TABLE), ["upgradable"]);
  assertEquals(states("A warning.", ...TABLE), ["upgradable"]);
  assertEquals(states("Another.", "A warning.", ...TABLE), ["upgradable"]);
  // A sentence after a blank line is a caption, unless winget counts below.
  assertEquals(states("Another.", "", "A caption:", ...TABLE), ["explicit_only"]);
  assertEquals(states("", "A caption:", ...TABLE), ["explicit_only"]);
  assertEquals(states("", "2 are pinned:", ...TABLE), ["pinned"]);
  assertEquals(states("", "A warning.", ...TABLE, "1 upgrades available."), ["upgradable"]);
  const second = ["", "A caption:", ...TABLE];
  assertEquals(states(...TABLE, ...second), ["upgradable", "explicit_only"]);
  assertEquals(states(...TABLE, "A caption:", ...TABLE), ["upgradable", "explicit_only"]);
});

Deno.test("parseWingetUpgrades() counts unreadable lines in all tables", () => {
  const table = (...junk: string[]) => {
    const heading = "Name            Id            Version Available Source";
    const row = "Git             Git.Git       2.31.0  2.33.0    winget";
    return [heading, "-".repeat(heading.length), row, ...junk, row];
  };
  const lines = (...all: string[]) => `${all.join("\r\n")}\r\n`;
  const one = parseWingetUpgrades(lines(...table("junk")));
  assertEquals([one.rows.length, one.unreadableRows], [2, 1]);
  const caption = "These have an update that must be named:";
  const two = lines(...table("junk"), "", caption, ...table("more", "junk"));
  const both = parseWingetUpgrades(two);
  assertEquals([both.rows.length, both.unreadableRows], [4, 3]);
});

Deno.test("parseWingetUpgrades() does not use an id as a version after a name that ends like an id", () => {
  for (let width = 12; width <= 30; width++) {
    const rows = [
      ["Zoom", "Contoso.App0", "0", "0", ""],
      ["aaaaa\u30fca a.a", "Contoso.App1", "0\n0", "0", ""],
      ["Git".padEnd(width, "x"), "Contoso.App1000", "< 00 (49583)", "0", ""],
    ];
    const table = renderTable(["Name", "Id", "Version", "Available", "Source"], rows, {});
    const answer = parseWingetUpgrades([...table, "3 upgrades available.", ""].join("\r\n"));
    assertEquals(answer.rows.map(({ id }) => id), ["Contoso.App0", "Contoso.App1000"]);
  }
});

function rows(...ids: string[]): WingetUpgrade[] {
  return ids.map((id) => ({
    name: id,
    id,
    version: "1.0",
    available: "1.1",
    source: null,
    state: "upgradable",
  }));
}

function states(pins: string, ...ids: string[]): string[] {
  return markPinned(rows(...ids), pins).map(({ state }) => state);
}

Deno.test("markPinned() finds an id and the type of its pin under any heading", () => {
  assertEquals(states("", "A.B"), ["upgradable"]);
  assertEquals(states("There are no pins.\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("Name Id 版本\r\n----\r\nx a.b 1.0 winget Pinning\r\n", "A.B"), ["pinned"]);
  assertEquals(states("a.b  winget  *  Pinning\r\n", "A.B", "A.Bc"), ["pinned", "upgradable"]);
  assertEquals(states("A.B Pinning\r\n", "A.B"), ["pinned"]);
});

Deno.test("markPinned() ignores pins that the list itself respects, and a name like a pin type", () => {
  assertEquals(states("x A.B 1.0 winget Gating 1.*\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("x A.B 1.0 winget Blocking\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("Pinning A.B 1.0 winget Gating\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("x A.B 1.0 winget Pinningx\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("x C.D 1.0 winget Pinning A.B\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("My Pinning Tool A.B 1.0 winget Pinning\r\n", "A.B"), ["pinned"]);
});

Deno.test("markPinned() matches a truncated id that only one row can have", () => {
  assertEquals(states("x Contoso.Lo… 1.0 winget Pinning\r\n", "Contoso.Long", "Other.App"), [
    "pinned",
    "upgradable",
  ]);
  assertEquals(states("x Contoso.Lo… 1.0 winget Pinning\r\n", "Contoso.Long", "Contoso.Lot"), [
    "upgradable",
    "upgradable",
  ]);
});

Deno.test("markPinned() needs two characters of a truncated id", () => {
  const state = (id: string) => states(`x ${id} 1.0 winget Pinning\r\n`, "A.B", "Other.App")[0];
  assertEquals([state("A.…"), state("A…"), state("…")], ["pinned", "upgradable", "upgradable"]);
  const both = states("Other To… A.… 1.0 winget Pinning\r\n", "A.B", "Other.App");
  assertEquals(both, ["pinned", "upgradable"], "the name is cut as well");
  const named = states("Contoso.Lo… A.B 1.0 winget Pinning\r\n", "A.B", "Contoso.Long");
  assertEquals(named, ["pinned", "upgradable"], "the name is like another's id");
});

Deno.test("markPinned() does not change other states", () => {
  const [row] = rows("A.B");
  if (!row) throw new Error("no row");
  const explicit = { ...row, state: "explicit_only" } as const;
  assertEquals(markPinned([explicit], "A.B winget Pinning\r\n"), [explicit]);
});
