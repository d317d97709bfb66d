import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { compareDebianVersions } from "../../../src/scanners/apt/debian_version.ts";

/** Each one older than the next; deb-version(7), and dpkg's own tests. */
const ASCENDING = [
  "0~~",
  "0~~a",
  "0~",
  "0",
  "0a",
  "0+",
  "0.1~rc1-1",
  "0.1-1",
  "1.0~bpo1",
  "1.0",
  "1.0-0.1",
  "1.0-1",
  "1.0-1ubuntu0.1~esm2",
  "1.0-1ubuntu1",
  "1.0-1+b1",
  "1.0-1+deb12u1",
  "1.0-10",
  "1.0a-1",
  "1.0+dfsg-1",
  "1.0.1-1",
  "1.2-3-4",
  "1.10",
  "20240101",
  "99999999999999999999999",
  "100000000000000000000000",
  "1:0",
  "2:0~a",
];

Deno.test("compareDebianVersions() has dpkg's order", () => {
  ASCENDING.forEach((older, index) => {
    assertEquals(compareDebianVersions(older, older), 0);
    for (const newer of ASCENDING.slice(index + 1)) {
      assert(compareDebianVersions(older, newer) < 0, `${older} < ${newer}`);
      assert(compareDebianVersions(newer, older) > 0, `${newer} > ${older}`);
    }
  });
});

Deno.test("compareDebianVersions() takes what dpkg takes for the same for the same", () => {
  const same = [["1.0", "0:1.0"], ["1.0", "1.0-0"], ["1.01", "1.1"], ["1.0-", "1.0"], [":1", "1"], [
    "-1",
    "0-1",
  ]] as const;
  for (const [a, b] of same) assertEquals(compareDebianVersions(a, b), 0);
});

Deno.test("compareDebianVersions() finds epoch and revision where there is next to no version", () => {
  assert(compareDebianVersions("-1", "-2") < 0);
  assert(compareDebianVersions("1:-1", "1:-2") < 0);
  assert(compareDebianVersions(":1", ":2") < 0);
  assert(compareDebianVersions("1:", "2:") < 0);
});

Deno.test("compareDebianVersions() begins with the letters where a version begins with any", () => {
  assert(compareDebianVersions("a2", "b1") < 0);
  assert(compareDebianVersions("~2", "1") < 0);
  assert(compareDebianVersions("1-r2", "1-s1") < 0);
});

Deno.test("compareDebianVersions() is an order, whatever it is given", () => {
  const version = fc.string({ unit: fc.constantFrom(..."019aZ~+.-:"), maxLength: 8 });
  const sign = (a: string, b: string) => Math.sign(compareDebianVersions(a, b));
  fc.assert(fc.property(version, version, version, (a, b, c) => {
    assertEquals(sign(a, b), 0 - sign(b, a));
    if (sign(a, b) <= 0 && sign(b, c) <= 0) assert(sign(a, c) <= 0, `${a} ${b} ${c}`);
  }));
});
