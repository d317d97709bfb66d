import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { HttpError, type HttpRequest } from "../../src/system/http.ts";
import { Authority, type Certificate } from "./certificates.ts";
import { textSender } from "./http_peer.ts";
import { lacks } from "./lacks.ts";

const limits = { connectTimeoutMs: 5_000, timeoutMs: 5_000, maxBodyBytes: 100_000 };

function get(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: "GET", url, headers: { authorization: "Bearer secret" }, ...limits, ...more };
}

/** Sends one request over a connection of its own. */
async function send(request: HttpRequest) {
  const http = textSender();
  try {
    return await http(request);
  } finally {
    http.closeIdle();
  }
}

async function refusal(request: HttpRequest): Promise<HttpError> {
  return await assertRejects(() => send(request), HttpError);
}

/** A server that answers "{}" to everything; `heard` is what reached it through TLS. */
function serveTls({ certificate, key }: Certificate) {
  const heard: string[] = [];
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: certificate, key });
  const serving = (async () => {
    while (true) {
      try {
        const connection = await listener.accept();
        await answer(connection, heard).finally(() => connection.close());
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        // A client that trusted us not.
      }
    }
  })();
  return {
    heard,
    url: `https://127.0.0.1:${listener.addr.port}/`,
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

async function answer(connection: Deno.Conn, heard: string[]): Promise<void> {
  const buffer = new Uint8Array(10_000);
  const length = await connection.read(buffer);
  heard.push(new TextDecoder().decode(buffer.subarray(0, length ?? 0)));
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
  await connection.write(new TextEncoder().encode(text));
}

Deno.test({
  name: "an authority of one's own is trusted where it is named, and nowhere else",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    await using server = serveTls(await authority.sign("IP:127.0.0.1"));
    const ca = await authority.pem();
    assertEquals((await send(get(server.url, { tls: { ca } }))).body, "{}");
    const error = await refusal(get(server.url));
    assertEquals(error.reason, "tls");
    assertStringIncludes(error.message, "its certificate is not trusted");
    assertEquals(server.heard.length, 1); // No token before there is trust.
  },
});

Deno.test({
  name: "a certificate of another name is not trusted",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    await using server = serveTls(await authority.sign("DNS:other.test"));
    const error = await refusal(get(server.url, { tls: { ca: await authority.pem() } }));
    assertEquals([error.reason, server.heard], ["tls", []]);
  },
});

Deno.test({
  name: "junk for a certificate is a refusal, not a crash",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    await using server = serveTls(await authority.sign("IP:127.0.0.1"));
    const tls = { ca: await authority.pem(), certificate: "junk", key: "junk" };
    await refusal(get(server.url, { tls }));
  },
});

/** Keys as openssl makes them, by what is wrong with them as a client's. */
const UNUSABLE_KEYS: Readonly<Record<string, readonly string[]>> = {
  "a key of 1024 bits": ["rsa:1024"],
  "a curve that rustls does not support": ["ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"],
};

Deno.test({
  name: "a client certificate that does not fit its key, or that TLS does not support, is refused",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    const server = await authority.sign("IP:127.0.0.1");
    const [one, two] = [await authority.sign("DNS:one.test"), await authority.sign("DNS:two.test")];
    const notDer = `-----BEGIN CERTIFICATE-----\n${btoa("junk")}\n-----END CERTIFICATE-----\n`;
    const pairs: Record<string, Certificate> = {
      "a key of another certificate": { ...one, key: two.key },
      "a certificate that is junk in PEM": { ...one, certificate: notDer },
      "a key in place of the certificate": { ...one, certificate: one.key },
      "a certificate in place of the key": { ...one, key: one.certificate },
    };
    for (const [what, words] of Object.entries(UNUSABLE_KEYS)) {
      pairs[what] = await authority.sign("DNS:one.test", words);
    }
    for (const [what, pair] of Object.entries(pairs)) {
      await using serving = serveTls(server);
      // In this very process: the runtime ends the whole of it where it is asked to use such a pair.
      const tls = { ca: await authority.pem(), ...pair };
      const error = await refusal(get(serving.url, { tls }));
      assertEquals([error.reason, serving.heard], ["tls", []], what);
      assertStringIncludes(
        error.message,
        "the client certificate and its key cannot be used",
        what,
      );
    }
  },
});

/** A proxy that opens tunnels for who knows the password; its own word is `asked`. */
function serveProxy() {
  const asked: string[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      const buffer = new Uint8Array(10_000);
      const length = await connection.read(buffer);
      const head = new TextDecoder().decode(buffer.subarray(0, length ?? 0));
      asked.push(head);
      const port = Number(/^CONNECT 127\.0\.0\.1:(\d+) HTTP\/1\.1\r\n/.exec(head)?.[1]);
      const server = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new TextEncoder().encode("HTTP/1.1 200 Go ahead\r\n\r\n"));
      await Promise.allSettled([
        connection.readable.pipeTo(server.writable),
        server.readable.pipeTo(connection.writable),
      ]);
    }
  })();
  return {
    asked,
    url: `http://me:pass@127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

Deno.test({
  name: "a tunnel through a proxy carries TLS to the server itself, past the proxy's eyes",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    await using server = serveTls(await authority.sign("IP:127.0.0.1"));
    await using proxy = serveProxy();
    const tls = { ca: await authority.pem() };
    const answer = await send(get(server.url, { tls, proxyUrl: proxy.url }));
    assertEquals(answer.body, "{}");
    assertStringIncludes(server.heard[0] ?? "", "Bearer secret");
    assertEquals(proxy.asked.length, 1);
    assertStringIncludes(proxy.asked[0] ?? "", `proxy-authorization: Basic ${btoa("me:pass")}`);
    assert(!proxy.asked[0]?.includes("secret"));
    assert(!server.heard[0]?.includes("proxy-authorization"));
  },
});

Deno.test({
  name: "a server that asks who we are is shown our certificate",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    const { certificate, key } = await authority.sign("IP:127.0.0.1");
    await Deno.writeTextFile(`${authority.folder}/server.pem`, certificate + key);
    const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = probe.addr;
    probe.close();
    const server = new Deno.Command("openssl", {
      // It answers every GET with a page about the connection.
      args: ["s_server", "-accept", `127.0.0.1:${port}`, "-www", "-Verify", "1"]
        .concat(["-verify_return_error", "-CAfile", "ca.pem", "-cert", "server.pem"]),
      cwd: authority.folder,
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    try {
      const reader = server.stdout.getReader();
      let said = "";
      while (!said.includes("ACCEPT")) {
        said += new TextDecoder().decode((await reader.read()).value);
      }
      reader.releaseLock();
      const ca = await authority.pem();
      const url = `https://127.0.0.1:${port}/`;
      const nobody = await refusal(get(url, { tls: { ca } }));
      assert(["tls", "cut_off"].includes(nobody.reason), nobody.reason);
      const client = await authority.sign("DNS:client.test");
      const { status, body } = await send(get(url, { tls: { ca, ...client } }));
      assertEquals(status, 200);
      assertStringIncludes(body, "Client certificate");
      const proxyUrl = "http://127.0.0.1:9";
      const hidden = await refusal(get(url, { tls: { ca, ...client }, proxyUrl }));
      assertEquals(hidden.reason, "proxy"); // Rather than without it.
    } finally {
      server.kill("SIGKILL");
      await server.stdout.cancel();
      await server.status;
    }
  },
});
