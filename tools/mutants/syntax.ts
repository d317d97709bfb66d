/** TypeScript text as a tree with exact ranges, without the parts that do not run. */

import { parse } from "@babel/parser";
import type { CallExpression, Comment, Expression, Node } from "@babel/types";

/** A node and what it stands in. */
export interface Place {
  /** The text of the whole file. */
  readonly text: string;
  readonly comments: readonly Comment[];
  /** The nodes around this one, the nearest first. */
  readonly parents: readonly Node[];
  /** The property of the nearest parent that holds this node. */
  readonly key: string;
}

type Visit = (node: Node, place: Place) => void;

/**
 * Visits every node of `text` that runs and is not noise, parents first. Types, imports, the
 * arguments of log calls, the texts of errors and sentences are left out: a change there says
 * nothing about the tests.
 *
 * @throws {SyntaxError} if `text` is not TypeScript
 */
export function visitCode(text: string, visit: Visit): void {
  const { program, comments } = parse(text, { sourceType: "module", plugins: ["typescript"] });
  const walk = (node: Node, parents: readonly Node[], key: string) => {
    if (isType(node) || isNoise(node, parents, key)) return;
    visit(node, { text, comments: comments ?? [], parents, key });
    const around = [node, ...parents];
    for (const [name, child] of childrenOf(node)) walk(child, around, name);
  };
  for (const statement of program.body) walk(statement, [program], "body");
}

/** Every string literal of `text` that ends like the name of a TypeScript file: what it may load. */
export function filesNamedIn(text: string): string[] {
  const { program } = parse(text, { sourceType: "module", plugins: ["typescript"] });
  const names = new Set<string>();
  const walk = (node: Node) => {
    if (node.type === "StringLiteral" && node.value.endsWith(".ts")) names.add(node.value);
    for (const [, child] of childrenOf(node)) walk(child);
  };
  walk(program);
  return [...names];
}

/** The text of a node, as it stands in the file. */
export function textOf(node: Node, { text }: Place): string {
  return text.slice(node.start ?? 0, node.end ?? 0);
}

/** The name that a call's function goes by: `run` for `run()` and for `a.b.run()`. */
export function calleeName(call: CallExpression): string {
  const { callee } = call;
  if (callee.type === "Identifier") return callee.name;
  if (callee.type !== "MemberExpression") return "";
  return nameOf(callee.property);
}

/** `log` for `log`, `this.#log` and `this.#parts.log`; empty for what has no name. */
export function nameOf(node: Node): string {
  switch (node.type) {
    case "Identifier":
      return node.name;
    case "PrivateName":
      return node.id.name;
    case "StringLiteral":
      return node.value;
    case "MemberExpression":
    case "OptionalMemberExpression":
      return nameOf(node.property);
    default:
      return "";
  }
}

const LOG_METHODS = ["debug", "info", "warning", "warn", "error"];

/** Whether this is a call that writes a line to the log, and at which level. */
export function logLevelOf(node: Node): string | null {
  if (node.type !== "CallExpression" || node.callee.type !== "MemberExpression") return null;
  const level = calleeName(node);
  const sink = nameOf(node.callee.object);
  const isLog = LOG_METHODS.includes(level) && ["log", "logger", "console"].includes(sink);
  return isLog ? level : null;
}

/** A template or a literal that people read: words with blanks between them, and no SQL. */
export function isSentence(node: Node): boolean {
  if (node.type === "StringLiteral") return node.value.includes(" ") && !isSql(node.value);
  if (node.type !== "TemplateLiteral") return false;
  const text = node.quasis.map(({ value }) => value.raw).join("");
  return text.trim().includes(" ") && !isSql(text);
}

const SQL_VERBS = ["ALTER", "BEGIN", "CREATE", "DELETE", "DROP", "INSERT", "PRAGMA", "SELECT"];
const SQL_CLAUSES = ["UPDATE", "WITH", "WHERE", "FROM", "ORDER", "VALUES", "SET"];

/** Whether a text begins like a statement of SQL, or like a clause of one. */
export function isSql(text: string): boolean {
  const [first = ""] = text.trim().split(/\s+/);
  return [...SQL_VERBS, ...SQL_CLAUSES, "--"].includes(first);
}

/** Wrapped where what stands around might take it apart. */
export function inParentheses(text: string): string {
  return `(${text})`;
}

function isType(node: Node): boolean {
  if (RUNNING_TYPES.includes(node.type)) return false;
  if (node.type.startsWith("TS")) return true;
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportAllDeclaration":
      return true;
    case "ExportNamedDeclaration":
      return node.exportKind === "type" || node.source != null;
    default:
      return false;
  }
}

/** Nodes of TypeScript's own that hold an expression that runs. */
const RUNNING_TYPES = [
  "TSAsExpression",
  "TSNonNullExpression",
  "TSParameterProperty",
  "TSSatisfiesExpression",
];

function isNoise(node: Node, [parent]: readonly Node[], key: string): boolean {
  if (parent === undefined) return false;
  if (logLevelOf(parent) !== null && key === "arguments") return true;
  if (isSentence(node)) return true;
  if (parent.type === "NewExpression" && key === "arguments") {
    return isErrorName(nameOf(parent.callee)) && parent.arguments[0] === node;
  }
  if (parent.type === "ClassProperty" && key === "value") return nameOf(parent.key) === "name";
  return false;
}

function isErrorName(name: string): boolean {
  return name.endsWith("Error") || name === "Refusal";
}

/** Properties of a node that hold no code of its own. */
const NO_CHILDREN = new Set([
  "errors",
  "extra",
  "implements",
  "innerComments",
  "leadingComments",
  "loc",
  "returnType",
  "superTypeParameters",
  "trailingComments",
  "typeAnnotation",
  "typeArguments",
  "typeParameters",
]);

function childrenOf(node: Node): [key: string, child: Node][] {
  return Object.entries(node).flatMap(([key, value]: [string, unknown]) => {
    if (NO_CHILDREN.has(key)) return [];
    const values: unknown[] = Array.isArray(value) ? value : [value];
    return values.filter(isNode).map((child): [string, Node] => [key, child]);
  });
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value &&
    typeof value.type === "string" && "start" in value;
}

/** Whether a `+` joins texts here, as far as that can be seen. */
export function isText(node: Expression | Node): boolean {
  if (node.type === "StringLiteral" || node.type === "TemplateLiteral") return true;
  return node.type === "BinaryExpression" && node.operator === "+" &&
    (isText(node.left) || isText(node.right));
}
