import { assertEquals } from "@std/assert";
import { ServerQueue } from "../../tools/fleet/server_queue.ts";

/** 1 request a second, 10 in the queue; dead from 100 s to 200 s. */
function slowServer(): ServerQueue {
  return new ServerQueue({ capacity: 1, deadFromMs: 100_000, deadUntilMs: 200_000 });
}

Deno.test("ServerQueue serves in order of arrival", () => {
  const server = slowServer();
  assertEquals([server.take(0, 1, 30_000), server.endMs], ["answered", 1_000]);
  assertEquals([server.take(100, 0.1, 30_000), server.endMs], ["answered", 1_100]);
  assertEquals([server.take(5_000, 1, 30_000), server.endMs], ["answered", 6_000]);
});

Deno.test("ServerQueue does the work of clients that gave up", () => {
  const server = slowServer();
  server.take(0, 1, 30_000);
  assertEquals([server.take(0, 1, 2_000), server.endMs], ["answered", 2_000]);
  assertEquals([server.take(0, 1, 2_000), server.endMs], ["timed_out", 2_000]);
  assertEquals([server.take(0, 1, 30_000), server.endMs], ["answered", 4_000]);
});

Deno.test("ServerQueue refuses at once when its queue is full, until a place is free", () => {
  const server = slowServer();
  for (let index = 0; index < 10; index++) {
    assertEquals(server.take(0, 1, 30_000), "answered");
  }
  assertEquals([server.take(0, 1, 30_000), server.endMs], ["refused", 0]);
  assertEquals(server.take(999, 1, 30_000), "refused");
  assertEquals([server.take(1_000, 1, 30_000), server.endMs], ["answered", 11_000]);
  assertEquals(server.take(1_000, 1, 30_000), "refused");
});

Deno.test("ServerQueue is dead in the outage, cuts what is under way, and returns idle", () => {
  const server = slowServer();
  assertEquals([server.take(99_000, 1, 30_000), server.endMs], ["answered", 100_000]);
  assertEquals([server.take(99_500, 1, 30_000), server.endMs], ["dead", 100_000]);
  assertEquals([server.take(100_000, 1, 30_000), server.endMs], ["dead", 100_000]);
  assertEquals([server.take(199_999, 1, 30_000), server.endMs], ["dead", 199_999]);
  assertEquals([server.take(200_000, 1, 30_000), server.endMs], ["answered", 201_000]);
});
