/**
 * JSON as Go's `encoding/json` writes a map: the text that commands are signed over. Written for this
 * server on its own and never shared with the agent, so that the two can disagree.
 */

import { Buffer } from "node:buffer";

/** Control characters that Go (since 1.22) writes in two characters; the others become `\u00xx`. */
const SHORT = new Map([
  ["\b", "\\b"],
  ["\t", "\\t"],
  ["\n", "\\n"],
  ["\f", "\\f"],
  ["\r", "\\r"],
  ['"', '\\"'],
  ["\\", "\\\\"],
]);

/**
 * A value as Go writes it: keys sorted by their bytes at every level, no spaces, `<`, `>`, `&`, U+2028 and
 * U+2029 escaped, all else raw. A key whose value is `undefined` is left out.
 *
 * @throws {TypeError} if a number is not finite, or a value is none of JSON
 */
export function goJson(value: unknown): string {
  switch (typeof value) {
    case "string":
      return goString(value);
    case "number":
      return goNumber(value);
    case "boolean":
      return String(value);
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return `[${value.map(goJson).join(",")}]`;
      return goMap(value);
  }
  throw new TypeError(`Cannot write JSON: a ${typeof value}`);
}

function goMap(map: object): string {
  const entries = Object.entries(map)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => ({ key: key.toWellFormed(), item: goJson(item) }))
    .sort((one, other) => Buffer.compare(Buffer.from(one.key), Buffer.from(other.key)));
  return `{${entries.map(({ key, item }) => `${goString(key)}:${item}`).join(",")}}`;
}

/** JavaScript's shortest form is Go's, but for the sign of a negative zero. */
function goNumber(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError(`Cannot write JSON: ${value}`);
  return Object.is(value, -0) ? "-0" : String(value);
}

function goString(text: string): string {
  // deno-lint-ignore no-control-regex
  const escaped = text.toWellFormed().replace(/["\\<>&\u0000-\u001f\u2028\u2029]/g, (char) => {
    return SHORT.get(char) ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}
