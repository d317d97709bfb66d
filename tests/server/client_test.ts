import { assert, assertEquals } from "@std/assert";
import { Secrets } from "../../src/redact.ts";
import { Client, isAgentUnknown, NO_ROUTE } from "../../src/server/client.ts";
import type { RegisterBody, ReportAnswer } from "../../src/server/protocol.ts";
import { HttpError, type HttpRequest, type HttpResponse } from "../../src/system/http.ts";
import { FakeClock } from "../fakes/clock.ts";
import { response } from "../fakes/response.ts";

const host = { version: "1", metadata: { rapid_polling_enabled: false } };
const caller = { agentId: "a1", accessToken: "secret" };

function setUp(
  answer: Partial<HttpResponse> | HttpError | ((url: string) => [number, unknown] | HttpResponse) =
    {},
  proxyUrl: string | null = "http://proxy.test:3128",
) {
  const sent: HttpRequest[] = [];
  const secrets = new Secrets();
  const clock = new FakeClock();
  const client = new Client(
    (request) => {
      sent.push(request);
      if (answer instanceof HttpError) return Promise.reject(answer);
      if (typeof answer === "function") {
        const given = answer(request.url);
        return Promise.resolve(
          Array.isArray(given) ? response(given[0], JSON.stringify(given[1])) : given,
        );
      }
      return Promise.resolve({ ...response(200, "{}"), ...answer });
    },
    clock,
    {
      serverUrl: "https://server.test/base",
      agentVersion: "1.2.3",
      machineId: "0123456789abcdef",
      tls: { ca: "PEM" },
      proxyUrl,
      connectTimeoutMs: 10_000,
      timeoutMs: 30_000,
      healthTimeoutMs: 5_000,
      maxBodyBytes: 4_194_304,
      secrets,
    },
  );
  return { client, sent, secrets, clock };
}

Deno.test("every call goes to its own path, with its own method, token and body", async () => {
  const { client, sent } = setUp();
  const body = { hostname: "h" } as Parameters<Client["register"]>[1];
  await client.health();
  await client.register("enrol", body);
  await client.renew("a1", "refresh");
  await client.checkIn(caller, host);
  await client.report(caller, { report: "updates", body: "[]" });
  await client.unregister(caller);
  assertEquals(
    sent.map(({ method, url, headers, body }) => [method, url, headers["authorization"], body]),
    [
      ["GET", "https://server.test/base/health", undefined, undefined],
      [
        "POST",
        "https://server.test/base/api/v1/agents/register",
        "Bearer enrol",
        '{"hostname":"h","registration_token":"enrol"}',
      ],
      [
        "POST",
        "https://server.test/base/api/v1/agents/renew",
        undefined,
        '{"agent_id":"a1","refresh_token":"refresh","agent_version":"1.2.3"}',
      ],
      [
        "GET",
        "https://server.test/base/api/v1/agents/a1/commands",
        "Bearer secret",
        '{"version":"1","metadata":{"rapid_polling_enabled":false}}',
      ],
      ["POST", "https://server.test/base/api/v1/agents/a1/updates", "Bearer secret", "[]"],
      ["DELETE", "https://server.test/base/api/v1/agents/a1", "Bearer secret", undefined],
    ],
  );
  assert(sent.every(({ proxyUrl, tls }) => proxyUrl === "http://proxy.test:3128" && tls?.ca));
  assert(sent.every(({ headers }) => headers["user-agent"] === "pennon/1.2.3"));
  assert(sent.every(({ headers }) => headers["x-machine-id"] === "0123456789abcdef"));
});

Deno.test("a request has a proxy, a signal, a body and a token only where there is one", async () => {
  const { client, sent } = setUp({}, null);
  await client.health();
  assertEquals(Object.keys(sent[0] ?? {}).toSorted(), [
    ...[
      "connectTimeoutMs",
      "headers",
      "isIdempotent",
      "maxBodyBytes",
      "method",
      "timeoutMs",
      "tls",
    ],
    "url",
  ]);
  assertEquals(Object.keys(sent[0]?.headers ?? {}), [
    "accept",
    "cache-control",
    "user-agent",
    "x-machine-id",
  ]);
  const { signal } = new AbortController();
  await client.checkIn(caller, host, { signal });
  assertEquals([sent[1]?.signal, "proxyUrl" in sent[1]!], [signal, false]);
  assertEquals(Object.keys(sent[1]?.headers ?? {}), [
    ...["accept", "cache-control", "user-agent", "x-machine-id", "content-type", "authorization"],
  ]);
});

