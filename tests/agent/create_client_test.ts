import { assertEquals, assertRejects } from "@std/assert";
import { createClient, proxyFor } from "../../src/agent/create_client.ts";
import { ConfigError, loadConfig } from "../../src/config.ts";
import type { HttpRequest } from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";
import { FakeSystem } from "../fakes/system.ts";

const CONFIG = '[tls]\nca_file = "/ca"\ncertificate_file = "/cert"\nkey_file = "/key"\n';

async function setUp(config: string) {
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", config);
  for (const name of ["ca", "cert", "key"]) system.files.texts.set(`/${name}`, `PEM of ${name}`);
  system.files.modes.set("/key", 0o600);
  const sent: HttpRequest[] = [];
  system.sendHttp = (request) => {
    sent.push(request);
    return Promise.resolve(response(200, '{"status":"healthy"}'));
  };
  const { config: loaded } = await loadConfig(system);
  return {
    system,
    sent,
    client: () => createClient(system, loaded, "https://server.test", { machineId: "m" }),
  };
}

Deno.test("createClient() passes on the certificates in the files, and the limits", async () => {
  const { sent, client } = await setUp(CONFIG);
  await (await client()).health();
  assertEquals(sent[0]?.tls, {
    ca: "PEM of ca",
    certificate: "PEM of cert",
    key: "PEM of key",
  });
  assertEquals([sent[0]?.maxBodyBytes, sent[0]?.timeoutMs], [4_194_304, 5_000]);
});

Deno.test("createClient() names a missing file", async () => {
  const { system, client } = await setUp(CONFIG);
  system.files.texts.delete("/key");
  await assertRejects(client, Error, 'Cannot read tls.key_file: no file "/key"');
});

Deno.test("createClient() refuses a proxy where a client certificate is configured", async () => {
  const { client } = await setUp(`${CONFIG}[proxy]\nhttps = "http://proxy.test:3128"\n`);
  await assertRejects(client, Error, 'adding "server.test" to proxy.except_for');
});

Deno.test("createClient() refuses a key that other users can read, and warns of what they can write", async () => {
  const { system, client } = await setUp(CONFIG);
  system.files.modes.set("/key", 0o644);
  await assertRejects(client, ConfigError, 'Cannot trust tls.key_file: "/key" can be read by');
  system.files.modes.set("/key", 0o640);
  system.files.owners.set("/ca", 1_001);
  const warned: string[] = [];
  const { config } = await loadConfig(system);
  await createClient(system, config, "https://server.test", {
    machineId: "m",
    warn: (why) => warned.push(why),
  });
  assertEquals(warned, [
    'tls.ca_file is not safe: "/ca" belongs to user 1001. Next: sudo chown 1000 /ca',
  ]);
  system.machine = { ...system.machine, userId: () => 0 };
  await assertRejects(client, ConfigError, 'Cannot trust tls.ca_file: "/ca" belongs to user 1001');
});

const proxies = { http: "http://plain:3128", https: "http://tls:3128" };

Deno.test("proxyFor() chooses by the server's scheme", () => {
  const exceptFor: string[] = [];
  assertEquals(proxyFor("http://a.test", { ...proxies, exceptFor }), "http://plain:3128");
  assertEquals(proxyFor("https://a.test", { ...proxies, exceptFor }), "http://tls:3128");
  assertEquals(proxyFor("https://a.test", { http: null, https: null, exceptFor }), null);
});

Deno.test("proxyFor() returns no proxy for excepted hosts", () => {
  const rows: [exception: string, url: string, direct: boolean][] = [
    ["", "https://a.test", false],
    ["*", "https://a.test", true],
    ["a.test", "https://a.test", true],
    ["A.Test", "https://a.test", true],
    ["a.test", "https://sub.a.test", true],
    ["a.test", "https://nota.test", false],
    [".a.test", "https://sub.a.test", true],
    ["*.a.test", "https://sub.a.test", true],
    ["a.test:8443", "https://a.test:8443", true],
    ["a.test:8443", "https://a.test", false],
    ["a.test:443", "https://a.test", true],
    ["192.0.2.1", "http://192.0.2.1:8080", true],
    ["2001:db8::1", "http://[2001:db8::1]:8080", true],
    ["[2001:db8::1]:8080", "http://[2001:db8::1]:8080", true],
    ["[2001:db8::1]:8080", "http://[2001:db8::1]:9090", false],
    ["10.0.0.0/8", "http://10.1.2.3:8080", true],
    ["10.0.0.0/8", "http://11.1.2.3:8080", false],
    ["192.168.64.0/18", "http://192.168.127.255", true],
    ["192.168.64.0/18", "http://192.168.128.0", false],
    ["192.0.2.7/32", "http://192.0.2.7", true],
    ["192.0.2.7/32", "http://192.0.2.6", false],
    ["0.0.0.0/0", "http://192.0.2.6", true],
    ["0.0.0.0/0", "http://[2001:db8::1]", false],
    ["2001:db8::/33", "http://[2001:db8:7fff::1]", true],
    ["2001:DB8::/33", "http://[2001:db8:8000::1]", false],
    ["fd00::/8", "http://[fdab::]", true],
    ["10.0.0.0/33", "http://10.0.0.0", false],
    ["10.0.0.0/", "http://10.0.0.0", false],
    ["a.test/8", "https://a.test", false],
    ["10.0.0.0/8", "https://10.a.test", false],
  ];
  for (const [exception, url, direct] of rows) {
    const found = proxyFor(url, { ...proxies, exceptFor: [exception] });
    assertEquals(found === null, direct, `${exception} for ${url}`);
  }
});

Deno.test("proxyFor() returns no proxy for this host itself", () => {
  for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"]) {
    assertEquals(proxyFor(`https://${host}:8443`, { ...proxies, exceptFor: [] }), null, host);
  }
  const near = "https://localhost.test";
  assertEquals(proxyFor(near, { ...proxies, exceptFor: [] }), "http://tls:3128");
});

Deno.test("proxyFor() ignores an empty entry", () => {
  const settings = { ...proxies, exceptFor: ["", "  "] };
  assertEquals(proxyFor("https://a.test", settings), "http://tls:3128");
  assertEquals(proxyFor("https://a.test.", settings), "http://tls:3128");
});
