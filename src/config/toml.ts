/** Reads TOML text into the paths of settings, each with its line. Pure. */

import { type AST, getStaticTOMLValue, ParseError, parseTOML } from "toml-eslint-parser";

/** The value of a key in the file. */
export interface Written {
  readonly value: unknown;
  /** From 1. */
  readonly line: number;
}

/** The text is not valid TOML. */
export class TomlError extends Error {
  override readonly name = "TomlError";
}

/**
 * Returns every key with a value, by its path. Throws `TomlError` with line and column, or for a text
 * that is nested too deeply, or too long, for the parser.
 */
export function readToml(text: string): Map<string, Written> {
  try {
    const found = new Map<string, Written>();
    for (const node of parseTOML(text).body[0].body) {
      if (node.type === "TOMLKeyValue") collect(found, [], node);
      else for (const pair of node.body) collect(found, node.resolvedKey.map(String), pair);
    }
    return found;
  } catch (error) {
    if (error instanceof ParseError) {
      const { lineNumber, column, message } = error;
      throw new TomlError(`line ${lineNumber}, column ${column + 1}: ${message}`);
    }
    if (!(error instanceof RangeError)) throw error;
    throw new TomlError("something in it is nested too deeply, or too long", { cause: error });
  }
}

function collect(
  found: Map<string, Written>,
  prefix: readonly string[],
  pair: AST.TOMLKeyValue,
): void {
  const keys = pair.key.keys.map((key) => key.type === "TOMLBare" ? key.name : key.value);
  const path = [...prefix, ...keys];
  if (pair.value.type === "TOMLInlineTable") {
    for (const inner of pair.value.body) collect(found, path, inner);
    return;
  }
  const value: unknown = getStaticTOMLValue(pair.value);
  found.set(path.join("."), { value, line: pair.loc.start.line });
}
