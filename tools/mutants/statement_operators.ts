/** Mutations of what is done: awaits, calls whose result nobody uses, early exits, throws. */

import type { Node } from "@babel/types";
import { type OperatorRule, replace } from "./mutation.ts";
import { inParentheses, logLevelOf, textOf } from "./syntax.ts";

/** Nobody waits for a promise any more. */
export const awaits: OperatorRule = (node, { text, parents, key, ...rest }) => {
  if (node.type !== "AwaitExpression") return [];
  const place = { text, parents, key, ...rest };
  // Whoever called awaits what is returned; only a `try` around it makes a difference.
  const isReturned = parents[0]?.type === "ReturnStatement" ||
    parents[0]?.type === "ArrowFunctionExpression" && key === "body";
  if (isReturned && !isInTry(parents)) return [];
  return [replace(node, "await dropped", inParentheses(textOf(node.argument, place)))];
};

function isInTry(parents: readonly Node[]): boolean {
  for (const [index, parent] of parents.entries()) {
    if (isFunction(parent)) return false;
    if (parent.type !== "TryStatement") continue;
    if (parents[index - 1] === parent.block || parent.finalizer) return true;
  }
  return false;
}

function isFunction({ type }: Node): boolean {
  return type.endsWith("FunctionExpression") || type === "FunctionDeclaration" ||
    type === "ObjectMethod" || type === "ClassMethod" || type === "ClassPrivateMethod";
}

/** A call, an assignment or an increment that stands alone is gone. */
export const statements: OperatorRule = (node) => {
  if (node.type !== "ExpressionStatement") return [];
  const { expression } = node;
  const work = expression.type === "AwaitExpression" ? expression.argument : expression;
  switch (work.type) {
    case "CallExpression":
      if (work.callee.type === "Super" || isTooQuiet(work)) return [];
      break;
    case "OptionalCallExpression":
    case "AssignmentExpression":
    case "UpdateExpression":
      break;
    default:
      return [];
  }
  return [replace(node, "statement removed", ";")];
};

/** A line for debugging is nobody's promise, and the console is not the agent's. */
function isTooQuiet(node: Node): boolean {
  const level = logLevelOf(node);
  return level === "debug" || node.type === "CallExpression" && level !== null &&
      node.callee.type === "MemberExpression" && node.callee.object.type === "Identifier" &&
      node.callee.object.name === "console";
}

/**
 * A block goes on past its `return`, `continue`, `break` or `throw`. One that is all its `if` does is
 * left alone: a condition that is never true is the same.
 */
export const exits: OperatorRule = (node, place) => {
  const [parent, grandparent] = place.parents;
  if (parent === undefined) return [];
  if (parent.type === "IfStatement") return [];
  if (parent.type === "BlockStatement" && parent.body.length === 1) {
    if (grandparent?.type === "IfStatement") return [];
  }
  switch (node.type) {
    case "ThrowStatement":
      return [replace(node, "throw dropped", ";")];
    case "ContinueStatement":
    case "BreakStatement":
      // The end of a case: without it the next one follows, and that is another operator's.
      if (parent.type === "SwitchCase") return [];
      return [replace(node, "return dropped", ";")];
    case "ReturnStatement": {
      if (grandparent?.type !== "IfStatement") return [];
      const work = node.argument ? textOf(node.argument, place) : "";
      const isWork = node.argument?.type === "CallExpression" ||
        node.argument?.type === "AwaitExpression";
      return [replace(node, "return dropped", isWork ? `${work};` : ";")];
    }
    default:
      return [];
  }
};
