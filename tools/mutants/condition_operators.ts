/** Mutations of what decides: comparisons, conditions, logic, branches and switches. */

import type { Expression, IfStatement, Node, SwitchCase } from "@babel/types";
import { type Edit, type OperatorRule, replace } from "./mutation.ts";
import { calleeName, inParentheses, type Place, textOf } from "./syntax.ts";

const BOUNDARIES = new Map([["<", "<="], ["<=", "<"], [">", ">="], [">=", ">"]]);
const EQUALITIES = new Map([["===", "!=="], ["!==", "==="], ["==", "!="], ["!=", "=="]]);

/** `<` becomes `<=`, `===` becomes `!==`, and so on. */
export const comparisons: OperatorRule = (node, place) => {
  if (node.type !== "BinaryExpression") return [];
  const boundary = BOUNDARIES.get(node.operator);
  if (boundary !== undefined) {
    return [replace(node, "boundary", withOperator(node, boundary, place))];
  }
  const equality = EQUALITIES.get(node.operator);
  if (equality === undefined) return [];
  return [replace(node, "equality negated", withOperator(node, equality, place))];
};

/** A condition is always, or never, true. */
export const conditions: OperatorRule = (node, place) => {
  switch (node.type) {
    case "IfStatement":
      if (node.test.type === "BooleanLiteral") return [];
      return [
        replace(node.test, "condition forced", "true"),
        replace(node.test, "condition forced", "false"),
        ...swappedBranches(node, place),
      ];
    case "WhileStatement":
    case "ForStatement":
      // Never `true`: a loop without an end is found by its time limit alone, and that is slow.
      if (!node.test || node.test.type === "BooleanLiteral") return [];
      return [replace(node.test, "condition forced", "false")];
    case "ConditionalExpression":
      return ternary(node, place);
    case "UnaryExpression":
      if (node.operator !== "!" || place.key === "test") return [];
      return [replace(node, "negation dropped", inParentheses(textOf(node.argument, place)))];
    default:
      return [];
  }
};

function swappedBranches(node: IfStatement, place: Place): Edit[] {
  const { consequent, alternate } = node;
  if (!alternate || alternate.type === "IfStatement") return [];
  const start = consequent.start ?? 0;
  const between = place.text.slice(consequent.end ?? 0, alternate.start ?? 0);
  const to = textOf(alternate, place) + between + textOf(consequent, place);
  return [{ operator: "branches swapped", start, end: alternate.end ?? 0, to }];
}

function ternary(
  node: Extract<Node, { type: "ConditionalExpression" }>,
  place: Place,
): Edit[] {
  const test = inParentheses(textOf(node.test, place));
  const yes = inParentheses(textOf(node.consequent, place));
  const no = inParentheses(textOf(node.alternate, place));
  return [
    replace(node, "ternary", inParentheses(`${test} ? ${no} : ${yes}`)),
    replace(node, "ternary", yes),
    replace(node, "ternary", no),
  ];
}

/**
 * `list[0] ?? ""` and `list.at(-1) ?? 0`: the compiler wants to be told what an element is that is
 * not there. What it is told makes a difference only where it really is not.
 */
export function isForTheCompiler(node: Node): boolean {
  if (node.type !== "LogicalExpression" || node.operator !== "??") return false;
  const { left, right } = node;
  const isElement = left.type === "MemberExpression" && left.computed ||
    left.type === "CallExpression" && calleeName(left) === "at";
  return isElement && right.type.endsWith("Literal");
}

/** `&&` and `||` take each other's place, and each side stands alone. */
export const logic: OperatorRule = (node, place) => {
  if (node.type !== "LogicalExpression") return [];
  const side = (one: Expression) => replace(node, "logical", inParentheses(textOf(one, place)));
  if (isForTheCompiler(node)) return [side(node.right)];
  const sides = [side(node.left), side(node.right)];
  if (node.operator === "??") return sides;
  const other = node.operator === "&&" ? "||" : "&&";
  return [replace(node, "logical", withOperator(node, other, place)), ...sides];
};

/** The whole expression with another operator between its two sides. */
export function withOperator(
  node: { left: Node; right: Expression; operator: string } & Node,
  operator: string,
  place: Place,
): string {
  const at = operatorStart(node, place);
  const before = place.text.slice(node.start ?? 0, at);
  const after = place.text.slice(at + node.operator.length, node.end ?? 0);
  return inParentheses(before + operator + after);
}

/** Between the sides stand blanks, parentheses, comments and the operator. */
function operatorStart(
  node: { left: Node; right: Expression; operator: string } & Node,
  { text, comments }: Place,
): number {
  let at = text.indexOf(node.operator, node.left.end ?? 0);
  let comment = around(at);
  while (comment !== undefined) {
    at = text.indexOf(node.operator, comment.end ?? 0);
    comment = around(at);
  }
  return at;

  function around(position: number) {
    return comments.find(({ start, end }) => (start ?? 0) <= position && position < (end ?? 0));
  }
}

/** A case does nothing of its own, or what the next one does. */
export const switches: OperatorRule = (node, place) => {
  if (node.type !== "SwitchStatement") return [];
  const full = node.cases.filter(({ consequent }) => consequent.length > 0);
  return full.flatMap((one, index) => {
    const [start, end] = bodyRange(one);
    const removed: Edit = { operator: "case body", start, end, to: "break;" };
    const next = full[index + 1];
    if (next === undefined) return [removed];
    const [nextStart, nextEnd] = bodyRange(next);
    const between = place.text.slice(end, nextStart);
    const to = place.text.slice(nextStart, nextEnd) + between + place.text.slice(start, end);
    return [removed, { operator: "case body", start, end: nextEnd, to }];
  });
};

function bodyRange({ consequent }: SwitchCase): [start: number, end: number] {
  return [consequent[0]?.start ?? 0, consequent.at(-1)?.end ?? 0];
}
