/** A mutation: one small change of a source text that a good test suite should notice. */

import type { Node } from "@babel/types";
import type { Place } from "./syntax.ts";

/** The kinds of change. */
export const OPERATORS = [
  "arithmetic",
  "await dropped",
  "boolean flipped",
  "boundary",
  "branches swapped",
  "call dropped",
  "case body",
  "condition forced",
  "equality negated",
  "file mode",
  "limit removed",
  "logical",
  "negation dropped",
  "number",
  "regular expression",
  "return dropped",
  "sql",
  "statement removed",
  "tag",
  "ternary",
  "throw dropped",
] as const;

export type Operator = typeof OPERATORS[number];

/** One change: `[start, end)` of the text, in UTF-16 units, becomes `to`. */
export interface Edit {
  readonly operator: Operator;
  readonly start: number;
  readonly end: number;
  readonly to: string;
}

/** An edit, and where a person finds it. */
export interface Mutation extends Edit {
  /** 1 is the first. */
  readonly line: number;
  /** 1 is the first. */
  readonly column: number;
  /** What stood there. */
  readonly from: string;
}

/** Looks at one node and answers what could be changed there. */
export type OperatorRule = (node: Node, place: Place) => Edit[];

/** The edit that replaces a whole node. */
export function replace(node: Node, operator: Operator, to: string): Edit {
  return { operator, start: node.start ?? 0, end: node.end ?? 0, to };
}

/** The text with the change made. */
export function applyEdit(text: string, { start, end, to }: Edit): string {
  return text.slice(0, start) + to + text.slice(end);
}
