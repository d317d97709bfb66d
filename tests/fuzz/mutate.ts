/** Texts that are nearly what a program prints: captured ones, damaged by chance. */

import fc from "fast-check-unseeded";
import { anyString } from "../fakes/texts.ts";

/** One way to damage a text; numbers in [0, 1) say where. */
type Damage =
  | { readonly kind: "cut" | "repeat" | "drop" | "swap"; readonly at: number; readonly to: number }
  | { readonly kind: "insert" | "replace"; readonly at: number; readonly text: string }
  | { readonly kind: "line_ends"; readonly end: string };

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

/** What parsers trip over: what steers terminals, separates fields, or is no whole character. */
const PIECES = [
  ..."\u0000\u0007\b\t\n\r\u001b\u007f\u0085\u009b\u200b\u202e\u2028\ufeff\ufffd\ud800",
  ..." ()[]{}<>,;:|\"'`$\\/~+-=_.#*%&…",
  ..."0aZäß裝",
  "\r\n",
  "\u001b[31m",
  "\u001b]0;title\u0007",
  "CVE-2026-1234",
  "[1.0]",
  "-".repeat(40),
  "9".repeat(400),
  "__proto__",
  "constructor",
  "👩‍👩‍👧",
];

const inserted = fc.oneof(
  fc.constantFrom(...PIECES),
  anyString({ maxLength: 12 }),
);

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("cut" as const, "repeat" as const, "drop" as const, "swap" as const),
    at: place,
    to: place,
  }),
  fc.record({
    kind: fc.constantFrom("insert" as const, "replace" as const),
    at: place,
    text: inserted,
  }),
  fc.record({
    kind: fc.constant("line_ends" as const),
    end: fc.constantFrom("\r\n", "\r", "\n\n", "\u2028", " \n"),
  }),
);

/** Longest part of a captured text that is damaged at a time, in lines: small ones go faster. */
const LINES = 40;

/** One of the texts, or a part of it, damaged up to six times. */
export function mutated(texts: readonly string[]): fc.Arbitrary<string> {
  const parts = fc.record({
    text: fc.constantFrom(...texts),
    from: place,
    damages: fc.array(damage, { minLength: 1, maxLength: 6 }),
  });
  return parts.map(({ text, from, damages }) => {
    const lines = text.split("\n");
    const start = Math.floor(from * Math.max(1, lines.length - LINES + 1));
    return damages.reduce(apply, lines.slice(start, start + LINES).join("\n"));
  });
}

function apply(text: string, damage: Damage): string {
  if (damage.kind === "line_ends") return text.replaceAll("\n", damage.end);
  const at = Math.floor(damage.at * (text.length + 1));
  switch (damage.kind) {
    case "insert":
      return text.slice(0, at) + damage.text + text.slice(at);
    case "replace":
      return text.slice(0, at) + damage.text + text.slice(at + damage.text.length);
  }
  const to = Math.min(text.length, at + Math.floor(damage.to * 200));
  const part = text.slice(at, to);
  switch (damage.kind) {
    case "cut":
      return text.slice(0, at);
    case "drop":
      return text.slice(0, at) + text.slice(to);
    case "repeat":
      return text.slice(0, to) + part + text.slice(to);
    case "swap":
      return part + text.slice(0, at) + text.slice(to);
  }
}
