/** Texts that a server, a disk or a program may say: for properties. */

import fc from "fast-check";

/** Any UTF-16 units, half surrogate pairs and control characters among them, repeated to any length. */
export function anyText(maxLength: number): fc.Arbitrary<string> {
  return fc.tuple(fc.array(anyUnit, { minLength: 1, maxLength: 20 }), fc.nat(maxLength)).map(
    ([units, length]) => String.fromCharCode(...units).repeat(length).slice(0, length),
  );
}

const anyUnit = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }),
  fc.integer({ min: 0, max: 0x9f }),
  fc.integer({ min: 0xd800, max: 0xdfff }),
);

/** Code points below this one are all characters; from here on, half surrogate pairs come first. */
const FIRST_HALF = 0xd800;
const HALVES = 0x800;

/**
 * Any character: the code points that are no half surrogate pairs, as often as fast-check's own unit
 * "binary" has each. That one takes a second of CPU to be made in each test file, for a table of all.
 */
const anyCharacter: fc.Arbitrary<string> = fc.nat(0x10ffff - HALVES).map(
  (index) => String.fromCodePoint(index < FIRST_HALF ? index : index + HALVES),
  (character) => {
    const codePoint = typeof character === "string" ? character.codePointAt(0) : undefined;
    if (codePoint === undefined || character !== String.fromCodePoint(codePoint)) {
      throw new TypeError("Cannot shrink: not one character");
    }
    if (codePoint < FIRST_HALF) return codePoint;
    if (codePoint < FIRST_HALF + HALVES) throw new TypeError("Cannot shrink: half a character");
    return codePoint - HALVES;
  },
);

/** A text of any characters, and of names like `__proto__` more often than chance has them. */
export function anyString(
  length: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  return fc.string({ ...length, unit: anyCharacter });
}
