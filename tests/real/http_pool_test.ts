/** Which connection a request goes out on, and for how long it may take: seen from the server's side. */

import { assertEquals, assertRejects } from "@std/assert";
import { HttpError, type HttpErrorReason, type HttpRequest } from "../../src/system/http.ts";
import { idleLimitMs } from "../../src/system/real/http/http.ts";
import { Authority } from "./certificates.ts";
import {
  assertFails,
  assertKeptApart,
  byNumber,
  inTime,
  ok,
  PATIENCE_MS,
  type Peer,
  request,
  Server,
  until,
  withSender,
} from "./http_peer.ts";
import { lacks } from "./lacks.ts";

const ignoreTls = await lacks("openssl");

Deno.test("requests of different origins, or through different proxies, share no connection", () =>
  withSender(async (send) => {
    await using server = new Server(byNumber());
    const proxy = (user: string) => `http://${user}127.0.0.1:${server.port}`;
    await assertKeptApart(send, server, [
      request(server.url),
      request(server.url.replace("127.0.0.1", "localhost")),
      request("http://server.invalid/", { proxyUrl: proxy("") }),
      request("http://other.invalid/", { proxyUrl: proxy("") }),
      request("http://server.invalid:81/", { proxyUrl: proxy("") }),
      request("http://server.invalid/", { proxyUrl: proxy("anna:1@") }),
      request("http://server.invalid/", { proxyUrl: proxy("anna:2@") }),
      request("http://server.invalid/", { proxyUrl: proxy("").replace("127.0.0.1", "localhost") }),
    ]);
  }));

Deno.test({
  name: "requests that trust other authorities, or show another certificate, share no connection",
  ignore: ignoreTls,
  fn: () =>
    withSender(async (send) => {
      await using authority = await Authority.make();
      await using other = await Authority.make();
      await using server = new Server(byNumber(), await authority.sign("IP:127.0.0.1"));
      const ca = await authority.pem();
      const [one, two] = [
        await authority.sign("DNS:one.test"),
        await authority.sign("DNS:two.test"),
      ];
      await assertKeptApart(send, server, [
        request(server.url, { tls: { ca } }),
        request(server.url, { tls: { ca: ca + await other.pem() } }),
        request(server.url, { tls: { ca, ...one } }),
        request(server.url, { tls: { ca, ...two } }),
      ]);
    }),
});

Deno.test({
  name: "a certificate with the key of another one does not use the connection of either",
  ignore: ignoreTls,
  fn: () =>
    withSender(async (send) => {
      await using authority = await Authority.make();
      await using server = new Server(byNumber(), await authority.sign("IP:127.0.0.1"));
      const ca = await authority.pem();
      const one = await authority.sign("DNS:one.test");
      const two = await authority.sign("DNS:two.test");
      await send(request(server.url, { tls: { ca, ...one } }));
      for (const mixed of [{ ...one, key: two.key }, { ...two, key: one.key }]) {
        await assertRejects(() => send(request(server.url, { tls: { ca, ...mixed } })), HttpError);
      }
      assertEquals(server.heard.length, 1);
    }),
});

Deno.test({
  name: "a connection that was trusted is not used by a request that does not trust it",
  ignore: ignoreTls,
  fn: () =>
    withSender(async (send) => {
      await using authority = await Authority.make();
      await using server = new Server(byNumber(), await authority.sign("IP:127.0.0.1"));
      await send(request(server.url, { tls: { ca: await authority.pem() } }));
      await assertFails(send(request(server.url)), "tls");
      assertEquals(server.heard.length, 1);
    }),
});

