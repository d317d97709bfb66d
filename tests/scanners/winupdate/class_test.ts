import { assertEquals } from "@std/assert";
import {
  classOf,
  isSecurityCategory,
  type WinupdateClass,
} from "../../../src/scanners/winupdate/class.ts";

const SECURITY = "0FA1201D-4330-4FA8-8AE9-B877473B6441";
const DEFINITIONS = "e0789628-ce08-4437-be74-2495b842f43b";
const DRIVERS = "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0";
const UPGRADES = "3689bdc8-b205-4af4-8d4a-a63924c5e9d5";
const PRODUCT = "569e8e8f-c6cd-42c8-92a3-efbb20a0f6f5";

const ROWS: readonly [string, string[], number | null, WinupdateClass][] = [
  ["nothing", [], null, "other"],
  ["junk", ["Security Updates"], 1, "other"],
  ["a product alone", [PRODUCT], 1, "other"],
  ["security, in either case", [PRODUCT, SECURITY], 1, "security"],
  ["definitions, though they are security's too", [SECURITY, DEFINITIONS], 1, "definitions"],
  ["drivers by category", [DRIVERS], 1, "drivers"],
  ["drivers by type", [PRODUCT], 2, "drivers"],
  ["a new version of Windows", [UPGRADES], 1, "upgrades"],
  ["plain updates", ["CD5FFD1E-E932-4E3A-BF74-18BF0B1BBD83"], 1, "updates"],
];

for (const [name, ids, type, kind] of ROWS) {
  Deno.test(`classOf() knows ${name}`, () => {
    assertEquals(classOf(ids, type), kind);
  });
}

Deno.test("isSecurityCategory() knows security's, whatever else an update is", () => {
  assertEquals(isSecurityCategory([]), false);
  assertEquals(isSecurityCategory([PRODUCT, DEFINITIONS]), false);
  assertEquals(isSecurityCategory([DRIVERS, SECURITY]), true);
});
