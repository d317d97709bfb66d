import { assertEquals } from "@std/assert";
import { SharedCall } from "../../src/connection/shared_call.ts";
import type { Answer } from "../../src/server/answer.ts";

/** A call that ends when it is told to, or cut off; `begun` holds the signal of each. */
function setUp() {
  const begun: AbortSignal[] = [];
  const ends: ((answer: Answer<string>) => void)[] = [];
  const shared = new SharedCall<string>((signal) => {
    begun.push(signal);
    return new Promise((resolve) => {
      ends.push(resolve);
      signal.addEventListener("abort", () => resolve({ kind: "aborted" }));
    });
  });
  return { shared, begun, ends };
}

const ok: Answer<string> = { kind: "ok", value: "done", rateLimit: null };

Deno.test("wait() makes one call for all that want it, and a new one for who comes after", async () => {
  const { shared, begun, ends } = setUp();
  const waits = Array.from({ length: 3 }, () => shared.wait(new AbortController().signal));
  ends[0]?.(ok);
  assertEquals(await Promise.all(waits), [ok, ok, ok]);
  const next = shared.wait(new AbortController().signal);
  ends[1]?.(ok);
  assertEquals([await next, begun.length], [ok, 2]);
});

Deno.test("wait() is over with its own signal; the call is cut off with the last of them", async () => {
  const { shared, begun, ends } = setUp();
  const [one, other] = [new AbortController(), new AbortController()];
  const waits = [shared.wait(one.signal), shared.wait(other.signal)];
  one.abort();
  assertEquals([await waits[0], begun[0]?.aborted], [{ kind: "aborted" }, false]);
  other.abort();
  assertEquals([await waits[1], begun[0]?.aborted], [{ kind: "aborted" }, true]);
  // Also while the one that was cut off has not ended.
  const next = shared.wait(new AbortController().signal);
  ends[1]?.(ok);
  assertEquals([await next, begun.length], [ok, 2]);
});

Deno.test("wait() begins nothing for who is not waiting, and passes on what is thrown", async () => {
  const { shared, begun } = setUp();
  assertEquals(await shared.wait(AbortSignal.abort()), { kind: "aborted" });
  assertEquals(begun.length, 0);
  const broken = new SharedCall<string>(() => Promise.reject(new Error("a mistake")));
  const failure = await broken.wait(new AbortController().signal).catch((error) => error.message);
  assertEquals(failure, "a mistake");
});

Deno.test("wait() tells the call why it is cut off, and listens to nobody when it is over", async () => {
  const { shared, begun, ends } = setUp();
  const over = new AbortController();
  const wait = shared.wait(over.signal);
  over.abort(new Error("stop"));
  await wait;
  assertEquals(begun[0]?.reason.message, "stop");
  const done = new AbortController();
  const first = shared.wait(done.signal);
  ends[1]?.(ok);
  await first;
  const second = shared.wait(new AbortController().signal);
  done.abort(); // Its own call is over: the one that is under way is not its.
  assertEquals(begun[2]?.aborted, false);
  ends[2]?.(ok);
  assertEquals(await second, ok);
});
