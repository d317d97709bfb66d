import { assertEquals } from "@std/assert";
import {
  parseDnf5Advisories,
  parseDnf5AdvisoryDetails,
  parseDnf5AdvisoryTable,
} from "../../../src/scanners/dnf/dnf5_advisories.ts";
import { checkCuts, checkJunk, checkLineParser } from "./parser_laws.ts";
import { readFixture } from "../fixture.ts";

const LIST = readFixture("dnf5", "advisory_list.json");
const INFO = readFixture("dnf5", "advisory_info.json");

Deno.test("parseDnf5Advisories() and parseDnf5AdvisoryTable() read the same", () => {
  const list = parseDnf5Advisories(LIST);
  const table = parseDnf5AdvisoryTable(readFixture("dnf5", "advisory_list.txt"));
  const byId = (a: { id: string }, b: { id: string }) => a.id < b.id ? -1 : 1;
  assertEquals(list?.packages.toSorted(byId), table.packages.toSorted(byId));
  assertEquals([list?.unparsed, table.unparsed], [0, 0]);
  assertEquals(
    table.packages.map(({ isSecurity, severity, ownWord }) =>
      `${isSecurity} ${severity} ${ownWord}`
    ),
    [
      "false null null",
      "true critical null",
      "true moderate null",
      "false null null",
      "true null custom_severity",
      "false null null",
    ],
  );
});

Deno.test("parseDnf5Advisories() needs a list; of that, it counts what it cannot read", () => {
  for (const text of ["", "junk", "{}", '{"name":"x"}', LIST.slice(0, -3)]) {
    assertEquals(parseDnf5Advisories(text), undefined, text);
  }
  assertEquals(parseDnf5Advisories("[]"), { packages: [], unparsed: 0 });
  const good = { name: "A", type: "security", severity: "LOW", nevra: "a-1-1.noarch" };
  const bad = [null, 1, {}, { ...good, name: " " }, { ...good, nevra: "a" }, {
    ...good,
    name: "\u001b[31mA",
  }];
  const { packages = [], unparsed } = parseDnf5Advisories(JSON.stringify([good, ...bad])) ?? {};
  assertEquals(packages.map(({ id, severity }) => [id, severity]), [["A", "low"]]);
  assertEquals(unparsed, bad.length);
  const blanks = parseDnf5Advisories(JSON.stringify([{ ...good, name: "My Corp 1 " }]));
  assertEquals(blanks?.packages[0]?.id, "My Corp 1");
  const { severity: _, ...bare } = good;
  assertEquals(parseDnf5Advisories(JSON.stringify([bare]))?.packages[0]?.severity, null);
});

Deno.test("parseDnf5AdvisoryTable() reads a row that is set in, and none without an instant", () => {
  const row = "A-1 security low a-1-1.noarch 2026-01-01 10:00:00";
  for (const text of [row, `  ${row}`, `${row}  `]) {
    assertEquals(parseDnf5AdvisoryTable(`${text}\n`).packages.map(({ id }) => id), ["A-1"], text);
  }
  const id = (text: string) => parseDnf5AdvisoryTable(`${text}\n`).packages[0]?.id;
  assertEquals(id(row.replace("A-1", "My Corp 1")), "My Corp 1");
  assertEquals(id(row.replace("security", "custom_type")), "A-1");
  // Without an instant it is a sentence.
  const sentences = [
    row.slice(0, -9),
    row.replace("10:00:00", "110:00:00"),
    row.replace("10:00:00", "10:00:000"),
    row.replace("2026-01-01", "2026-01-011"),
    row.replace("2026-01-01", "x2026-01-01"),
  ];
  for (const text of sentences) {
    assertEquals(parseDnf5AdvisoryTable(`${text}\n`), { packages: [], unparsed: 0 }, text);
  }
  const wrong = row.replace("a-1-1.noarch", "a");
  assertEquals(parseDnf5AdvisoryTable(`${wrong}\n`), { packages: [], unparsed: 1 });
});

Deno.test("parseDnf5AdvisoryDetails() reads lists, and the objects of versions before 5.3", () => {
  const told = [
    {
      id: "FEDORA-2018-318f184000",
      severity: null,
      ownWord: null,
      listed: ["CVE-2999"],
      mentioned: [],
    },
    {
      id: "FEDORA-2019-57b5902ed1",
      severity: "critical" as const,
      ownWord: null,
      listed: [],
      mentioned: ["CVE-2019-6470"],
    },
  ];
  assertEquals(parseDnf5AdvisoryDetails(INFO), told);
  const list: { Name: string }[] = JSON.parse(INFO);
  const object = Object.fromEntries(list.map((one) => [one.Name, one]));
  assertEquals(parseDnf5AdvisoryDetails(JSON.stringify(object, null, 2)), told);
  for (const text of ["", "junk", "[", "1"]) {
    assertEquals(parseDnf5AdvisoryDetails(text), undefined);
  }
  for (const text of ["[]", "{}", "[null, 1, {}]"]) {
    assertEquals(parseDnf5AdvisoryDetails(text), []);
  }
});

Deno.test("parsers of dnf 5's advisories keep to the laws", () => {
  const table = (text: string) => parseDnf5AdvisoryTable(text).packages;
  checkLineParser(readFixture("dnf5", "advisory_list.txt"), table);
  for (
    const [text, parse] of [[LIST, parseDnf5Advisories], [INFO, parseDnf5AdvisoryDetails]] as const
  ) {
    // JSON that was cut off tells nothing.
    checkCuts(text.slice(0, -2), (cut) => parse(cut) === undefined ? [] : [cut]);
    checkJunk(text, parse);
  }
});

Deno.test("parseDnf5AdvisoryTable() finds where an id ends that holds words for types", () => {
  const rows: [string, string][] = [
    ["Security update 5 security low", "Security update 5 true low"],
    ["My Corp 1 Security Low", "My Corp 1 true low"],
    // A severity may be any word, too.
    ["A-1 security optional", "A-1 true optional"],
    ["A-1 bugfix important", "A-1 false null"],
    ["A-1 security", "A-1 true null"],
  ];
  for (const [row, expected] of rows) {
    const text = `${row} a-1-1.noarch 2026-01-01 10:00:00\n`;
    const [found] = parseDnf5AdvisoryTable(text).packages;
    const severity = found?.ownWord ?? found?.severity;
    assertEquals(`${found?.id} ${found?.isSecurity} ${severity}`, expected, row);
  }
});

Deno.test("parseDnf5AdvisoryTable() takes no line of more than 4,000 characters for a row", () => {
  const row = (length: number) => {
    const end = " a-1-1.noarch 2026-01-01 10:00:00";
    return `${"A-1 security low".padEnd(length - end.length)}${end}\n`;
  };
  assertEquals(parseDnf5AdvisoryTable(row(4_000)).packages.length, 1);
  assertEquals(parseDnf5AdvisoryTable(row(4_001)).packages.length, 0);
});

Deno.test("parseDnf5Advisories() reads a type in any case; how bad a bug is says nothing of a hole", () => {
  const one = { name: "A", severity: "Critical", nevra: "a-1-1.noarch" };
  const told = ["Security", "security", "bugfix"].map((type) => ({ ...one, type }));
  assertEquals(
    parseDnf5Advisories(JSON.stringify(told))?.packages
      .map(({ isSecurity, severity }) => [isSecurity, severity]),
    [[true, "critical"], [true, "critical"], [false, null]],
  );
});
