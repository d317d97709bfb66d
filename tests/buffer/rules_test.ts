import { assertEquals } from "@std/assert";
import { fits, priorityOf } from "../../src/buffer/rules.ts";

Deno.test("priorityOf() puts results first, unless their command has more to tell", () => {
  assertEquals(priorityOf("log", []), 3);
  assertEquals(priorityOf("log", ["log", "dependencies"]), 2);
  assertEquals(priorityOf("log", ["updates", "log"]), 1);
  assertEquals(priorityOf("system_info", ["log"]), 0);
});

Deno.test("fits() holds both bounds, to the last event and byte", () => {
  const limits = { maxEvents: 10, maxBytes: 1_000, maxAttempts: 1 };
  const more = { events: 1, sizeBytes: 100 };
  assertEquals(fits({ events: 9, sizeBytes: 900 }, more, limits), true);
  assertEquals(fits({ events: 10, sizeBytes: 0 }, more, limits), false);
  assertEquals(fits({ events: 0, sizeBytes: 901 }, more, limits), false);
});
