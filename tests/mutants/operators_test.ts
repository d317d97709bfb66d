import { assert, assertEquals, assertThrows } from "@std/assert";
import { applyEdit, type Operator, OPERATORS } from "../../tools/mutants/mutation.ts";
import { mutationsOf } from "../../tools/mutants/operators.ts";

/** What an operator makes of a text: every text that it leads to. */
function mutated(text: string, operator: Operator): string[] {
  return mutationsOf(text).filter((mutation) => mutation.operator === operator)
    .map((mutation) => applyEdit(text, mutation));
}

type Row = readonly [operator: Operator, text: string, expected: readonly string[]];

const rows: readonly Row[] = [
  ["boundary", "f(a < b);", ["f((a <= b));"]],
  ["boundary", "f(a >= b);", ["f((a > b));"]],
  ["boundary", "f(a /* < */ < b);", ["f((a /* < */ <= b));"]],
  ["boundary", "f((a) > (b));", ["f(((a) >= (b)));"]],
  ["equality negated", "f(a !== b);", ["f((a === b));"]],
  ["condition forced", "if (a) b();", ["if (true) b();", "if (false) b();"]],
  ["condition forced", "while (a) b();", ["while (false) b();"]],
  ["condition forced", "while (true) b();", []],
  ["condition forced", "for (let i = 0; i < 9; i++) b();", ["for (let i = 0; false; i++) b();"]],
  ["branches swapped", "if (a) b(); else c();", ["if (a) c(); else b();"]],
  ["branches swapped", "if (a) b(); else if (c) d();", []],
  ["negation dropped", "f(!a);", ["f((a));"]],
  ["negation dropped", "if (!a) b();", []],
  ["ternary", "f(a ? 1 : 2);", ["f(((a) ? (2) : (1)));", "f((1));", "f((2));"]],
  ["logical", "f(a && b);", ["f((a || b));", "f((a));", "f((b));"]],
  ["logical", "f(a ?? b);", ["f((a));", "f((b));"]],
  ["logical", "f(a[0] ?? 0);", ["f((0));"]],
  ["logical", 'f(a.at(-1) ?? "");', ['f((""));']],
  ["number", "f(a[i] ?? 0);", []],
  ["number", "f(a.b ?? 0);", ["f(a.b ?? 1);"]],
  ["number", "const [a = 0] = b;", []],
  ["number", "const { a = 0 } = b;", ["const { a = 1 } = b;"]],
  ["logical", "f((a || b) && c);", [
    "f(((a || b) || c));",
    "f((a || b));",
    "f((c));",
    "f(((a && b)) && c);",
    "f(((a)) && c);",
    "f(((b)) && c);",
  ]],
  ["case body", "switch (a) { case 1: b(); break; case 2: c(); }", [
    "switch (a) { case 1: break; case 2: c(); }",
    "switch (a) { case 1: c(); case 2: b(); break; }",
    "switch (a) { case 1: b(); break; case 2: break; }",
  ]],
  ["await dropped", "async () => { await f(); };", ["async () => { (f()); };"]],
  ["await dropped", "async () => { return await f(); };", []],
  ["await dropped", "async () => await f();", []],
  ["await dropped", "async () => { try { return await f(); } catch { g(); } };", [
    "async () => { try { return (f()); } catch { g(); } };",
  ]],
  ["await dropped", "async () => { try { g(); } catch { return await f(); } };", []],
  ["statement removed", "f();", [";"]],
  ["statement removed", "async () => { await file.syncData(); };", ["async () => { ; };"]],
  ["statement removed", "a = 1;", [";"]],
  ["statement removed", "const a = f();", []],
  ["statement removed", 'this.parts.log.warning("lost", { events });', [";"]],
  ["statement removed", 'log.debug("told");', []],
  ["statement removed", 'console.error("no");', []],
  ["return dropped", "() => { if (a) { b(); return; } c(); };", [
    "() => { if (a) { b(); ; } c(); };",
  ]],
  ["return dropped", "() => { if (a) { b(); return c(); } d(); };", [
    "() => { if (a) { b(); c(); } d(); };",
  ]],
  ["return dropped", "() => { if (a) return; b(); };", []],
  ["return dropped", "for (const a of b) { c(); continue; }", ["for (const a of b) { c(); ; }"]],
  ["throw dropped", "try { a(); } catch (error) { b(); throw error; }", [
    "try { a(); } catch (error) { b(); ; }",
  ]],
  ["throw dropped", "if (a) throw b;", []],
  ["arithmetic", "f(a + b);", ["f((a - b));"]],
  ["arithmetic", 'f(a + "b" + c);', []],
  ["arithmetic", "a += b;", ["(a -= b);"]],
  ["number", "f(0, 1, 7);", ["f(1, 1, 7);", "f(0, 0, 7);", "f(0, 1, 8);"]],
  ["number", "f(a.toFixed(2));", []],
  ["limit removed", "const LIMIT = 60_000;", ["const LIMIT = Infinity;"]],
  ["limit removed", "f(Math.min(a, b));", ["f((a));", "f((b));"]],
  ["limit removed", "f(a.slice(0, 9));", ["f((a));"]],
  ["limit removed", "const s = v.pipe(v.string(), v.maxLength(9), v.regex(R));", [
    "const s = v.pipe(v.string(), v.regex(R));",
    "const s = v.pipe(v.string(), v.maxLength(9));",
  ]],
  ["file mode", "f({ mode: 0o600 });", ["f({ mode: 0o644 });"]],
  ["file mode", "f(a & 0o7777);", []],
  ["boolean flipped", "f(true);", ["f(false);"]],
  ["call dropped", "f(a.trim());", ["f((a));"]],
  ["call dropped", "f(a.some(b));", ["f(a.every(b));"]],
  ["regular expression", "f(/^a$/i);", ["f(/^a$/);", "f(/a$/i);", "f(/^a/i);"]],
  ["regular expression", "f(/a\\$/g);", []],
  ["tag", 'f({ kind: "ok" }); f({ kind: "bad", other: "ok" });', [
    'f({ kind: "bad" }); f({ kind: "bad", other: "ok" });',
    'f({ kind: "ok" }); f({ kind: "ok", other: "ok" });',
  ]],
  ["tag", '() => { if (a) return "yes"; return "no"; };', [
    '() => { if (a) return "no"; return "no"; };',
    '() => { if (a) return "yes"; return "yes"; };',
  ]],
  ["sql", 'f("PRAGMA synchronous = FULL");', ['f("PRAGMA synchronous = OFF");']],
  ["sql", "f(`SELECT a -- 1 AND 2\n WHERE b > 0`);", [
    "f(`SELECT a -- 1 AND 2\n WHERE b >= 0`);",
    "f(`SELECT a -- 1 AND 2\n WHERE b > 1`);",
  ]],
  ["sql", 'f("one AND two");', []],
];

