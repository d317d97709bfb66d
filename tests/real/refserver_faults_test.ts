import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { deadline } from "@std/async/deadline";
import type { FaultInput } from "../../tools/refserver/faults.ts";
import type { RefserverOptions } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";
import { call, rawRequest } from "./raw_request.ts";
import { health, PATIENCE_MS, registration, withServer } from "./refserver_agent.ts";

const isWindows = Deno.build.os === "windows";

/** Long enough to be sure that a server on this machine has nothing to say. */
const SILENCE_MS = 300;

function faultsSeen(server: Refserver): (string | null)[] {
  return server.state().requests.map(({ fault }) => fault);
}

Deno.test("refuse: nobody listens, and then the same port again", async () => {
  await withServer({ fault: { mode: "refuse" } }, async (server) => {
    assertEquals(await rawRequest(server.url, health), { kind: "refused" });
    await server.setFault({ mode: "none" });
    assertEquals((await call(server.url, health)).status, 200);
    await server.setFault({ mode: "refuse" });
    assertEquals(await rawRequest(server.url, health), { kind: "refused" });
    assertEquals(faultsSeen(server), [null]);
  });
});

Deno.test("refuse ends connections that are kept alive", async () => {
  await withServer({}, async (server) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await server.setFault({ mode: "refuse" });
    assertEquals(await connection.read(new Uint8Array(8)), null);
    connection.close();
  });
});

Deno.test("reset: the attempt counts, the connection is torn down", async () => {
  await withServer({ fault: { mode: "reset" } }, async (server) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const text = "POST /api/v1/agents/register HTTP/1.1\r\nHost: refserver.test\r\n\r\n";
    await connection.write(new TextEncoder().encode(text));
    // Deno half-closes before it closes: an end of file, with the reset right behind it, or, on
    // Windows, the reset at once.
    if (isWindows) await assertRejects(() => connection.read(new Uint8Array(8)));
    else assertEquals(await connection.read(new Uint8Array(8)), null);
    const error = await assertRejects(async () => {
      while (true) await connection.write(new Uint8Array(1));
    });
    assert(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset);
    connection.close();
    const [request] = server.state().requests;
    assertEquals([request!.path, request!.status, request!.fault], [
      "/api/v1/agents/register",
      null,
      "reset",
    ]);
    assertEquals(server.state().agents, []);
  });
});

Deno.test("hang: the request is taken, no answer comes", async () => {
  await withServer({ fault: { mode: "hang" } }, async (server) => {
    const outcome = await rawRequest(server.url, registration, { silenceMs: SILENCE_MS });
    assertEquals(outcome, { kind: "silent", received: "" });
    assertEquals(server.state().agents, []);
  });
});

Deno.test("hang does not hold up the server's own end", async () => {
  let connection: Deno.Conn | undefined;
  await withServer({ fault: { mode: "hang" } }, async (server) => {
    connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await connection.write(new TextEncoder().encode("GET /health HTTP/1.1\r\n\r\n"));
    while (server.state().requests.length === 0) await new Promise((go) => setTimeout(go, 1));
  });
  assertEquals(await connection!.read(new Uint8Array(8)), null);
  connection!.close();
});

Deno.test("stall and cut: acted, half an answer, then silence or the end", async () => {
  for (const [mode, kind] of [["stall", "silent"], ["cut", "closed"]] as const) {
    await withServer({ fault: { mode } }, async (server) => {
      const outcome = await rawRequest(server.url, registration, { silenceMs: SILENCE_MS });
      assert(outcome.kind === kind, outcome.kind);
      const [head = "", body = ""] = outcome.received.split("\r\n\r\n");
      assertMatch(head, /^HTTP\/1\.1 200 OK/);
      const length = Number(/Content-Length: (\d+)/.exec(head)![1]);
      assertEquals(body.length, Math.floor(length / 2));
      assertEquals(server.state().agents.length, 1);
    });
  }
});

Deno.test("lost_answer: acted, and not a word", async () => {
  await withServer({ fault: { mode: "lost_answer" } }, async (server) => {
    const outcome = await rawRequest(server.url, registration);
    assertEquals(outcome, { kind: "closed", received: "" });
    const { agents, requests } = server.state();
    assertEquals([agents.length, requests[0]!.status, requests[0]!.fault], [
      1,
      200,
      "lost_answer",
    ]);
  });
});

