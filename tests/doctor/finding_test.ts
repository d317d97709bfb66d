import { assertEquals } from "@std/assert";
import { adviceOf, fail, hasFailed, ok, skip, warn } from "../../src/doctor/finding.ts";

Deno.test("adviceOf() divides messages into facts and the first advice", () => {
  const messages = ["Cannot a: b. Next: chmod x", "Cannot c: d", "Cannot e: f. Next: chmod y"];
  assertEquals(adviceOf(messages, "z"), {
    seen: "Cannot a: b; Cannot c: d; Cannot e: f",
    next: "chmod x",
  });
  assertEquals(adviceOf(["Cannot c: d"], "z"), { seen: "Cannot c: d", next: "z" });
});

Deno.test("hasFailed() is about failures alone", () => {
  const well = [ok("a", "b"), warn("a", "b", "c"), skip("a", "b")];
  assertEquals([hasFailed([]), hasFailed(well)], [false, false]);
  assertEquals(hasFailed([...well, fail("a", "b", "c")]), true);
});
