import { assertEquals, assertThrows } from "@std/assert";
import { ScanError, type ScanErrorReason } from "../../../src/scanners/scanner.ts";
import {
  lacksKnownSentence,
  otherSentences,
  parseNothingFound,
  parseWingetSources,
  requireAnswer,
  truncationGaps,
  wingetGaps,
  wingetSources,
  wingetUpdates,
} from "../../../src/scanners/winget/answer.ts";
import {
  parseWingetUpgrades,
  type WingetUpgrade,
  type WingetUpgrades,
} from "../../../src/scanners/winget/upgrades.ts";
import { readFixture } from "../fixture.ts";

function read(name: string) {
  return parseWingetUpgrades(readFixture("winget", name));
}

const NO_LIST: readonly [what: string, stdout: string, reason: ScanErrorReason, fact: string][] = [
  ["nothing at all", "", "not_available", "it printed nothing"],
  ["a spinner alone", "\r   - \r   \\ \r\r\n", "not_available", "it printed nothing"],
  [
    "a source that failed",
    readFixture("winget", "nothing_source_failed.txt"),
    "transient",
    "it found nothing, and printed: Failed in attempting to update the source: winget; " +
    "Failed when searching source; results will not be included: winget; " +
    "No installed package found matching input criteria.",
  ],
  [
    "a source that failed, in another language",
    "Die Quelle ist nicht zu erreichen: winget\r\nEs wurde kein Paket gefunden.\r\n",
    "transient",
    "it found nothing, and printed: Die Quelle ist nicht zu erreichen: winget; " +
    "Es wurde kein Paket gefunden.",
  ],
  [
    "one complaint",
    "Failed when opening source(s)\r\n",
    "transient",
    "it found nothing, and printed: Failed when opening source(s)",
  ],
  ["half a sentence", "No installed package fou", "transient", "the answer is cut off"],
  [
    "a table that is none",
    readFixture("winget", "report_squeezed_french.txt"),
    "permanent",
    "its table is not understood",
  ],
  [
    "another table",
    "Name Id\r\n--------\r\nGit  Git.Git\r\n",
    "permanent",
    "its table is not understood",
  ],
];

for (const [what, stdout, reason, fact] of NO_LIST) {
  Deno.test(`requireAnswer() rejects ${what}`, () => {
    const error = assertThrows(
      () => requireAnswer(parseWingetUpgrades(stdout), false),
      ScanError,
    );
    assertEquals([error.reason, error.message], [
      reason,
      `Cannot list updates with winget: ${fact}`,
    ]);
  });
}

Deno.test("requireAnswer() accepts a known sentence, this winget's own sentence, or the exit code", () => {
  for (const name of ["new_nothing.txt", "nothing_pins.txt", "report_nothing_unknown.txt"]) {
    requireAnswer(read(name), false);
  }
  const polish = "Nie znaleziono zainstalowanego pakietu.";
  requireAnswer(parseWingetUpgrades(`${polish}\r\n`), false, polish);
  requireAnswer(parseWingetUpgrades(`${polish}\r\n`), true);
  requireAnswer(parseWingetUpgrades(""), true);
  requireAnswer(read("new_four_columns.txt"), false);
});

/** Sentences about a failed source like those in winget's resources; the last in an unknown language. */
const FAILED_IN_ITS_LANGUAGE = [
  "Failed in attempting to update the source: winget",
  "Fehler beim Versuch, die Quelle zu aktualisieren: winget",
  "Échec lors de la tentative de mise à jour de la source : winget",
  "Error al intentar actualizar el origen: winget",
  "Tentativo di aggiornare l'origine non riuscito: winget",
  "Falha ao tentar atualizar a origem: winget",
  "Не удалось обновить источник: winget",
  "ソースを開くときに失敗しました;問題が解決しない場合は、'source reset' コマンドを試してください。",
  "원본을 업데이트하지 못했습니다: winget",
  "搜索源时失败;结果将不包括在内： winget",
  "嘗試更新來源時失敗: winget",
  "Nie udało się otworzyć źródła.",
];