Deno.test("requests that differ in nothing that matters to a connection share one", () =>
  withSender(async (send) => {
    await using server = new Server(byNumber());
    await send(request(`${server.url}a`, { headers: { authorization: "Bearer a" } }));
    await send(request(`${server.url}b?c=d`, { method: "POST", body: "{}", timeoutMs: 15_000 }));
    await send(request(server.url, { method: "DELETE", maxBodyBytes: 10 }));
    assertEquals(server.heard, [
      "1 GET /a HTTP/1.1",
      "1 POST /b?c=d HTTP/1.1",
      "1 DELETE / HTTP/1.1",
    ]);
  }));

Deno.test("a request states a length where it has a body or could have one, and nowhere else", () =>
  withSender(async (send) => {
    const heads: string[] = [];
    await using server = new Server(async (peer) => {
      for (let head = await peer.hear(); head !== undefined; head = await peer.hear()) {
        heads.push(head);
        await peer.say(ok("{}"));
      }
    });
    for (const parts of [{}, { method: "POST" }, { method: "DELETE" }, { body: "{}" }] as const) {
      await send(request(server.url, { ...parts, method: parts.method ?? "GET" }));
    }
    const lengths = heads.map((head) => /^content-length: (\d+)$/im.exec(head)?.[1]);
    assertEquals(lengths, [undefined, "0", undefined, "2"]);
  }));

Deno.test("connections of one kind serve the next moment's requests, and a single one stays open after it", () =>
  withSender(async (send) => {
    const heard: Peer[] = [];
    await using server = new Server(async (peer, server) => {
      if (await peer.hear() === undefined) return;
      heard.push(peer);
      await until("three requests", () => heard.length >= 3);
      await peer.say(ok(String(peer.number)));
      await byNumber()(peer, server);
    });
    const sendThree = async () => {
      const answers = await Promise.all([1, 2, 3].map(() => send(request(server.url))));
      return answers.map(({ body }) => body).sort();
    };
    assertEquals(await sendThree(), ["1", "2", "3"]);
    assertEquals(await sendThree(), ["1", "2", "3"]);
    assertEquals(server.connections, 3);
    await until("two closed connections", () => server.closed >= 2);
    await send(request(server.url));
    assertEquals([server.connections, server.closed], [3, 2]);
  }));

Deno.test("closeIdle() closes what waits, and what comes after opens anew", () =>
  withSender(async (send) => {
    await using server = new Server(byNumber());
    await send(request(server.url));
    send.closeIdle();
    await until("the end of the connection", () => server.closed === 1);
    assertEquals((await send(request(server.url))).body, "2");
  }));

Deno.test("a connection that has waited long enough is closed, also after others were", () =>
  withSender(async (send) => {
    await using server = new Server(byNumber("Keep-Alive: timeout=2\r\n"));
    const isClosed = (count: number) =>
      until(`connection that is closed, of ${count}`, () => server.closed === count);
    for (const number of [1, 2]) {
      assertEquals((await send(request(server.url))).body, String(number));
      await isClosed(number); // By itself, after a second.
    }
    await send(request(server.url));
    send.closeIdle();
    await isClosed(3);
    await send(request(server.url));
    await isClosed(4);
  }));

Deno.test("a connection whose time is over is not used, though the timer that would close it is late", () =>
  withSender(async (send) => {
    await using server = new Server(byNumber("Keep-Alive: timeout=5\r\n"));
    const now = performance.now.bind(performance);
    const ask = async (atMs: number) => {
      performance.now = () => now() + atMs;
      try {
        return (await send(request(server.url))).body;
      } finally {
        performance.now = now;
      }
    };
    assertEquals([await ask(0), await ask(3_900), await ask(9_000)], ["1", "1", "2"]);
  }));

Deno.test("a connection is closed when its own time is over, though one that came later has longer", () =>
  withSender(async (send) => {
    const heard: Peer[] = [];
    const isKept = Promise.withResolvers<void>();
    await using server = new Server(async (peer, server) => {
      if (await peer.hear() === undefined) return;
      heard.push(peer);
      await until("two requests", () => heard.length >= 2);
      if (peer === heard[1]) await isKept.promise;
      await peer.say(ok("", peer === heard[0] ? "Keep-Alive: timeout=2\r\n" : ""));
      await byNumber()(peer, server);
    });
    const both = [send(request(server.url)), send(request(server.url))];
    await Promise.race(both);
    isKept.resolve();
    await Promise.all(both);
    await until("connection that is closed", () => server.closed > 0);
    await send(request(server.url));
    assertEquals([server.connections, server.closed], [2, 1]);
  }));

