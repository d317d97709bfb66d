/** A report whose answer is lost is stored once for each time that it was sent, and no oftener. */

import { assertEquals } from "@std/assert";
import {
  AbandonedSockets,
  HttpConnection,
  type Stream,
} from "../../src/system/real/http/connection.ts";
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
