import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { checkForUse, unknownVariables } from "../../src/agent/config_check.ts";
import { loadConfig } from "../../src/config.ts";
import { CERTIFICATE, ENCRYPTED_KEY, KEY, OTHER_KEY } from "../fakes/pem.ts";
import { FakeSystem } from "../fakes/system.ts";
import { succeeded } from "../scanners/fixture.ts";

const SERVER = "https://server.test";

/** A host whose certificate, key and authorities have these texts. */
async function check(
  texts: { ca?: string; cert?: string; key?: string },
  options: { config?: string; change?: (system: FakeSystem) => void; server?: string | null } = {},
) {
  const system = new FakeSystem();
  const names = { ca: "ca_file", cert: "certificate_file", key: "key_file" } as const;
  const lines = Object.keys(texts).map((name) =>
    `${names[name as keyof typeof names]} = "/${name}"`
  );
  const config = `[tls]\n${lines.join("\n")}\n${options.config ?? ""}`;
  system.files.texts.set("/etc/pennon/config.toml", config);
  for (const [name, text] of Object.entries(texts)) system.files.texts.set(`/${name}`, text);
  system.files.modes.set("/key", 0o600);
  options.change?.(system);
  const loaded = await loadConfig(system);
  const server = options.server === undefined ? SERVER : options.server;
  return await checkForUse(system, loaded.config, server);
}

const NOTHING = { errors: [], warnings: [] };

Deno.test("checkForUse() finds nothing wrong with no files, and with files that go together", async () => {
  assertEquals(await check({}), NOTHING);
  assertEquals(await check({ ca: CERTIFICATE }), NOTHING);
  assertEquals(await check({ ca: CERTIFICATE, cert: CERTIFICATE, key: KEY }), NOTHING);
  // A chain: the host's own certificate comes first. Text around a certificate is no fault.
  const chain = `subject=a.test\n${CERTIFICATE}\n\n${CERTIFICATE}\n`;
  assertEquals(await check({ cert: chain, key: KEY }), NOTHING);
});

Deno.test("checkForUse() says of each file what is wrong with it, and what to do", async () => {
  const damaged = CERTIFICATE.replace("MIIBdzCC", "MIIBdzCD");
  const rows: [texts: Parameters<typeof check>[0], ...says: string[]][] = [
    [{ ca: "junk" }, "Cannot use tls.ca_file: it holds no certificate in PEM. Next: convert it"],
    [{ ca: KEY }, "Cannot use tls.ca_file: it holds no certificate in PEM"],
    [{ ca: "" }, "Cannot use tls.ca_file: it holds no certificate in PEM"],
    [
      { ca: `${CERTIFICATE}\n${damaged}` },
      "Cannot use tls.ca_file: certificate 2 of 2 is damaged. Next: fetch it again",
    ],
    [
      { cert: CERTIFICATE, key: OTHER_KEY },
      "Cannot use tls.key_file: it is not the key of the first certificate",
    ],
    [{ cert: CERTIFICATE, key: CERTIFICATE }, "Cannot use tls.key_file: it holds no private key"],
    [{ cert: CERTIFICATE, key: ENCRYPTED_KEY }, "Cannot use tls.key_file: it needs a passphrase"],
    [{ cert: damaged, key: KEY }, "Cannot use tls.certificate_file: certificate 1 of 1 is damaged"],
    [{ ca: "junk", cert: "junk", key: KEY }, "Cannot use tls.ca_file", "tls.certificate_file"],
  ];
  for (const [texts, ...says] of rows) {
    const { errors, warnings } = await check(texts);
    assertEquals([errors.length, warnings], [says.length, []], errors.join("\n"));
    says.forEach((text, index) => assertStringIncludes(errors[index] ?? "", text));
    for (const error of errors) assertStringIncludes(error, " Next: ");
  }
});

Deno.test("checkForUse() names files that are missing, unreadable, or open to other users", async () => {
  const all = { ca: CERTIFICATE, cert: CERTIFICATE, key: KEY };
  const missing = await check(all, {
    change: ({ files }) => {
      files.texts.delete("/cert");
      files.texts.delete("/key");
    },
  });
  assertEquals(missing.errors, [
    'Cannot use tls.certificate_file: no file "/cert". Next: correct the path',
    'Cannot use tls.key_file: no file "/key". Next: correct the path',
  ]);
  const denied = await check(all, {
    change: ({ files }) => files.fail("read tls.key_file", "denied"),
  });
  assertEquals(denied.errors.length, 1);
  assertStringIncludes(denied.errors[0] ?? "", "Cannot use tls.key_file: Cannot read tls.key_file");
  assertStringIncludes(denied.errors[0] ?? "", "Next: let the agent's user read it");
  const open = await check(all, { change: ({ files }) => files.modes.set("/key", 0o644) });
  assertStringIncludes(open.errors.join(), 'Cannot trust tls.key_file: "/key" can be read by');
});