Deno.test("mutationsOf() changes what each operator is for, and nothing beside it", () => {
  for (const [operator, text, expected] of rows) {
    assertEquals(mutated(text, operator), expected, `${operator}: ${text}`);
  }
});

Deno.test("every operator has a row above", () => {
  const tried = new Set(rows.filter(([, , expected]) => expected.length > 0).map(([name]) => name));
  assertEquals(OPERATORS.filter((operator) => !tried.has(operator)), []);
});

Deno.test("mutationsOf() leaves types, imports, log lines, error texts and sentences alone", () => {
  const quiet = [
    'import { a } from "./a.ts";',
    'export * from "./a.ts";',
    'type A = { kind: "ok"; size: 1 } | 2;',
    "interface A<T extends true> { b?: 1 }",
    'let a: Map<"b", 1>;',
    "let b = a as 1;",
    'throw new HttpError("no answer" + 1, a);',
    'class A extends Error { override readonly name = "AError"; }',
    "const text = `${a + 1} events were lost`;",
    "// if (a) return 1;",
  ];
  for (const text of quiet) {
    const found = mutationsOf(text).filter(({ operator }) => operator !== "throw dropped");
    assertEquals(found, [], text);
  }
  assertEquals(mutationsOf('log.info("done", { count: a + 1 });').map(({ operator }) => operator), [
    "statement removed",
  ]);
  assertEquals(
    mutationsOf('new HttpError("no answer", { reason: "dns", count: 1 });').map(({ to }) => to),
    ["0"],
  );
});

Deno.test("mutationsOf() says where each one is and what stood there", () => {
  const [mutation] = mutationsOf("const a = 1;\n  const limitMs = 500;\n").slice(1);
  assert(mutation);
  const { line, column, from, to } = mutation;
  assertEquals({ line, column, from, to }, { line: 2, column: 19, from: "500", to: "Infinity" });
});

Deno.test("mutationsOf() makes different texts, each of which can be parsed", async () => {
  for (const file of ["breaker/breaker.ts", "loop/loop.ts", "buffer/schema.ts"]) {
    const text = await Deno.readTextFile(new URL(`../../src/${file}`, import.meta.url));
    const texts = mutationsOf(text).map((mutation) => applyEdit(text, mutation));
    assert(texts.length > 50, `${file}: ${texts.length}`);
    assertEquals(new Set(texts).size, texts.length);
    assert(!texts.includes(text));
    for (const index of [0, 7, texts.length - 1]) mutationsOf(texts[index] ?? "");
  }
});

Deno.test("mutationsOf() refuses a text that is no TypeScript", () => {
  assertThrows(() => mutationsOf("const = 1;"), SyntaxError);
});
