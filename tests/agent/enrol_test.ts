import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { adviceOn, EnrolError, register, unregister } from "../../src/agent/enrol.ts";
import { acquireInstanceLock } from "../../src/agent/instance_lock.ts";
import { loadConfig } from "../../src/config.ts";
import { type Identity, loadIdentity, saveIdentity } from "../../src/identity.ts";
import { readFailure } from "../../src/server/answer.ts";
import {
  HttpError,
  type HttpErrorReason,
  type HttpRequest,
  type HttpResponse,
} from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";
import { FakeSystem } from "../fakes/system.ts";

const URL = "http://server.test";
const STATE = "/state/state.json";
const TOLD = "/state/told-updates.json";

const identity: Identity = {
  agentId: "a0",
  serverUrl: URL,
  accessToken: "access-0",
  refreshToken: "refresh-0",
  intervalMs: null,
};

type Answer = (request: HttpRequest) => HttpResponse | Error;

function answer(status: number, body: unknown = {}): HttpResponse {
  return response(status, JSON.stringify(body));
}

/** A host with what an earlier agent left, and a server; `events` is what happened, in order. */
async function setUp(serve: Answer) {
  const system = new FakeSystem();
  const events: string[] = [];
  system.sendHttp = (request) => {
    events.push(`${request.method} ${request.url.slice(URL.length)}`);
    const reply = serve(request);
    return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(reply);
  };
  for (const path of [STATE, TOLD]) system.files.texts.set(path, "an earlier agent's");
  const { files } = system;
  const { writeText, lock, remove } = files;
  files.writeText = (
    purpose,
    ...rest
  ) => (events.push(purpose), writeText.call(files, purpose, ...rest));
  files.lock = (purpose, ...rest) => (events.push(purpose), lock.call(files, purpose, ...rest));
  files.remove = (purpose, ...rest) => (events.push(purpose), remove.call(files, purpose, ...rest));
  const { config } = await loadConfig(system);
  return { system, events, enrolment: { system, config, stateDirectory: "/state" } };
}

const enrolled = {
  agent_id: "a1",
  token: "access-1",
  refresh_token: "refresh-1",
  config: { check_in_interval: 60 },
};

Deno.test("register() locks the directory, calls the server, removes the old state and saves the identity, in this order", async () => {
  const sent: HttpRequest[] = [];
  const { system, events, enrolment } = await setUp((request) => {
    sent.push(request);
    return answer(200, enrolled);
  });
  const kept = await register(enrolment, URL, "a-token");
  assertEquals(events, [
    "lock the state directory",
    "save the lock holder",
    "try to save an identity",
    "remove the trial",
    "POST /api/v1/agents/register",
    "save the machine id",
    "remove the state",
    "remove the server's policy",
    "remove what the server said of this agent",
    "remove the reported snapshot",
    "remove what hooks were started for",
    "remove the server's keys",
    "save the identity",
    "GET /api/v1/public-keys",
    "save the server's keys",
    "remove the lock holder",
  ]);
  assertEquals(await loadIdentity(system, "/state"), kept);
  assertEquals(kept, {
    agentId: "a1",
    serverUrl: URL,
    accessToken: "access-1",
    refreshToken: "refresh-1",
    isRefreshTokenUnsent: true,
    intervalMs: 60_000,
  });
  assertEquals([system.files.texts.has(STATE), system.files.texts.has(TOLD)], [false, false]);
  const body = JSON.parse(sent[0]?.body ?? "");
  assertEquals([body.hostname, body.os_type, body.registration_token], [
    "test-host",
    "linux",
    "a-token",
  ]);
  assertEquals(sent[0]?.headers["authorization"], "Bearer a-token");
  await (await acquireInstanceLock(system, "/state", "run")).release(); // The folder is free again.
});

Deno.test("register() accepts no interval that is missing or invalid", async () => {
  const rows: [config: unknown, intervalMs: number | null][] = [
    [undefined, null],
    [null, null],
    [{}, null],
    [{ check_in_interval: null }, null],
    [{ check_in_interval: 0 }, null],
    [{ check_in_interval: 1 }, 10_000],
    [{ check_in_interval: 1e9 }, 86_400_000],
  ];
  for (const [config, intervalMs] of rows) {
    const { enrolment } = await setUp(() => answer(200, { ...enrolled, config }));
    assertEquals((await register(enrolment, URL, "t")).intervalMs, intervalMs);
  }
});

