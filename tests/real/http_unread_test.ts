/** Requests that a server does not read: refused in time, answered early, or left in the socket. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { HttpError } from "../../src/system/http.ts";
import {
  AbandonedSockets,
  ALWAYS_TAKEN_BYTES,
  MOST_HANDSHAKES,
  MOST_UNREAD,
} from "../../src/system/real/http/connection.ts";
import { Authority } from "./certificates.ts";
import {
  assertFails,
  inTime,
  ok,
  type Peer,
  request,
  Server,
  type TextSender,
  until,
  withSender,
} from "./http_peer.ts";
import { lacks } from "./lacks.ts";

/** More than the system takes for a peer that does not read. */
const BODY = "x".repeat(12_000_000);

const TIMEOUT_MS = 300;

/** Over its limit an exchange may be late by this, on a machine that is busy with other work. */
const GRACE_MS = 2_000;

/** Sockets of this process; 0 where that cannot be seen. */
function sockets(): number {
  if (Deno.build.os !== "linux") return 0;
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:");
    } catch {
      return false; // The directory itself.
    }
  }).length;
}

/** Reads the head of one request, and nothing more. */
async function stopReading(peer: Peer): Promise<void> {
  const head = await peer.hearHead();
  if (head?.startsWith("POST /small")) await peer.say(ok("small", "Connection: close\r\n"));
}

function post(url: string, parts: Parameters<typeof request>[1] = {}) {
  return request(url, { method: "POST", body: BODY, timeoutMs: TIMEOUT_MS, ...parts });
}

/** Plays a story, after which each socket of it is free. */
async function withoutLeak(story: (send: TextSender) => Promise<void>): Promise<void> {
  const before = sockets();
  await withSender(story);
  await until("free sockets", () => sockets() <= before);
  // Writes that ended with their sockets are told of.
  await new Promise((resolve) => setTimeout(resolve, 50));
}

async function assertEndsInTime(work: Promise<unknown>): Promise<void> {
  const startMs = performance.now();
  await assertFails(work, "timeout");
  const tookMs = performance.now() - startMs;
  assert(tookMs < TIMEOUT_MS + GRACE_MS, `it took ${tookMs} ms`);
}

Deno.test("a server that stops reading holds an exchange up to its limit, and few sockets", () =>
  withoutLeak(async (send) => {
    const before = sockets();
    await using server = new Server(stopReading);
    for (let count = 0; count < 3 * MOST_UNREAD; count++) {
      await assertEndsInTime(send(post(server.url)));
    }
    // A socket for the listener, and one for each connection on the server's own side.
    const ours = () => sockets() - before - 1 - server.connections;
    await until("as few sockets", () => ours() <= MOST_UNREAD);
    assert(server.connections >= MOST_UNREAD);
    // What the system takes as a whole goes out all the same.
    const small = post(`${server.url}small`, { body: "x".repeat(ALWAYS_TAKEN_BYTES - 1_000) });
    assertEquals((await send({ ...small, timeoutMs: 10_000 })).body, "small");
  }));

