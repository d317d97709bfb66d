/** What a server may do to a request: read nothing of it, or refuse it before it has read it. */

import { assertEquals } from "@std/assert";
import { openBuffer } from "../../src/buffer/store.ts";
import { MOST_UNREAD } from "../../src/system/real/http/connection.ts";
import { realSystem } from "../../src/system/real.ts";
import { assertGoesOn, assertSmall, assertStops, CONFIG, withAgent } from "./hostile.ts";
import { pause } from "./outage.ts";
import type { RawRequest } from "./raw_server.ts";

/** More than the system takes for a peer that does not read. */
const LARGE = 6_000_000;

const LIMITS = { maxEvents: 1_000, maxBytes: 67_108_864, maxAttempts: 100 };

/** Leaves logs of commands in the state directory, as a run before this one would: id and length. */
async function leaveLogs(
  stateDirectory: string,
  logs: readonly (readonly [id: string, length: number])[],
): Promise<void> {
  const { buffer, close } = await openBuffer(realSystem(), stateDirectory, LIMITS);
  buffer.append(logs.map(([id, length]) => {
    const body = JSON.stringify({ command_id: id, result: "success", stdout: "x".repeat(length) });
    return { kind: "log", commandId: id, snapshotOf: null, body };
  }));
  close();
}

const ignore = Deno.build.os !== "linux";

Deno.test({
  name: "a server that stops reading: the agent checks in, stays small, and sends it in the end",
  ignore,
  async fn() {
    const released = Promise.withResolvers<void>();
    await withAgent(async (story) => {
      const { server } = story;
      await server.until("attacks", () => server.attacked === MOST_UNREAD);
      const before = server.count(/commands$/);
      await server.until("check-ins", () => server.count(/commands$/) >= before + 2);
      assertEquals(server.attacked, MOST_UNREAD);
      await assertSmall(story);
      released.resolve();
      await assertGoesOn(story, "after-the-attack");
      // On a busy machine it takes more than one try to send it within its second.
      const hasLarge = () => server.requests.some(({ body }) => body.length > LARGE);
      await server.until("a large log", hasLarge);
      await assertSmall(story);
      await assertStops(story);
    }, {
      config: CONFIG.replace('\ntimeout = "3s"', '\ntimeout = "1s"'),
      async prepare(stateDirectory, server) {
        // Two of them, since one that is not read for a third time waits for a minute.
        await leaveLogs(stateDirectory, [["large", LARGE], ["large-too", LARGE]]);
        for (let count = 0; count < MOST_UNREAD; count++) {
          server.attackUnread(/\/logs$/, () => released.promise);
        }
      },
    });
  },
});

Deno.test({
  name: "an agent whose request is just not being read stops in time, at the default limits",
  ignore,
  fn: () =>
    withAgent(async (story) => {
      await story.server.until("attack", () => story.server.attacked === 1);
      await pause(500);
      await assertStops(story);
    }, {
      config: CONFIG.replace(/\[http\][^[]*/, ""),
      async prepare(stateDirectory, server) {
        await leaveLogs(stateDirectory, [["large", LARGE]]);
        server.attackUnread(/\/logs$/, () => pause(60_000));
      },
    }),
});

Deno.test({
  name: "a server that refuses a report before it has read it is believed: the next one goes out",
  ignore,
  fn: () =>
    withAgent(async ({ server }) => {
      const isNext = ({ body }: RawRequest) => body.includes('"behind"');
      await server.until("next report", () => server.requests.some(isNext));
      assertEquals(server.attacked, 1);
    }, {
      async prepare(stateDirectory, server) {
        await leaveLogs(stateDirectory, [["large", LARGE], ["behind", 10]]);
        server.attackUnread(/\/logs$/, async (write) => {
          const body = '{"error":"too large"}';
          const head = `HTTP/1.1 413 Too Large\r\nConnection: close\r\n`;
          await write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
          await pause(50);
        });
      },
    }),
});
