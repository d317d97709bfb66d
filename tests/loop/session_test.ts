import { assert, assertEquals } from "@std/assert";
import { Session } from "../../src/loop/session.ts";
import type { Answer } from "../../src/server/answer.ts";
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

function sick(retryAfterMs: number | null): Answer<never> {
  return { kind: "failed", why: "HTTP 503", status: 503, offline: false, retryAfterMs };
}

Deno.test("call() makes no call where an early renewal is told when to come back", async () => {
  const { clock, session } = setUp([sick(60_000)]);
  clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
  const calls: string[] = [];
  const answer = await session.call(({ accessToken }) => {
    calls.push(accessToken);
    return Promise.resolve(unauthorized);
  }, never);
  assertEquals([answer, calls], [sick(60_000), []]);
});

Deno.test("call() asks for no second renewal where an early one has just failed", async () => {
  const { clock, session, asked } = setUp([sick(null), renewed]);
  clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
  assertEquals(await session.call(takes("none"), never), sick(null));
  assertEquals(asked(), 1);
});

Deno.test("call() tries no early renewal again before the server allows it", async () => {
  const hour = 3_600_000;
  const limited: Answer<never> = { kind: "limited", why: "HTTP 429", retryAfterMs: hour };
  const { clock, session, asked } = setUp([limited, renewed]);
  // A quarter of the token's life is left, half of which the next draw would be in.
  const nowMs = START_MS + (DAY_S - 600) * 1_000;
  clock.setNow(nowMs);
  await session.call(takes(token("old")), never);
  clock.setNow(nowMs + 1.1 * hour - 1);
  await session.call(takes(token("old")), never);
  assertEquals(asked(), 1);
  clock.setNow(nowMs + 1.1 * hour);
  await session.call(takes(token("new")), never);
  assertEquals(asked(), 2);
});

Deno.test("call() that another call's renewal overtook goes again with that token alone", async () => {
  const { session, asked } = setUp([renewed]);
  const first = Promise.withResolvers<void>();
  const tokens: string[] = [];
  const slow = session.call(async ({ accessToken }) => {
    tokens.push(accessToken);
    if (tokens.length === 1) await first.promise;
    return await takes(token("new"))({ accessToken });
  }, never);
  await session.call(takes(token("new")), never);
  first.resolve();
  assertEquals((await slow).kind, "ok");
  assertEquals([asked(), tokens], [1, [token("old"), token("new")]]);
});

Deno.test("call() begins nothing more once nobody waits for it, wherever it is", async () => {
  // Before the call, after its 401, and after the renewal.
  for (const place of ["early renewal", "call", "renewal"] as const) {
    const over = new AbortController();
    let renewals = 0;
    const { clock, session } = setUp([], () => {
      renewals += 1;
      if (place !== "call") over.abort();
      return Promise.resolve(renewed);
    });
    if (place === "early renewal") clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
    let calls = 0;
    const answer = await session.call(() => {
      calls += 1;
      if (place === "call") over.abort();
      return Promise.resolve(unauthorized);
    }, over.signal);
    assertEquals(answer, { kind: "aborted" }, place);
    assertEquals(calls, place === "early renewal" ? 0 : 1, place);
    assertEquals(renewals, place === "call" ? 0 : 1, place);
  }
});
