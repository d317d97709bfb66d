import { assert, assertEquals } from "@std/assert";
import { Session, SharedCall } from "../../src/connection/session.ts";
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
  const log = new FakeLog();
  const kept: string[] = [];
  let asked = 0;
  const session = new Session({
    clock,
    random: () => 0.5,
    log,
    renew: async (signal) => {
      const answer = renew === undefined ? renewals.shift() : await renew(signal);
      if (renew === undefined) asked += 1;
      assert(answer, "one renewal too many");
      if (answer.kind === "ok") kept.push(answer.value.token);
      return answer;
    },
  }, { agentId: "a", accessToken: token("old") });
  return { clock, log, session, kept, asked: () => asked };
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

Deno.test("call() stays unauthorized when the renewal is refused, or does not help", async () => {
  for (
    const refusal of [unauthorized, { kind: "refused", why: "HTTP 404", status: 404 }] as const
  ) {
    const { session } = setUp([refusal]);
    assertEquals((await session.call(takes("none"), never)).kind, "unauthorized");
  }
  const { session } = setUp([renewed]);
  assertEquals((await session.call(takes("none"), never)).kind, "unauthorized");
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

Deno.test("call() warns of an early renewal that the server refuses, and not of one that fails", async () => {
  const rows: [answer: Answer<never>, said: readonly string[]][] = [
    [{ kind: "unauthorized", why: "HTTP 401" }, ["warning early renewal refused"]],
    [{ kind: "operator_required", why: "HTTP 403" }, ["warning early renewal refused"]],
    [{ kind: "refused", why: "HTTP 404", status: 404 }, ["warning early renewal refused"]],
    [failedRenewal(null), ["debug early renewal postponed"]],
    [{ kind: "limited", why: "HTTP 429", retryAfterMs: null }, ["debug early renewal postponed"]],
  ];
  for (const [answer, said] of rows) {
    const { clock, session, log } = setUp([answer]);
    clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
    await session.call(takes(token("old")), never);
    assertEquals(log.events.map(({ level, message }) => `${level} ${message}`), said, answer.kind);
  }
});

Deno.test("call() goes on with the old token when an early renewal fails", async () => {
  const { clock, session, asked } = setUp([unauthorized]);
  clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
  assertEquals((await session.call(takes(token("old")), never)).kind, "ok");
  assertEquals((await session.call(takes(token("old")), never)).kind, "ok");
  assertEquals(asked(), 1);
});

function failedRenewal(retryAfterMs: number | null): Answer<never> {
  return { kind: "failed", why: "HTTP 503", status: 503, offline: false, retryAfterMs };
}

Deno.test("call() makes no call at all where an early renewal is asked to come back later", async () => {
  for (const [retryAfterMs, calls] of [[60_000, 0], [null, 1]] as const) {
    const { clock, session, asked } = setUp([failedRenewal(retryAfterMs)]);
    clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
    let made = 0;
    const answer = await session.call((caller) => {
      made += 1;
      return takes(token("old"))(caller);
    }, never);
    assertEquals([made, answer.kind, asked()], [calls, calls === 0 ? "failed" : "ok", 1]);
  }
});

Deno.test("call() renews no sooner than the server allows, and a fifth later at most", async () => {
  const { clock, session, asked } = setUp([failedRenewal(10_000_000), renewed]);
  const nowMs = START_MS + 0.9 * DAY_S * 1_000;
  clock.setNow(nowMs);
  await session.call(takes(token("old")), never);
  clock.setNow(nowMs + 10_999_999);
  await session.call(takes(token("old")), never);
  assertEquals(asked(), 1);
  // 10,000 s and half of a fifth: its life is over by then, and the instant stands all the same.
  clock.setNow(nowMs + 11_000_000);
  const takesAny = () => Promise.resolve({ kind: "ok", value: "done", rateLimit: null } as const);
  await session.call(takesAny, never);
  assertEquals(asked(), 2);
});

Deno.test("call() draws the next early renewal from what is left of the token's life", async () => {
  const failures = Array.from({ length: 3 }, () => failedRenewal(null));
  const { clock, session, asked } = setUp(failures);
  const at = async (part: number) => {
    clock.setNow(START_MS + part * DAY_S * 1_000);
    await session.call(takes(token("old")), never);
    return asked();
  };
  assertEquals(await at(0.9), 1);
  // The draw is half way: 0.95.
  assertEquals([await at(0.949), await at(0.951)], [1, 2]);
  assertEquals(await at(1), 3);
  assertEquals(await at(2), 3, "it has ended: the next 401 renews it");
});

Deno.test("call() tries no renewal twice: one that failed just now is the answer to a 401", async () => {
  const { clock, session, asked } = setUp([failedRenewal(null)]);
  clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
  const answer = await session.call(takes(token("new")), never);
  assertEquals([answer.kind, asked()], ["failed", 1]);
});

Deno.test("call() renews once more where a token that is just renewed is not taken", async () => {
  const newer = { ...renewed, value: { token: token("newer") } };
  const { clock, session, asked } = setUp([renewed, newer]);
  clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
  assertEquals((await session.call(takes(token("newer")), never)).kind, "ok");
  assertEquals(asked(), 2);
});

Deno.test("call() asks for no renewal where another call has renewed in the meantime", async () => {
  const { session, asked } = setUp([renewed]);
  const slow = Promise.withResolvers<Answer<string>>();
  let first = true;
  const late = session.call((caller) => {
    if (!first) return takes(token("new"))(caller);
    first = false;
    return slow.promise;
  }, never);
  assertEquals((await session.call(takes(token("new")), never)).kind, "ok");
  slow.resolve(unauthorized);
  assertEquals([(await late).kind, asked()], ["ok", 1]);
});

Deno.test("call() begins nothing more once nobody waits for it", async () => {
  const over = new AbortController();
  const { session, asked } = setUp([renewed]);
  let made = 0;
  const answer = await session.call(() => {
    made += 1;
    over.abort();
    return Promise.resolve(unauthorized);
  }, over.signal);
  assertEquals([answer, made, asked()], [{ kind: "aborted" }, 1, 0]);
  assertEquals(await session.call(takes(token("old")), over.signal), { kind: "aborted" });
});

Deno.test("call() says why the server does not renew", async () => {
  const why = async (refusal: Answer<never>) => {
    const answer = await setUp([refusal]).session.call(takes("none"), never);
    return "why" in answer ? [answer.kind, answer.why] : [answer.kind];
  };
  assertEquals(await why(unauthorized), ["unauthorized", "renewal refused: HTTP 401"]);
  assertEquals(await why({ kind: "operator_required", why: "HTTP 403" }), [
    "operator_required",
    "renewal refused: HTTP 403",
  ]);
  assertEquals(await why({ kind: "refused", why: "HTTP 404", status: 404 }), [
    "unauthorized",
    "renewal refused: HTTP 404",
  ]);
  assertEquals(await why({ kind: "refused", why: "HTTP 400", status: 400 }), [
    "unauthorized",
    "renewal refused: HTTP 400",
  ]);
  assertEquals(await why({ kind: "limited", why: "HTTP 429", retryAfterMs: null }), [
    "limited",
    "HTTP 429",
  ]);
  assertEquals(await why({ kind: "aborted" }), ["aborted"]);
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

/** A call that ends when it is told to, or cut off; `begun` holds the signal of each. */
function setUpShared() {
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
  const { shared, begun, ends } = setUpShared();
  const waits = Array.from({ length: 3 }, () => shared.wait(new AbortController().signal));
  ends[0]?.(ok);
  assertEquals(await Promise.all(waits), [ok, ok, ok]);
  const next = shared.wait(new AbortController().signal);
  ends[1]?.(ok);
  assertEquals([await next, begun.length], [ok, 2]);
});

Deno.test("wait() is over with its own signal; the call is cut off with the last of them", async () => {
  const { shared, begun, ends } = setUpShared();
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
  const { shared, begun } = setUpShared();
  assertEquals(await shared.wait(AbortSignal.abort()), { kind: "aborted" });
  assertEquals(begun.length, 0);
  const broken = new SharedCall<string>(() => Promise.reject(new Error("a mistake")));
  const failure = await broken.wait(new AbortController().signal).catch((error) => error.message);
  assertEquals(failure, "a mistake");
});

Deno.test("wait() tells the call why it is cut off, and listens to nobody when it is over", async () => {
  const { shared, begun, ends } = setUpShared();
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
