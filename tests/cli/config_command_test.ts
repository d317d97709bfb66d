import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { POLICY_FILE } from "../../src/agent/server_policy.ts";
import { locations } from "../../src/config/locations.ts";
import { type Identity, saveIdentity } from "../../src/identity.ts";
import { NO_KEYS, NO_SERVER_KEYS, saveServerKeys } from "../../src/server/key_trust.ts";
import { CERTIFICATE } from "../fakes/pem.ts";
import { FakeSystem } from "../fakes/system.ts";
import { succeeded } from "../scanners/fixture.ts";
import { enrolled, runCli } from "./run_cli.ts";

const STATE = "/state";

const identity: Identity = {
  agentId: "a1",
  serverUrl: "",
  accessToken: "access-1",
  refreshToken: "refresh-1",
  intervalMs: null,
};

Deno.test("config show prints each value and its origin, and hides secrets", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", '[server]\nurl = "https://file.test"\n');
  system.environment.set("PENNON_TOKEN", "very-secret");
  const { out } = await runCli(system, "config", "show", "--log-level", "debug");
  assert(!out.includes("very-secret"));
  assert(
    /^server\.url +https:\/\/file\.test +file: \/etc\/pennon\/config\.toml, line 2$/m.test(out),
  );
  assert(/^server\.registration_token +\(set\) +environment: PENNON_TOKEN$/m.test(out));
  assert(/^log\.level +debug +flag: /m.test(out), out);
});

Deno.test("config check reports whether the configuration is valid, and its file", async () => {
  const system = new FakeSystem();
  const check = async (...words: string[]) => await runCli(system, "config", "check", ...words);
  assertEquals(await check(), {
    code: 0,
    out: "The configuration is valid (no file, defaults only)\n",
    err: "",
  });
  assertEquals(JSON.parse((await check("--json")).out), {
    schema: "pennon.config-check/1",
    ok: true,
    file: null,
    errors: [],
    warnings: [],
    state_directory: "/home/test/.local/state/pennon",
  });
  system.files.texts.set("/etc/pennon/config.toml", "[server]\n");
  assertEquals((await check()).out, "The configuration is valid (/etc/pennon/config.toml)\n");
  assertEquals(JSON.parse((await check("--json")).out).file, "/etc/pennon/config.toml");
  system.files.texts.set("/etc/pennon/config.toml", "[backoff]\nbase = 5\ncap = 6\n");
  const bad = await check();
  assertEquals([bad.code, bad.out, bad.err.trimEnd().split("\n").length], [2, "", 2]);
  const asJson = await check("--json");
  const { ok, errors } = JSON.parse(asJson.out);
  assertEquals([asJson.code, asJson.err, ok, errors.length], [2, bad.err, false, 2]);
});

Deno.test("config check finds what run would refuse, and prints each warning once", async () => {
  const system = new FakeSystem();
  const check = async (...words: string[]) =>
    await runCli(system, "config", "check", "--state-dir", STATE, ...words);
  system.files.texts.set(
    "/etc/pennon/config.toml",
    '[server]\nurl = "http://new.test"\n[tls]\nca_file = "/ca.pem"\n',
  );
  const missing = await check();
  assertEquals([missing.code, missing.out], [2, ""]);
  assertStringIncludes(missing.err, 'pennon: Cannot use tls.ca_file: no file "/ca.pem". Next: ');
  const { ok, warnings, state_directory } = JSON.parse((await check("--json")).out);
  assertEquals([ok, state_directory], [false, STATE]);
  assertEquals(warnings.length, 2, "not https; the files of [tls] have no effect");
  for (const warning of warnings) assertEquals(missing.err.split(warning).length, 2, warning);
  // The path as it should have been.
  system.files.texts.set("/ca.pem", CERTIFICATE);
  assertEquals((await check()).code, 0);
  system.files.texts.set("/etc/pennon/config.toml", '[server]\nurl = "http://new.test"\n');
  await saveIdentity(system, STATE, { ...identity, serverUrl: "https://old.test" });
  const other = await check();
  assertEquals(other.code, 2);
  assertStringIncludes(other.err, 'registered with "https://old.test", but server.url is');
  // Another user may check the configuration.
  system.files.fail("read the identity", "denied");
  const hidden = await check();
  assertEquals(hidden.code, 0);
  assertStringIncludes(hidden.err, "pennon: not checked against the registration: ");
});

Deno.test("config check and run name a variable that no setting reads", async () => {
  const { system, server } = await enrolled();
  system.runCommand = (argv) =>
    Promise.resolve(
      argv[1] === "/proc/4242/environ"
        ? succeeded("PENNON_LOG_LEVLE=debug\0")
        : { ...succeeded(""), code: 1 },
    );
  const says = "pennon: the variable PENNON_LOG_LEVLE has no effect: there is no such setting; " +
    'did you mean "PENNON_LOG_LEVEL"?\n';
  const checked = await runCli(system, "config", "check");
  assertEquals([checked.code, checked.err], [0, `${says}`]);
  const ran = await runCli(system, "run", "--once");
  assertEquals([ran.code, server.mood.kind], [0, "well"]);
  assertStringIncludes(ran.err, says);
  assertEquals((await runCli(system, "status")).err, "");
});