Deno.test("a server that speaks unasked on an idle connection is not listened to", () =>
  withSender(async (send) => {
    for (const unasked of [ok("unasked"), "HTTP/1.1 408 Request Timeout\r\n\r\n", "\r\n", "x"]) {
      let isClosed = false;
      const isIdle = Promise.withResolvers<void>();
      await using server = new Server(async (peer, server) => {
        if (peer.number > 1) return await byNumber()(peer, server);
        await peer.hear();
        await peer.say(ok("asked"));
        await isIdle.promise;
        await peer.say(unasked);
        isClosed = await peer.hear() === undefined;
      });
      assertEquals((await send(request(server.url))).body, "asked");
      isIdle.resolve();
      await until("the client to close that connection", () => isClosed);
      assertEquals((await send(request(server.url))).body, "2", JSON.stringify(unasked));
    }
  }));

Deno.test("a connection that the server closed while it was idle is not used again", () =>
  withSender(async (send) => {
    await using server = new Server(async (peer, server) => {
      if (peer.number > 1) return await byNumber()(peer, server);
      await peer.hear();
      await peer.say(ok("1"));
      peer.close();
    });
    assertEquals((await send(request(server.url))).body, "1");
    // Whether the client has noticed by now or not.
    assertEquals((await send(request(server.url, { method: "POST", body: "{}" }))).body, "2");
    assertEquals(server.heard, ["2 POST / HTTP/1.1"]);
  }));

/** Answers once, hears the next request, and closes. A further connection is heard, and closed. */
function closesAtTheSecond(): Server {
  return new Server(async (peer, server) => {
    server.heard.push(`${peer.number} ${(await peer.hear())?.split("\r\n")[0]}`);
    if (peer.number > 1) return peer.close();
    await peer.say(ok("1"));
    const second = await peer.hear();
    if (second !== undefined) server.heard.push(`${peer.number} ${second.split("\r\n")[0]}`);
    peer.close();
  });
}

Deno.test("an idempotent request whose idle connection is closed goes on a new one, once", () =>
  withSender(async (send) => {
    await using server = closesAtTheSecond();
    await send(request(server.url));
    await assertFails(send(request(server.url, { isIdempotent: true })), "cut_off");
    assertEquals(server.heard, ["1 GET / HTTP/1.1", "1 GET / HTTP/1.1", "2 GET / HTTP/1.1"]);
  }));

Deno.test("any other request that was written is not sent again when its connection is closed", () =>
  withSender(async (send) => {
    for (const parts of [{}, { method: "POST", body: "{}" }, { method: "DELETE" }] as const) {
      await using server = closesAtTheSecond();
      await send(request(server.url));
      await assertFails(send(request(server.url, parts)), "cut_off");
      assertEquals(server.heard.length, 2, JSON.stringify(parts));
      assertEquals(server.connections, 1);
    }
  }));

Deno.test("an idle connection is dropped before the server would, where it says when", () => {
  const rows: [keepAlive: string | undefined, idleMs: number][] = [
    [undefined, 60_000],
    ["timeout=5", 4_000],
    ["timeout=5, max=100", 4_000],
    ["max=100,Timeout=20", 19_000],
    ["timeout=75", 60_000],
    ["timeout=1", 0],
    ["timeout=0", -1_000],
    ["timeout=-5", 60_000],
    ["timeout=5s", 60_000],
    ["idletimeout=5", 60_000],
    ["junk", 60_000],
  ];
  for (const [keepAlive, idleMs] of rows) assertEquals(idleLimitMs(keepAlive), idleMs, keepAlive);
});

