import { assert, assertEquals } from "@std/assert";
import { Session } from "../../src/connection/session.ts";
import type { Answer } from "../../src/server/answer.ts";
import { FakeClock } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";

const START_MS = Date.UTC(2026, 10, 23);
const DAY_S = 86_400;

const never = new AbortController().signal;
const unauthorized: Answer<never> = { kind: "unauthorized", why: "HTTP 401" };
const failed: Answer<never> = {
  kind: "failed",
  why: "HTTP 503",
  status: 503,
  offline: false,
  retryAfterMs: null,
};

function token(name: string): string {
  const iat = START_MS / 1_000;
  const part = (json: unknown) => btoa(JSON.stringify(json)).replace(/=+$/, "");
  return `${part({ alg: "HS256" })}.${part({ iat, exp: iat + DAY_S, name })}.c2ln`;
}

const renewed: Answer<{ token: string }> = {
  kind: "ok",
  value: { token: token("new") },
  rateLimit: null,
};

/** A session, and how many of these renewals it has asked for. */
function setUp(renewals: Answer<{ token: string }>[]) {
  const clock = new FakeClock(START_MS);
  let asked = 0;
  const renew = () => {
    asked += 1;
    const answer = renewals.shift();
    assert(answer, "one renewal too many");
    return Promise.resolve(answer);
  };
  const caller = { agentId: "a", accessToken: token("old") };
  const session = new Session({ clock, random: () => 0.5, log: new FakeLog(), renew }, caller);
  return { clock, session, asked: () => asked };
}

const tooOld: Answer<never> = {
  kind: "operator_required",
  why: "HTTP 426",
  refusal: { cause: "version_too_old", facts: { minimumVersion: "1.0.0" } },
};

const mismatch: Answer<never> = {
  kind: "operator_required",
  why: "HTTP 403",
  refusal: { cause: "machine_mismatch", facts: {} },
};

/** A call that answers these, one after the other. */
function answering(...answers: Answer<string>[]): () => Promise<Answer<string>> {
  return () => Promise.resolve(answers.shift() ?? unauthorized);
}

const done: Answer<string> = { kind: "ok", value: "done", rateLimit: null };

Deno.test("call() that meets a 426 renews once, which records the version, and is made again", async () => {
  const { session, asked } = setUp([renewed]);
  assertEquals(await session.call(answering(tooOld, done), never), done);
  assertEquals(asked(), 1);
  // Once per process: the version is on record from here on.
  assertEquals(await session.call(answering(tooOld, done), never), tooOld);
  assertEquals(asked(), 1);
});

Deno.test("call() that meets a 426 after any renewal of this process asks for no other", async () => {
  const { session, asked } = setUp([renewed]);
  await session.call(answering(unauthorized, done), never);
  assertEquals(await session.call(answering(tooOld, done), never), tooOld);
  assertEquals(asked(), 1);
});

Deno.test("call() says that its version is too old where the renewal does not help", async () => {
  const { session, asked } = setUp([renewed]);
  assertEquals(await session.call(answering(tooOld, tooOld, done), never), tooOld);
  assertEquals(asked(), 1);
});

Deno.test("call() renews again for a 426 where the first renewal did not reach the server", async () => {
  const { session, asked } = setUp([failed, renewed]);
  assertEquals((await session.call(answering(tooOld, done), never)).kind, "failed");
  assertEquals(await session.call(answering(tooOld, done), never), done);
  assertEquals(asked(), 2);
});

Deno.test("call() renews once for calls that meet a 426 together", async () => {
  const { session, asked } = setUp([renewed]);
  const calls = Array.from({ length: 5 }, () => session.call(answering(tooOld, done), never));
  assertEquals(await Promise.all(calls), Array(5).fill(done));
  assertEquals(asked(), 1);
});

Deno.test("call() believes a renewal's words about the machine at once, an early one's too", async () => {
  const refused = { ...mismatch, why: "renewal refused: HTTP 403" };
  const { session } = setUp([mismatch]);
  assertEquals(await session.call(answering(unauthorized), never), refused);
  const early = setUp([mismatch]);
  early.clock.setNow(START_MS + 0.9 * DAY_S * 1_000);
  let made = 0;
  const call = () => Promise.resolve((made += 1, done));
  assertEquals(await early.session.call(call, never), refused);
  assertEquals(made, 0);
});