Deno.test("requireAnswer() rejects a sentence about a failure in any language", () => {
  for (const sentence of FAILED_IN_ITS_LANGUAGE) {
    const answer = parseWingetUpgrades(`${sentence}\r\n`);
    const nothing = "No installed package found matching input criteria.";
    for (const learnt of [null, nothing, "Anything else."]) {
      assertThrows(() => requireAnswer(answer, false, learnt), ScanError, sentence);
    }
    const both = parseWingetUpgrades(`${sentence}\r\n${nothing}\r\n`);
    for (const saysNothing of [false, true]) {
      assertThrows(() => requireAnswer(both, saysNothing), ScanError, sentence);
    }
  }
});

Deno.test("wingetSources() finds the name of a failed source anywhere in a sentence", () => {
  for (
    const [sentence, failed, rest] of [
      ["Fehler beim Versuch, die Quelle zu aktualisieren: winget", "winget", 0],
      ["搜索源时失败;结果将不包括在内： msstore", "msstore", 0],
      ["ソース winget を開けません", "winget", 0],
      ["<additional entries truncated due to result limit>", undefined, 1],
    ] as const
  ) {
    const found = wingetSources([sentence]);
    const bad = found.sources.filter(({ result }) => result === "failed");
    assertEquals(bad.map(({ name }) => name), failed === undefined ? [] : [failed]);
    assertEquals(found.rest.length, rest);
  }
  assertEquals(wingetSources([]).sources.map(({ name, result }) => [name, result]), [
    ["winget", "ok"],
    ["msstore", "not_asked"],
  ]);
});

Deno.test("wingetGaps() returns nothing for a complete list", () => {
  const whole = [
    "new_five_columns.txt",
    "new_three_tables.txt",
    "new_explicit_alone.txt",
    "new_nothing.txt",
    "report_explicit_one.txt",
    "language_ru.txt",
    "language_ja.txt",
  ];
  for (const name of whole) assertEquals(wingetGaps(read(name)), [], name);
});

Deno.test("wingetGaps() describes what is missing", () => {
  const rows: [name: string, gaps: string[]][] = [
    ["report_pins.txt", [
      "Packages with updates that are pinned, and not in the list: 3",
      "Packages of unknown version that winget left out of the list: 4",
    ]],
    ["new_source_failed.txt", [
      "winget says: Failed when searching source; results will not be included: msstore",
    ]],
    ["new_limit.txt", ["winget says: <additional entries truncated due to result limit>"]],
    ["report_german.txt", [
      "winget's own count of the updates is missing: the list may be cut off",
    ]],
    ["nothing_pins.txt", ["Packages with updates that are pinned, and not in the list: 2"]],
  ];
  for (const [name, gaps] of rows) assertEquals(wingetGaps(read(name)), gaps, name);
  const cutOff = readFixture("winget", "new_four_columns.txt").replace("2 upgrades", "3 upgrades");
  assertEquals(wingetGaps(parseWingetUpgrades(`${cutOff}4 pac`)), [
    "winget counts 3, 2 could be read",
    "Lines of winget's answer that were too long or cut off: 1",
  ]);
});

Deno.test("wingetUpdates() returns two versions of one id, and duplicates once", () => {
  const twice = wingetUpdates(read("report_same_twice.txt").rows);
  assertEquals(twice.map((update) => update.package), [
    "OpenWhisperSystems.Signal",
    "Microsoft.Edge",
    "Microsoft.EdgeWebView2Runtime",
    "Microsoft.Office",
    "Postman.Postman",
  ]);
  const teams = wingetUpdates(read("report_same_id.txt").rows)
    .filter((update) => update.package === "Microsoft.Teams");
  assertEquals(teams.map(({ currentVersion }) => currentVersion), ["1.4.00.23957", "1.2.0.24753"]);
});

Deno.test("wingetUpdates() sets no severity, version or source that winget does not print", () => {
  const [update] = wingetUpdates(read("report_unknown.txt").rows);
  assertEquals(update, {
    package: "Mega.MEGASync",
    currentVersion: null,
    availableVersion: "4.6.1.0",
    architecture: null,
    source: "winget",
    state: "unknown_current",
    severity: null,
    severityReason: "winget does not tell",
    security: null,
    cves: [],
    advisories: [],
    sizeBytes: null,
    description: "MEGAsync",
    titles: ["MEGAsync"],
    sourcePackage: null,
    reboot: null,
  });
  const states = wingetUpdates(read("new_three_tables.txt").rows).map(({ state }) => state);
  assertEquals(states, ["upgradable", "upgradable", "explicit_only", "pinned"]);
});

