/** What the packages' scripts do where systemd runs: `deno task test:systemd` makes the hosts. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import type { Refserver } from "../../tools/refserver/server.ts";
import { onMachine, TOKEN, type World } from "../real/systemd_world.ts";
import { until, untilCheckIn } from "../real/until.ts";
import { assertSameFiles, listFiles, PACKAGE_TESTS } from "./package_host.ts";

const CONFIG = `
[polling]
interval = "10s"
start_spread = "0s"
[backoff]
base = "400ms"
cap = "1600ms"
floor = "100ms"
[breaker]
min_open = "1s"
max_open = "2s"
`;

/** Where systemd and its units write while they run. */
const SYSTEMS_OWN = ["/var/lib/systemd", "/var/lib/dpkg/info", "/sys", "/var/tmp"];

/** How a package manager does it with files of `/srv`. */
interface Manager {
  readonly name: string;
  readonly root: string;
  readonly extension: ".deb" | ".rpm";
  install(file: string): string[];
  readonly remove: readonly string[];
  /** A second step, after which nothing is left. */
  readonly purge?: readonly string[];
}

const apt = (root: string): Manager => ({
  name: `apt on ${root}`,
  root,
  extension: ".deb",
  install: (file) =>
    ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"]
      .concat("--no-install-recommends", "--allow-downgrades", "-o=Dpkg::Options::=--force-confold")
      .concat(file),
  remove: ["apt-get", "remove", "-y", "pennon"],
  purge: ["apt-get", "purge", "-y", "pennon"],
});

/** On Debian's own files, whose packages rpm knows nothing of. */
const rpm = (root: string): Manager => ({
  name: `rpm on ${root}`,
  root,
  extension: ".rpm",
  install: (file) => ["rpm", "-U", "--oldpackage", "--nodeps", "--nosignature", file],
  remove: ["rpm", "-e", "pennon"],
});

interface PackagedWorld extends World {
  readonly manager: Manager;
}

/** What systemd says of the unit; not an error where it knows none. */
async function say(
  { machine }: PackagedWorld,
  question: "is-enabled" | "is-active",
): Promise<string> {
  return (await machine.run("systemctl", question, "pennon")).out.trim();
}

async function install({ machine, manager }: PackagedWorld, which: 0 | 1): Promise<void> {
  await machine.ask(...manager.install(`/srv/${which}${manager.extension}`));
}

const reported = (server: Refserver, id: string) =>
  server.state().logs.filter((log) => log.command_id === id).length;

/** Answers the id of a command whose result is in the agent's buffer, since the server takes none. */
async function bufferResult({ machine, server }: World): Promise<string> {
  await server.setFault({ mode: "status", status: 503, path: "/(logs|updates|system-info)$" });
  const id = server.queueCommand({ type: "collect_specs" });
  // Other events may wait there already: host facts of the command before.
  await until("its result in the buffer", async () => {
    const { events } = JSON.parse(await machine.ask("pennon", "events", "list", "--json"));
    return events.some((event: { command_id: string | null }) => event.command_id === id);
  });
  return id;
}

/** Replaces the package under a running agent with an event in its buffer. */
async function replaces(world: PackagedWorld, which: 0 | 1): Promise<void> {
  const { machine, server } = world;
  const before = await machine.property("MainPID");
  const id = await bufferResult(world);
  await install(world, which);
  const after = await machine.property("MainPID");
  assertNotEquals(after, before);
  assertNotEquals(after, "0");
  // Not the deleted file of the package before.
  assertEquals((await machine.ask("readlink", `/proc/${after}/exe`)).trim(), "/usr/bin/pennon");
  assertEquals(await say(world, "is-active"), "active");
  assertEquals(reported(server, id), 0);
  await server.setFault({ mode: "none" });
  await until("result", () => reported(server, id) > 0, 120_000);
  assertEquals(reported(server, id), 1);
  assertEquals(await machine.property("NRestarts"), "0");
}

async function starts(world: PackagedWorld): Promise<void> {
  const { machine, server } = world;
  await install(world, 0);
  // A package enables and starts nothing: an agent without a registration only ends again.
  assertEquals([await say(world, "is-enabled"), await say(world, "is-active")], [
    "disabled",
    "inactive",
  ]);
  await Deno.writeTextFile(`${machine.root}/etc/pennon/config.toml`, CONFIG);
  await machine.ask("pennon", "register", "--server", server.url, "--token", TOKEN);
  await machine.ask("systemctl", "enable", "--now", "pennon");
  await untilCheckIn(server);
  // Debian 12's systemd says /lib, which is a link to /usr/lib.
  assertMatch(await machine.property("FragmentPath"), /\/lib\/systemd\/system\/pennon\.service$/);
}

async function leavesAlone(world: PackagedWorld): Promise<void> {
  await world.machine.ask("systemctl", "stop", "pennon");
  await install(world, 1);
  assertEquals([await say(world, "is-enabled"), await say(world, "is-active")], [
    "enabled",
    "inactive",
  ]);
  await world.machine.ask("systemctl", "start", "pennon");
}

async function removes(world: PackagedWorld): Promise<void> {
  const { machine, manager } = world;
  const process = await machine.property("MainPID");
  await machine.ask(...manager.remove);
  assertEquals((await machine.run("test", "-e", `/proc/${process}`)).code, 1);
  const link = "/etc/systemd/system/multi-user.target.wants/pennon.service";
  assertEquals((await machine.run("test", "-L", link)).code, 1);
  assertEquals(await machine.property("LoadState"), "not-found");
  await machine.ask("test", "-e", "/var/lib/pennon/identity.json");
  const journal = await machine.ask("journalctl", "-u", "pennon", "--no-pager", "-o", "cat");
  assertStringIncludes(journal, "Deactivated successfully");
  assert(!/^pennon.service: Failed/m.test(journal), journal);
}

for (
  const manager of [apt("bookworm"), apt("trixie"), rpm("fleet-bookworm"), rpm("fleet-trixie")]
) {
  onMachine(
    `the package's service under systemd: ${manager.name}`,
    { root: PACKAGE_TESTS?.roots[manager.root], executable: null },
    async ({ machine, server }, t) => {
      const world = { machine, server, manager };
      for (const [index, { files }] of PACKAGE_TESTS!.versions.entries()) {
        const file = files.find((name) => name.endsWith(manager.extension))!;
        await Deno.copyFile(file, `${machine.root}/srv/${index}${manager.extension}`);
      }
      await Deno.writeTextFile(`${machine.root}/etc/apt/sources.list`, "");
      await machine.boot();
      const files = () => listFiles((...argv) => machine.ask(...argv), SYSTEMS_OWN);
      const before = await files();
      await t.step("install: neither enabled nor started", () => starts(world));
      await t.step("upgrade: restarted, nothing lost", () => replaces(world, 1));
      await t.step("downgrade: restarted, nothing lost", () => replaces(world, 0));
      await t.step("upgrade of one that is stopped: left alone", () => leavesAlone(world));
      await t.step("remove: stopped, disabled, state kept", () => removes(world));
      if (manager.purge === undefined) return;
      await machine.ask(...manager.purge);
      assertEquals((await machine.run("getent", "passwd", "pennon")).code, 2);
      assertSameFiles(before, await files());
    },
  );
}
