import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ConfigError, loadConfig } from "../../src/config.ts";
import {
  examineStateDirectory,
  judgeConfiguration,
  judgeDisk,
  judgeHooks,
  judgeRegistration,
  judgeTlsFiles,
  openClient,
  tryWrite,
} from "../../src/doctor/local_checks.ts";
import { IdentityError } from "../../src/identity.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

const STATE = "/home/test/state";
const MIB = 1_024 ** 2;

Deno.test("judgeConfiguration() fails with the advice of the error, and warns of warnings", async () => {
  const system = new FakeSystem();
  const loaded = await loadConfig(system);
  assertEquals(judgeConfiguration(loaded).seen, "valid: no file, defaults only");
  assertEquals(judgeConfiguration({ ...loaded, file: "/c" }).seen, 'valid: "/c"');
  const warned = judgeConfiguration({ ...loaded, warnings: ["it is open. Next: chmod go-w /c"] });
  assertEquals([warned.level, warned.next], ["warn", "chmod go-w /c"]);
  const error = new ConfigError(['Cannot read /c, line 1: "urll" is no setting']);
  const { level, seen, next } = judgeConfiguration(error);
  assertEquals([level, seen], ["fail", error.problems[0]]);
  assertStringIncludes(next ?? "", "`pennon config check`");
});

Deno.test("judgeTlsFiles() names a file that cannot be read", async () => {
  const system = new FakeSystem();
  const { config } = await loadConfig(system);
  const at = { serverUrl: "https://server.test", machineId: "" };
  assertEquals(judgeTlsFiles(config, await openClient(system, config, at)).level, "ok");
  const broken = { ...config, tls: { ...config.tls, caFile: "/no/ca.pem" } };
  const { level, seen, next } = judgeTlsFiles(broken, await openClient(system, broken, at));
  assertEquals([level, seen], ["fail", 'Cannot read tls.ca_file: no file "/no/ca.pem"']);
  assertStringIncludes(next ?? "", "`ls -l /no/ca.pem`");
  system.files.texts.set("/no/ca.pem", "PEM");
  assertEquals(judgeTlsFiles(broken, await openClient(system, broken, at)).level, "ok");
});

Deno.test("examineStateDirectory() looks at the owner, the mode and what may be read", async () => {
  const system = new FakeSystem();
  assertEquals((await examineStateDirectory(system, STATE)).level, "skip");
  system.files.texts.set(`${STATE}/state.json`, "{}");
  system.files.modes.set(STATE, 0o700);
  system.files.owners.set(STATE, 1_000);
  const well = await examineStateDirectory(system, STATE);
  assertEquals([well.level, well.seen], ["ok", `"${STATE}", mode 700, of user 1000`]);
  system.files.modes.set(STATE, 0o777);
  const open = await examineStateDirectory(system, STATE);
  assertEquals([open.level, open.next], ["warn", `chmod 700 ${STATE}`]);
  system.machine.userId = () => 0;
  assertEquals((await examineStateDirectory(system, STATE)).level, "fail");
  system.files.modes.set(STATE, 0o700);
  system.files.owners.set(STATE, 0);
  system.files.fail("read the state directory", "denied");
  assertEquals((await examineStateDirectory(system, STATE)).level, "fail");
  system.files.heal("read the state directory");
  system.files.kinds.set(STATE, "file");
  assertStringIncludes(
    (await examineStateDirectory(system, STATE)).seen,
    "is a regular file, not a directory",
  );
  assertStringIncludes((await examineStateDirectory(system, STATE)).next ?? "", "`mv ");
  // A device such as /dev/null stays where it is.
  system.files.kinds.set(STATE, "device");
  assertEquals((await examineStateDirectory(system, STATE)).next, 'give another "--state-dir"');
});

Deno.test("judgeDisk() fails for a refusal, and warns of little room on either side of the limit", () => {
  const judge = (change: Partial<Parameters<typeof judgeDisk>[0]>) =>
    judgeDisk(
      { freeBytes: 100 * MIB, refusal: null, bufferError: null, ...change },
      { stateDirectory: STATE, maxBytes: 64 * MIB },
    );
  assertEquals(judge({}).seen, "accepts writes, 100 MiB free");
  assertEquals(judge({ freeBytes: null }).level, "ok");
  assertEquals(judge({ freeBytes: 64 * MIB }).level, "ok");
  assertEquals(judge({ freeBytes: 64 * MIB - 1 }).level, "warn");
  assertEquals(judge({ refusal: undefined }).level, "skip");
  assertStringIncludes(judge({ bufferError: "corrupt" }).seen, "cannot be read: corrupt");
  const advice = (["full", "denied", "failed"] as const).map((reason) => {
    const { level, next } = judge({ refusal: new FileError("no", { reason }) });
    assertEquals(level, "fail");
    return next;
  });
  assertEquals(new Set(advice).size, 3);
});

Deno.test("tryWrite() leaves nothing behind, and makes no directory", async () => {
  const { files } = new FakeSystem();
  assertEquals(await tryWrite({ files }, STATE), undefined);
  files.texts.set(`${STATE}/state.json`, "{}");
  assertEquals(await tryWrite({ files }, STATE), null);
  assertEquals([...files.texts.keys()], [`${STATE}/state.json`]);
  files.fail("write to the state directory", "full");
  assertEquals((await tryWrite({ files }, STATE))?.reason, "full");
});

Deno.test("judgeRegistration() fails for an identity that cannot be used, and another server's", () => {
  const identity = {
    agentId: "a1",
    serverUrl: "https://one.test",
    accessToken: "a-secret-access-token",
    refreshToken: "a-secret-refresh-token",
    intervalMs: null,
  };
  const one = judgeRegistration(identity, null);
  assertEquals([one.level, one.seen], ["ok", 'agent a1 of "https://one.test"']);
  assertEquals(judgeRegistration(identity, "https://one.test").level, "ok");
  const other = judgeRegistration(identity, "https://two.test");
  assertEquals([other.level, other.seen.includes("two.test")], ["fail", true]);
  assertEquals(judgeRegistration(undefined, null).level, "warn");
  const error = new IdentityError("Cannot use the identity: corrupt. Next: stop the agent");
  assertEquals(judgeRegistration(error, null).next, "stop the agent");
  assert(!JSON.stringify([one, other]).includes("secret"));
});

Deno.test("judgeHooks() warns of programs that are not started, and says nothing without hooks", async () => {
  const system = new FakeSystem();
  const { config } = await loadConfig(system);
  assertEquals(await judgeHooks(system, config), []);
  const hooks = { ...config.hooks, onOutage: true, onSecurityUpdate: true };
  const names = ["on_outage", "on_security_update"].map((name) => `/etc/pennon/hooks/${name}`);
  for (const path of names) {
    system.files.texts.set(path, "");
    system.files.modes.set(path, 0o755);
  }
  const [fine] = await judgeHooks(system, { ...config, hooks });
  assertEquals([fine?.level, fine?.seen], ["ok", `may be started: ${names.join(", ")}`]);
  system.files.modes.set(names[1] ?? "", 0o757);
  const [{ level, seen, next } = { level: "", seen: "", next: "" }] = await judgeHooks(system, {
    ...config,
    hooks,
  });
  assertEquals([level, next], ["warn", `chmod go-w ${names[1]}`]);
  assertEquals(
    seen,
    `starts nothing: on_security_update: "${names[1]}" can be written by every user (mode 757)`,
  );
});
