import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { bisectBody, isSingleItem } from "../../src/delivery/report_body.ts";

Deno.test("bisectBody() makes two halves that hold every update once, in order", () => {
  fc.assert(fc.property(fc.array(fc.nat(), { minLength: 2, maxLength: 300 }), (updates) => {
    const body = JSON.stringify({ command_id: "c", timestamp: "t", updates });
    const halves = bisectBody({ kind: "updates", body })?.map((half) => JSON.parse(half));
    assert(halves);
    assertEquals(halves.flatMap((half) => half.updates), updates);
    assert(Math.abs(halves[0].updates.length - halves[1].updates.length) <= 1);
    for (const half of halves) assertEquals([half.command_id, half.timestamp], ["c", "t"]);
  }));
});

Deno.test("bisectBody() bisects nothing that has one item, or none, or is no list", () => {
  const one = JSON.stringify({ updates: [{}] });
  for (const body of [one, '{"updates":[]}', "{}", "[]", "null", '{"updates":', ""]) {
    assertEquals(bisectBody({ kind: "updates", body }), null, body);
  }
  assertEquals(bisectBody({ kind: "log", body: '{"updates":[1,2]}' }), null);
});

Deno.test("isSingleItem() is true of reports of updates that cannot be bisected, and of nothing else", () => {
  const rows = [
    ["updates", '{"updates":[{}]}', true],
    ["updates", '{"updates":[]}', true],
    ["updates", "junk", true],
    ["updates", '{"updates":[1,2]}', false],
    ["log", '{"updates":[{}]}', false],
    ["dependencies", "{}", false],
    ["system_info", "{}", false],
  ] as const;
  for (const [kind, body, expected] of rows) assertEquals(isSingleItem({ kind, body }), expected);
});
