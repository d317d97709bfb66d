/** A report whose answer is lost is stored once for each time that it was sent, and no oftener. */

import { assertEquals } from "@std/assert";
import {
  AbandonedSockets,
  HttpConnection,
  type Stream,
} from "../../src/system/real/http/connection.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { assertFails, request, withSender } from "./http_peer.ts";
import { enrol, log, withServer } from "./refserver_agent.ts";

Deno.test("four lost answers on kept-alive connections make four rows, and no fifth", () =>
  withSender(async (send) => {
    await withServer({}, async (server) => {
      const agent = await enrol(server);
      const url = `${server.url}/api/v1/agents/${agent.id}/logs`;
      const report = () =>
        send(request(url, {
          method: "POST",
          headers: { authorization: `Bearer ${agent.token}`, "content-type": "application/json" },
          body: JSON.stringify(log),
        }));
      const health = () => send(request(`${server.url}/health`, { isIdempotent: true }));
      for (let lost = 0; lost < 4; lost++) {
        await health(); // Leaves a connection that is kept alive.
        await server.setFault({ mode: "lost_answer", count: 1 });
        await assertFails(report(), "cut_off");
      }
      assertEquals(server.state().logs.length, 4);
    });
  }));

Deno.test("a health check whose answer is lost on a kept-alive connection is asked once more", () =>
  withSender(async (send) => {
    await withServer({}, async (server) => {
      const health = () => send(request(`${server.url}/health`, { isIdempotent: true }));
      await health();
      await server.setFault({ mode: "lost_answer", count: 1 });
      assertEquals((await health()).status, 200);
      assertEquals(server.state().requests.length, 3);
    });
  }));

/** A peer that has closed: reads end, and a write ends after so many bytes. */
function closed(takenBytes: number): Stream {
  return {
    read: () => Promise.resolve(null),
    write: (bytes) =>
      takenBytes > 0
        ? Promise.resolve(Math.min(takenBytes, bytes.length))
        : Promise.reject(new Deno.errors.BrokenPipe("Broken pipe (os error 32)")),
    close: () => {},
  };
}

Deno.test("exchange() tells a request of which nothing was written from one that was", async () => {
  for (const [takenBytes, isUnwritten] of [[0, true], [1, false], [10, false]] as const) {
    const connection = new HttpConnection(closed(takenBytes), "", new AbandonedSockets());
    const answer = await connection.exchange(new Uint8Array(10), 1_000);
    assertEquals(answer, { isUnwritten });
  }
});

/**
 * A client whose server is in another thread. The server answers each request; then, while the client's
 * thread stands still, it closes the connection or sends another answer that was not asked for. Prints
 * what came of the requests. A program of its own: a test's event loop turns more often.
 */
function standstill({ closes, isTurning }: { closes: boolean; isTurning: boolean }): string {
  const server = `
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    self.postMessage(listener.addr.port);
    self.onmessage = async ({ data }) => {
      const state = new Int32Array(data);
      for await (const connection of listener) {
        await connection.read(new Uint8Array(4096));
        const say = (text) => connection.write(new TextEncoder().encode(text));
        await say("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok");
        Atomics.wait(state, 0, 0);
        if (${closes}) connection.close();
        else await say("HTTP/1.1 500 X\\r\\nContent-Length: 3\\r\\n\\r\\nbad");
        Atomics.store(state, 0, 0);
        Atomics.store(state, 1, 1);
        Atomics.notify(state, 1);
      }
    };`;
  return `
    import { realClock } from ${JSON.stringify(projectUrl("src/system/real/clock.ts"))};
    import { realSendHttp } from ${JSON.stringify(projectUrl("src/system/real/http/http.ts"))};
    const url = URL.createObjectURL(new Blob([${
    JSON.stringify(server)
  }], { type: "text/javascript" }));
    const server = new Worker(url, { type: "module" });
    const port = await new Promise((resolve) => server.onmessage = ({ data }) => resolve(data));
    const state = new Int32Array(new SharedArrayBuffer(8));
    server.postMessage(state.buffer);
    const send = realSendHttp();
    const outcomes = {};
    for (let round = 0; round < 40; round++) {
      const limits = { connectTimeoutMs: 20_000, timeoutMs: 20_000, maxBodyBytes: 1_000 };
      const to = { method: "POST", url: "http://127.0.0.1:" + port, headers: {}, body: "{}" };
      const outcome = await send({ ...to, ...limits }).then(({ status }) => status, String);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (outcome !== 200) break;
      if (${isTurning}) {
        realClock.turn(); // Another request's; half of it is over when the thread stands still.
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      Atomics.store(state, 1, 0);
      Atomics.store(state, 0, 1);
      Atomics.notify(state, 0);
      Atomics.wait(state, 1, 0);
      Atomics.wait(state, 1, 1, 10); // Longer than the timers of a turn.
    }
    console.log(JSON.stringify(outcomes));
    Deno.exit(0);`;
}

for (const closes of [false, true]) {
  const what = closes ? "is closed" : "has an answer that was not asked for";
  for (const isTurning of [false, true]) {
    const when = isTurning ? " in the middle of a turn" : "";
    Deno.test(`an idle connection that ${what} is noticed, though the event loop stood still${when}`, async () => {
      await using client = await startDeno(standstill({ closes, isTurning }));
      assertEquals(JSON.parse(await client.firstOutput()), { "200": 40 });
    });
  }
}