Deno.test("a server that keeps a connection for a second is asked on a new one each time", () =>
  withSender(async (send) => {
    await using server = new Server(byNumber("Keep-Alive: timeout=1\r\n"));
    assertEquals((await send(request(server.url))).body, "1");
    assertEquals((await send(request(server.url))).body, "2");
  }));

Deno.test("a request is not sent a second time once a byte of an answer has come", () =>
  withSender(async (send) => {
    await using server = new Server(async (peer, server) => {
      server.heard.push(`${peer.number} ${(await peer.hear())?.split("\r\n")[0]}`);
      await peer.say(ok("1"));
      server.heard.push(`${peer.number} ${(await peer.hear())?.split("\r\n")[0]}`);
      await peer.say("HTTP/1.1 200");
      peer.close();
    });
    await send(request(server.url));
    await assertFails(send(request(server.url, { method: "POST", body: "{}" })), "cut_off");
    assertEquals(server.heard, ["1 GET / HTTP/1.1", "1 POST / HTTP/1.1"]);
  }));

Deno.test("a server that does not keep a connection open is believed", async () => {
  const rows = [
    ok("1", "Connection: close\r\n"),
    ok("1", "connection: Close\r\n"),
    ok("1", "Connection: x-other, close\r\n"),
    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1",
  ];
  for (const answer of rows) {
    await withSender(async (send) => {
      let isClosed = false;
      await using server = new Server(async (peer) => {
        await peer.hear();
        await peer.say(answer);
        isClosed = await peer.hear() === undefined;
      });
      assertEquals((await send(request(server.url))).body, "1");
      await until("the client to close the connection", () => isClosed);
      assertEquals((await send(request(server.url))).body, "1");
      assertEquals(server.connections, 2, JSON.stringify(answer));
    });
  }
});

Deno.test("a connection whose answer was not read to its end is never used again", async () => {
  const half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
  const rows: [answer: string, parts: Partial<HttpRequest>, reason: HttpErrorReason][] = [
    [ok("too long"), { maxBodyBytes: 3 }, "too_large"],
    [half, { timeoutMs: 200 }, "timeout"],
    ["SSH-2.0-OpenSSH_9.2\r\n\r\n", {}, "malformed"],
  ];
  for (const [answer, parts, reason] of rows) {
    await withSender(async (send) => {
      await using server = new Server(async (peer, server) => {
        if (peer.number > 1) return await byNumber()(peer, server);
        await peer.hear();
        await peer.say(answer);
        if (await peer.hear() === undefined) server.closed += 1;
      });
      await assertFails(send(request(server.url, parts)), reason);
      await until("the client to close the connection", () => server.closed === 1);
      assertEquals((await send(request(server.url))).body, "2", reason);
    });
  }
});

Deno.test("a request that is stopped leaves no connection that another one could use", () =>
  withSender(async (send) => {
    const stop = new AbortController();
    await using server = new Server(async (peer, server) => {
      if (peer.number > 1) return await byNumber()(peer, server);
      await peer.hear();
      stop.abort(new Error("stop"));
      if (await peer.hear() === undefined) server.closed += 1;
    });
    await assertFails(send(request(server.url, { signal: stop.signal })), "aborted");
    await until("the client to close the connection", () => server.closed === 1);
    assertEquals((await send(request(server.url))).body, "2");
  }));

Deno.test("answers that only announce one are passed over, each alone and several in one piece", () =>
  withSender(async (send) => {
    const interim = "HTTP/1.1 100 Continue\r\n\r\n";
    const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
    await using server = new Server(async (peer) => {
      while (await peer.hear() !== undefined) {
        for (const piece of [interim, hints + interim, "HTTP/1.1 102 ", "Processing\r\n\r\n"]) {
          await peer.say(piece);
        }
        await peer.say(interim + ok("final", "X-Own: yes\r\n"));
      }
    });
    for (let count = 0; count < 2; count++) {
      const { status, body, headers } = await send(request(server.url));
      assertEquals([status, body, headers["x-own"], headers["link"]], [
        200,
        "final",
        "yes",
        undefined,
      ]);
    }
    assertEquals(server.connections, 1);
  }));