Deno.test("config show marks the interval that the server has set, and none that is the same", async () => {
  const system = new FakeSystem();
  const shown = async () => {
    const { out } = await runCli(system, "config", "show", "--state-dir", STATE);
    return /^polling\.interval +(.*)$/m.exec(out)?.[1]?.replaceAll(/ +/g, " ");
  };
  assertEquals(await shown(), "5m default");
  system.files.texts.set("/etc/pennon/config.toml", '[polling]\ninterval = "10m"\n');
  await saveIdentity(system, STATE, { ...identity, serverUrl: "https://a.test", intervalMs: null });
  assertEquals(await shown(), "10m file: /etc/pennon/config.toml, line 2");
  const own = { ...identity, serverUrl: "https://a.test", intervalMs: 60_000 };
  await saveIdentity(system, STATE, own);
  assertEquals(await shown(), "1m server, instead of 10m");
  await saveIdentity(system, STATE, { ...own, intervalMs: 600_000 });
  assertEquals(await shown(), "10m file: /etc/pennon/config.toml, line 2");
});

Deno.test("config show --json has every setting", async () => {
  const { out } = await runCli(new FakeSystem(), "config", "show", "--json");
  const { schema, file, settings } = JSON.parse(out);
  assertEquals([schema, file, settings.length], ["pennon.config-show/1", null, 54]);
  assertEquals(settings[0], { path: "server.url", value: "", from: "default" });
});

Deno.test("config show has the pinned key, and that no unsigned command runs any more", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const shown = async () => {
    const { out } = await runCli(system, "config", "show", "--json");
    const settings: { path: string; value: string; from: string }[] = JSON.parse(out).settings;
    return settings.filter(({ path }) => ["server.public_key", "commands.unsigned"].includes(path))
      .map(({ value, from }) => [value, from]);
  };
  assertEquals(await shown(), [["", "default"], ["read_only", "default"]]);
  const { stateDirectory } = locations(system);
  const pinned = { keyId: "a".repeat(32), publicKey: "a".repeat(64) };
  const trust = { ...NO_KEYS, pinned, source: "first_use", isRatcheted: true } as const;
  await saveServerKeys(files, stateDirectory, { ...NO_SERVER_KEYS, trust });
  assertEquals(await shown(), [
    [pinned.publicKey, "pinned as the first that the server showed"],
    ["never", "the server has shown a key"],
  ]);
  files.fail("read the server's keys", "denied");
  assertEquals(await shown(), [["", "default"], ["read_only", "default"]]);
});

Deno.test("config show fits the terminal, and is complete in a pipe", async () => {
  const system = new FakeSystem();
  system.environment.set("PENNON_TLS_CA_FILE", `/${"x".repeat(100)}`);
  assertStringIncludes((await runCli(system, "config", "show")).out, "x".repeat(100));
  system.terminal.stdoutIsTerminal = true;
  const lines = (await runCli(system, "config", "show")).out.split("\n");
  assert(lines.every((line) => line.length <= 80));
});

Deno.test("config without check or show is a usage error", async () => {
  for (const words of [[], ["eat"]]) {
    const { code, err } = await runCli(new FakeSystem(), "config", ...words);
    assertEquals(code, 2);
    assertStringIncludes(err, "one of check, show");
  }
});

Deno.test("config show marks what the server's policy has changed, and lists the rest of it", async () => {
  const system = new FakeSystem();
  const serverUrl = "https://red.test";
  await saveIdentity(system, STATE, { ...identity, serverUrl });
  const policy = {
    jitterMaxMs: 12_000,
    backoffBaseMs: 10_000,
    backoffMaxMs: 60_000,
    subsystems: {
      apt: { enabled: true, intervalMinutes: 15, autoRun: true },
      dnf: { enabled: false, intervalMinutes: null, autoRun: false },
      storage: { enabled: true, intervalMinutes: 5, autoRun: false },
    },
  };
  const saved = { serverUrl, receivedMs: 1_700_000_000_000, policy };
  await POLICY_FILE.write(system.files, STATE, saved);
  system.files.texts.set("/etc/pennon/config.toml", '[backoff]\ncap = "2m"\n');
  const show = async (...more: string[]) =>
    (await runCli(system, "config", "show", "--state-dir", STATE, ...more)).out;
  const out = await show();
  assertMatch(out, /^backoff\.base +10s +server, instead of 5s$/m);
  assertMatch(out, /^backoff\.cap +2m +file: /m); // The owner's own value stays.
  assertMatch(out, /^\(poll jitter\) +at most 12s +server: https:\/\/red\.test$/m);
  assertMatch(out, /^\(subsystem apt\) +on, scanned every 15m +server: /m);
  assertMatch(out, /^\(subsystem dnf\) +off +server: /m);
  assertMatch(out, /^\(subsystem storage\) +on, scanned on request +server: /m);
  const { server_policy, settings } = JSON.parse(await show("--json"));
  assertEquals(server_policy.received_at, "2023-11-14T22:13:20.000Z");
  assertEquals([server_policy.backoff_max_ms, server_policy.jitter_max_ms], [60_000, 12_000]);
  assertEquals(server_policy.subsystems[1], {
    name: "dnf",
    enabled: false,
    auto_run: false,
    interval_minutes: null,
  });
  assertEquals(
    settings.find(({ path }: { path: string }) => path === "backoff.base"),
    { path: "backoff.base", value: "10s", from: "server, instead of 5s" },
  );
  // Another server's policy means nothing, and neither does what cannot be read.
  await saveIdentity(system, STATE, { ...identity, serverUrl: "https://other.test" });
  assertEquals(JSON.parse(await show("--json")).server_policy, null);
  system.files.texts.set(POLICY_FILE.pathIn(STATE), "{}");
  assertEquals(JSON.parse(await show("--json")).server_policy, null);
  system.files.fail("read the identity", "denied");
  assertEquals(JSON.parse(await show("--json")).server_policy, null);
});