Deno.test("truncationGaps() counts all packages, and names five of seven", () => {
  const row = read("new_four_columns.txt").rows[0];
  const rows = Array.from({ length: 7 }, () => row).filter((one): one is WingetUpgrade => !!one);
  assertEquals(truncationGaps([]), []);
  const [gap = ""] = truncationGaps(rows);
  assertEquals(gap.match(/7-Zip/g)?.length, 5);
  assertEquals(gap.includes("truncated their ids or versions: 7 ("), true);
});

Deno.test("wingetGaps() quotes at most five sentences", () => {
  const complaints = Array.from({ length: 7 }, (_, n) => `sentence ${n}`);
  assertEquals(
    wingetGaps(read("new_nothing.txt"), complaints),
    complaints.slice(0, 5).map((text) => `winget says: ${text}`),
  );
});

const NOTHING = "No installed package found matching input criteria.";

Deno.test("lacksKnownSentence() is true for sentences without a known one and without a table", () => {
  const rows: readonly [stdout: string, isLacking: boolean][] = [
    ["", false],
    [readFixture("winget", "new_four_columns.txt"), false],
    [readFixture("winget", "new_limit.txt"), false],
    [readFixture("winget", "new_nothing.txt"), false],
    [readFixture("winget", "nothing_source_failed.txt"), false],
    [`${NOTHING}\r\nAnything else.\r\n`, false],
    ["Nie znaleziono zainstalowanego pakietu.\r\n", true],
    ["Nie udało się.\r\nNie znaleziono zainstalowanego pakietu.\r\n", true],
  ];
  for (const [stdout, isLacking] of rows) {
    assertEquals(lacksKnownSentence(parseWingetUpgrades(stdout)), isLacking, stdout);
  }
});

Deno.test('otherSentences() leaves out one sentence for "nothing found", but none after a table', () => {
  const complaints = (stdout: string, learnt: string | null = null) =>
    otherSentences(parseWingetUpgrades(stdout), learnt);
  assertEquals(complaints(`${NOTHING}\r\n`), []);
  assertEquals(complaints(`Odd.\r\n${NOTHING}\r\n`), ["Odd."]);
  assertEquals(complaints(`${NOTHING}\r\n${NOTHING}\r\n`), [NOTHING]);
  assertEquals(complaints("Odd.\r\nNic.\r\n", "Nic."), ["Odd."]);
  const table = readFixture("winget", "new_four_columns.txt");
  assertEquals(complaints(`${table}\r\n${NOTHING}\r\n`), [NOTHING]);
});

Deno.test("requireAnswer() accepts one row", () => {
  const row = "Name Id Version Available\n-------------------------\na    b  1       2\n";
  requireAnswer(parseWingetUpgrades(`${row}1 upgrades available.\n`), false);
});

Deno.test("requireAnswer() rejects an unreadable table without a main table", () => {
  const caption = "The following packages require explicit targeting for upgrade:";
  const other = `${NOTHING}\n\n${caption}\nName Id\n--------\nGit  Git.Git\n`;
  const answer = parseWingetUpgrades(other);
  assertEquals([answer.hasMainTable, answer.unreadable], [false, 1]);
  const error = assertThrows(() => requireAnswer(answer, true), ScanError);
  assertEquals(error.message, "Cannot list updates with winget: its table is not understood");
});

Deno.test("requireAnswer() rejects an error message even if the exit code says that nothing was found", () => {
  const complaints = ["Failed when opening source(s)", "Internal ERROR", "Ups: 0X8a15000F"];
  for (const complaint of complaints) {
    assertThrows(() => requireAnswer(parseWingetUpgrades(`${complaint}\n`), true), ScanError);
  }
  for (const sentence of FAILED_IN_ITS_LANGUAGE) {
    const answer = parseWingetUpgrades(`${sentence}\r\n`);
    assertThrows(() => requireAnswer(answer, true, "Anything else."), ScanError, sentence);
  }
});

Deno.test("requireAnswer() quotes at most five sentences", () => {
  const lines = ["one.", "two.", "three.", "four.", "five.", "six."];
  const answer = (count: number) => parseWingetUpgrades(`${lines.slice(0, count).join("\n")}\n`);
  for (const count of [5, 6]) {
    const { message } = assertThrows(() => requireAnswer(answer(count), false), ScanError);
    assertEquals(message.split(", and printed: ")[1], "one.; two.; three.; four.; five.");
  }
});

