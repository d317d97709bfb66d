import { assertEquals, assertRejects } from "@std/assert";
import { clientFor } from "../../src/agent/client_for.ts";
import { ConfigError, loadConfig } from "../../src/config.ts";
import type { HttpRequest } from "../../src/system/http.ts";
import { FakeSystem } from "../fakes/system.ts";
import { response } from "../fakes/response.ts";

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
  return { system, sent, client: () => clientFor(system, loaded, "https://server.test") };
}

Deno.test("clientFor() hands over the certificates that the files hold, and the limits", async () => {
  const { sent, client } = await setUp(CONFIG);
  await (await client()).health();
  assertEquals(sent[0]?.tls, {
    ca: "PEM of ca",
    certificate: "PEM of cert",
    key: "PEM of key",
  });
  assertEquals([sent[0]?.maxBodyBytes, sent[0]?.timeoutMs], [4_194_304, 5_000]);
});

Deno.test("clientFor() names a file that is not there", async () => {
  const { system, client } = await setUp(CONFIG);
  system.files.texts.delete("/key");
  await assertRejects(client, Error, 'Cannot read tls.key_file: no file "/key"');
});

Deno.test("clientFor() does not go through a proxy without the certificate it should show", async () => {
  const { client } = await setUp(`${CONFIG}[proxy]\nhttps = "http://proxy.test:3128"\n`);
  await assertRejects(client, Error, 'adding "server.test" to proxy.except_for');
});

Deno.test("clientFor() uses no key that others can read, and warns of what they can write", async () => {
  const { system, client } = await setUp(CONFIG);
  system.files.modes.set("/key", 0o644);
  await assertRejects(client, ConfigError, 'Cannot trust tls.key_file: "/key" can be read by');
  system.files.modes.set("/key", 0o640);
  system.files.owners.set("/ca", 1_001);
  const warned: string[] = [];
  const { config } = await loadConfig(system);
  await clientFor(system, config, "https://server.test", {
    warn: (why) => warned.push(why),
  });
  assertEquals(warned, [
    'tls.ca_file is not safe: "/ca" belongs to user 1001. Next: sudo chown 1000 /ca',
  ]);
  system.machine = { ...system.machine, userId: () => 0 };
  await assertRejects(client, ConfigError, 'Cannot trust tls.ca_file: "/ca" belongs to user 1001');
});
