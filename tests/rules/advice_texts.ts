/** Finds every text of advice in a source: what the program tells an operator to do. */

import { parse } from "@babel/parser";

/** Names of variables, fields and parameters that hold advice and nothing else. */
const NAMES =
  /^(?:next|remedy|next_step|BY_REASON|REPLACE|REGISTER_AGAIN|[A-Z_]*(?:ADVICE|REMEDY|HINT))$/;

/** Functions that return advice. */
const FUNCTIONS = /^(?:adviceOn|outageAdvice|byStatus|describeMove|rebind)$/;

/** Files whose constants in capitals are the advice of a table of failures. */
const TABLES = /(?:winget\/program|winupdate\/failure)\.ts$/;

/** What a source with advice has somewhere. */
const CANDIDATE =
  /Next: |then run `|\b(?:next|remedy|next_step)\b\s*[:=]|ADVICE|REMEDY|HINT|BY_REASON|\b(?:fail|warn|adviceOn|outageAdvice|byStatus|describeMove|rebind)\(/;

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The texts of a TypeScript source that say what to do next, with `{}` for what is filled in. */
export function adviceIn(source: string, path: string): string[] {
  if (!CANDIDATE.test(source) && !TABLES.test(path)) return []; // Parsing every source takes seconds.
  const found: string[] = [];
  const isTable = TABLES.test(path);
  const visit = (node: Node, name: string | null, isInside: boolean) => {
    const text = isInside ? null : textOf(node);
    if (text !== null && (/Next: |then run `/.test(text) || name !== null && /\w \w/.test(text))) {
      found.push(text);
      isInside = true;
    }
    for (const [field, child] of Object.entries(node)) {
      for (const [index, one] of (Array.isArray(child) ? child : [child]).entries()) {
        if (isNode(one)) {
          const given = nameFor(node, field, { outer: name, isTable, index });
          visit(one, given, isInside || text !== null);
        }
      }
    }
  };
  visit(
    parse(source, { sourceType: "module", plugins: ["typescript"] }) as unknown as Node,
    null,
    false,
  );
  return found;
}

/** The name of what a child gives its value to; a call or another function in between ends it. */
function nameFor(
  node: Node,
  field: string,
  { outer, isTable, index }: { outer: string | null; isTable: boolean; index: number },
): string | null {
  switch (node.type) {
    case "VariableDeclarator": {
      if (field !== "init") return null;
      const name = String((node["id"] as Node)["name"]);
      const isRow = isTable && /^[A-Z_]+$/.test(name) && name !== "LIST_UPDATES" &&
        textOf(node["init"] as Node) !== null;
      return isRow || NAMES.test(name) ? name : null;
    }
    case "ObjectProperty": {
      if (field !== "value") return null;
      const name = String((node["key"] as Node)["name"]);
      return NAMES.test(name) ? name : outer === "BY_REASON" ? outer : null;
    }
    case "FunctionDeclaration": {
      const name = String((node["id"] as Node | null)?.["name"]);
      return field === "body" && FUNCTIONS.test(name) ? name : null;
    }
    case "CallExpression": {
      // The third argument of a finding of doctor.
      const isFinding = /^(?:fail|warn)$/.test(String((node["callee"] as Node)["name"]));
      return field === "arguments" && isFinding && index === 2 ? "next" : null;
    }
    case "BinaryExpression":
    case "SwitchCase":
      return node.type === "SwitchCase" && field === "consequent" ? outer : null;
    default:
      return outer;
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}

/** The text of a literal, or of several that are added; `null`: the node is none. */
function textOf(node: Node): string | null {
  switch (node.type) {
    case "StringLiteral":
      return String(node["value"]);
    case "TemplateLiteral":
      return (node["quasis"] as { value: { cooked: string } }[]).map(({ value }) => value.cooked)
        .join("{}");
    case "BinaryExpression": {
      if (node["operator"] !== "+") return null;
      const [left, right] = [textOf(node["left"] as Node), textOf(node["right"] as Node)];
      return left === null && right === null ? null : `${left ?? "{}"}${right ?? "{}"}`;
    }
    default:
      return null;
  }
}