Deno.test("a refusal of the host says as whom it called, and shows no secret", async () => {
  const accessToken = "an-access-token";
  const body = { error: `machine ID mismatch - ${accessToken}`, remediation: `no ${accessToken}` };
  const { client } = setUp(response(403, JSON.stringify(body)));
  const answer = await client.checkIn({ ...caller, accessToken }, host);
  assertEquals(answer, {
    kind: "operator_required",
    why: "HTTP 403: machine ID mismatch - (hidden)",
    refusal: {
      cause: "machine_mismatch",
      facts: {
        remediation: "no (hidden)",
        agentId: "a1",
        machineId: "0123456789abcdef",
        version: "1.2.3",
      },
    },
  });
});

Deno.test("renew() takes the refresh token of RedFlag 0.2, and none that cannot be used", async () => {
  const rows: [body: unknown, refreshToken: string | undefined][] = [
    [{ token: "new" }, undefined],
    [{ token: "new", refresh_token: "the-next-token" }, "the-next-token"],
    [{ token: "new", refresh_token: "" }, undefined],
    [{ token: "new", refresh_token: null }, undefined],
    [{ token: "new", refresh_token: "two words" }, undefined],
    [{ token: "new", refresh_token: 7 }, undefined],
  ];
  for (const [body, refreshToken] of rows) {
    const { client, secrets } = setUp(response(200, JSON.stringify(body)));
    const answer = await client.renew("a1", "old");
    assert(answer.kind === "ok");
    assertEquals(answer.value.refresh_token, refreshToken, JSON.stringify(body));
    if (refreshToken !== undefined) assertEquals(secrets.hide(`a ${refreshToken}`), "a (hidden)");
  }
});

Deno.test("what anyone may ask may be sent twice, and no other call", async () => {
  const { client, sent } = setUp();
  await client.health();
  await client.publicKeys();
  await client.register("t", { hostname: "h" } as RegisterBody);
  await client.renew("a1", "refresh-1");
  await client.checkIn(caller, host);
  await client.report(caller, { report: "logs", body: "{}" });
  await client.report(caller, { report: "updates", body: "{}" });
  await client.unregister(caller);
  assertEquals(sent.map(({ isIdempotent = false }) => isIdempotent), [
    true,
    true,
    ...Array(6).fill(false),
  ]);
});

Deno.test("time limits are the call's own, and the connection's is never longer", async () => {
  const { client, sent } = setUp();
  await client.health();
  await client.health({ timeoutMs: 2_000 });
  await client.checkIn(caller, host);
  await client.checkIn(caller, host, { timeoutMs: 4_000 });
  assertEquals(sent.map(({ timeoutMs, connectTimeoutMs }) => [timeoutMs, connectTimeoutMs]), [
    [5_000, 5_000],
    [2_000, 2_000],
    [30_000, 10_000],
    [4_000, 4_000],
  ]);
  assert(sent.every(({ maxBodyBytes }) => maxBodyBytes === 4_194_304));
});

Deno.test("an id leads only to the path of its own agent", async () => {
  const { client, sent } = setUp();
  await client.unregister({ ...caller, agentId: "../../admin?x=" });
  assertEquals(sent[0]?.url, "https://server.test/base/api/v1/agents/..%2F..%2Fadmin%3Fx%3D");
});

Deno.test("host facts for which an old server has no route count as delivered; nothing else does", async () => {
  const { client } = setUp(response(404, "404 page not found"));
  const facts = await client.report(caller, { report: "system-info", body: "{}" });
  assert(facts.kind === "ok" && facts.value === NO_ROUTE);
  assertEquals((await client.report(caller, { report: "logs", body: "{}" })).kind, "refused");
  const deleted = await setUp(response(404, '{"error":"agent not found"}')).client
    .report(caller, { report: "system-info", body: "{}" });
  assert(deleted.kind === "refused" && isAgentUnknown(deleted));
  const later = await setUp(response(404, '{"error":"not found"}')).client
    .report(caller, { report: "system-info", body: "{}" });
  assert(later.kind === "ok" && later.value === NO_ROUTE);
  const other = await setUp(response(404, '{"error":"command not found"}')).client
    .report(caller, { report: "system-info", body: "{}" });
  assert(other.kind === "refused" && !isAgentUnknown(other));
  const strict = setUp(response(400, '{"error":"no"}')).client;
  const refused = await strict.report(caller, { report: "system-info", body: "{}" });
  assertEquals(refused.kind, "refused");
});

