/** Mutations of values: numbers, limits, tags, modes, regular expressions, SQL, arithmetic. */

import type { CallExpression, NumericLiteral, RegExpLiteral, StringLiteral } from "@babel/types";
import { isForTheCompiler, withOperator } from "./condition_operators.ts";
import { type Edit, type OperatorRule, replace } from "./mutation.ts";
import { calleeName, inParentheses, isSql, isText, nameOf, type Place, textOf } from "./syntax.ts";

const ARITHMETIC = new Map([
  ["+", "-"],
  ["-", "+"],
  ["*", "/"],
  ["/", "*"],
  ["%", "*"],
  ["**", "*"],
  ["+=", "-="],
  ["-=", "+="],
]);

/** `+` becomes `-`, `*` becomes `/`, and so on; not where texts are joined. */
export const arithmetic: OperatorRule = (node, place) => {
  if (node.type === "AssignmentExpression") {
    const other = ARITHMETIC.get(node.operator);
    if (other === undefined || isText(node.right)) return [];
    return [replace(node, "arithmetic", withOperator(node, other, place))];
  }
  if (node.type !== "BinaryExpression" || isText(node)) return [];
  const [parent] = place.parents;
  if (parent !== undefined && isText(parent)) return [];
  const other = ARITHMETIC.get(node.operator);
  return other === undefined ? [] : [replace(node, "arithmetic", withOperator(node, other, place))];
};

/** From here on a number is a limit or a time: without it, rather than one more. */
const LARGE = 100;

/** Calls whose numbers are a matter of looks. */
const LOOKS = ["toFixed", "padStart", "padEnd", "stringify", "repeat"];

const MODES = new Map([["0o600", "0o644"], ["0o700", "0o755"]]);

/** 0 becomes 1, 7 becomes 8, a limit becomes infinite, a private file becomes a public one. */
export const numbers: OperatorRule = (node, place) => {
  if (node.type !== "NumericLiteral") return [];
  const [parent] = place.parents;
  if (parent?.type === "CallExpression" && LOOKS.includes(calleeName(parent))) return [];
  if (parent?.type === "ObjectProperty" && place.key === "key") return [];
  if (isFallback(place)) return [];
  const written = textOf(node, place);
  const mode = MODES.get(written);
  if (mode !== undefined) return [replace(node, "file mode", mode)];
  if (written.startsWith("0o")) return [];
  return [otherNumber(node)];
};

/** What stands for an element that is not there, which the compiler wants to know of. */
function isFallback({ parents: [parent, grandparent] }: Place): boolean {
  if (parent === undefined) return false;
  if (parent.type === "AssignmentPattern") return grandparent?.type === "ArrayPattern";
  return isForTheCompiler(parent);
}

function otherNumber(node: NumericLiteral): Edit {
  const { value } = node;
  if (value === 0) return replace(node, "number", "1");
  if (value === 1) return replace(node, "number", "0");
  if (value >= LARGE) return replace(node, "limit removed", "Infinity");
  return replace(node, "number", String(value + 1));
}

/** `true` becomes `false`. */
export const booleans: OperatorRule = (node) =>
  node.type === "BooleanLiteral" ? [replace(node, "boolean flipped", String(!node.value))] : [];

/** Calls on a value that only narrow, order or tidy it: the value itself stands in their place. */
const NARROWING = [
  "filter",
  "reverse",
  "sort",
  "toLowerCase",
  "toReversed",
  "toSorted",
  "toUpperCase",
  "trim",
  "trimEnd",
  "trimStart",
];

const OPPOSITES = new Map([
  ["some", "every"],
  ["every", "some"],
  ["startsWith", "endsWith"],
  ["endsWith", "startsWith"],
]);

/** Limits are taken away, and calls that narrow a value are left out. */
export const calls: OperatorRule = (node, place) => {
  if (node.type !== "CallExpression") return [];
  if (node.callee.type !== "MemberExpression") return [];
  const { object, property } = node.callee;
  const name = calleeName(node);
  if (nameOf(object) === "Math") return minOrMax(node, name, place);
  if (name === "pipe") return checksRemoved(node);
  const bare = inParentheses(textOf(object, place));
  if (name === "slice" && node.arguments.length === 2 && isZero(node)) {
    return [replace(node, "limit removed", bare)];
  }
  if (NARROWING.includes(name)) return [replace(node, "call dropped", bare)];
  const opposite = OPPOSITES.get(name);
  return opposite === undefined ? [] : [replace(property, "call dropped", opposite)];
};

function minOrMax(node: CallExpression, name: string, place: Place): Edit[] {
  if (name !== "min" && name !== "max") return [];
  if (node.arguments.length < 2) return [];
  return node.arguments.filter(({ type }) => type !== "SpreadElement")
    .map((argument) => replace(node, "limit removed", inParentheses(textOf(argument, place))));
}

