import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { compareEvr, compareRpmParts, formatEvr } from "../../../src/scanners/dnf/rpm_version.ts";

/** Each one older than the next; rpm-version(7), and rpm's own tests. */
const ASCENDING = [
  "1.0~rc1",
  "1.0~rc1^git1",
  "1.0~rc2",
  "1.0",
  "1.0^",
  "1.0^git1",
  "1.0^git2",
  "1.0A",
  "1.0.a",
  "1.0.1",
  "1.10",
  "2a",
  "2.0",
  "10",
  "99999999999999999999999",
];

Deno.test("compareRpmParts() has rpm's order", () => {
  ASCENDING.forEach((older, index) => {
    assertEquals(compareRpmParts(older, older), 0);
    for (const newer of ASCENDING.slice(index + 1)) {
      assert(compareRpmParts(older, newer) < 0, `${older} < ${newer}`);
      assert(compareRpmParts(newer, older) > 0, `${newer} > ${older}`);
    }
  });
  for (const [a, b] of [["1.0", "1_0"], ["1.01", "1.1"], ["1.0", "1.0."]] as const) {
    assertEquals(compareRpmParts(a, b), 0, `${a} = ${b}`);
  }
});

Deno.test("compareRpmParts() is an order, whatever it is given", () => {
  const part = fc.string({ unit: fc.constantFrom(..."019aZ~^.-"), maxLength: 8 });
  const sign = (a: string, b: string) => Math.sign(compareRpmParts(a, b));
  fc.assert(fc.property(part, part, part, (a, b, c) => {
    assertEquals(sign(a, b), 0 - sign(b, a));
    if (sign(a, b) <= 0 && sign(b, c) <= 0) assert(sign(a, c) <= 0, `${a} ${b} ${c}`);
  }));
});

Deno.test("compareEvr() has the epoch first and the release last", () => {
  const evr = (epoch: string, version: string, release: string) => ({ epoch, version, release });
  assert(compareEvr(evr("1", "0", "1"), evr("0", "9", "9")) > 0);
  assert(compareEvr(evr("0", "1", "9"), evr("0", "2", "1")) < 0);
  assert(compareEvr(evr("0", "1", "9"), evr("0", "1", "10")) < 0);
});

Deno.test("formatEvr() leaves out an epoch of 0", () => {
  assertEquals(formatEvr({ epoch: "0", version: "1", release: "2" }), "1-2");
  assertEquals(formatEvr({ epoch: "3", version: "1", release: "2" }), "3:1-2");
});