Deno.test("sockets that are free again carry large requests again", () =>
  withoutLeak(async (send) => {
    {
      await using server = new Server(stopReading);
      for (let count = 0; count < MOST_UNREAD; count++) {
        await assertEndsInTime(send(post(server.url)));
      }
    }
    await using server = new Server(async (peer) => {
      await peer.hear();
      await peer.say(ok("read"));
    });
    const large = post(server.url, { body: "x".repeat(1_000_000), timeoutMs: 20_000 });
    const sent = async () => (await send(large).catch(() => ({ body: "" }))).body;
    let body = "";
    for (let count = 0; count < 100 && body === ""; count++) {
      body = await sent();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertEquals(body, "read");
  }));

Deno.test("a request that is not read stops when it is told to", () =>
  withoutLeak(async (send) => {
    await using server = new Server(stopReading);
    const stop = new AbortController();
    const work = send(post(server.url, { timeoutMs: 60_000, signal: stop.signal }));
    setTimeout(() => stop.abort(), 200);
    await inTime("end", assertFails(work, "aborted"));
  }));

Deno.test("a proxy that stops reading holds nothing up either", async () => {
  await withoutLeak(async (send) => {
    await using proxy = new Server(stopReading);
    await assertEndsInTime(send(post("http://server.invalid/", { proxyUrl: proxy.url })));
    await assertEndsInTime(send(post("https://server.invalid/", { proxyUrl: proxy.url })));
  });
});

Deno.test({
  name: "a server that stops reading within TLS holds nothing up either",
  ignore: await lacks("openssl"),
}, async () => {
  await using authority = await Authority.make();
  const certificate = await authority.sign("IP:127.0.0.1");
  const tls = { ca: await authority.pem() };
  await withoutLeak(async (send) => {
    await using server = new Server(stopReading, certificate);
    for (let count = 0; count < 2; count++) {
      await assertEndsInTime(send(post(server.url, { tls, timeoutMs: 1_000 })));
    }
  });
});

Deno.test("a handshake without an answer holds its socket, and so many are the most", async () => {
  const abandoned = new AbandonedSockets();
  const ends: (() => void)[] = [];
  for (let count = 0; count < MOST_HANDSHAKES; count++) {
    abandoned.admitHandshake();
    abandoned.addHandshake(new Promise<void>((resolve) => ends.push(resolve)));
  }
  assertThrows(() => abandoned.admitHandshake(), HttpError, "were not answered");
  ends[0]?.();
  await Promise.resolve();
  abandoned.admitHandshake();
  // Silent at first, with an end that frees everything.
  await withoutLeak(async (send) => {
    await using server = new Server(stopReading);
    const url = server.url.replace("http:", "https:");
    for (let count = 0; count < 3; count++) {
      await assertEndsInTime(send(post(url, { connectTimeoutMs: TIMEOUT_MS })));
    }
  });
});

const REFUSAL = '{"error":"too large"}';
const REFUSED = "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\n";

Deno.test("an answer that comes before the request was read is believed", async () => {
  const rows: [head: string, body: string][] = [
    [`${REFUSED}Content-Length: ${REFUSAL.length}\r\n\r\n`, REFUSAL],
    // Its end is a reset, since bytes of the request are unread.
    [`${REFUSED}\r\n`, REFUSAL],
    [`${REFUSED.replace("Connection: close\r\n", "")}Content-Length: 0\r\n\r\n`, ""],
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "{}"],
  ];
  for (const [head, body] of rows) {
    // All that fits the system's buffers, and more than that.
    for (const length of [100_000, BODY.length]) {
      await withoutLeak(async (send) => {
        await using server = new Server(async (peer) => {
          await peer.hearHead();
          await peer.say(head + body);
          await new Promise((resolve) => setTimeout(resolve, 50));
          peer.close();
        });
        const parts = { body: BODY.slice(0, length), timeoutMs: 10_000 };
        const answer = await send(post(server.url, parts));
        assertStringIncludes(head, `HTTP/1.1 ${answer.status} `);
        assertEquals(answer.body, body);
        // That connection has a part of a request in it.
        await send(post(server.url, { ...parts, isIdempotent: true }));
        assertEquals(server.connections, 2);
      });
    }
  }
});

Deno.test("an answer that is cut off before the request was read is none", () =>
  withoutLeak(async (send) => {
    const parts = [
      `${REFUSED}Content-Length: 100\r\n\r\n{`,
      "HTTP/1.1 200 OK\r\n\r\n{",
      "HTTP/1.1 4",
      "",
    ];
    for (const part of parts) {
      await using server = new Server(async (peer) => {
        await peer.hearHead();
        await peer.say(part);
        await new Promise((resolve) => setTimeout(resolve, 50));
        peer.close();
      });
      await assertFails(send(post(server.url, { timeoutMs: 10_000 })), "cut_off");
      assertEquals(server.connections, 1);
    }
  }));

Deno.test("a connection with an unread part of a request in it is not used again, though it stays open", () =>
  withoutLeak(async (send) => {
    const { promise: isDone, resolve: done } = Promise.withResolvers<void>();
    await using server = new Server(async (peer) => {
      await peer.hearHead();
      await peer.say("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n");
      await isDone;
      peer.close();
    });
    for (const connections of [1, 2]) {
      const { status } = await send(post(server.url, { timeoutMs: 10_000 }));
      assertEquals([status, server.connections], [413, connections]);
    }
    done();
  }));
