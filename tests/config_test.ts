import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConfigError, describeSettings, isSet, loadConfig } from "../src/config.ts";
import { locations } from "../src/config/locations.ts";
import { hasControls } from "../src/strip_controls.ts";
import { backoff, breaker, INTERVAL_MS, scannerBreaker } from "./fakes/breaker_numbers.ts";
import { FakeSystem } from "./fakes/system.ts";

const FILE = "/home/test/.config/pennon/config.toml";

function systemWith(text?: string, environment: Record<string, string> = {}): FakeSystem {
  const system = new FakeSystem();
  if (text !== undefined) system.files.texts.set(FILE, text);
  for (const [name, value] of Object.entries(environment)) system.environment.set(name, value);
  return system;
}

async function problemsOf(text: string, environment = {}): Promise<readonly string[]> {
  const system = systemWith(text, environment);
  return (await assertRejects(() => loadConfig(system), ConfigError)).problems;
}

Deno.test("loadConfig() without any file returns the defaults of the policies", async () => {
  const { config, file } = await loadConfig(systemWith());
  assertEquals(file, null);
  assertEquals(config.backoff, backoff);
  assertEquals(config.breaker, breaker);
  assertEquals({ ...config.scanners, ...scannerBreaker }, config.scanners);
  assertEquals(config.polling.intervalMs, INTERVAL_MS);
  assertEquals(config.buffer, { maxEvents: 50_000, maxBytes: 67_108_864, maxAttempts: 10 });
  assertEquals(config.http.maxBodyBytes, 4_194_304);
});

Deno.test("loadConfig() prefers flags to the environment to the file to defaults", async () => {
  const text = 'log.level = "debug"\n[server]\nurl = "https://file.test/"\n';
  const read = async (environment: Record<string, string>, flags: Record<string, string>) => {
    const loaded = await loadConfig(systemWith(text, environment), { flags });
    return [loaded.config.server.url, loaded.sources.get("server.url")?.from];
  };
  assertEquals(await read({}, {}), ["https://file.test", "file"]);
  const environment = { PENNON_SERVER_URL: "https://env.test" };
  assertEquals(await read(environment, {}), ["https://env.test", "environment"]);
  const flags = { "server.url": "https://flag.test" };
  assertEquals(await read(environment, flags), ["https://flag.test", "flag"]);
});

Deno.test("loadConfig() names line, key, what was found and what is allowed", async () => {
  const text = [
    "[server]",
    'ulr = "https://a.test"',
    "[backoff]",
    "base = 5",
    "[polling]",
    'interval = "9s"',
    "",
  ].join("\n");
  assertEquals(await problemsOf(text), [
    `Cannot read ${FILE}, line 2: "server.ulr" is no setting; did you mean "server.url"?`,
    `Cannot use polling.interval (${FILE}, line 6): found "9s", allowed is a duration from "10s" to "1d"`,
    `Cannot use backoff.base (${FILE}, line 4): found 5, allowed is a duration from "100ms" to "1h"`,
  ]);
});

Deno.test("loadConfig() names the place where a file is not TOML", async () => {
  const [problem = ""] = await problemsOf('[server]\nurl = "unclosed\n');
  assertStringIncludes(problem, `Cannot read ${FILE}, line 2, column`);
});

Deno.test("loadConfig() refuses a file that is no configuration, with a short error", async () => {
  const rows: [what: string, text: string, says: string][] = [
    ["a MiB of junk", "\u0001".repeat(1_048_576), "too large"],
    ["junk", "\u0001".repeat(262_144), "line 1, column 1"],
    ["a text that is too long", "#".repeat(262_145), "too large"],
    ["NUL", 'server.url = "https://a\0"', "line 1, column 24"],
    ["lists in lists", `a = ${"[".repeat(50_000)}${"]".repeat(50_000)}`, "nested too deeply"],
    ["lists in lists, fewer", `a = ${"[".repeat(3_000)}${"]".repeat(3_000)}`, ""],
    ["tables in tables", `a = ${"{b=".repeat(20_000)}1${"}".repeat(20_000)}`, "nested too deeply"],
    ["a long key", `${"k".repeat(200_000)} = 1`, "is no setting"],
    ["a key of many parts", `a${".b".repeat(80_000)} = 1`, "is no setting"],
    ["a long text", `log.level = "${"x".repeat(100_000)}"`, ""],
    [
      "many keys",
      Array.from({ length: 20_000 }, (_, n) => `a${n} = 1`).join("\n"),
      "no settings: 19980",
    ],
    ["a key that hides", '"a\\u202eb" = 1', '"ab" is no setting'],
    ["a number beyond all", "backoff.base = 99999999999999999999999", "found 1e+23"],
    ["no number", "breaker.window_size = nan", "found null"],
    ["a key of every object", "constructor = 1\n__proto__.x = 1", '"constructor" is no setting'],
  ];
  for (const [what, text, says] of rows) {
    const problems = await problemsOf(text);
    assert(problems.length <= 21, what);
    assertStringIncludes(problems.join("\n"), says, what);
    for (const problem of problems) assert(problem.length < 400 && !hasControls(problem), what);
  }
});

