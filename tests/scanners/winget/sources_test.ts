import { assertEquals } from "@std/assert";
import { DEFAULT_SOURCES, parseWingetSources } from "../../../src/scanners/winget/sources.ts";
import { readFixture } from "../fixture.ts";

const DEFAULT = readFixture("winget", "sources_default.txt");

Deno.test("parseWingetSources() reads an object a line, old forms without Explicit too", () => {
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

Deno.test("parseWingetSources() takes nothing for a list that is not wholly one", () => {
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

Deno.test("DEFAULT_SOURCES are Microsoft's two", () => {
  assertEquals(DEFAULT_SOURCES.map(({ name }) => name), ["winget", "msstore"]);
});
