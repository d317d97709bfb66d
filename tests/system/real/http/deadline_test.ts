import { assertEquals, assertRejects } from "@std/assert";
import { Deadline } from "../../../../src/system/real/http/deadline.ts";

Deno.test("guard() closes what is in use when the call is stopped, and at once after that", async () => {
  const { signal, abort } = stopping();
  const deadline = new Deadline({ timeoutMs: 600_000, connectTimeoutMs: 600_000, signal });
  const closed: string[] = [];
  deadline.guard(() => closed.push("first"));
  deadline.guard(() => closed.push("second"));
  const race = assertRejects(() => deadline.race(new Promise(() => {})), Error, "abort");
  assertEquals([closed, deadline.endedBy], [[], null]);
  abort();
  await race;
  assertEquals([closed, deadline.endedBy], [["second"], "abort"]);
  deadline.guard(() => closed.push("late"));
  assertEquals(closed, ["second", "late"]);
  deadline.clear();
});

function stopping(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