Deno.test("what only a server of 0.2 takes counts as delivered at one that has no route for it", async () => {
  for (const report of ["storage-metrics", "metrics", "circuit-breakers", "events"] as const) {
    const { client } = setUp(response(404, "404 page not found"));
    const answer = await client.report(caller, { report, body: "{}" });
    assert(answer.kind === "ok" && answer.value === NO_ROUTE, report);
    const { client: strict } = setUp(response(404, '{"error":"command not found"}'));
    assertEquals((await strict.report(caller, { report, body: "{}" })).kind, "refused");
  }
});

Deno.test("no report counts as delivered by a 404 that is not the server's own", async () => {
  const version = { "x-redflag-version": "0.2.9" };
  const rows: [body: string, headers: Record<string, string>, known: boolean, kind: string][] = [
    ["<html>404 Not Found</html>", {}, false, "refused"],
    ["", {}, false, "refused"],
    ["404 page not found here", {}, false, "refused"],
    ['{"message":"no Route matched with those values"}', {}, false, "refused"],
    // Traefik's, which writes a line, while the server behind it is being started.
    ["404 page not found\n", {}, false, "refused"],
    ["404 page not found", {}, false, "ok"],
    // A server that says its version with every answer does so with this one as well.
    ["404 page not found", {}, true, "refused"],
    ['{"error":"not found"}', {}, true, "refused"],
    ["404 page not found", version, true, "ok"],
    ['{"error":"not found"}', version, true, "ok"],
  ];
  for (const [body, headers, isKnown, kind] of rows) {
    let answer = response(200, "{}", version);
    const { client } = setUp(() => answer);
    if (isKnown) await client.report(caller, { report: "logs", body: "{}" });
    answer = response(404, body, headers);
    for (const report of ["system-info", "events"] as const) {
      const read = await client.report(caller, { report, body: "{}" });
      assertEquals(read.kind, kind, `${body} ${JSON.stringify(headers)} ${isKnown}`);
    }
  }
});

Deno.test("a server that has said no version for a day is believed that it has no such route", async () => {
  let answer = response(200, "{}", { "x-redflag-version": "0.2.9" });
  const { client, clock } = setUp(() => answer);
  const report = async () => (await client.report(caller, { report: "events", body: "{}" })).kind;
  assertEquals(await report(), "ok");
  answer = response(404, "404 page not found");
  await clock.advance(24 * 3_600_000 - 1);
  assertEquals(await report(), "refused");
  await clock.advance(1);
  assertEquals(await report(), "ok");
});

Deno.test("report() adds the agent's id to storage metrics, and to nothing else", async () => {
  for (const report of ["storage-metrics", "metrics"] as const) {
    const { client, sent } = setUp(response(200, "{}"));
    await client.report({ ...caller, agentId: 'a"1' }, { report, body: '{"command_id":"c"}' });
    const expected = report === "metrics" ? {} : { agent_id: 'a"1' };
    assertEquals(JSON.parse(String(sent[0]?.body)), { ...expected, command_id: "c" });
  }
});

Deno.test("a page of events that the server has judged one by one is delivered, whatever the status", async () => {
  const duplicate = "event 0: failed to create system event: pq: duplicate key value violates " +
    'unique constraint \\"system_events_pkey\\"';
  const judged = `{"accepted":0,"rejected":1,"errors":["${duplicate}"]}`;
  const full = `{"accepted":1,"rejected":2,"errors":["${duplicate}","event 1: disk is full"]}`;
  const rows: [status: number, body: string, kind: string][] = [
    [200, '{"accepted":3,"rejected":0}', "ok"],
    [200, '{"message":"stored"}', "ok"],
    [206, judged, "ok"],
    [500, judged, "ok"],
    [
      500,
      '{"accepted":0,"rejected":1,"errors":["… Unique-Constraint »system_events_pkey«"]}',
      "ok",
    ],
    // Not stored, for a reason that may pass.
    [500, full, "failed"],
    [206, full, "failed"],
    [200, '{"error":"upstream timeout"}', "failed"],
    [500, '{"error":"failed"}', "failed"],
    [500, "<html>", "failed"],
    [400, '{"error":"too many events","max":100,"actual":101}', "refused"],
  ];
  for (const [status, body, kind] of rows) {
    const { client } = setUp(response(status, body));
    const answer = await client.report(caller, { report: "events", body: "{}" });
    assertEquals(answer.kind, kind, `${status} ${body}`);
    if (body === full) assert(answer.kind === "failed" && answer.status === 500, answer.kind);
  }
  const { client } = setUp(response(500, judged));
  assertEquals((await client.report(caller, { report: "updates", body: "{}" })).kind, "failed");
});

