/** Which connection a request goes out on, and for how long it may take: seen from the server's side. */

import { assertEquals, assertRejects } from "@std/assert";
import { HttpError, type HttpErrorReason, type HttpRequest } from "../../src/system/http.ts";
import { type RealSendHttp, realSendHttp } from "../../src/system/real_http.ts";
import { Authority, type Certificate } from "./certificates.ts";
import { lacks } from "./lacks.ts";

const ignoreTls = await lacks("openssl");

/** Longer than anything here takes on a busy machine. */
const PATIENCE_MS = 20_000;

/** One connection of a client's, as the server has it. */
class Peer {
  readonly number: number;
  readonly #connection: Deno.Conn;
  #text = "";

  constructor(connection: Deno.Conn, number: number) {
    this.#connection = connection;
    this.number = number;
  }

  /** The head of the next request, its body read too; `undefined`: the client has closed. */
  async hear(): Promise<string | undefined> {
    const buffer = new Uint8Array(65_536);
    while (true) {
      const end = this.#text.indexOf("\r\n\r\n");
      const head = this.#text.slice(0, Math.max(0, end));
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (end >= 0 && this.#text.length >= end + 4 + length) {
        this.#text = this.#text.slice(end + 4 + length);
        return head;
      }
      const count = await this.#connection.read(buffer).catch(() => null);
      if (count === null) return undefined;
      this.#text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
    }
  }

  async say(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  close(): void {
    try {
      this.#connection.close();
    } catch {
      // The client was first.
    }
  }
}

type Serve = (peer: Peer, server: Server) => Promise<void>;

/** A server whose connections a test plays, one by one. */
class Server implements AsyncDisposable {
  connections = 0;
  /** Connections that the client has closed. */
  closed = 0;
  /** By its connection's number, each request that was heard: its first line. */
  readonly heard: string[] = [];
  readonly #listener: Deno.TcpListener | Deno.TlsListener;
  readonly #peers: Peer[] = [];
  readonly #serving: Promise<void>;
  readonly #scheme: string;

  constructor(serve: Serve, tls?: Certificate) {
    const address = { hostname: "127.0.0.1", port: 0 };
    this.#scheme = tls ? "https" : "http";
    this.#listener = tls
      ? Deno.listenTls({ ...address, cert: tls.certificate, key: tls.key })
      : Deno.listen(address);
    this.#serving = this.#accept(serve);
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const peer of this.#peers) peer.close();
    await this.#serving;
  }

  async #accept(serve: Serve): Promise<void> {
    const served: Promise<void>[] = [];
    try {
      for await (const connection of this.#listener) {
        const peer = new Peer(connection, ++this.connections);
        this.#peers.push(peer);
        served.push(serve(peer, this).catch(() => {})); // The client went away.
      }
    } catch {
      // Closed by the test.
    }
    await Promise.all(served);
  }
}

function ok(body: string, headers = ""): string {
  return `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** Answers each request with its connection's number, and notes when the client closes. */
function byNumber(headers = ""): Serve {
  return async (peer, server) => {
    for (let head = await peer.hear(); head !== undefined; head = await peer.hear()) {
      server.heard.push(`${peer.number} ${head.split("\r\n")[0]}`);
      await peer.say(ok(String(peer.number), headers));
    }
    server.closed += 1;
  };
}

function request(url: string, parts: Partial<HttpRequest> = {}): HttpRequest {
  return {
    method: "GET",
    url,
    headers: {},
    connectTimeoutMs: PATIENCE_MS,
    timeoutMs: PATIENCE_MS,
    maxBodyBytes: 100_000,
    ...parts,
  };
}

/** Plays a story with a sender of its own. */
async function withSender(story: (send: RealSendHttp) => Promise<void>): Promise<void> {
  const send = realSendHttp();
  try {
    await story(send);
  } finally {
    send.closeIdle();
  }
}

/** Waits for something to come true on the server's side. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 5) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`Cannot go on: still no ${what}`);
}

/** What comes of `work`, which does not take long. */
async function inTime<T>(what: string, work: Promise<T>): Promise<T> {
  let timer;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Cannot go on: still no ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function assertFails(work: Promise<unknown>, reason: HttpErrorReason): Promise<void> {
  const error = await assertRejects(() => work, HttpError);
  assertEquals(error.reason, reason, error.message);
}

/** Requests that differ in one thing each: none may go out on the connection of another. */
async function assertKeptApart(
  send: RealSendHttp,
  server: Server,
  requests: readonly HttpRequest[],
): Promise<void> {
  const used: string[] = [];
  for (let round = 0; round < 2; round++) {
    for (const each of requests) used.push((await send(each)).body);
  }
  const own = requests.map((_, index) => String(index + 1));
  assertEquals(used, [...own, ...own]);
  assertEquals(server.connections, requests.length);
}

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

Deno.test("of the connections of one kind a single one stays open for the next request", () =>
  withSender(async (send) => {
    const heard: Peer[] = [];
    await using server = new Server(async (peer, server) => {
      if (await peer.hear() === undefined) return;
      heard.push(peer);
      await until("three requests", () => heard.length >= 3);
      await peer.say(ok(String(peer.number)));
      await byNumber()(peer, server);
    });
    const answers = await Promise.all([1, 2, 3].map(() => send(request(server.url))));
    assertEquals(answers.map(({ body }) => body).sort(), ["1", "2", "3"]);
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

Deno.test("a connection that the server closes just as it is used again is replaced, once", () =>
  withSender(async (send) => {
    await using server = new Server(async (peer, server) => {
      server.heard.push(`${peer.number} ${(await peer.hear())?.split("\r\n")[0]}`);
      if (peer.number > 1) return peer.close();
      await peer.say(ok("1"));
      await peer.hear();
      peer.close();
    });
    await send(request(server.url));
    await assertFails(send(request(server.url)), "cut_off");
    assertEquals(server.heard, ["1 GET / HTTP/1.1", "2 GET / HTTP/1.1"]);
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