Deno.test("loadConfig() refuses values that would steer a terminal, and shows them escaped", async () => {
  const text = 'tls.ca_file = "/a\u202eb"\nproxy.except_for = ["a\u2028b"]\n';
  assertEquals(await problemsOf(text), [
    `Cannot use tls.ca_file (${FILE}, line 1): found "/a\\u202eb", allowed is the path of a file`,
    `Cannot use proxy.except_for (${FILE}, line 2): found ["a\\u2028b"], allowed is a list of host names`,
  ]);
});

Deno.test("loadConfig() refuses junk in the environment, and never shows a secret", async () => {
  const [problem] = await problemsOf("", { PENNON_LOG_LEVEL: "loud" });
  assertStringIncludes(problem ?? "", 'Cannot use log.level (PENNON_LOG_LEVEL): found "loud"');
  const [secret = ""] = await problemsOf("", { PENNON_TOKEN: "top\u0000secret" });
  assert(!secret.includes("top"), secret);
});

Deno.test("loadConfig() quotes a hundred characters of what it found at most", async () => {
  const [problem = ""] = await problemsOf("", { PENNON_LOG_LEVEL: "x".repeat(500) });
  const quoted = /found (.*), allowed/.exec(problem)?.[1] ?? "";
  assertEquals(quoted, `"${"x".repeat(94)}(cut)`);
});

Deno.test("loadConfig() names every invalid setting, and no valid one", async () => {
  const text = 'unknown = 1\n[log]\nlevel = "loud"\nformat = "json"\n[server]\nxxxxxxxx = 1\n';
  assertEquals(await problemsOf(text, { PENNON_POLLING_INTERVAL: "1s" }), [
    `Cannot read ${FILE}, line 1: "unknown" is no setting`,
    `Cannot read ${FILE}, line 6: "server.xxxxxxxx" is no setting`,
    'Cannot use polling.interval (PENNON_POLLING_INTERVAL): found "1s", ' +
    'allowed is a duration from "10s" to "1d"',
    `Cannot use log.level (${FILE}, line 3): found "loud", allowed is one of "debug", "info", ` +
    '"warning", "error"',
  ]);
});

Deno.test("loadConfig() names twenty unknown keys, and counts further ones", async () => {
  const told = async (count: number) => {
    const keys = Array.from({ length: count }, (_, number) => `zzzzzzzz${number} = 1\n`);
    return (await problemsOf(keys.join(""))).slice(20);
  };
  const counted = (count: number) => [
    `Cannot read ${FILE}: keys besides these that are no settings: ${count}`,
  ];
  assertEquals([await told(20), await told(21), await told(25)], [[], counted(1), counted(5)]);
});

Deno.test("loadConfig() uses the first of several variables that is set", async () => {
  const proxy = async (environment: Record<string, string>) => {
    const { config, sources } = await loadConfig(systemWith(undefined, environment));
    return [config.proxy.https, sources.get("proxy.https")?.detail];
  };
  const others = { https_proxy: "http://c:1", HTTPS_PROXY: "http://b:1" };
  assertEquals(await proxy(others), ["http://b:1", "HTTPS_PROXY"]);
  assertEquals(await proxy({ ...others, PENNON_PROXY_HTTPS: "http://a:1" }), [
    "http://a:1",
    "PENNON_PROXY_HTTPS",
  ]);
});

Deno.test("loadConfig() reads the host's file where the user has none, and only the first", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", 'log.level = "debug"\n');
  const shared = await loadConfig(system);
  assertEquals([shared.file, shared.config.log.level], ["/etc/pennon/config.toml", "debug"]);
  system.files.texts.set(FILE, "");
  const own = await loadConfig(system);
  assertEquals([own.file, own.config.log.level], [FILE, "info"]);
  const named = await loadConfig(system, { file: "/etc/pennon/config.toml" });
  assertEquals(named.config.log.level, "debug");
});

Deno.test("loadConfig() throws what is not a file error", async () => {
  const system = new FakeSystem();
  system.files.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => loadConfig(system), TypeError, "oops");
});

Deno.test("loadConfig() checks the rules among settings", async () => {
  assertEquals(await problemsOf('backoff.floor = "10s"\ntls.key_file = "/k"\n'), [
    "Cannot use tls.certificate_file without tls.key_file, nor the other way round",
    "Cannot use backoff.floor: it is above backoff.base",
  ]);
});

