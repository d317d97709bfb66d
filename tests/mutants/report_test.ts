import { assert, assertEquals } from "@std/assert";
import { ACCEPTED } from "../../tools/mutants/accepted.ts";
import type { Mutant } from "../../tools/mutants/choose.ts";
import type { Mutation } from "../../tools/mutants/mutation.ts";
import { mutationsOf } from "../../tools/mutants/operators.ts";
import {
  excerptOf,
  type Fate,
  findAccepted,
  formatReport,
  mayReach,
  type Result,
  scoresOf,
} from "../../tools/mutants/report.ts";

const ROOT = new URL("../../", import.meta.url);

function result(file: string, fate: Fate): Result {
  return { file, fate, line: 3, operator: "number", before: "f(1);", after: "f(0);", tookMs: 5 };
}

Deno.test("scoresOf() counts a timeout as killed, and an accepted survivor neither way", () => {
  const results = [
    result("src/a/b.ts", "killed"),
    result("src/a/b.ts", "timeout"),
    result("src/a/c.ts", "memory"),
    result("src/a/c.ts", "survived"),
    result("src/b/d.ts", "accepted"),
  ];
  assertEquals(scoresOf(results), [
    { directory: "src/a", killed: 3, survived: 1, accepted: 0, percent: 75 },
    { directory: "src/b", killed: 0, survived: 0, accepted: 1, percent: 100 },
    { directory: "all", killed: 3, survived: 1, accepted: 1, percent: 75 },
  ]);
});

Deno.test("mayReach() is false where chance would make so bad a sample once in a hundred or less", () => {
  // Sums of the binomial distribution for 80 draws at 0.9: 0.0053 up to 64, 0.0123 up to 65.
  assertEquals(mayReach({ killed: 65, survived: 15 }, 90), true);
  assertEquals(mayReach({ killed: 64, survived: 16 }, 90), false);
  // Of many, a little less than the goal is enough to disprove it: 0.0104 up to 877 of 1,000, 0.0079 up to 876.
  assertEquals(mayReach({ killed: 877, survived: 123 }, 90), true);
  assertEquals(mayReach({ killed: 876, survived: 124 }, 90), false);
  assertEquals(mayReach({ killed: 0, survived: 1 }, 90), true);
  assertEquals(mayReach({ killed: 0, survived: 0 }, 90), true);
  assertEquals(mayReach({ killed: 80, survived: 0 }, 100), true);
  assertEquals(mayReach({ killed: 79, survived: 1 }, 100), false);
});

Deno.test("formatReport() shows each survivor with its place and its line before and after", () => {
  const report = formatReport([result("src/a/b.ts", "survived"), result("src/a/c.ts", "killed")]);
  assert(report.includes("Survivors:\nsrc/a/b.ts:3 (number)\n  - f(1);\n  + f(0);"), report);
  assert(!report.includes("src/a/c.ts"));
  assert(/all +1 +1 +0 +50\.0 %/.test(report), report);
});

Deno.test("excerptOf() shows the lines that are touched, each side as one line", () => {
  const text = "a();\nif (\n  b\n) c();\nd();\n";
  const [mutation] = mutationsOf(text).filter(({ operator }) => operator === "condition forced");
  assert(mutation);
  const mutant: Mutant = { file: "src/a.ts", ...mutation };
  assertEquals(excerptOf(text, mutant), { before: "b", after: "true" });
  const [whole] = mutationsOf("f();\n");
  assert(whole);
  assertEquals(excerptOf("f();\n", { file: "src/a.ts", ...whole }), { before: "f();", after: ";" });
});

Deno.test("findAccepted() excuses one change of one line and no other", () => {
  const entry = {
    file: "src/a/b.ts",
    operator: "number" as const,
    before: "f(1);",
    after: "f(0);",
    reason: "nobody can see it",
  };
  const survivor = result("src/a/b.ts", "survived");
  assertEquals(findAccepted([entry], survivor), entry);
  assertEquals(findAccepted([entry], { ...survivor, after: "f(2);" }), undefined);
  assertEquals(findAccepted([entry], { ...survivor, before: "g(1);" }), undefined);
  assertEquals(findAccepted([entry], { ...survivor, file: "src/a/c.ts" }), undefined);
});

Deno.test("docs/testing.md argues every accepted mutation", async () => {
  const text = await Deno.readTextFile(new URL("docs/testing.md", ROOT));
  const missing = ACCEPTED.filter(({ file, reason }) => {
    const rows = text.split("\n").filter((line) => line.startsWith("|"));
    return !rows.some((row) => row.includes(`\`${file}\``) && row.includes(reason));
  });
  assertEquals(missing.map(({ file, after }) => `${file}: ${after}`), []);
});

Deno.test("every accepted mutation is still possible, and argued", async () => {
  const stale: string[] = [];
  const sources = new Map<string, { text: string; mutations: Mutation[] }>();
  for (const { file } of ACCEPTED) {
    if (sources.has(file)) continue;
    const text = await Deno.readTextFile(new URL(file, ROOT)).catch(() => "");
    sources.set(file, { text, mutations: mutationsOf(text) });
  }
  for (const entry of ACCEPTED) {
    assert(entry.reason.length >= 20, `${entry.file}: "${entry.reason}" is no argument`);
    const { text, mutations } = sources.get(entry.file) ?? { text: "", mutations: [] };
    const isPossible = mutations.some((mutation) => {
      const excerpt = excerptOf(text, { file: entry.file, ...mutation });
      return mutation.operator === entry.operator && excerpt.before === entry.before &&
        excerpt.after === entry.after;
    });
    if (!isPossible) stale.push(`${entry.file}: ${entry.before} => ${entry.after}`);
  }
  assertEquals(stale, []);
});
