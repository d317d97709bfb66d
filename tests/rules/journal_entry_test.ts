import { assertEquals } from "@std/assert";
import { readEntry } from "../../src/loop/command_runner.ts";

const harmless = { repeatable: true };
const fresh = { id: "c", type: "reboot", state: "received", isFresh: true } as const;

function why(params: string, isFresh = true): string | undefined {
  return readEntry({ ...fresh, isFresh, params }, harmless).notRun?.why;
}

Deno.test("readEntry() parses what can be run", () => {
  for (const isFresh of [true, false]) {
    const entry = { ...fresh, isFresh, params: '{"a":[1,{"b":"\\ud800\\u0000"}]}' };
    const { command, notRun } = readEntry(entry, harmless);
    const params = { a: [1, { b: "\ud800\u0000" }] };
    assertEquals([command, notRun], [{ id: "c", type: "reboot", params }, null]);
  }
});

Deno.test("readEntry() refuses params that are too much, and says why", () => {
  const lists = (depth: number) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  const list = (length: number) => `{"a":[${Array(length).fill(0).join(",")}]}`;
  const rows: [params: string, why: string | undefined][] = [
    [lists(15), undefined],
    [lists(16), "it is nested deeper than 16 levels"],
    [lists(20_000), "it is nested deeper than 16 levels"],
    [list(4_997), undefined],
    [list(4_998), "it contains more than 5000 values"],
    ['{"a":1e999}', "it contains a number that is out of range"],
    ['{"a":tru}', "it is not valid JSON"],
    ["[]", "it is not an object"],
    ["null", undefined],
    ["7", "it is not an object"],
    [`{"a":"${"x".repeat(65_528)}"}`, undefined],
    [`{"a":"${"x".repeat(65_529)}"}`, "it has more than 65536 characters"],
  ];
  for (const [params, fault] of rows) {
    const expected = fault && `not run: its params are invalid: ${fault}`;
    assertEquals(why(params), expected, params.slice(0, 50));
    const damaged = "not run: its journal entry is corrupt on disk";
    assertEquals(why(params, false), fault && damaged);
  }
});

Deno.test("readEntry() does not repeat what was begun, unless that is safe", () => {
  const begun = { ...fresh, state: "started", isFresh: false, params: "{}" } as const;
  assertEquals(readEntry(begun, harmless).notRun, null);
  assertEquals(readEntry(begun, { repeatable: false }).notRun?.message, "command was interrupted");
});