Deno.test("a fault with a chance meets those requests that the dice say", async () => {
  const drawn = [0.5, 0.49, 0.9, 0];
  const random = () => drawn.shift() ?? 1;
  await withServer({ random, fault: { mode: "reset", chance: 0.5, count: 2 } }, async (server) => {
    for (let left = 5; left > 0; left--) await rawRequest(server.url, health);
    assertEquals(faultsSeen(server), [null, "reset", null, "reset", null]);
  });
});

Deno.test("onStage() is told how far each request has come, and what is kept of it", async () => {
  const stages: string[] = [];
  const onStage: RefserverOptions["onStage"] = ({ path }, stage) => stages.push(`${path} ${stage}`);
  await withServer({ onStage }, async (server) => {
    await call(server.url, health);
    await server.setFault({ mode: "lost_answer" });
    await rawRequest(server.url, health);
    await server.setFault({ mode: "hang" });
    await rawRequest(server.url, health, { silenceMs: SILENCE_MS });
    const [whole, lost] = server.state().requests;
    assert(whole!.answeredAtMs !== null && whole!.answeredAtMs >= whole!.atMs);
    assertEquals(lost!.answeredAtMs, null);
  });
  const all = ["arrived", "acted", "answered", "arrived", "acted", "arrived"];
  assertEquals(stages, all.map((stage) => `/health ${stage}`));
});

Deno.test("status, html and redirect: a proxy answers, nothing is done", async () => {
  const cases: [FaultInput, number, string, string][] = [
    [{ mode: "status", status: 503, retryAfter: "120" }, 503, "retry-after", "120"],
    [{ mode: "status", status: 429, retryAfter: "-1; x" }, 429, "retry-after", "-1; x"],
    [{ mode: "status", status: 401 }, 401, "content-type", "application/json; charset=utf-8"],
    [{ mode: "html" }, 502, "content-type", "text/html"],
    [{ mode: "html", status: 200 }, 200, "content-type", "text/html"],
    [
      { mode: "redirect", location: "http://127.0.0.1:9/x" },
      302,
      "location",
      "http://127.0.0.1:9/x",
    ],
  ];
  await withServer({}, async (server) => {
    for (const [fault, status, name, value] of cases) {
      await server.setFault(fault);
      const answer = await call(server.url, registration);
      assertEquals([answer.status, answer.headers.get(name)], [status, value]);
    }
    assertEquals(server.state().agents, []);
    assertEquals(server.state().requests.map(({ status }) => status), [
      503,
      429,
      401,
      502,
      200,
      302,
    ]);
  });
});

Deno.test("slow: as usual, but later; closing does not wait for it", async () => {
  await withServer({ fault: { mode: "slow", delayMs: 100 } }, async (server) => {
    const startMs = performance.now();
    assertEquals((await call(server.url, registration)).status, 200);
    assert(performance.now() - startMs >= 99);
    await server.setFault({ mode: "slow", delayMs: 3_600_000 });
    const outcome = rawRequest(server.url, health);
    while (server.state().requests.length < 2) await new Promise((go) => setTimeout(go, 1));
    await deadline(server.close(), PATIENCE_MS);
    assertEquals((await deadline(outcome, PATIENCE_MS)).kind, "closed");
  });
});

Deno.test("waiting_for_configuration: up, and of no use", async () => {
  await withServer({ fault: { mode: "waiting_for_configuration" } }, async (server) => {
    assertEquals((await call(server.url, health)).json, { status: "waiting for configuration" });
    assertEquals((await call(server.url, registration)).status, 404);
  });
});

Deno.test("a fault meets the paths it is for, as often as it is for", async () => {
  const fault = { mode: "status", status: 500, path: "register$", count: 2 } as const;
  await withServer({ fault, limits: { register: 0 } }, async (server) => {
    assertEquals((await call(server.url, health)).status, 200);
    const statuses = [];
    for (let n = 0; n < 3; n++) statuses.push((await call(server.url, registration)).status);
    assertEquals(statuses, [500, 500, 200]);
    assertEquals(server.state().fault, { mode: "none" });
    for (
      const wrong of [{ mode: "hangs" }, { mode: "hang", paht: "x" }, { mode: "hang", path: "(" }]
    ) {
      await assertRejects(
        () => server.setFault(wrong as FaultInput),
        TypeError,
        "Cannot set fault",
      );
    }
  });
});
