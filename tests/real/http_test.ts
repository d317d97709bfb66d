import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  blamesProxy,
  HttpError,
  type HttpErrorReason,
  type HttpRequest,
} from "../../src/system/http.ts";
import { inTime, type TextSender, textSender } from "./http_peer.ts";

/** A TCP server on loopback: what it was sent, and what it does with each connection. */
class Wire {
  readonly heard: string[] = [];
  connections = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open: Deno.TcpConn[] = [];
  readonly #serving: Promise<void>;

  constructor(serve: (connection: Deno.TcpConn, wire: Wire) => Promise<void>) {
    this.#serving = this.#accept(serve);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async close(): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) quietly(() => connection.close());
    await this.#serving;
  }

  async #accept(serve: (connection: Deno.TcpConn, wire: Wire) => Promise<void>): Promise<void> {
    const served: Promise<void>[] = [];
    try {
      for await (const connection of this.#listener) {
        this.connections += 1;
        this.#open.push(connection);
        served.push(serve(connection, this).catch(() => {})); // The client went away.
      }
    } catch {
      // Closed by the test.
    }
    await Promise.all(served);
  }
}

function quietly(close: () => void): void {
  try {
    close();
  } catch {
    // Closed already.
  }
}

/** Reads one request, whole; `undefined` at the end of the connection. */
async function hear(connection: Deno.Conn): Promise<string | undefined> {
  let text = "";
  const buffer = new Uint8Array(65_536);
  while (true) {
    const [head, body] = text.split("\r\n\r\n", 2);
    const length = Number(/content-length: (\d+)/i.exec(head ?? "")?.[1] ?? 0);
    if (body !== undefined && body.length >= length) return text;
    const read = await connection.read(buffer);
    if (read === null) return undefined;
    text += new TextDecoder("latin1").decode(buffer.subarray(0, read));
  }
}

/** Answers every request on a connection with these bytes. */
function answers(bytes: string | Uint8Array, options: { thenClose?: boolean } = {}) {
  return async (connection: Deno.TcpConn, wire: Wire) => {
    for (let text = await hear(connection); text !== undefined; text = await hear(connection)) {
      wire.heard.push(text);
      await writeAll(connection, bytes);
      if (options.thenClose) return connection.close();
    }
  };
}

async function writeAll(connection: Deno.Conn, bytes: string | Uint8Array): Promise<void> {
  const all = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  for (let written = 0; written < all.length;) {
    written += await connection.write(all.subarray(written));
  }
}

