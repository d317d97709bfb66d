import { assert, assertMatch } from "@std/assert";
import { VERSION } from "../src/version.ts";

Deno.test("VERSION is plain numbers, and no server's minimum is above it", () => {
  // RedFlag compares part by part and takes a part that is no number for 0. Its default is 0.1.26.
  assertMatch(VERSION, /^\d{1,4}\.\d{1,4}\.\d{1,4}$/);
  const [major = 0, minor = 0, patch = 0] = VERSION.split(".").map(Number);
  assert(major > 0 || minor > 1 || minor === 1 && patch >= 26);
});