Deno.test("register() reports a server that has not been set up where its health says so", async () => {
  const waiting = { status: "waiting for configuration" };
  const rows: [reply: HttpResponse, health: HttpResponse | Error, says: RegExp][] = [
    [
      response(404, "404 page not found"),
      answer(200, waiting),
      /the server says "waiting for configuration": it has not been set up yet\. Next: finish/,
    ],
    [answer(200, waiting), answer(200, waiting), /has not been set up yet/],
    [
      response(404, "404 page not found"),
      answer(200, { status: "healthy" }),
      /HTTP 404\. Next: see/,
    ],
    [response(404, ""), new HttpError("Cannot", { reason: "timeout" }), /HTTP 404\. Next: see/],
  ];
  for (const [reply, health, says] of rows) {
    const { enrolment, events } = await setUp(({ url }) =>
      url.endsWith("/health") ? health : reply
    );
    const error = await assertRejects(() => register(enrolment, URL, "t"), EnrolError);
    assertMatch(error.message, says);
    assertEquals(events.filter((event) => event.endsWith("/health")).length, 1);
  }
});

Deno.test("register() requests no health where the answer is clear", async () => {
  for (const status of [400, 401, 429, 500]) {
    const { enrolment, events } = await setUp(() => answer(status));
    await assertRejects(() => register(enrolment, URL, "t"), EnrolError);
    assertEquals(events.filter((event) => event.endsWith("/health")), [], String(status));
  }
});

const REFUSALS: [reply: HttpResponse | Error, says: string][] = [
  [answer(401, { error: "used up" }), "the server does not take this token (HTTP 401: used up)"],
  [answer(429), "the server wants fewer requests (HTTP 429)"],
  [answer(400, { error: "bad hostname" }), "HTTP 400: bad hostname"],
  [answer(403, { error: "bound" }), "HTTP 403: bound"],
  [answer(500), "HTTP 500"],
  [
    new HttpError("Cannot reach server: refused", { reason: "refused" }),
    "Cannot reach server: refused",
  ],
  [new HttpError("Cannot wait: stopped", { reason: "aborted" }), "stopped"],
];

for (const [reply, says] of REFUSALS) {
  Deno.test(`register() and unregister() that are refused say "${says}", and change nothing`, async () => {
    const { system, events, enrolment } = await setUp(() => reply);
    await saveIdentity(system, "/state", identity);
    const before = new Map(system.files.texts);
    events.length = 0;
    const error = await assertRejects(() => register(enrolment, URL, "t"), EnrolError);
    assert(error.message.startsWith(`Cannot register: ${says}`), error.message);
    assertEquals(events.filter((event) => event.startsWith("forget")), []);
    const options = { evenIfUnreached: false };
    const other = await assertRejects(() => unregister(enrolment, identity, options), EnrolError);
    assert(other.message.startsWith(`Cannot unregister: ${says}`), other.message);
    assertEquals(
      system.files.texts.get("/state/identity.json"),
      before.get("/state/identity.json"),
    );
    assertEquals([system.files.texts.has(STATE), system.files.texts.has(TOLD)], [true, true]);
    await (await acquireInstanceLock(system, "/state", "run")).release();
  });
}

Deno.test("register() that cannot save the identity deletes the new agent, with its own token", async () => {
  const deleted: (string | undefined)[] = [];
  const { system, events, enrolment } = await setUp((request) => {
    if (request.method === "DELETE") deleted.push(request.headers["authorization"]);
    return answer(200, enrolled);
  });
  system.files.fail("save the identity", "full");
  await assertRejects(() => register(enrolment, URL, "t"), Error, "save the identity");
  assertEquals(events.at(-2), "DELETE /api/v1/agents/a1");
  assertEquals(deleted, ["Bearer access-1"]);
});

Deno.test("register() sends the machine id, and keeps it", async () => {
  const sent: HttpRequest[] = [];
  const { system, enrolment } = await setUp((request) => {
    sent.push(request);
    return answer(200, enrolled);
  });
  await register(enrolment, URL, "a-token");
  const id = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";
  assertEquals(JSON.parse(sent[0]?.body ?? "").machine_id, id);
  assertEquals(sent[0]?.headers["x-machine-id"], id);
  const kept = JSON.parse(system.files.texts.get("/state/machine.json") ?? "");
  assertEquals(kept.registered, id);
});

