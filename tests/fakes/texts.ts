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