Deno.test("a 403 without words about the host refuses a report alone, and a check-in wholly; one for the host all", async () => {
  const reports = ["metrics", "events", "updates", "logs", "system-info"] as const;
  const bound = '{"error":"machine ID mismatch - config file copied to different machine"}';
  for (const body of ['{"error":"unauthorized command"}', "<html>", "", bound]) {
    const { client } = setUp(response(403, body));
    const expected = body === bound ? "operator_required" : "refused";
    for (const report of reports) {
      const { kind } = await client.report(caller, { report, body: "{}" });
      assertEquals(kind, expected, `${report} ${body}`);
    }
    const checkIn = { version: "1.0.0", metadata: { rapid_polling_enabled: false } };
    // A page is not the server's word on a host.
    const whole = body === "<html>" ? "failed" : "operator_required";
    assertEquals((await client.checkIn(caller, checkIn)).kind, whole, body);
  }
});

Deno.test("a 409 for the log of a command that has ended is a success; any other 409 is a refusal", async () => {
  const rows: [report: Parameters<Client["report"]>[1]["report"], body: string, kind: string][] = [
    ["logs", '{"error":"duplicate log submission","current_status":"completed"}', "ok"],
    ["logs", '{"error":"duplicate log submission","current_status":"failed"}', "ok"],
    // The server has ended it by itself, and takes no other result.
    ["logs", '{"error":"duplicate log submission","current_status":"timed_out"}', "ok"],
    ["logs", '{"error":"duplicate log submission","current_status":"cancelled"}', "ok"],
    ["logs", '{"error":"duplicate log submission","current_status":"archived_failed"}', "ok"],
    ["logs", '{"error":"duplicate log submission","current_status":"running"}', "refused"],
    ["logs", '{"error":"conflict"}', "refused"],
    ["logs", "", "refused"],
    ["logs", "<html>", "refused"],
    ["updates", '{"current_status":"completed"}', "refused"],
  ];
  for (const [report, body, kind] of rows) {
    const { client } = setUp(response(409, body));
    assertEquals((await client.report(caller, { report, body: "{}" })).kind, kind, body);
  }
  const { client } = setUp(response(400, '{"current_status":"completed"}'));
  assertEquals((await client.report(caller, { report: "logs", body: "{}" })).kind, "refused");
});

Deno.test("report() returns how a command had ended before, and why the server wants a log again", async () => {
  const rows: [status: number, body: string, value: ReportAnswer][] = [
    [409, '{"current_status":"timed_out"}', { endedAs: "timed_out" }],
    [200, '{"message":"log recorded"}', {}],
    [200, '{"current_status":"timed_out","openBecause":"x","endedAs":"x"}', {}],
    [200, '{"should_retry":false,"reason":"x"}', {}],
    [200, '{"should_retry":"true"}', {}],
    [200, '{"should_retry":true}', { openBecause: "" }],
    [200, '{"should_retry":true,"reason":"busy a-long-secret-token"}', {
      openBecause: "busy (hidden)",
    }],
    [200, `{"should_retry":true,"reason":"${"x".repeat(201)}"}`, { openBecause: "x".repeat(200) }],
  ];
  for (const [status, body, value] of rows) {
    const { client } = setUp(response(status, body));
    const known = { ...caller, accessToken: "a-long-secret-token" };
    const answer = await client.report(known, { report: "logs", body: "{}" });
    assert(answer.kind === "ok");
    assertEquals(answer.value, value, body);
  }
});

Deno.test("a request that never reached the server returns an answer, not an exception", async () => {
  const { client } = setUp(new HttpError("Cannot connect: refused", { reason: "refused" }));
  assertEquals((await client.health()).kind, "failed");
});

