import { assertEquals } from "@std/assert";
import { parseDnf5Obsoletes } from "../../src/scanners/dnf5_obsoletes.ts";
import { parseObsoletes } from "../../src/scanners/dnf_obsoletes.ts";
import { checkCuts, checkJunk } from "./dnf_parser_laws.ts";
import { readFixture } from "./fixture.ts";

const JSON_TEXT = readFixture("dnf5", "check_upgrade.json");

Deno.test("parseDnf5Obsoletes() reads from JSON what parseObsoletes() reads from the table", () => {
  const table = parseObsoletes(readFixture("dnf5", "check_upgrade.txt"));
  assertEquals(parseDnf5Obsoletes(JSON_TEXT), table);
  assertEquals(parseDnf5Obsoletes(readFixture("dnf5", "progress.txt") + JSON_TEXT), table);
});

Deno.test("parseDnf5Obsoletes() takes an empty object for none, and a missing one for no answer", () => {
  assertEquals(parseDnf5Obsoletes("{}"), { packages: [], unparsed: 0 });
  assertEquals(parseDnf5Obsoletes('{"upgrades":[]}'), { packages: [], unparsed: 0 });
  for (const text of ["", "junk", "[1]", '{"obsoleting_packages":1}']) {
    assertEquals(parseDnf5Obsoletes(text), undefined, text);
  }
  const old = { name: "b", arch: "noarch", evr: "1-1" };
  const good = { ...old, name: "a", repository: "r", obsoletes: [old] };
  const bad = [null, {}, { ...good, obsoletes: [] }, { ...good, evr: "1" }, {
    ...good,
    repository: "\u001b[31m",
  }];
  const { packages = [], unparsed } =
    parseDnf5Obsoletes(JSON.stringify({ obsoleting_packages: [good, ...bad] })) ?? {};
  assertEquals([packages.length, unparsed], [1, bad.length]);
});

Deno.test("parseDnf5Obsoletes() keeps to the laws", () => {
  const parse = (text: string) => parseDnf5Obsoletes(text)?.packages ?? [];
  checkCuts(JSON_TEXT, parse);
  checkJunk(JSON_TEXT, parse);
});
