import { assertEquals } from "@std/assert";
import { acquireInstanceLock } from "../../src/agent/instance_lock.ts";
import { findAdviceFacts } from "../../src/cli/advice_facts.ts";
import { saveIdentity } from "../../src/identity.ts";
import { FakeSystem } from "../fakes/system.ts";

const IDENTITY = {
  agentId: "a1",
  serverUrl: "https://own.test",
  accessToken: "a",
  refreshToken: "r",
  intervalMs: null,
};

Deno.test("findAdviceFacts() knows the server that was given, of the identity, or of the configuration", async () => {
  const system = new FakeSystem();
  const values = { "state-dir": "/state", config: "/c.toml" };
  const serverOf = async (more: Record<string, string> = {}) =>
    (await findAdviceFacts(system, { ...values, ...more })).serverUrl;
  assertEquals(await serverOf(), undefined);
  system.files.texts.set("/c.toml", '[server]\nurl = "https://configured.test"\n');
  assertEquals(await serverOf(), "https://configured.test");
  await saveIdentity(system, "/state", IDENTITY);
  assertEquals(await serverOf(), "https://own.test");
  assertEquals(await serverOf({ server: "https://given.test" }), "https://given.test");
  system.files.texts.set("/state/identity.json", "{");
  assertEquals(await serverOf(), "https://configured.test");
});

Deno.test("findAdviceFacts() names what stops the agent: a process, the service, or that none runs", async () => {
  const system = new FakeSystem();
  const stopOf = async (stateDirectory: string) =>
    (await findAdviceFacts(system, { "state-dir": stateDirectory })).stop;
  assertEquals(await stopOf("/state"), null);
  const lock = await acquireInstanceLock(system, "/state", "run");
  assertEquals(await stopOf("/state"), "`kill 4242`");
  await lock.release();
  system.environment.set("NOTIFY_SOCKET", "/run/systemd/notify");
  await acquireInstanceLock(system, "/var/lib/pennon", "run");
  assertEquals(
    await stopOf("/var/lib/pennon"),
    "the service, process 4242: `sudo systemctl stop pennon`",
  );
  await acquireInstanceLock(system, "/srv/pennon", "run");
  assertEquals(
    await stopOf("/srv/pennon"),
    "process 4242, in the unit that `systemctl status 4242` names",
  );
});
