/** Reads a TOML text into settings' paths, each with the line it stands on. Pure. */

import { getStaticTOMLValue, parseTOML } from "toml-eslint-parser";

/** A key of the file with what is written there. */
export interface Written {
  readonly value: unknown;
  /** From 1. */
  readonly line: number;
}

/** The text is no TOML. */
export class TomlError extends Error {
  override readonly name = "TomlError";
}

/** Every key with a value, by its path; throws `TomlError` naming line and column. */
export function readToml(text: string): Map<string, Written> {
  const found = new Map<string, Written>();
  for (const node of parse(text)) {
    if (node.type === "TOMLKeyValue") collect(found, [], node);
    else for (const pair of node.body) collect(found, node.resolvedKey.map(String), pair);
  }
  return found;
}

type TopLevel = ReturnType<typeof parseTOML>["body"][0]["body"][number];
type Pair = Extract<TopLevel, { type: "TOMLKeyValue" }>;

function parse(text: string): TopLevel[] {
  try {
    return parseTOML(text).body[0].body;
  } catch (error) {
    const { lineNumber, column, message } = error as {
      lineNumber?: number;
      column?: number;
      message: string;
    };
    throw new TomlError(`line ${lineNumber ?? "?"}, column ${(column ?? 0) + 1}: ${message}`);
  }
}

function collect(found: Map<string, Written>, prefix: readonly string[], pair: Pair): void {
  const keys = pair.key.keys.map((key) => key.type === "TOMLBare" ? key.name : key.value);
  const path = [...prefix, ...keys];
  if (pair.value.type === "TOMLInlineTable") {
    for (const inner of pair.value.body) collect(found, path, inner);
    return;
  }
  const value: unknown = getStaticTOMLValue(pair.value);
  found.set(path.join("."), { value, line: pair.loc.start.line });
}
