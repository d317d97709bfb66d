import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { locations } from "../../src/config/locations.ts";
import { NO_KEYS, NO_SERVER_KEYS, saveServerKeys } from "../../src/server/key_trust.ts";
import { FakeSystem } from "../fakes/system.ts";
import { runCli } from "./run_cli.ts";

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
  });
  system.files.texts.set("/etc/pennon/config.toml", "[server]\n");
  assertEquals((await check()).out, "The configuration is valid (/etc/pennon/config.toml)\n");
  assertEquals(JSON.parse((await check("--json")).out).file, "/etc/pennon/config.toml");
  system.files.texts.set("/etc/pennon/config.toml", "[backoff]\nbase = 5\ncap = 6\n");
  const bad = await check();
  assertEquals([bad.code, bad.out, bad.err.trimEnd().split("\n").length], [2, "", 2]);
});

Deno.test("config show --json has every setting", async () => {
  const { out } = await runCli(new FakeSystem(), "config", "show", "--json");
  const { schema, file, settings } = JSON.parse(out);
  assertEquals([schema, file, settings.length], ["pennon.config-show/1", null, 39]);
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
    assertStringIncludes(err, 'it takes "check" or "show"');
  }
});
