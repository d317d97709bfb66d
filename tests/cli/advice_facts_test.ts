import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { acquireInstanceLock } from "../../src/agent/instance_lock.ts";
import { describedCommands } from "../../src/cli/cli.ts";
import { findAdviceFacts } from "../../src/cli/advice_facts.ts";
import { saveIdentity } from "../../src/identity.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, runCli, STATE } from "./run_cli.ts";

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

Deno.test("every command of Pennon in what any command prints has the places that the user gave", async () => {
  const places = ["--config", "/c d.toml", "--state-dir", STATE];
  const commands: string[][] = (await describedCommands()).flatMap(({ name, actions }) =>
    actions === undefined ? [[name]] : actions.map((action) => [name, action.name])
  );
  const more: Readonly<Record<string, readonly string[]>> = {
    "register": ["--server", "https://other.test", "--token", "t"],
    "events show": ["0123456789"],
    "events requeue": ["--all"],
    "events purge": ["0123456789"],
    "breaker reset": ["connection"],
  };
  const broken: ((world: Awaited<ReturnType<typeof enrolled>>) => void)[] = [
    () => {},
    ({ server }) => void (server.mood = { kind: "answers", status: 500 }),
    ({ server }) => void (server.mood = { kind: "answers", status: 401 }),
    ({ system }) => void system.files.texts.set(`${STATE}/identity.json`, "{"),
    ({ system }) => void system.files.texts.delete(`${STATE}/identity.json`),
    ({ system }) => void system.files.texts.set("/c d.toml", "nonsense = 1\n"),
    ({ system }) => system.files.fail("read the identity", "denied"),
  ];
  let found = 0;
  for (const breaking of broken) {
    for (const [name = "", ...rest] of commands) {
      // It prints no advice; its scripts have every command in them. And a service has places of its own.
      if (["completion", "help", "version", "service"].includes(name)) continue;
      const world = await enrolled();
      world.system.files.texts.set("/c d.toml", "");
      breaking(world);
      const once = name === "run" ? ["--once"] : [];
      const own = more[[name, ...rest].join(" ")] ?? once;
      const { out, err } = await runCli(world.system, name, ...rest, ...own, ...places);
      const said = `${out}\n${err}`.replaceAll(/\n\s+/g, " ");
      for (
        const [command] of said.matchAll(
          /(?<=Next: |`|[:,] )pennon (?!help\b|service\b)\w+[^`\n]*/g,
        )
      ) {
        found += 1;
        assertStringIncludes(
          command,
          `--config '/c d.toml' --state-dir ${STATE}`,
          `${name}: ${said}`,
        );
      }
    }
  }
  assert(found > 12, `${found}`);
});