Deno.test("the whole exchange is limited, on both sides of the limit, connecting included", () =>
  withSender(async (send) => {
    await using server = new Server(async (peer) => {
      await peer.hear();
      await new Promise((resolve) => setTimeout(resolve, 400));
      await peer.say(ok("late"));
    });
    assertEquals((await send(request(server.url, { timeoutMs: PATIENCE_MS }))).body, "late");
    await assertFails(send(request(server.url, { timeoutMs: 100 })), "timeout");
    await using silent = new Server(async (peer) => void await peer.hear());
    const url = silent.url.replace("http:", "https:");
    const parts = { timeoutMs: 100, connectTimeoutMs: PATIENCE_MS };
    await assertFails(send(request(url, parts)), "timeout");
  }));

Deno.test({
  name: "reaching the server is limited by itself, on both sides of the limit",
  ignore: ignoreTls,
  fn: () =>
    withSender(async (send) => {
      await using authority = await Authority.make();
      await using server = new Server(byNumber(), await authority.sign("IP:127.0.0.1"));
      // In front of it stands one that lets nothing through for a while: no handshake comes to its end.
      const pipe = (waitMs: number) => {
        const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const serving = (async () => {
          for await (const client of listener) {
            await new Promise((resolve) => setTimeout(resolve, waitMs));
            const behind = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
            await Promise.allSettled([
              client.readable.pipeTo(behind.writable),
              behind.readable.pipeTo(client.writable),
            ]);
          }
        })();
        return {
          url: `https://127.0.0.1:${listener.addr.port}/`,
          async [Symbol.asyncDispose]() {
            listener.close();
            await serving;
          },
        };
      };
      const tls = { ca: await authority.pem() };
      await using slow = pipe(300);
      assertEquals((await send(request(slow.url, { tls }))).body, "1");
      send.closeIdle();
      // The limit on the whole exchange is so far away that it cannot be what ends it.
      const parts = { connectTimeoutMs: 100, timeoutMs: 10 * PATIENCE_MS };
      const own = await authority.sign("DNS:one.test");
      for (const mine of [tls, { ...tls, ...own }]) {
        const late = inTime("refusal", send(request(slow.url, { ...parts, tls: mine })));
        await assertFails(late, "timeout");
      }
    }),
});

Deno.test("the limit on reaching the server is none on its answer", () =>
  withSender(async (send) => {
    await using server = new Server(async (peer) => {
      await peer.hear();
      await new Promise((resolve) => setTimeout(resolve, 700));
      await peer.say(ok("late"));
    });
    const { body } = await send(request(server.url, { connectTimeoutMs: 500 }));
    assertEquals(body, "late");
  }));

Deno.test("an answer that comes in one piece with the one asked for is no part of it, nor the next one's", () =>
  withSender(async (send) => {
    await using server = new Server(async (peer, server) => {
      if (peer.number > 1) return await byNumber()(peer, server);
      await peer.hear();
      await peer.say(ok("asked") + ok("unasked"));
      await peer.hear();
    });
    const first = await send(request(server.url)).catch(() => undefined);
    assertEquals(first?.body ?? "asked", "asked");
    assertEquals((await send(request(server.url))).body, "2");
  }));

Deno.test("an answer that only announces one has no body, whatever length it states", () =>
  withSender(async (send) => {
    await using server = new Server(async (peer) => {
      await peer.hear();
      await peer.say(`HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\n${ok("final")}`);
    });
    assertEquals((await send(request(server.url))).body, "final");
  }));
