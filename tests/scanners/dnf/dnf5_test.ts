import { assertEquals } from "@std/assert";
import {
  dnf5Dialect,
  findJson,
  parseDnf5Advisories,
  parseDnf5AdvisoryDetails,
  parseDnf5AdvisoryTable,
  parseDnf5CheckUpgrade,
  parseDnf5Repositories,
  parseRebootJson,
} from "../../../src/scanners/dnf/dnf5.ts";
import { type DnfVersion, parseCheckUpdate } from "../../../src/scanners/dnf/dialect.ts";
import fc from "fast-check";
import { readFixture } from "../fixture.ts";
import { checkCuts, checkJunk, checkLineParser } from "./parser_laws.ts";

/** The commands of a version, as far as versions differ. */
function asked(...version: [number, number, number?]) {
  const dialect = dnf5Dialect(version as DnfVersion);
  return {
    isQuiet: dialect.offered.command.includes("-q"),
    advisories: dialect.advisories.command.includes("--json"),
    details: dialect.details?.command ?? null,
    updates: dialect.updates.command.includes("--json"),
    replacing: dialect.replacing?.command.includes("--json"),
  };
}

const OLDEST = {
  isQuiet: true,
  advisories: false,
  details: null,
  updates: false,
  replacing: false,
};
const INFO_COMMAND = ["-q", "advisory", "info", "--json"];

Deno.test("dnf5Dialect() asks each version only for output that it supports", () => {
  assertEquals(asked(5, 0, 0), OLDEST);
  assertEquals(asked(5, 2, 3), OLDEST);
  assertEquals(asked(5, 2, 4), { ...OLDEST, advisories: true });
  assertEquals(asked(5, 2, 5), { ...OLDEST, advisories: true });
  const quietly = { ...OLDEST, advisories: true, isQuiet: false };
  assertEquals(asked(5, 2, 6), quietly);
  assertEquals(asked(5, 2, 8), quietly);
  assertEquals(asked(5, 2, 9), { ...quietly, details: INFO_COMMAND });
  assertEquals(asked(5, 3, 0), { ...quietly, details: INFO_COMMAND });
  const newest = { ...quietly, details: INFO_COMMAND, updates: true, replacing: true };
  assertEquals(asked(5, 4, 0), newest);
  assertEquals(asked(6, 0, 0), newest);
});

Deno.test("dnf5Dialect() accepts exit code 100 only for lists of updates", () => {
  for (const version of [[5, 2, 0], [5, 4, 0]] as const) {
    const { advisories, details, updates, replacing, repositories } = dnf5Dialect([...version]);
    assertEquals(updates.codes, [0, 100]);
    for (const question of [advisories, details, replacing, repositories]) {
      assertEquals(question?.codes ?? [0], [0]);
    }
  }
});

Deno.test("dnf5Dialect() asks about restarts in JSON since 5.4.1", () => {
  const command = (...version: number[]) => dnf5Dialect(version).reboot.command;
  assertEquals(command(5, 4, 0).includes("--json"), false);
  assertEquals(command(5, 4, 1).includes("--json"), true);
});

Deno.test("dnf5Dialect() accepts exit codes 0 and 1 about restarts, as text and as JSON", () => {
  for (const version of [[5, 4, 0], [5, 4, 1]]) {
    assertEquals(dnf5Dialect(version).reboot.codes, [0, 1]);
  }
});

Deno.test("findJson() finds the JSON after progress, if there is any", () => {
  const rows: [string, unknown][] = [
    ["", undefined],
    ["junk", undefined],
    ["[", undefined],
    ["[]", []],
    ["{}\n", {}],
    ["\ufeff[1]\r\n", [1]],
    ['["a\ufeffb"]\n', ["a\ufeffb"]],
    [`${readFixture("dnf5", "progress.txt")}[\n]\n`, []],
    ["[SKIPPED] x\n{ no\n[1]\nbye\n", [1]],
    // The rest of a longer text is not JSON.
    ['[\n  {\n    "a":1\n  },\n  {', undefined],
  ];
  for (const [text, value] of rows) assertEquals(findJson(text), value, text);
});

Deno.test("findJson() tries fifty lines", () => {
  assertEquals(findJson(`${"[x\n".repeat(49)}[1]\n`), [1]);
  assertEquals(findJson(`${"[x\n".repeat(50)}[1]\n`), undefined);
});