/** Answers that repeat a secret, each in a place of its own. */
function repeating(secret: string): (Partial<HttpResponse> | HttpError)[] {
  const body = JSON.stringify({ error: `bad token \u200b${secret}` });
  const cut = JSON.stringify({ error: "x".repeat(170) + secret });
  return [
    ...[400, 401, 403, 404, 408, 429, 500, 503].map((status) => response(status, body)),
    response(400, cut),
    response(200, JSON.stringify({ status: `not well: ${secret}` })),
    new HttpError(`Cannot read answer: header "${secret}"`, { reason: "malformed" }),
  ];
}

Deno.test("no answer contains a token that was sent, received or known", async () => {
  const token = "an-opaque-token-that-is-as-long-as-such-tokens-are";
  for (const answer of repeating(token)) {
    const { client, secrets } = setUp(answer);
    secrets.add(token);
    assertHides(await client.health(), token);
    const renewing = setUp(answer).client;
    assertHides(await renewing.renew("a1", token), token);
    const registering = setUp(answer).client;
    const body = { hostname: "h" } as Parameters<Client["register"]>[1];
    assertHides(await registering.register(token, body), token);
    const checkingIn = setUp(answer).client;
    assertHides(await checkingIn.checkIn({ agentId: "a1", accessToken: token }, host), token);
  }
});

function assertHides(answer: unknown, token: string): void {
  const text = JSON.stringify(answer);
  assert(!text.includes(token.slice(0, 12)), text);
}

Deno.test("a token from a renewal or a registration is a secret, and so is the old one", async () => {
  const identity = {
    agent_id: "a1",
    token: "new-access-token",
    refresh_token: "new-refresh-token",
  };
  const { client, secrets } = setUp(response(200, JSON.stringify(identity)));
  await client.renew("a1", "old-refresh-token");
  assertEquals(secrets.hide("new-access-token old-refresh-token"), "(hidden) (hidden)");
  await client.register("registration-token", {} as Parameters<Client["register"]>[1]);
  assertEquals(
    secrets.hide("new-access-token new-refresh-token old-refresh-token registration-token"),
    "(hidden) (hidden) (hidden) (hidden)",
  );
});

Deno.test("serverVersion is what the latest good answer says, and nothing that a proxy says", async () => {
  const answer: Partial<HttpResponse> = {};
  const { client } = setUp(answer);
  assertEquals(client.serverVersion, undefined);
  const after = async (next: Partial<HttpResponse>) => {
    Object.assign(answer, next);
    await client.health();
    return client.serverVersion;
  };
  const healthy = '{"status":"healthy"}';
  const said = (version: string, status = 200) =>
    response(status, status === 200 ? healthy : "<html>", { "x-redflag-version": version });
  assertEquals(await after(response(502, "<html>")), undefined);
  assertEquals(await after(said("0.2.9.3")), "0.2.9.3");
  assertEquals(await after(response(502, "<html>")), "0.2.9.3");
  assertEquals(await after(response(200, healthy)), null);
  assertEquals(await after(said("x y")), null);
  assertEquals(await after(said("x".repeat(51))), null);
});

Deno.test("publicKeys() asks for all keys, and for the one key of a server that has no list", async () => {
  const keyId = "a".repeat(32);
  const publicKey = "b".repeat(64);
  const key = { key_id: keyId, public_key: publicKey, algorithm: "ed25519", is_primary: true };
  const rows: [list: [number, unknown], one: [number, unknown], kind: string, calls: number][] = [
    [[200, [key, { ...key, is_primary: false }]], [500, {}], "ok", 1],
    [[404, {}], [200, key], "ok", 2],
    [[404, {}], [404, {}], "refused", 2],
    [[404, {}], [503, {}], "failed", 2],
    [[503, { error: "no key" }], [200, key], "failed", 1],
    [[200, "html"], [200, key], "failed", 1],
    [[403, {}], [200, key], "operator_required", 1],
  ];
  for (const [list, one, kind, calls] of rows) {
    const { client, sent } = setUp((url) => url.endsWith("/public-keys") ? list : one);
    const answer = await client.publicKeys({ timeoutMs: 1_000 });
    assertEquals([answer.kind, sent.length], [kind, calls], JSON.stringify([list, one]));
  }
});