function ok(body: string, headers = ""): string {
  return `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

type Parts = Partial<HttpRequest> & { url: string };

function request(parts: Parts): HttpRequest {
  return {
    method: "GET",
    headers: {},
    connectTimeoutMs: 5_000,
    timeoutMs: 5_000,
    maxBodyBytes: 100_000,
    ...parts,
  };
}

async function withWire(
  serve: (connection: Deno.TcpConn, wire: Wire) => Promise<void>,
  story: (send: TextSender, wire: Wire) => Promise<void>,
): Promise<void> {
  const wire = new Wire(serve);
  const send = textSender();
  try {
    await story(send, wire);
  } finally {
    send.closeIdle();
    await wire.close();
  }
}

async function assertFails(
  send: TextSender,
  parts: Parts,
  reason: HttpErrorReason,
): Promise<HttpError> {
  const error = await assertRejects(() => send(request(parts)), HttpError);
  assertEquals(error.reason, reason, error.message);
  return error;
}

Deno.test("sends a GET with its body, byte for byte, and its headers", () =>
  withWire(answers(ok("{}")), async (send, wire) => {
    const body = JSON.stringify({ text: "päckchen" });
    const headers = { authorization: "Bearer secret" };
    const answer = await send(request({ url: `${wire.url}/a?b=c`, body, headers }));
    assertEquals([answer.status, answer.body], [200, "{}"]);
    const [heard = ""] = wire.heard;
    assert(heard.startsWith("GET /a?b=c HTTP/1.1\r\n"), heard);
    assertStringIncludes(heard, "authorization: Bearer secret\r\n");
    const sent = new TextDecoder().decode(
      Uint8Array.from(heard.split("\r\n\r\n")[1] ?? "", (char) => char.charCodeAt(0)),
    );
    assertEquals(sent, body);
  }));

Deno.test("uses a connection again, and a fresh one where the server closed it", async () => {
  await withWire(answers(ok("{}")), async (send, wire) => {
    for (let count = 0; count < 5; count++) await send(request({ url: wire.url }));
    assertEquals([wire.heard.length, wire.connections], [5, 1]);
  });
  await withWire(answers(ok("{}"), { thenClose: true }), async (send, wire) => {
    for (let count = 0; count < 5; count++) await send(request({ url: wire.url }));
    assertEquals([wire.heard.length, wire.connections], [5, 5]);
  });
  await withWire(answers(ok("{}", "Connection: close\r\n")), async (send, wire) => {
    for (let count = 0; count < 3; count++) await send(request({ url: wire.url }));
    assertEquals(wire.connections, 3);
  });
});

Deno.test("reads every lawful way to send a body", async () => {
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
    "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
  const rows: [bytes: string, body: string, thenClose: boolean][] = [
    [ok("hello"), "hello", false],
    [chunked, "hello world", false],
    ["HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end", true],
    ["HTTP/1.1 204 No Content\r\n\r\n", "", false],
    ["HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", false],
    [`HTTP/1.1 100 Continue\r\n\r\n${ok("after")}`, "after", false],
    [`HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n${ok("hints")}`, "hints", false],
  ];
  for (const [bytes, body, thenClose] of rows) {
    await withWire(answers(bytes, { thenClose }), async (send, wire) => {
      assertEquals((await send(request({ url: wire.url }))).body, body, bytes);
    });
  }
});

Deno.test("reads an answer that comes byte by byte", () => {
  async function dribble(connection: Deno.TcpConn): Promise<void> {
    await hear(connection);
    for (const byte of new TextEncoder().encode(ok('{"slow":true}'))) {
      await connection.write(new Uint8Array([byte]));
    }
  }
  return withWire(dribble, async (send, wire) => {
    assertEquals((await send(request({ url: wire.url }))).body, '{"slow":true}');
  });
});

async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function gzipAnswer(text: string): Promise<Uint8Array> {
  const body = await gzip(text);
  const head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" +
    `Content-Length: ${body.length}\r\n\r\n`;
  return new Uint8Array([...new TextEncoder().encode(head), ...body]);
}

Deno.test("decompresses, and stops at the limit however well it was packed", async () => {
  await withWire(answers(await gzipAnswer("packed")), async (send, wire) => {
    assertEquals((await send(request({ url: wire.url }))).body, "packed");
    assertStringIncludes(wire.heard[0] ?? "", "accept-encoding: gzip");
  });
  await withWire(answers(await gzipAnswer("0".repeat(20_000_000))), async (send, wire) => {
    await assertFails(send, { url: wire.url }, "too_large");
  });
  const junk = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk";
  await withWire(answers(junk), async (send, wire) => {
    await assertFails(send, { url: wire.url }, "malformed");
  });
});

Deno.test("takes a body at the limit and refuses one byte more", () =>
  withWire(answers(ok("12345")), async (send, wire) => {
    assertEquals((await send(request({ url: wire.url, maxBodyBytes: 5 }))).body, "12345");
    await assertFails(send, { url: wire.url, maxBodyBytes: 4 }, "too_large");
  }));

Deno.test("tells an answer that was cut off, or was none", async () => {
  const rows: [bytes: string, reason: HttpErrorReason][] = [
    ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "cut_off"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "cut_off"],
    ["HTTP/1.1 200 OK\r\nContent-", "cut_off"],
    ["", "cut_off"],
    ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed"],
    ["\u0000\u0001\u0002\u0003\r\n\r\n", "malformed"],
  ];
  for (const [bytes, reason] of rows) {
    await withWire(answers(bytes, { thenClose: true }), async (send, wire) => {
      await assertFails(send, { url: wire.url }, reason);
    });
  }
});

Deno.test("waits for an answer as long as it may, and no longer", async () => {
  const never = async (connection: Deno.TcpConn) => void await hear(connection);
  const half = answers("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  for (const serve of [never, half]) {
    await withWire(serve, async (send, wire) => {
      await assertFails(send, { url: wire.url, timeoutMs: 150 }, "timeout");
    });
  }
});

Deno.test("gives up a TLS handshake that nobody answers", () => {
  const never = async (connection: Deno.TcpConn) => void await hear(connection);
  return withWire(never, async (send, wire) => {
    const url = wire.url.replace("http:", "https:");
    await assertFails(send, { url, connectTimeoutMs: 150 }, "timeout");
  });
});

Deno.test("stops when it is told to, before and in the middle", () => {
  const stop = new AbortController();
  async function stopThen(connection: Deno.TcpConn): Promise<void> {
    await hear(connection);
    stop.abort();
  }
  return withWire(stopThen, async (send, wire) => {
    await assertFails(send, { url: wire.url, signal: stop.signal }, "aborted");
    await assertFails(send, { url: wire.url, signal: stop.signal }, "aborted");
    assertEquals(wire.connections <= 2, true);
  });
});

Deno.test("tells why a server cannot be reached", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const send = textSender();
  await assertFails(send, { url: `http://127.0.0.1:${port}` }, "refused");
  const dns = await assertRejects(() => send(request({ url: "http://nope.invalid" })), HttpError);
  assert(dns.reason === "dns" || dns.reason === "offline", dns.message);
});

