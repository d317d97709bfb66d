import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readSources, ROOT } from "../sources.ts";
import { partsOfAgent, wiredParts } from "./wiring.ts";

/** Tests that wire parts by hand; docs/testing.md, "One world", says why. */
const BY_HAND: Readonly<Record<string, readonly string[]>> = {
  "tests/loop/command_intake_test.ts": ["CommandIntake", "CommandRunner"],
  "tests/loop/command_verification_test.ts": ["CommandVerification", "KeyRing"],
};

Deno.test("no test wires two of the agent's parts together by hand, but for those that say why", async () => {
  const parts = partsOfAgent(await readSources("src/"));
  assert(
    ["Connection", "Loop", "Sender", "Session", "StoreSupervisor"].every((one) => parts.has(one)),
  );
  const wired = [...wiredParts(await readSources("tests/"), parts)]
    .filter(([, constructed]) => constructed.length > 1);
  assertEquals(Object.fromEntries(wired), BY_HAND);
  const docs = await Deno.readTextFile(new URL("docs/testing.md", ROOT));
  for (const path of Object.keys(BY_HAND)) assertStringIncludes(docs, `\`${path}\``);
});

const PARTS: ReadonlySet<string> = new Set(["Pump", "Tank", "Valve"]);

/** What `tests/a_test.ts` constructs of `PARTS`. */
function wiredBy(text: string, helper = ""): readonly string[] {
  const sources = [{ path: "tests/a_test.ts", text }, { path: "tests/fakes/b.ts", text: helper }];
  return wiredParts(sources, PARTS).get("tests/a_test.ts") ?? [];
}

Deno.test("wiredParts() finds what a test constructs itself, in functions and beside them", () => {
  assertEquals(wiredBy("const loop = new Pump(deps);"), ["Pump"]);
  const text =
    'function setUp() {\n  return new Tank(deps);\n}\n\nDeno.test("a", () => new Pump());';
  assertEquals(wiredBy(text), ["Pump", "Tank"]);
  assertEquals(wiredBy("new Map(); new PumpState();"), []);
});

Deno.test("wiredParts() follows what a test uses of another file, and nothing that it does not use", () => {
  const helper = `export function makePump() {
  return inner();
}

function inner() {
  return new Pump(new Valve());
}

export class Other {
  sender = new Tank();
}

export const NOTHING = 0;
`;
  const test = (imports: string) => `import { ${imports} } from "./fakes/b.ts";\n\nmakePump();\n`;
  assertEquals(wiredBy(test("makePump"), helper), ["Pump", "Valve"]);
  assertEquals(wiredBy(`${test("makePump, type Other")}const a: Other;`, helper), [
    "Pump",
    "Valve",
  ]);
  assertEquals(wiredBy(`${test("NOTHING")}NOTHING;`, helper), []);
  assertEquals(wiredBy(`${test("makePump,\n  Other")}new Other();`, helper), [
    "Pump",
    "Tank",
    "Valve",
  ]);
});
