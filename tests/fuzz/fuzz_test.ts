import { assert, assertEquals } from "@std/assert";
import { fixturesOf } from "./fixtures.ts";
import { fuzzParser, steeringText } from "./fuzz_parser.ts";
import { type Parser, PARSERS } from "./parsers.ts";

const QUICK = { cases: 300, seed: 1 };

for (const parser of PARSERS) {
  Deno.test(`fuzz: ${parser.name} stands damaged texts`, () => {
    const { failure, cases } = fuzzParser(parser, fixturesOf(parser), QUICK);
    assertEquals([failure, cases], [null, QUICK.cases]);
  });
}

function broken(parse: (text: string) => unknown): string | null {
  const parser: Parser = { name: "broken", tool: "apt", fixtures: /_policy\./, parse };
  return fuzzParser(parser, fixturesOf(parser), QUICK).failure;
}

Deno.test("fuzz: a parser that throws, or lets through what steers a terminal, is caught", () => {
  const throws = broken((text) => {
    if (text.includes("\u001b")) throw new TypeError("no escape expected");
    return null;
  });
  assert(throws?.includes("no escape expected"), `${throws}`);
  assert(broken((text) => ({ name: text }))?.includes("lets through"));
  assertEquals(broken(() => null), null);
});

Deno.test("steeringText() looks into lists, maps, keys and values", () => {
  assertEquals(steeringText(["a\tb", new Map([["a", { b: "c" }]]), null, 1]), null);
  assertEquals(steeringText({ a: [new Map([["k", "x\u001b[0m"]])] }), "x\u001b[0m");
  assertEquals(steeringText({ "\u0007": 1 }), "\u0007");
});
