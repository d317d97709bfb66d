import { assertEquals } from "@std/assert";
import { rebootOf } from "../../src/scanners/reboot.ts";

Deno.test("rebootOf() needs one scanner that says so, and takes silence for no answer", () => {
  const due = (reason: string) => ({ reboot: { isRequired: true, reason } });
  const not = { reboot: { isRequired: false, reason: "nothing asks for it" } };
  const silent = { reboot: null };
  assertEquals(rebootOf([]), null);
  assertEquals(rebootOf([silent, silent]), null);
  assertEquals(rebootOf([silent, not]), not.reboot);
  assertEquals(rebootOf([not, due("a kernel")]), due("a kernel").reboot);
  assertEquals(rebootOf([due("a"), due("b"), due("a")]), due("a; b").reboot);
});