Deno.test("sends no header that would be read as two, and tells no secret", () =>
  withWire(answers(ok("{}")), async (send, wire) => {
    const headers = { authorization: "Bearer top-secret\r\nx-evil: 1" };
    const error = await assertFails(send, { url: wire.url, headers }, "malformed");
    assert(!error.message.includes("top-secret"));
    assertEquals(wire.heard, []);
  }));

Deno.test("goes through a proxy for http, with the whole address in the request", () =>
  withWire(answers(ok("{}")), async (send, wire) => {
    const proxyUrl = wire.url.replace("//", "//user:p%40ss@");
    await send(request({ url: "http://server.invalid/a", proxyUrl }));
    const [heard = ""] = wire.heard;
    assert(heard.startsWith("GET http://server.invalid/a HTTP/1.1\r\n"), heard);
    assertStringIncludes(heard, `proxy-authorization: Basic ${btoa("user:p@ss")}`);
  }));

Deno.test("gives up a tunnel that a proxy never answers for, and closes what leads to it", () => {
  const closed = Promise.withResolvers<void>();
  async function hearOn(connection: Deno.TcpConn): Promise<void> {
    await hear(connection);
    await hear(connection); // Undefined at the end of the connection.
    closed.resolve();
  }
  return withWire(hearOn, async (send, wire) => {
    const parts = { url: "https://server.invalid/", proxyUrl: wire.url, connectTimeoutMs: 150 };
    await assertFails(send, parts, "timeout");
    await inTime("end of the connection", closed.promise);
  });
});

Deno.test("asks a proxy for a tunnel for https, and tells when that is refused", () =>
  withWire(answers("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), async (send, wire) => {
    await assertFails(send, { url: "https://server.invalid/", proxyUrl: wire.url }, "proxy");
    assert(wire.heard[0]?.startsWith("CONNECT server.invalid:443 HTTP/1.1\r\n"));
  }));

Deno.test("blames the proxy where that is not there, and shows no password of it", async () => {
  const send = textSender();
  for (const scheme of ["http", "https"]) {
    for (
      const [proxyUrl, fact] of [
        ["http://user:secret@127.0.0.1:1", "the proxy 127.0.0.1:1: connection refused"],
        ["http://user:secret@proxy.invalid:3128", "the proxy proxy.invalid:3128: no such name"],
      ] as const
    ) {
      const parts = { url: `${scheme}://server.invalid/`, proxyUrl };
      const error = await assertRejects(() => send(request(parts)), HttpError);
      // A host without a network has no name service either.
      if (error.reason === "offline" && fact.endsWith("name")) continue;
      assertEquals(error.message, `Cannot reach "server.invalid": ${fact}`);
      assertEquals([error.reason, blamesProxy(error.message)], ["proxy", true]);
    }
  }
});