Deno.test("wingetGaps() describes and counts each kind of gap", () => {
  const whole: WingetUpgrades = {
    rows: read("new_four_columns.txt").rows,
    announced: 2,
    pinned: 0,
    unknown: 0,
    messages: [],
    hasMainTable: true,
    unreadable: 0,
    unreadableRows: 0,
    dropped: 0,
  };
  const count = "winget's own count of the updates is missing: the list may be cut off";
  const rows: readonly [fields: Partial<WingetUpgrades>, gaps: string[]][] = [
    [{}, []],
    [{ announced: 1 }, ["winget counts 1, 2 could be read"]],
    [{ announced: null }, [count]],
    [{ announced: null, hasMainTable: false }, []],
    // If winget's count is known, such a line is a piece of a row that was read.
    [{ unreadableRows: 1 }, []],
    [{ announced: null, hasMainTable: false, unreadableRows: 1 }, [
      "Lines of winget's tables that could not be read: 1",
    ]],
    [{ pinned: 1 }, ["Packages with updates that are pinned, and not in the list: 1"]],
    [{ unknown: 1 }, ["Packages of unknown version that winget left out of the list: 1"]],
    [{ unreadable: 1 }, ["Tables of winget's that were not understood: 1"]],
    [{ dropped: 1 }, ["Lines of winget's answer that were too long or cut off: 1"]],
    [{ messages: ["Odd."] }, ["winget says: Odd."]],
  ];
  for (const [fields, gaps] of rows) assertEquals(wingetGaps({ ...whole, ...fields }), gaps);
});

Deno.test("requireAnswer() rejects a truncated answer even if nothing was found", () => {
  const answer = parseWingetUpgrades(`${NOTHING}\r\nHalf a sent`);
  const error = assertThrows(() => requireAnswer(answer, true), ScanError);
  assertEquals([error.reason, error.message], [
    "transient",
    "Cannot list updates with winget: the answer is cut off",
  ]);
});

Deno.test("wingetSources() ignores a source name within another word", () => {
  for (const sentence of ["wingets fail", "my-xwinget fails", "winget2 fails", "1winget fails"]) {
    const { sources, rest } = wingetSources([sentence]);
    assertEquals([sources.map(({ result }) => result), rest], [["ok", "not_asked"], [sentence]]);
  }
  const both = wingetSources(["winget fails", "msstore fails", "all fails", "winget fails again"]);
  assertEquals(both.sources.map(({ why }) => why), [
    "winget says: winget fails",
    "winget says: msstore fails",
  ]);
  assertEquals(both.rest, ["all fails", "winget fails again"]);
  assertEquals(both.sources.map(({ marksSecurity }) => marksSecurity), [false, false]);
});

Deno.test("wingetSources() distinguishes names that contain each other, or special characters", () => {
  const known = ["winget", "winget-font", "a.b (c)"].map((name) => (
    { name, url: null, isExplicit: name === "winget-font" }
  ));
  const results = (sentence: string) =>
    wingetSources([sentence], known).sources.map(({ result }) => result);
  assertEquals(results("Failed: winget-font"), ["ok", "failed", "missing"]);
  assertEquals(results("Failed: winget"), ["failed", "not_asked", "missing"]);
  assertEquals(results("Failed: winget-font, winget"), ["failed", "failed", "missing"]);
  assertEquals(results("Failed: a.b (c)"), ["ok", "not_asked", "failed"]);
  assertEquals(results("Failed: axb (c)"), ["ok", "not_asked", "missing"]);
});

Deno.test("wingetUpdates() has no current version if it is unknown or empty", () => {
  const [row] = read("new_four_columns.txt").rows;
  if (!row) throw new Error("no row");
  const described = (fields: Partial<WingetUpgrade>) => {
    const [update] = wingetUpdates([{ ...row, ...fields }]);
    return [update?.currentVersion, update?.state, update?.source, update?.description];
  };
  const name = "7-Zip 23.01 (x64)";
  assertEquals(described({}), ["23.01", "upgradable", "winget", name]);
  assertEquals(described({ source: "private" }), ["23.01", "upgradable", "private", name]);
  assertEquals(described({ version: "" }), [null, "unknown_current", "winget", name]);
  assertEquals(described({ version: "Unknown" }), [null, "unknown_current", "winget", name]);
  assertEquals(described({ version: "Unknown", state: "pinned" }), [
    null,
    "pinned",
    "winget",
    name,
  ]);
  assertEquals(described({ name: "" }), ["23.01", "upgradable", "winget", null]);
});