Deno.test("checkForUse() refuses a host certificate that has expired, and warns of an authority", async () => {
  const later = (system: FakeSystem) => {
    system.clock.nowMs = () => Date.UTC(2026, 11, 31);
  };
  const { errors, warnings } = await check(
    { ca: CERTIFICATE, cert: CERTIFICATE, key: KEY },
    { change: later },
  );
  const fact = (name: string) =>
    `"CN=a.test" in tls.${name} expired on 2026-12-30. Next: have its issuer renew it`;
  assertEquals(warnings, [fact("ca_file")]);
  assertEquals(errors, [`Cannot use tls.certificate_file: ${fact("certificate_file")}`]);
});

Deno.test("checkForUse() finds a certificate that a proxy would keep from the server", async () => {
  const texts = { cert: CERTIFICATE, key: KEY };
  const config = '[proxy]\nhttps = "http://proxy.test:3128"\n';
  const { errors } = await check(texts, { config });
  assertEquals(errors.length, 1);
  assertStringIncludes(errors[0] ?? "", 'adding "server.test" to proxy.except_for');
  const except = `${config}except_for = ["server.test"]\n`;
  assertEquals(await check(texts, { config: except }), NOTHING);
  // Which proxy is used depends on the server.
  assertEquals(await check(texts, { config, server: null }), NOTHING);
  assertEquals(await check(texts, { config, server: "http://server.test" }), NOTHING);
  assertEquals(await check({}, { config }), NOTHING);
});

/** The kernel's list of the variables of this process. */
function withVariables(...entries: string[]): FakeSystem {
  const system = new FakeSystem();
  system.runCommand = (argv) => {
    assertEquals(argv, ["/usr/bin/cat", "/proc/4242/environ"]);
    return Promise.resolve(succeeded(entries.map((entry) => `${entry}\0`).join("")));
  };
  return system;
}

Deno.test("unknownVariables() names what no setting reads, with the nearest that one reads", async () => {
  const system = withVariables(
    "HOME=/root",
    "PENNON_TOKEN=secret",
    "PENNON_SERVER_ULR=https://a=b",
    "PENNON_LOG_LEVEL=debug",
    "PENNON_WEATHER=fine\nPENNON_NOT=a line of a value",
    "XPENNON_X=1",
    "PENNON",
  );
  assertEquals(await unknownVariables(system), [
    "the variable PENNON_SERVER_ULR has no effect: there is no such setting; " +
    'did you mean "PENNON_SERVER_URL"?',
    "the variable PENNON_WEATHER has no effect: there is no such setting",
  ]);
  const many = Array.from({ length: 100 }, (_, index) => `PENNON_X_${index}=1`);
  assertEquals((await unknownVariables(withVariables(...many))).length, 20);
});

Deno.test("unknownVariables() is silent where the environment cannot be listed", async () => {
  assertEquals(await unknownVariables(new FakeSystem()), []);
  const failing = withVariables("PENNON_X=1");
  failing.runCommand = () => Promise.resolve({ ...succeeded("PENNON_X=1\0"), code: 1 });
  assertEquals(await unknownVariables(failing), []);
  const windows = withVariables("PENNON_X=1");
  windows.os = "windows";
  assertEquals(await unknownVariables(windows), []);
  assert((await unknownVariables(withVariables("PENNON_X=1"))).length === 1);
});

Deno.test("checkForUse() warns of hooks that cannot be started, each with what to do", async () => {
  const config = "[hooks]\non_outage = true\non_security_update = true\n";
  const path = "/etc/pennon/hooks/on_outage";
  const change = (mode: number) => (system: FakeSystem) => {
    system.files.texts.set(path, "");
    system.files.modes.set(path, mode);
  };
  const missing = 'hooks.on_security_update starts nothing: no program "/etc/pennon/hooks/' +
    'on_security_update". Next: put it there, or set hooks.on_security_update to false';
  assertEquals(await check({}, { config, change: change(0o755) }), {
    errors: [],
    warnings: [missing],
  });
  const { warnings: [why] } = await check({}, { config, change: change(0o644) });
  assertEquals(
    why,
    `hooks.on_outage starts nothing: "${path}" is not executable (mode 644). ` +
      `Next: chmod 755 ${path}`,
  );
  assertEquals((await check({}, { change: change(0o644) })).warnings, []);
});
