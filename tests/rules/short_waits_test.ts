import { assert, assertEquals } from "@std/assert";
import type { Answer } from "../../src/server/answer.ts";
import { fakeConnection, fine, gone } from "../fakes/connection.ts";

/** Its breaker opens at the second failure. */
function setUp() {
  return fakeConnection({ consecutiveFailures: 2 });
}

Deno.test("attempt() asks nothing of health where the server has answered 5xx: the call is the probe", async () => {
  const { asked, connection, call, waitOut } = setUp();
  const broken: Answer<never> = { ...gone, why: "HTTP 500", status: 500 };
  for (let count = 0; count < 6; count++) {
    await call(broken);
    await waitOut();
  }
  assertEquals([connection.state.breaker.state, asked], ["open", []]);
  // Not reached, or reached by something else: health goes first again.
  await call(gone);
  await waitOut();
  await call({ ...gone, why: "a page", status: 200 });
  await waitOut();
  await call(broken);
  assertEquals(asked.length, 2);
  await waitOut();
  assertEquals((await call(fine)).kind, "ok");
  assertEquals([connection.state.breaker.state, asked.length], ["closed", 2]);
});

Deno.test("rapid polling keeps each wait within 30 s, one of an open breaker too", async () => {
  const { connection, call, waitOut, mode } = setUp();
  for (const answer of [gone, gone, gone, gone]) {
    await waitOut();
    await call(answer);
  }
  const longMs = connection.waitMs("check_in");
  assert(longMs > 30_000, `${longMs}`);
  mode.isRapid = true;
  connection.onRapidPolling();
  const shortMs = connection.waitMs("check_in");
  assert(shortMs >= 15_000 && shortMs <= 30_000, `${shortMs}`);
  for (let count = 0; count < 20; count++) {
    await waitOut();
    await call(gone);
    const waitMs = connection.waitMs("check_in");
    assert(waitMs >= 15_000 && waitMs <= 30_000, `${waitMs}`);
  }
  connection.onRapidPolling();
  assert(connection.waitMs("check_in") <= 30_000);
  mode.isRapid = false;
  await waitOut();
  await call(gone);
  assert(connection.waitMs("check_in") > 30_000);
});