Deno.test("findJson() is fast on JSON that never ends", () => {
  assertEquals(findJson("[\n".repeat(200_000) + "]"), undefined);
  assertEquals(findJson("[".repeat(10_000_000)), undefined);
});

Deno.test("findJson() finds any list after any lines of text", () => {
  const line = fc.string({ unit: "grapheme" }).filter((line) => !/^[[{]|[\r\n]/.test(line));
  const list = fc.array(fc.jsonValue());
  fc.assert(fc.property(fc.array(line), list, (lines, value) => {
    const text = `${lines.map((line) => `${line}\n`).join("")}${JSON.stringify(value, null, 2)}\n`;
    assertEquals(findJson(text), JSON.parse(JSON.stringify(value)));
  }));
});

const LIST = readFixture("dnf5", "advisory_list.json");
const INFO = readFixture("dnf5", "advisory_info.json");

Deno.test("parseDnf5Advisories() and parseDnf5AdvisoryTable() return the same", () => {
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

Deno.test("parseDnf5Advisories() requires a list and counts its unparsed items", () => {
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

Deno.test("parseDnf5AdvisoryTable() accepts indented rows, and requires a date and a time", () => {
  const row = "A-1 security low a-1-1.noarch 2026-01-01 10:00:00";
  for (const text of [row, `  ${row}`, `${row}  `]) {
    assertEquals(parseDnf5AdvisoryTable(`${text}\n`).packages.map(({ id }) => id), ["A-1"], text);
  }
  const id = (text: string) => parseDnf5AdvisoryTable(`${text}\n`).packages[0]?.id;
  assertEquals(id(row.replace("A-1", "My Corp 1")), "My Corp 1");
  assertEquals(id(row.replace("security", "custom_type")), "A-1");
  // Without a date and a time it is a sentence.
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

Deno.test("parseDnf5AdvisoryDetails() parses lists, and the objects of versions before 5.3", () => {
  const expected = [
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
  assertEquals(parseDnf5AdvisoryDetails(INFO), expected);
  const list: { Name: string }[] = JSON.parse(INFO);
  const object = Object.fromEntries(list.map((one) => [one.Name, one]));
  assertEquals(parseDnf5AdvisoryDetails(JSON.stringify(object, null, 2)), expected);
  for (const text of ["", "junk", "[", "1"]) {
    assertEquals(parseDnf5AdvisoryDetails(text), undefined);
  }
  for (const text of ["[]", "{}", "[null, 1, {}]"]) {
    assertEquals(parseDnf5AdvisoryDetails(text), []);
  }
});

Deno.test("parsers of dnf 5's advisories obey the laws of parsers", () => {
  const table = (text: string) => parseDnf5AdvisoryTable(text).packages;
  checkLineParser(readFixture("dnf5", "advisory_list.txt"), table);
  for (
    const [text, parse] of [[LIST, parseDnf5Advisories], [INFO, parseDnf5AdvisoryDetails]] as const
  ) {
    // Truncated JSON contains nothing.
    checkCuts(text.slice(0, -2), (cut) => parse(cut) === undefined ? [] : [cut]);
    checkJunk(text, parse);
  }
});

Deno.test("parseDnf5AdvisoryTable() finds the end of an id that contains names of types", () => {
  const rows: [string, string][] = [
    ["Security update 5 security low", "Security update 5 true low"],
    ["My Corp 1 Security Low", "My Corp 1 true low"],
    // A severity may be any word.
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

Deno.test("parseDnf5AdvisoryTable() accepts rows of up to 4,000 characters", () => {
  const row = (length: number) => {
    const end = " a-1-1.noarch 2026-01-01 10:00:00";
    return `${"A-1 security low".padEnd(length - end.length)}${end}\n`;
  };
  assertEquals(parseDnf5AdvisoryTable(row(4_000)).packages.length, 1);
  assertEquals(parseDnf5AdvisoryTable(row(4_001)).packages.length, 0);
});

Deno.test("parseDnf5Advisories() accepts types in any case and ignores the severity of bugs", () => {
  const one = { name: "A", severity: "Critical", nevra: "a-1-1.noarch" };
  const advisories = ["Security", "security", "bugfix"].map((type) => ({ ...one, type }));
  assertEquals(
    parseDnf5Advisories(JSON.stringify(advisories))?.packages
      .map(({ isSecurity, severity }) => [isSecurity, severity]),
    [[true, "critical"], [true, "critical"], [false, null]],
  );
});

const JSON_TEXT = readFixture("dnf5", "check_upgrade.json");

Deno.test("parseDnf5CheckUpgrade() returns for JSON what parseCheckUpdate() returns for the table", () => {
  const table = parseCheckUpdate(readFixture("dnf5", "check_upgrade.txt"));
  assertEquals(parseDnf5CheckUpgrade(JSON_TEXT), table);
  assertEquals(parseDnf5CheckUpgrade(readFixture("dnf5", "progress.txt") + JSON_TEXT), table);
});

Deno.test("parseDnf5CheckUpgrade() accepts an empty object and refuses a missing one", () => {
  const none = { upgrades: [], obsoletes: [], unparsed: 0 };
  assertEquals(parseDnf5CheckUpgrade("{}"), none);
  assertEquals(parseDnf5CheckUpgrade('{"upgrades":[]}'), none);
  for (const text of ["", "junk", "[1]", '{"obsoleting_packages":1}']) {
    assertEquals(parseDnf5CheckUpgrade(text), undefined, text);
  }
  const old = { name: "b", arch: "noarch", evr: "1-1" };
  const good = { ...old, name: "a", repository: "r", obsoletes: [old] };
  const bad = [null, {}, { ...good, obsoletes: [] }, { ...good, evr: "1" }];
  for (const repository of ["", "\u001b[31m", "two words", "r\u001b", "r".repeat(256)]) {
    bad.push({ ...good, repository });
  }
  const { upgrades = [], obsoletes = [], unparsed } = parseDnf5CheckUpgrade(JSON.stringify({
    upgrades: [good, null, { ...old, repository: "r" }, old, { ...good, evr: "1" }],
    obsoleting_packages: [good, ...bad],
  })) ?? {};
  assertEquals([upgrades.length, obsoletes.length, unparsed], [2, 1, 3 + bad.length]);
});

Deno.test("parseDnf5CheckUpgrade() skips invalid replaced packages", () => {
  const old = { name: "b", arch: "noarch", evr: "1-1" };
  const unreadable = { ...old, evr: "1" };
  const replacing = { ...old, name: "a", repository: "r", obsoletes: [unreadable, old] };
  const text = JSON.stringify({ obsoleting_packages: [replacing] });
  const [found] = parseDnf5CheckUpgrade(text)?.obsoletes ?? [];
  assertEquals(found?.replaces.map(({ name }) => name), ["b"]);
});

Deno.test("parseDnf5CheckUpgrade() obeys the laws of parsers", () => {
  const parse = (text: string) => {
    const { upgrades = [], obsoletes = [] } = parseDnf5CheckUpgrade(text) ?? {};
    return [...upgrades, ...obsoletes];
  };
  checkCuts(JSON_TEXT, parse);
  checkJunk(JSON_TEXT, parse);
});

const ONE = {
  id: "a",
  name: "The first",
  is_enabled: true,
  timestamp: 1_795_979_417,
  metadata_expire: 172_800,
  base_url: ["http://one.example/", "http://two.example/"],
  metalink: "",
  mirrorlist: "",
};

Deno.test("parseDnf5Repositories() parses the output of a real dnf 5.4.6", () => {
  const parsed = parseDnf5Repositories(readFixture("dnf5", "real_repo_info.json"));
  assertEquals(parsed?.repositories.map(({ name: _, ...one }) => one), [
    {
      id: "meta",
      url: "http://deploy:S3cret@127.0.0.1:9/meta?x=1",
      hasLists: false,
      fetchedMs: null,
      expiryMs: 172_800_000,
    },
    {
      id: "updates",
      url: "file:///srv/rpms-updates",
      hasLists: true,
      fetchedMs: 1_795_979_417_000,
      expiryMs: 172_800_000,
    },
  ]);
});

Deno.test("parseDnf5Repositories() requires a list without invalid items", () => {
  const read = (...items: unknown[]) => parseDnf5Repositories(JSON.stringify(items));
  assertEquals(read(ONE)?.repositories[0], {
    id: "a",
    name: "The first",
    url: "http://one.example/, http://two.example/",
    hasLists: true,
    fetchedMs: 1_795_979_417_000,
    expiryMs: 172_800_000,
  });
  assertEquals(read({ ...ONE, metadata_expire: -1 })?.repositories[0]?.expiryMs, Infinity);
  assertEquals(read({ ...ONE, is_enabled: false })?.repositories, []);
  assertEquals(read({ ...ONE, id: "_dnf_local" })?.repositories, []);
  assertEquals(parseDnf5Repositories("")?.repositories, []);
  for (const wrong of [{}, null, { ...ONE, timestamp: "now" }, { ...ONE, id: "a b" }]) {
    assertEquals(read(ONE, wrong), undefined);
  }
  for (const text of ["junk", "{}", "1"]) assertEquals(parseDnf5Repositories(text), undefined);
});

Deno.test("parseDnf5Repositories() obeys the laws of parsers", () => {
  const json = readFixture("dnf5", "real_repo_info.json").trimEnd();
  checkJunk(json, parseDnf5Repositories);
  checkCuts(json.slice(0, -1), (cut) => cut.trim() && parseDnf5Repositories(cut) ? [cut] : []);
});

Deno.test("parseDnf5Repositories() applies defaults and interprets special numbers", () => {
  const read = (changes: object) => {
    const parsed = parseDnf5Repositories(JSON.stringify([{ ...ONE, ...changes }]));
    return parsed?.repositories[0];
  };
  assertEquals(read({ is_enabled: undefined })?.id, "a");
  assertEquals(read({ name: "" })?.name, "a");
  assertEquals(read({ base_url: [] })?.url, null);
  assertEquals(read({ metalink: "m", mirrorlist: "l" })?.url, "m");
  assertEquals(read({ mirrorlist: "l" })?.url, "l");
  for (
    const [expire, expiryMs] of [[undefined, 172_800_000], [0, 0], [1, 1_000], [
      -1,
      Infinity,
    ]] as const
  ) {
    assertEquals(read({ metadata_expire: expire })?.expiryMs, expiryMs);
  }
  const dates = [[-1, false, null], [0, true, null], [1, true, 1_000]] as const;
  for (const [timestamp, hasLists, fetchedMs] of dates) {
    const one = read({ timestamp });
    assertEquals([one?.hasLists, one?.fetchedMs], [hasLists, fetchedMs], `${timestamp}`);
  }
  assertEquals(read({ timestamp: 1.5 }), undefined);
  assertEquals(parseDnf5Repositories(" \n")?.repositories, []);
});

Deno.test("parseDnf5Repositories() reads at most 1,000 repositories", () => {
  const list = (count: number) =>
    JSON.stringify(Array.from({ length: count }, (_, n) => ({ ...ONE, id: `r${n}` })));
  for (const count of [1_000, 1_001]) {
    assertEquals(parseDnf5Repositories(list(count))?.repositories.length, 1_000);
  }
});

const REQUIRED = {
  isRequired: true,
  reason: "dnf needs-restarting: updated since the host was started: glibc, kernel-core",
};
const NOT_REQUIRED = { isRequired: false, reason: "dnf needs-restarting: not necessary" };

Deno.test("parseRebootJson() parses the format of dnf 5.4.6 and otherwise returns null", () => {
  const parse = (value: unknown) => parseRebootJson(JSON.stringify(value));
  const one = { type: "reboot", reboot_required: true, packages: [], documentation: "x" };
  const odd = [1, null, {}, { name: "\u001b[31m" }, "glibc\u001b", "x".repeat(301)];
  const packages = [{ name: "glibc" }, "kernel-core", ...odd];
  assertEquals(parse([{ ...one, packages }]), REQUIRED);
  assertEquals(parse([{ ...one, reboot_required: false }]), NOT_REQUIRED);
  assertEquals(
    parse([one])?.reason,
    "dnf needs-restarting: updated since the host was started",
  );
  for (const value of [[], {}, [{ ...one, type: "service" }], [{ ...one, reboot_required: 1 }]]) {
    assertEquals(parse(value), null);
  }
  assertEquals(parseRebootJson(""), null);
});

Deno.test("parseRebootJson() obeys the laws of parsers", () => {
  checkJunk('[{"type":"reboot","reboot_required":true,"packages":[]}]', parseRebootJson);
});

Deno.test("parseRebootJson() names the first five packages", () => {
  const packages = [..."abcdef"];
  const json = JSON.stringify([{ type: "reboot", reboot_required: true, packages }]);
  assertEquals(parseRebootJson(json)?.reason.split(": ").at(-1), "a, b, c, d, e and 1 more");
});