Deno.test("register() of a machine that is registered already says so, and asks once", async () => {
  const { system, events, enrolment } = await setUp(() =>
    answer(409, {
      error: "machine ID already registered to another agent",
      existing_agent_id: "a7",
      existing_hostname: "web1",
      existing_last_seen: "2026-11-29T10:00:00Z",
    })
  );
  const error = await assertRejects(() => register(enrolment, URL, "t"), EnrolError);
  assertMatch(error.message, /^Cannot register: this machine is registered already: /);
  assertMatch(error.message, /agent a7 \("web1"\), last seen 2026-11-29T10:00:00Z \(HTTP 409/);
  assertMatch(error.message, /Next: delete that agent in the server's dashboard/);
  assertEquals(events.filter((event) => event.startsWith("POST")).length, 1);
  assertEquals(await loadIdentity(system, "/state"), undefined);
});

Deno.test("unregister() renews an expired token once, and deletes with the new one", async () => {
  const { system, events, enrolment } = await setUp((request) => {
    if (request.method === "POST") return answer(200, { token: "access-9" });
    return answer(request.headers["authorization"] === "Bearer access-9" ? 200 : 401);
  });
  await saveIdentity(system, "/state", identity);
  events.length = 0;
  const options = { evenIfUnreached: false };
  assertEquals(await unregister(enrolment, identity, options), {
    deletedOnServer: true,
    whyNot: null,
  });
  assertEquals(events, [
    "lock the state directory",
    "save the lock holder",
    "DELETE /api/v1/agents/a0",
    "save the identity",
    "POST /api/v1/agents/renew",
    "save the identity",
    "DELETE /api/v1/agents/a0",
    "remove the identity",
    "remove the state",
    "remove the server's policy",
    "remove what the server said of this agent",
    "remove the reported snapshot",
    "remove what hooks were started for",
    "remove the server's keys",
    "remove the lock holder",
  ]);
  assertEquals(await loadIdentity(system, "/state"), undefined);
});

const UNKNOWN_AGENT = answer(404, { error: "agent not found" });

Deno.test("unregister() keeps everything where a 404 does not say that there is no such agent", async () => {
  const replies = [
    response(404, "404 page not found"),
    response(404, "<html>"),
    answer(404),
    answer(404, { error: "Not Found" }),
    answer(200, { error: "method blocked" }),
  ];
  for (const reply of replies) {
    const { system, enrolment } = await setUp(() => reply);
    await saveIdentity(system, "/state", identity);
    const options = { evenIfUnreached: false };
    await assertRejects(() => unregister(enrolment, identity, options), EnrolError, "HTTP ");
    assertEquals(await loadIdentity(system, "/state"), identity);
  }
});

Deno.test("unregister() of an unknown agent, or a forced one, removes everything", async () => {
  const rows: [reply: HttpResponse | Error, force: boolean, deleted: boolean][] = [
    [UNKNOWN_AGENT, false, true],
    [UNKNOWN_AGENT, true, true],
    [answer(401), true, false],
    // Neither a server without such a route nor a proxy's page has deleted anything.
    [response(404, "404 page not found"), true, false],
    [response(404, "<html>"), true, false],
    [new HttpError("Cannot reach server: refused", { reason: "refused" }), true, false],
  ];
  for (const [reply, evenIfUnreached, deletedOnServer] of rows) {
    const { system, enrolment } = await setUp(() => reply);
    await saveIdentity(system, "/state", identity);
    const ended = await unregister(enrolment, identity, { evenIfUnreached });
    assertEquals([ended.deletedOnServer, ended.whyNot === null], [
      deletedOnServer,
      deletedOnServer,
    ]);
    const left = ["/state/identity.json", STATE, TOLD].filter((path) =>
      system.files.texts.has(path)
    );
    assertEquals(left, []);
  }
});

Deno.test("unregister() at a server that lets no agent delete itself renews once and says who can", async () => {
  const { system, events, enrolment } = await setUp(({ method }) =>
    method === "POST"
      ? answer(200, { token: "access-9", refresh_token: "refresh-9" })
      : answer(401, { error: "unauthorized" })
  );
  await saveIdentity(system, "/state", identity);
  const requests = () => events.filter((event) => /^(POST|DELETE) /.test(event));
  const kept = await assertRejects(
    () => unregister(enrolment, identity, { evenIfUnreached: false }),
    EnrolError,
  );
  assertMatch(
    kept.message,
    /an administrator has to remove it: .*HTTP 401.*Next: delete the agent/,
  );
  assertEquals(requests(), [
    "DELETE /api/v1/agents/a0",
    "POST /api/v1/agents/renew",
    "DELETE /api/v1/agents/a0",
  ]);
  // The renewed tokens are on disk: the agent can go on.
  const now = await loadIdentity(system, "/state");
  assertEquals([now?.accessToken, now?.refreshToken], ["access-9", "refresh-9"]);
  assertEquals([system.files.texts.has(STATE), system.files.texts.has(TOLD)], [true, true]);
  const forced = await unregister(enrolment, now ?? identity, { evenIfUnreached: true });
  assertMatch(forced.whyNot ?? "", /an administrator has to remove it/);
  assertEquals(await loadIdentity(system, "/state"), undefined);
});

Deno.test("unregister() that cannot remove the identity fails, and removes nothing else", async () => {
  const { system, enrolment } = await setUp(() => answer(200));
  await saveIdentity(system, "/state", identity);
  system.files.fail("remove the identity", "denied");
  const options = { evenIfUnreached: false };
  await assertRejects(() => unregister(enrolment, identity, options), Error, "remove the identity");
  const kept = ["/state/identity.json", STATE, TOLD].map((path) => system.files.texts.has(path));
  assertEquals(kept, [true, true, true]);
  await (await acquireInstanceLock(system, "/state", "run")).release();
});

Deno.test("register() and unregister() print no token that the server repeats", async () => {
  const registrationToken = "a-registration-token";
  const told = [registrationToken, identity.accessToken, identity.refreshToken];
  const { enrolment } = await setUp(() => answer(400, { error: `bad: ${told.join()}` }));
  const refused = await assertRejects(
    () => register(enrolment, URL, registrationToken),
    EnrolError,
  );
  assert(!refused.message.includes(registrationToken), refused.message);
  const options = { evenIfUnreached: false };
  const kept = await assertRejects(() => unregister(enrolment, identity, options), EnrolError);
  assert(kept.message.includes("bad: a-registration-token,(hidden),(hidden)"), kept.message);
});

Deno.test("adviceOn() has advice for each reason why a server was not reached", () => {
  const rows: [HttpErrorReason, RegExp][] = [
    ["offline", /this host has a network/],
    ["unreachable", /server's host runs/],
    ["dns", /address is spelt right/],
    ["refused", /server runs, and .* port/],
    ["tls", /tls\.ca_file/],
    ["timeout", /firewall/],
    ["cut_off", /http:\/\/ or https:\/\//],
    ["malformed", /a RedFlag server's/],
    ["too_large", /a RedFlag server's/],
    ["proxy", /proxy\.except_for/],
  ];
  for (const [reason, says] of rows) {
    assertMatch(adviceOn(readFailure(new HttpError("Cannot", { reason }))) ?? "", says, reason);
  }
  assertEquals(adviceOn(readFailure(new HttpError("Cannot", { reason: "aborted" }))), undefined);
});

Deno.test("adviceOn() has advice for each answer of a server", () => {
  const failed = { kind: "failed", why: "HTTP", offline: false, retryAfterMs: null } as const;
  assertMatch(adviceOn({ ...failed, status: 500 }) ?? "", /server's own log/);
  assertMatch(adviceOn({ ...failed, status: 301 }) ?? "", /a RedFlag server's, and names no other/);
  assertMatch(adviceOn({ ...failed, status: 200 }) ?? "", /a RedFlag server's, and names no other/);
  assertMatch(
    adviceOn({ kind: "unauthorized", why: "HTTP 401" }) ?? "",
    /dashboard .*server's database is up/,
  );
  assertMatch(
    adviceOn({ kind: "limited", why: "HTTP 429", retryAfterMs: null }) ?? "",
    /in a minute/,
  );
  assertMatch(
    adviceOn({ kind: "refused", why: "HTTP 404", status: 404 }) ?? "",
    /RedFlag server's/,
  );
  assertEquals(adviceOn({ kind: "refused", why: "HTTP 400: bad", status: 400 }), undefined);
  assertEquals(adviceOn({ kind: "operator_required", why: "HTTP 403: not allowed" }), undefined);
});