Deno.test("truncationGaps() names at most five packages", () => {
  const [row] = read("new_four_columns.txt").rows;
  const names = (count: number) =>
    truncationGaps(Array(count).fill(row)).join().match(/7-Zip/g)?.length ?? 0;
  assertEquals([names(0), names(1), names(5), names(6)], [0, 1, 5, 5]);
});

Deno.test("requireAnswer() accepts a table whose only row is unreadable, and wingetGaps() reports the row", () => {
  const lines = [
    "Name Id  Version Available Source",
    "-".repeat(33),
    "Tool A.B 1.",
    "0     2.0       winget",
  ];
  const answer = parseWingetUpgrades(`${lines.join("\n")}\n1 upgrades available.\n`);
  requireAnswer(answer, false);
  assertEquals([answer.rows, wingetGaps(answer)[0]], [[], "winget counts 1, 0 could be read"]);
  // With more rows, or without a count, the table is in doubt.
  for (const count of ["2 upgrades available.\n", ""]) {
    const other = parseWingetUpgrades(`${lines.join("\n")}\n${count}`);
    assertThrows(() => requireAnswer(other, false), ScanError, "its table is not understood");
  }
});

const DEFAULT = readFixture("winget", "sources_default.txt");

Deno.test("parseWingetSources() reads one object per line, also without Explicit", () => {
  const found = parseWingetSources(readFixture("winget", "sources_private.txt"));
  assertEquals(found?.map(({ name, isExplicit }) => [name, isExplicit]), [
    ["msstore", false],
    ["winget", false],
    ["winget-font", true],
    ["contoso", false],
  ]);
  assertEquals(found?.[1]?.url, "https://cdn.winget.microsoft.com/cache");
  assertEquals(parseWingetSources('\ufeff   - \r{"Name":"a"}'), [
    { name: "a", url: null, isExplicit: false },
  ]);
});

Deno.test("parseWingetSources() rejects an incomplete list", () => {
  const bad = ["", "\r\n", "No sources.\r\n", `${DEFAULT}x\r\n`, "[]", "null", "{}", '{"Name":""}'];
  const many = '{"Name":"a"}\n'.repeat(51);
  for (
    const text of [
      ...bad,
      DEFAULT.slice(0, -5),
      '{"Name":1}',
      many,
      `{"Name":"${"x".repeat(201)}"}`,
    ]
  ) {
    assertEquals(parseWingetSources(text), null, text);
  }
  assertEquals(parseWingetSources('{"Name":"a"}\n'.repeat(50))?.length, 50);
});

Deno.test("wingetSources() without a list has Microsoft's two sources", () => {
  assertEquals(wingetSources([]).sources.map(({ name }) => name), ["winget", "msstore"]);
});

Deno.test("parseNothingFound() returns the one sentence of an answer, and nothing of any other answer", () => {
  const polish = "Nie znaleziono zainstalowanego pakietu.";
  assertEquals(parseNothingFound(`\r - \r${polish}\r\n`), polish);
  const useless = [
    "",
    `Ups.\r\n${polish}\r\n`,
    `${polish}\r\nUps`,
    `${polish}\r\n\r\n${readFixture("winget", "new_four_columns.txt")}`,
    `${polish}\r\n\r\nOdd:\r\nName Id\r\n--------\r\nGit  Git.Git\r\n`,
  ];
  for (const stdout of useless) assertEquals(parseNothingFound(stdout), null, stdout);
});

Deno.test("parseWingetUpgrades() never splits a version of two words", () => {
  const text = [
    "Name     Id             Version  Available",
    "------------------------------------------",
    "a        Contoso.App0   0        0",
    "Upper",
    "",
    "a   Contoso.App1   0-beta 2 0",
    "한aーa a Contoso.App100 0        0",
    "3 upgrades available.",
    "",
  ].join("\r\n");
  const { rows } = parseWingetUpgrades(text);
  assertEquals(rows.map(({ id, version, available }) => [id, version, available]), [
    ["Contoso.App0", "0", "0"],
    ["Contoso.App1", "0-beta 2", "0"],
    ["Contoso.App100", "0", "0"],
  ]);
});
