import { assert, assertEquals } from "@std/assert";
import { Session } from "../../src/loop/session.ts";
import type { Answer } from "../../src/server/answer.ts";
import { Client } from "../../src/server/client.ts";
import { FakeClock, settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";

const START_MS = Date.UTC(2026, 10, 23);
const DAY_S = 86_400;

const never = new AbortController().signal;

function token(name: string, startMs = START_MS): string {
  const iat = startMs / 1_000;
  const part = (json: unknown) => btoa(JSON.stringify(json)).replace(/=+$/, "");
  return `${part({ alg: "HS256" })}.${part({ iat, exp: iat + DAY_S, name })}.c2ln`;
}

const unauthorized: Answer<never> = { kind: "unauthorized", why: "HTTP 401" };

function setUp(
  renewals: Answer<{ token: string }>[],
  renew?: (signal: AbortSignal) => Promise<Answer<{ token: string }>>,
) {
  const clock = new FakeClock(START_MS);
  const kept: string[] = [];
  let asked = 0;
  const session = new Session({
    clock,
    random: () => 0.5,
    log: new FakeLog(),
    renew: renew ?? (() => {
      asked += 1;
      const answer = renewals.shift();
      assert(answer, "one renewal too many");
      return Promise.resolve(answer);
    }),
    keepToken: (accessToken) => {
      kept.push(accessToken);
      return Promise.resolve();
    },
  }, { agentId: "a", accessToken: token("old") });
  return { clock, session, kept, asked: () => asked };
}

/** A server that takes only this token. */
function takes(good: string): (caller: { accessToken: string }) => Promise<Answer<string>> {
  return ({ accessToken }) =>
    Promise.resolve(
      accessToken === good ? { kind: "ok", value: "done", rateLimit: null } : unauthorized,
    );
}

const renewed: Answer<{ token: string }> = {
  kind: "ok",
  value: { token: token("new") },
  rateLimit: null,
};

Deno.test("call() answers a 401 with one renewal and the same call once more", async () => {
  const { session, kept, asked } = setUp([renewed]);
  const answer = await session.call(takes(token("new")), never);
  assertEquals(answer.kind, "ok");
  assertEquals(asked(), 1);
  assertEquals(kept, [token("new")]);
});

Deno.test("call() never renews twice at once", async () => {
  const { session, asked } = setUp([renewed]);
  const calls = Array.from({ length: 10 }, () => session.call(takes(token("new")), never));
  assert((await Promise.all(calls)).every(({ kind }) => kind === "ok"));
  assertEquals(asked(), 1);
});

Deno.test("call() ends with its own signal, and a renewal with the last call that waits for it", async () => {
  const renewals: AbortSignal[] = [];
  const { promise, resolve } = Promise.withResolvers<Answer<{ token: string }>>();
  const { session, kept } = setUp([], (signal) => {
    renewals.push(signal);
    return promise;
  });
  const [first, second] = [new AbortController(), new AbortController()];
  const calls = [first, second].map(({ signal }) => session.call(takes(token("new")), signal));
  await settle();
  first.abort();
  assertEquals(await calls[0], { kind: "aborted" });
  assertEquals(renewals.map(({ aborted }) => aborted), [false]);
  resolve(renewed);
  assertEquals((await calls[1])?.kind, "ok");
  assertEquals([kept, renewals.length], [[token("new")], 1]);
});

Deno.test("call() that was cut off in a renewal leaves the next one free to renew", async () => {
  let renewals = 0;
  const { session } = setUp([], (signal) => {
    renewals += 1;
    if (renewals > 1) return Promise.resolve(renewed);
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve({ kind: "aborted" }));
    });
  });
  const over = new AbortController();
  const call = session.call(takes(token("new")), over.signal);
  await settle();
  over.abort();
  assertEquals(await call, { kind: "aborted" });
  assertEquals((await session.call(takes(token("new")), never)).kind, "ok");
  assertEquals(renewals, 2);
});

Deno.test("call() needs a person when the renewal is refused, or does not help", async () => {
  for (
    const refusal of [unauthorized, { kind: "refused", why: "HTTP 404", status: 404 }] as const
  ) {
    const { session } = setUp([refusal]);
    assertEquals((await session.call(takes("none"), never)).kind, "needs_person");
  }
  const { session } = setUp([renewed]);
  assertEquals((await session.call(takes("none"), never)).kind, "needs_person");
});

Deno.test("call() passes a renewal's failure on: the server is sick, not the token", async () => {
  const failed: Answer<never> = {
    kind: "failed",
    why: "refused",
    status: null,
    offline: false,
    retryAfterMs: null,
  };
  const { session } = setUp([failed]);
  assertEquals(await session.call(takes("none"), never), failed);
});

Deno.test("call() renews ahead of time, in the last quarter and not before", async () => {
  const { clock, session, asked } = setUp([renewed]);
  clock.setNow(START_MS + 0.874 * DAY_S * 1_000);
  await session.call(takes(token("old")), never);
  assertEquals(asked(), 0);
  clock.setNow(START_MS + 0.876 * DAY_S * 1_000);
  assertEquals((await session.call(takes(token("new")), never)).kind, "ok");
  assertEquals(asked(), 1);
});

Deno.test("call() goes on with the old token when an early renewal fails", async () => {
  const { clock, session, asked } = setUp([unauthorized]);
  clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
  assertEquals((await session.call(takes(token("old")), never)).kind, "ok");
  assertEquals((await session.call(takes(token("old")), never)).kind, "ok");
  assertEquals(asked(), 1);
});

/** A server whose renewals answer with these bodies, one after the other. */
function renewsWith(
  ...bodies: string[]
): (signal: AbortSignal) => Promise<Answer<{ token: string }>> {
  const client = new Client(
    () => Promise.resolve({ status: 200, headers: {}, body: bodies.shift() ?? "" }),
    new FakeClock(START_MS),
    {
      serverUrl: "https://server.test",
      agentVersion: "1",
      tls: {},
      proxyUrl: null,
      connectTimeoutMs: 1_000,
      timeoutMs: 1_000,
      healthTimeoutMs: 1_000,
      maxBodyBytes: 4_194_304,
    },
  );
  return (signal) => client.renew("a", "refresh", { signal });
}

Deno.test("call() keeps the old token when a renewal brings one that cannot be used", async () => {
  const bad = ["abc\nX-Evil: 1", "abc def", "äbc", "", "x".repeat(9_000), 7, null];
  for (const [at, token] of bad.entries()) {
    const bodies = [JSON.stringify({ token }), JSON.stringify({ token: "good" })];
    const { session, kept } = setUp([], renewsWith(...bodies));
    const failed = await session.call(takes("good"), never);
    assert(failed.kind === "failed", String(at));
    assert(failed.why.startsWith("HTTP 200, but not the answer promised: token "), failed.why);
    assertEquals(kept, []);
    // It is what the server did wrong, and is tried again with the next call.
    assertEquals((await session.call(takes("good"), never)).kind, "ok");
    assertEquals(kept, ["good"]);
  }
});

Deno.test("call() goes on with the old token when an early renewal brings a bad one", async () => {
  const { clock, session, kept } = setUp([], renewsWith(JSON.stringify({ token: "a b" })));
  clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
  assertEquals((await session.call(takes(token("old")), never)).kind, "ok");
  assertEquals(kept, []);
});
