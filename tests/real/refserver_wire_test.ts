import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { RequestReader } from "../../tools/refserver/http_wire.ts";
import { Authority } from "./certificates.ts";
import { lacks } from "./lacks.ts";
import { call, rawRequest } from "./raw_request.ts";
import { health, registration, withServer } from "./refserver_agent.ts";

const isWindows = Deno.build.os === "windows";

Deno.test({
  name: "what is no HTTP gets 400, what is too large 413",
  // Windows resets a connection that is closed with bytes unread, and the answer goes with it.
  ignore: isWindows,
  async fn() {
    await withServer({ maxBodyBytes: 1_000 }, async (server) => {
      const { headers: _, ...open } = registration;
      const large = await call(server.url, { ...open, body: "x".repeat(1_001) });
      assertEquals(large.status, 413);
      const header = { "Content-Length": "-5" };
      assertEquals((await call(server.url, { ...open, headers: header })).status, 400);
      assertEquals((await call(server.url, { method: "get", path: "/health" })).status, 400);
      assertEquals(server.state().violations.length, 3);
      const unframed = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n{}";
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
      await connection.write(new TextEncoder().encode(unframed));
      assertMatch(await new Response(connection.readable).text(), /200 OK.*HTTP\/1\.1 400/s);
      assertMatch(server.state().violations[3]!.what, /bytes that belong to none/);
    });
  },
});

Deno.test("a connection that is kept alive carries request after request", async () => {
  await withServer({}, async (server) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    await connection.write(new TextEncoder().encode(request + request + request));
    const bytes = new Uint8Array(4_096);
    let text = "";
    while (text.split("healthy").length < 4) {
      text += new TextDecoder().decode(bytes.subarray(0, await connection.read(bytes) ?? 0));
    }
    connection.close();
    assertEquals(server.state().requests.length, 3);
  });
});

Deno.test("RequestReader reads the same request however it is cut into pieces", async () => {
  const body = '{"a":"é"}';
  const plain = `GET /x?y HTTP/1.1\r\nA: b\r\na: c\r\nContent-Length: 10\r\n\r\n${body}`;
  const chunked = "GET /x HTTP/1.1\r\nA: b, c\r\nTransfer-Encoding: chunked\r\n\r\n" +
    `4\r\n${body.slice(0, 4)}\r\n6;note\r\n${body.slice(4)}\r\n0\r\n\r\n`;
  const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 });
  await fc.assert(fc.asyncProperty(fc.constantFrom(plain, chunked), sizes, async (text, pieces) => {
    let unread = new TextEncoder().encode(text);
    let turn = 0;
    const reader = new RequestReader({
      read: (into) => {
        if (unread.length === 0) return Promise.resolve(null);
        const size = Math.min(into.length, unread.length, pieces[turn++ % pieces.length]!);
        into.set(unread.subarray(0, size));
        unread = unread.slice(size);
        return Promise.resolve(size);
      },
      write: (bytes) => Promise.resolve(bytes.length),
    });
    const line = await reader.readLine();
    assertEquals(line, { method: "GET", path: "/x", version: "HTTP/1.1" });
    const request = await reader.readRest(line!, 100);
    assertEquals([request.body, request.headers.get("a")], [body, "b, c"]);
    assertEquals([request.keepAlive, await reader.readLine()], [true, undefined]);
  }));
});

Deno.test({
  name: "with a certificate it speaks HTTPS",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    const tls = await authority.sign("IP:127.0.0.1");
    const ca = await authority.pem();
    await withServer({ tls }, async (server) => {
      assertMatch(server.url, /^https:/);
      const answer = await rawRequest(server.url, health, { caCerts: [ca] });
      assert(answer.kind === "answer" && answer.status === 200);
      await assertRejects(() => rawRequest(server.url, health), Deno.errors.InvalidData);
      assertEquals(
        (await rawRequest(server.url, health, { caCerts: [ca] })).kind,
        "answer",
      );
    });
  },
});