Deno.test("loadConfig() warns of tokens in the clear, but not on this very host", async () => {
  const warnings = async (address: string) =>
    (await loadConfig(systemWith(), { flags: { "server.url": address } })).warnings.length;
  assertEquals(await warnings("http://server.test"), 1);
  for (const address of ["https://server.test", "http://127.0.0.1:80", "http://localhost"]) {
    assertEquals(await warnings(address), 0, address);
  }
});

Deno.test("loadConfig() requires a named file to exist", async () => {
  const missing = () => loadConfig(systemWith(), { file: "/nowhere.toml" });
  await assertRejects(missing, ConfigError, 'no file "/nowhere.toml"');
});

Deno.test("loadConfig() reports an unreadable file as a configuration error", async () => {
  const system = new FakeSystem();
  system.files.fail("read the configuration", "denied");
  await assertRejects(() => loadConfig(system), ConfigError, "Cannot read the configuration");
});

Deno.test("loadConfig() refuses other users' files for root, and warns other users", async () => {
  const system = systemWith("");
  system.files.owners.set(FILE, 1_001);
  const { warnings } = await loadConfig(system);
  assertEquals(warnings, [
    `the configuration is not safe: "${FILE}" belongs to user 1001. Next: sudo chown 1000 ${FILE}`,
  ]);
  system.machine = { ...system.machine, userId: () => 0 };
  await assertRejects(() => loadConfig(system, { file: FILE }), ConfigError, "Cannot trust");
});

Deno.test("describeSettings() shows every value, its source, and no secret", async () => {
  const environment = { PENNON_TOKEN: "top-secret", HTTPS_PROXY: "http://u:pw@proxy:3128" };
  const shown = describeSettings(await loadConfig(systemWith("", environment)));
  const line = (path: string) => shown.find((setting) => setting.path === path);
  assertEquals(line("server.registration_token")?.value, "(set)");
  assertEquals(line("proxy.https"), {
    path: "proxy.https",
    value: "http://u:hidden@proxy:3128",
    from: "environment: HTTPS_PROXY",
  });
  assertEquals(line("polling.interval"), {
    path: "polling.interval",
    value: "5m",
    from: "default",
  });
  assert(!JSON.stringify(shown).includes("top-secret"));
});

Deno.test("locations() are the host's for root, and the user's for other users", () => {
  const root = systemWith();
  root.machine = { ...root.machine, userId: () => 0 };
  assertEquals(locations(root).stateDirectory, "/var/lib/pennon");
  assertEquals(locations(root).configFiles, ["/etc/pennon/config.toml"]);
  const user = systemWith(undefined, { XDG_STATE_HOME: "/state", XDG_CONFIG_HOME: "relative" });
  assertEquals(locations(user), {
    configFiles: [FILE, "/etc/pennon/config.toml"],
    stateDirectory: "/state/pennon",
  });
  const windows = systemWith(undefined, { ProgramData: "D:\\Data" });
  windows.os = "windows";
  assertEquals(locations(windows), {
    configFiles: ["D:\\Data\\Pennon\\config.toml"],
    stateDirectory: "D:\\Data\\Pennon\\State",
  });
});

Deno.test("isSet() is false for a default, and for what is no setting", async () => {
  const system = new FakeSystem();
  system.environment.set("PENNON_BACKOFF_CAP", "1m");
  const loaded = await loadConfig(system);
  const paths = ["backoff.cap", "backoff.base", "no.such"];
  assertEquals(paths.map((path) => isSet(loaded, path)), [true, false, false]);
});

Deno.test("loadConfig() uses the defaults where a file may not be read, if that is optional", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", '[scanners]\nenabled = ["dnf"]\n');
  system.files.fail("read the configuration", "denied");
  const { file, config, warnings: [warning] } = await loadConfig(system, { isOptional: true });
  assertEquals([file, config.scanners.enabled.includes("apt")], [null, true]);
  assertStringIncludes(warning ?? "", "Cannot read the configuration");
  assertStringIncludes(warning ?? "", "the defaults are used");
  await assertRejects(() => loadConfig(system), ConfigError, "Cannot read the configuration");
  // A file that the user has named is meant.
  const named = { isOptional: true, file: "/etc/pennon/config.toml" };
  await assertRejects(() => loadConfig(system, named), ConfigError);
  system.files.fail("read the configuration", "failed");
  await assertRejects(() => loadConfig(system, { isOptional: true }), ConfigError);
});

Deno.test("describeSettings() shows no secret as set that is not", async () => {
  const shown = describeSettings(await loadConfig(new FakeSystem()));
  const secrets = shown.filter(({ path }) => /token|headers|proxy/.test(path));
  assert(secrets.length > 2);
  for (const { path, value } of secrets) assertEquals(value, "", path);
});
