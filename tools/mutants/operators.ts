/** All mutations of a source text: what each operator would change, in the order of the text. */

import { comparisons, conditions, logic, switches } from "./condition_operators.ts";
import { applyEdit, type Edit, type Mutation, type OperatorRule } from "./mutation.ts";
import { awaits, exits, statements } from "./statement_operators.ts";
import { visitCode } from "./syntax.ts";
import {
  arithmetic,
  booleans,
  calls,
  numbers,
  patterns,
  sql,
  type TagNames,
  tagRole,
  tags,
} from "./value_operators.ts";

const RULES: readonly OperatorRule[] = [
  comparisons,
  conditions,
  logic,
  switches,
  awaits,
  statements,
  exits,
  arithmetic,
  numbers,
  booleans,
  calls,
  patterns,
  sql,
];

/**
 * The mutations of one file, without those that make the same text twice.
 *
 * @throws {SyntaxError} if `text` is not TypeScript
 */
export function mutationsOf(text: string): Mutation[] {
  const rules = [...RULES, tags(tagNames(text))];
  const edits: Edit[] = [];
  visitCode(text, (node, place) => {
    for (const rule of rules) edits.push(...rule(node, place));
  });
  const lineStarts = startsOfLines(text);
  const seen = new Set<string>([text]);
  return edits.toSorted((a, b) => a.start - b.start).flatMap((edit): Mutation[] => {
    const mutated = applyEdit(text, edit);
    if (seen.has(mutated)) return [];
    seen.add(mutated);
    return [{ ...edit, ...positionOf(edit.start), from: text.slice(edit.start, edit.end) }];
  });

  function positionOf(offset: number): { line: number; column: number } {
    const line = lineStarts.findLastIndex((start) => start <= offset);
    return { line: line + 1, column: offset - (lineStarts[line] ?? 0) + 1 };
  }
}

function tagNames(text: string): TagNames {
  const names = new Map<string, Set<string>>();
  visitCode(text, (node, place) => {
    if (node.type !== "StringLiteral") return;
    const role = tagRole(node, place);
    if (role !== null) names.set(role, (names.get(role) ?? new Set()).add(node.value));
  });
  return new Map([...names].map(([role, values]) => [role, [...values].sort()]));
}

function startsOfLines(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
