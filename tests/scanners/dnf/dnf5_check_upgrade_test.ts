import { assertEquals } from "@std/assert";
import { parseDnf5CheckUpgrade } from "../../../src/scanners/dnf/dnf5_check_upgrade.ts";
import { parseCheckUpdate } from "../../../src/scanners/dnf/check_update.ts";
import { checkCuts, checkJunk } from "./parser_laws.ts";
import { readFixture } from "../fixture.ts";

const JSON_TEXT = readFixture("dnf5", "check_upgrade.json");

Deno.test("parseDnf5CheckUpgrade() reads from JSON what parseCheckUpdate() reads from the table", () => {
  const table = parseCheckUpdate(readFixture("dnf5", "check_upgrade.txt"));
  assertEquals(parseDnf5CheckUpgrade(JSON_TEXT), table);
  assertEquals(parseDnf5CheckUpgrade(readFixture("dnf5", "progress.txt") + JSON_TEXT), table);
});

Deno.test("parseDnf5CheckUpgrade() takes an empty object for none, and a missing one for no answer", () => {
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

Deno.test("parseDnf5CheckUpgrade() names of what is replaced only what it can read", () => {
  const old = { name: "b", arch: "noarch", evr: "1-1" };
  const unreadable = { ...old, evr: "1" };
  const replacing = { ...old, name: "a", repository: "r", obsoletes: [unreadable, old] };
  const text = JSON.stringify({ obsoleting_packages: [replacing] });
  const [found] = parseDnf5CheckUpgrade(text)?.obsoletes ?? [];
  assertEquals(found?.replaces.map(({ name }) => name), ["b"]);
});

Deno.test("parseDnf5CheckUpgrade() keeps to the laws", () => {
  const parse = (text: string) => {
    const { upgrades = [], obsoletes = [] } = parseDnf5CheckUpgrade(text) ?? {};
    return [...upgrades, ...obsoletes];
  };
  checkCuts(JSON_TEXT, parse);
  checkJunk(JSON_TEXT, parse);
});