function isZero({ arguments: [first] }: CallExpression): boolean {
  return first?.type === "NumericLiteral" && first.value === 0;
}

/** What valibot checks after the type: lengths, bounds, patterns. */
function checksRemoved(node: CallExpression): Edit[] {
  return node.arguments.flatMap((argument, index): Edit[] => {
    const before = node.arguments[index - 1];
    if (before === undefined) return [];
    const range = { start: before.end ?? 0, end: argument.end ?? 0 };
    return [{ operator: "limit removed", ...range, to: "" }];
  });
}

/** Flags and anchors of a regular expression are dropped. */
export const patterns: OperatorRule = (node) => {
  if (node.type !== "RegExpLiteral") return [];
  const { pattern, flags } = node;
  // `g` is no choice where it is needed; `u` and `v` rarely make a difference.
  const fewer = [...flags].filter((flag) => "ims".includes(flag))
    .map((flag) => withPattern(node, pattern, flags.replace(flag, "")));
  const starts = pattern.startsWith("^") ? [withPattern(node, pattern.slice(1), flags)] : [];
  const isEnd = pattern.endsWith("$") && !pattern.endsWith("\\$");
  const ends = isEnd ? [withPattern(node, pattern.slice(0, -1), flags)] : [];
  return [...fewer, ...starts, ...ends];
};

function withPattern(node: RegExpLiteral, pattern: string, flags: string): Edit {
  return replace(node, "regular expression", `/${pattern || "(?:)"}/${flags}`);
}

/** A word of SQL or of a pragma, and what takes its place. */
const SQL_WORDS = new Map([
  ["FULL", "OFF"],
  ["WAL", "MEMORY"],
  ["TRUNCATE", "PASSIVE"],
  ["EXCLUSIVE", "DEFERRED"],
  ["IMMEDIATE", "DEFERRED"],
  ["AND", "OR"],
  ["DESC", "ASC"],
  ["<", "<="],
  ["<=", "<"],
  [">", ">="],
  [">=", ">"],
  ["<>", "="],
  ["+", "-"],
  ["-", "+"],
]);

const SQL_NUMBERS = new Map([["0", "1"], ["1", "0"]]);

/** One word of an SQL statement is another one; comments are left alone. */
export const sql: OperatorRule = (node, { text }) => {
  if (node.type !== "StringLiteral" && node.type !== "TemplateElement") return [];
  const start = node.start ?? 0;
  const raw = text.slice(start, node.end ?? 0);
  const statement = node.type === "StringLiteral" ? raw.slice(1) : raw;
  if (!isSql(statement)) return [];
  return wordsOf(raw, start).flatMap(({ word, at }): Edit[] => {
    const to = SQL_WORDS.get(word) ?? SQL_NUMBERS.get(word);
    return to === undefined ? [] : [{ operator: "sql", start: at, end: at + word.length, to }];
  });
};

/** Words and signs with their places, without what stands after `--` on a line. */
function wordsOf(raw: string, start: number): { word: string; at: number }[] {
  let at = start;
  return raw.split("\n").flatMap((line) => {
    const lineStart = at;
    at += line.length + 1;
    const [code = ""] = line.split("--");
    return [...code.matchAll(/\w+|[<>=!]+|[+-]/g)]
      .map(({ 0: word, index }) => ({ word, at: lineStart + index }));
  });
}

/** Which tags stand under which name in a file: `kind` may be "ok" or "failed". */
export type TagNames = ReadonlyMap<string, readonly string[]>;

/** The name under which a tag counts: its property's, or `return`. `null`: it is no tag. */
export function tagRole(node: StringLiteral, { parents, key }: Place): string | null {
  if (!/^[a-z][a-z0-9_]*$/.test(node.value)) return null;
  const [parent] = parents.filter(({ type }) =>
    !["ConditionalExpression", "LogicalExpression", "TSAsExpression"].includes(type)
  );
  switch (parent?.type) {
    case "ObjectProperty":
      return key === "key" ? null : nameOf(parent.key);
    case "ReturnStatement":
    case "ArrowFunctionExpression":
      return "return";
    case "AssignmentPattern":
      return nameOf(parent.left);
    default:
      return null;
  }
}

/** A tag is another one of those that stand under the same name in this file. */
export function tags(names: TagNames): OperatorRule {
  return (node, place) => {
    if (node.type !== "StringLiteral") return [];
    const role = tagRole(node, place);
    if (role === null) return [];
    // A ternary's or a comparison's own condition is no result.
    if (place.key === "test") return [];
    const others = names.get(role) ?? [];
    const next = others[(others.indexOf(node.value) + 1) % others.length];
    if (next === undefined || next === node.value) return [];
    return [replace(node, "tag", JSON.stringify(next))];
  };
}
