import { assertEquals } from "@std/assert";
import { isAtLeast, parseDnfVersion } from "../../../src/scanners/dnf/version.ts";
import { readFixture } from "../fixture.ts";

Deno.test("parseDnfVersion() reads both generations, past what plugins say", () => {
  const rows: [string, readonly number[] | undefined][] = [
    ["", undefined],
    ["junk", undefined],
    ["4.14.0", undefined], // A line that does not end may be cut off.
    ["4.14.0\n  Installed: dnf-0:4.14.0-9.el9.noarch at Tue\n", [4, 14, 0]],
    ["4.24.0\r\n", [4, 24, 0]],
    ["  4.24.0 \n", [4, 24, 0]],
    ["x 4.24.0\n", undefined],
    ["4.24.0 x\n", undefined],
    ["4\n", undefined],
    ["4.1.2.3.4\n", undefined],
    ["123456.1\n", undefined],
    ["Updating Subscription Management repositories.\n4.14.0\n", [4, 14, 0]],
    ["dnf5 version 5.0.0\n", [5, 0, 0]],
    ["dnf5 version five\n", undefined],
    [readFixture("dnf5", "version.txt"), [5, 4, 3, 0]],
  ];
  for (const [text, version] of rows) assertEquals(parseDnfVersion(text), version, text);
});

Deno.test("isAtLeast() compares part by part, as numbers", () => {
  const rows: [number[], number[], boolean][] = [
    [[5, 2, 6], [5, 2, 6], true],
    [[5, 2, 5, 9], [5, 2, 6], false],
    [[5, 2, 10], [5, 2, 9], true],
    [[5, 4], [5, 4, 0, 0], true],
    [[5, 3, 9], [5, 4], false],
    [[5, 4], [5, 4, 1], false],
    [[5, 4, 1], [5, 4], true],
    [[6], [5, 4], true],
  ];
  for (const [version, least, expected] of rows) {
    assertEquals(isAtLeast(version, least), expected, `${version} ${least}`);
  }
});
