import { assertEquals, assertRejects } from "@std/assert";
import { attempt, cannot, ScanError } from "../../src/scanners/scanner.ts";

Deno.test("cannot() names the action, the fact and the next step, without secrets", () => {
  const cause = new Error("x");
  const error = cannot("ask", "http://u:p@a failed", "locked", { next: "wait", cause });
  assertEquals(error.message, "Cannot ask: http://(hidden)@a failed. Next: wait");
  assertEquals([error.reason, error.cause], ["locked", cause]);
  assertEquals(cannot("ask", "no", "permanent").message, "Cannot ask: no");
});

Deno.test("attempt() returns a ScanError unless the scan was aborted, and throws every other error", async () => {
  const error = new ScanError("Cannot ask: x", { reason: "transient" });
  const fail = () => Promise.reject(error);
  assertEquals(await attempt(() => Promise.resolve(1)), 1);
  assertEquals(await attempt(fail), error);
  const controller = new AbortController();
  assertEquals(await attempt(fail, controller.signal), error);
  controller.abort();
  await assertRejects(() => attempt(fail, controller.signal), ScanError, "x");
  const broken = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => attempt(broken), TypeError, "oops");
});
