import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { matchesWildcard } from "../../src/scanners/wildcard.ts";

Deno.test("matchesWildcard() matches * with anything and ? with one character", () => {
  const rows: [pattern: string, text: string, expected: boolean][] = [
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["a*", "abc", true],
    ["*c", "abc", true],
    ["*b*", "abc", true],
    ["a*c*e", "abcde", true],
    ["a*c*d", "abcde", false],
    ["*ab", "aab", true],
    ["a?c", "abc", true],
    ["a?c", "ac", false],
    ["?", "", false],
    ["A", "a", true],
    ["a", "A", true],
    ["a.c", "abc", false],
    ["a\u{1F600}?", "a\u{1F600}\u{1F601}", true],
  ];
  for (const [pattern, text, expected] of rows) {
    assertEquals(matchesWildcard(pattern, text), expected, `${pattern} ${text}`);
  }
});

Deno.test("matchesWildcard() agrees with a regular expression", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 12 });
  const patterns = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
  fc.assert(fc.property(patterns, letters, (pattern, text) => {
    const source = pattern.replaceAll("*", ".*").replaceAll("?", ".");
    assertEquals(matchesWildcard(pattern, text), new RegExp(`^${source}$`).test(text));
  }));
});

Deno.test("matchesWildcard() has bounded time on patterns made to backtrack", () => {
  assert(!matchesWildcard(`${"a*".repeat(500)}b`, "a".repeat(4_000)));
});
