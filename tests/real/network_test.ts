import { assert, assertEquals, assertRejects } from "@std/assert";
import { HttpError } from "../../src/system/http.ts";
import { realNetwork } from "../../src/system/real/network.ts";
import { Authority, type Certificate } from "./certificates.ts";
import { lacks } from "./lacks.ts";

const PATIENCE_MS = 10_000;

async function reasonOf(work: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => work, HttpError)).reason;
}

function portOf(listener: Deno.Listener): number {
  return (listener.addr as Deno.NetAddr).port;
}

/** Accepts connections and does with each what `serve` says, until it is closed. */
function listen(
  listener: Deno.Listener,
  serve: (connection: Deno.Conn) => Promise<void> = async () => {},
): AsyncDisposable & { readonly port: number } {
  const connections: Deno.Conn[] = [];
  const serving = (async () => {
    for (;;) {
      try {
        const connection = await listener.accept();
        connections.push(connection);
        void serve(connection).catch(() => {});
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
      }
    }
  })();
  return {
    port: portOf(listener),
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      for (const connection of connections) {
        try {
          connection.close();
        } catch {
          // Closed already.
        }
      }
    },
  };
}

function listenTls({ certificate, key }: Certificate) {
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert: certificate, key });
  return listen(listener, async (connection) => {
    await (connection as Deno.TlsConn).handshake();
  });
}

const listenTcp = () => Deno.listen({ hostname: "127.0.0.1", port: 0 });

Deno.test("resolve() finds the names of this host's own file, and says of another that there is none", async () => {
  const found = await realNetwork.resolve("localhost", PATIENCE_MS);
  assert(found.includes("127.0.0.1") || found.includes("::1"), found.join());
  assertEquals(await realNetwork.resolve("192.0.2.7", PATIENCE_MS), ["192.0.2.7"]);
  const reason = await reasonOf(realNetwork.resolve("no-such-name.invalid", PATIENCE_MS));
  assert(reason === "dns" || reason === "offline", reason);
});

Deno.test("connect() names the address that accepts, and tells a closed port", async () => {
  const listener = listenTcp();
  const port = portOf(listener);
  {
    await using _server = listen(listener);
    const peer = { host: "localhost", port, timeoutMs: PATIENCE_MS };
    assertEquals(await realNetwork.connect(peer), "127.0.0.1");
  }
  const reason = await reasonOf(
    realNetwork.connect({ host: "127.0.0.1", port, timeoutMs: PATIENCE_MS }),
  );
  assertEquals(reason, "refused");
});

Deno.test({
  name: "readCertificates() shows a certificate that nobody trusts",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    const signed = await authority.sign("DNS:one.test,IP:192.0.2.1");
    await using server = listenTls(signed);
    const peer = { host: "127.0.0.1", port: server.port, timeoutMs: PATIENCE_MS };
    const [leaf] = await realNetwork.readCertificates(peer);
    assertEquals([leaf?.subject, leaf?.issuer], ["signed-0", "Test authority"]);
    assertEquals(leaf?.names, ["one.test", "192.0.2.1"]);
    const days = ((leaf?.validToMs ?? 0) - (leaf?.validFromMs ?? 0)) / 86_400_000;
    assertEquals(days, 2);
    assert((leaf?.validToMs ?? 0) > Date.now());
  },
});

Deno.test({
  name: "readCertificates() goes through a proxy, with its password, and says what that answers",
  ignore: await lacks("openssl"),
  async fn() {
    await using authority = await Authority.make();
    await using server = listenTls(await authority.sign("DNS:one.test"));
    const heard: string[] = [];
    let answer = "200 Go ahead";
    await using proxy = listen(listenTcp(), async (connection) => {
      const buffer = new Uint8Array(4_096);
      const length = await connection.read(buffer);
      heard.push(new TextDecoder().decode(buffer.subarray(0, length ?? 0)));
      await connection.write(new TextEncoder().encode(`HTTP/1.1 ${answer}\r\n\r\n`));
      if (!answer.startsWith("200")) return connection.close();
      const onward = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
      await Promise.allSettled([
        connection.readable.pipeTo(onward.writable),
        onward.readable.pipeTo(connection.writable),
      ]);
    });
    const peer = {
      host: "one.test",
      port: 443,
      timeoutMs: PATIENCE_MS,
      proxyUrl: `http://me:pass@127.0.0.1:${proxy.port}`,
    };
    const [leaf] = await realNetwork.readCertificates(peer);
    assertEquals(leaf?.subject, "signed-0");
    assertEquals(
      heard[0],
      `CONNECT one.test:443 HTTP/1.1\r\nhost: one.test:443\r\n` +
        `proxy-authorization: Basic ${btoa("me:pass")}\r\n\r\n`,
    );
    answer = "403 Forbidden";
    const error = await assertRejects(() => realNetwork.readCertificates(peer), HttpError);
    assertEquals([error.reason, error.message.includes("HTTP 403")], ["proxy", true]);
  },
});

Deno.test({
  name: "readCertificates() tells plain HTTP, silence and a closed port",
  // Deno 2.6.8 keeps a TLS socket whose handshake failed until the process ends.
  sanitizeResources: false,
  fn: tellFailures,
});

async function tellFailures(): Promise<void> {
  await using plain = listen(listenTcp(), async (connection) => {
    await connection.read(new Uint8Array(1_024));
    await connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    connection.close();
  });
  await using silent = listen(listenTcp());
  const at = (port: number, timeoutMs = PATIENCE_MS) =>
    reasonOf(realNetwork.readCertificates({ host: "127.0.0.1", port, timeoutMs }));
  assertEquals(await at(plain.port), "tls");
  assertEquals(await at(silent.port, 200), "timeout");
  assertEquals(await at(1), "refused");
}
