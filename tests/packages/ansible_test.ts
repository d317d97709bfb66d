/** The Ansible role on hosts with a real systemd: `deno task test:systemd` makes them. */

import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { publishAlone } from "../real/package_site.ts";
import type { Machine, Outcome } from "../real/systemd_machine.ts";
import { onMachine, TOKEN, type World } from "../real/systemd_world.ts";
import { untilCheckIn } from "../real/until.ts";
import { assertSameFiles, listFiles, PACKAGE_TESTS } from "./package_host.ts";

/** Ansible's own files, systemd's, and the package manager's notes. */
const NOT_LISTED = ["/srv", "/var/tmp", "/var/lib/systemd", "/var/lib/dpkg/info", "/sys"]
  .concat("/var/lib/cloud");

/** Ansible on the host that it manages. The role's own tasks know no difference. */
class Controller {
  readonly #machine: Machine;
  readonly #variables: Readonly<Record<string, unknown>>;

  constructor(machine: Machine, variables: Readonly<Record<string, unknown>>) {
    this.#machine = machine;
    this.#variables = variables;
  }

  static async prepare(machine: Machine): Promise<void> {
    await machine.ask("mkdir", "-p", "/srv/ansible");
    const copy = new Deno.Command("cp", {
      args: ["-r", "packaging/ansible/.", `${machine.root}/srv/ansible`],
    });
    assertEquals((await copy.output()).code, 0);
    // Local, and without the sudo that the playbook would ask.
    const host = "localhost ansible_connection=local ansible_become=false\n";
    await Deno.writeTextFile(`${machine.root}/srv/ansible/hosts`, host);
  }

  async run(variables: Readonly<Record<string, unknown>>, ...flags: string[]): Promise<Outcome> {
    const all = JSON.stringify({ ...this.#variables, ...variables });
    const argv = ["ansible-playbook", "-i", "/srv/ansible/hosts", "/srv/ansible/site.yml"];
    const environment = ["env", "LC_ALL=C.UTF-8", "ANSIBLE_NOCOLOR=1"];
    return await this.#machine.run(...environment, ...argv, "--extra-vars", all, ...flags);
  }

  /** Runs it; none of the tasks may fail, and so many must change something, or `"some"`. */
  async mustChange(
    expected: number | "some",
    variables: Readonly<Record<string, unknown>> = {},
    ...flags: string[]
  ): Promise<void> {
    const { code, out, err } = await this.run(variables, ...flags);
    assertEquals(code, 0, out + err);
    assert(!out.includes(TOKEN), "the token is in the output");
    const changed = /^localhost +: .*changed=(\d+) .*failed=0/m.exec(out)?.[1];
    if (expected === "some") assert(Number(changed) > 0, out);
    else assertEquals(Number(changed), expected, out);
  }
}

async function isolate(machine: Machine): Promise<void> {
  await Deno.writeTextFile(`${machine.root}/etc/apt/sources.list`, "");
  await machine.ask("sh", "-c", "rm -f /etc/apt/sources.list.d/*");
}

interface FleetWorld extends World {
  readonly controller: Controller;
}

const filesOf = (machine: Machine) => listFiles((...argv) => machine.ask(...argv), NOT_LISTED);

async function checkChangesNothing({ machine, controller }: FleetWorld): Promise<void> {
  const before = await filesOf(machine);
  await controller.mustChange("some", {}, "--check", "--diff");
  assertEquals(await filesOf(machine), before);
}

async function installs({ machine, server, controller }: FleetWorld): Promise<void> {
  await controller.mustChange("some");
  assertEquals(server.state().agents.length, 1);
  assertEquals((await machine.ask("systemctl", "is-active", "pennon")).trim(), "active");
  assertEquals((await machine.ask("systemctl", "is-enabled", "pennon")).trim(), "enabled");
  await untilCheckIn(server);
  const config = "/etc/pennon/config.toml";
  assertEquals((await machine.ask("stat", "-c", "%U:%G %a", config)).trim(), "root:pennon 640");
}

async function repeats({ server, controller }: FleetWorld): Promise<void> {
  await controller.mustChange(0);
  await controller.mustChange(0, {}, "--check", "--diff");
  assertEquals(server.state().agents.length, 1);
}

async function reconfigures({ machine, controller }: FleetWorld): Promise<void> {
  const before = await machine.property("MainPID");
  const changed = { pennon_config: { scanners: { enabled: ["apt"] } } };
  // The file, and the restart.
  await controller.mustChange(2, changed);
  assertNotEquals(await machine.property("MainPID"), before);
  await controller.mustChange(0, changed);
  const wrong = await controller.run({ pennon_config: { scaners: { enabled: ["apt"] } } });
  assertEquals(wrong.code, 2);
  assertMatch(wrong.out, /failed to validate/);
  await controller.mustChange(0, changed);
}

async function removes(world: FleetWorld, before: readonly string[]): Promise<void> {
  const { machine, controller } = world;
  const absent = { pennon_state: "absent" };
  await controller.mustChange("some", absent, "--check");
  assertEquals((await machine.ask("systemctl", "is-active", "pennon")).trim(), "active");
  await controller.mustChange("some", absent);
  await controller.mustChange(0, absent);
  assertEquals((await machine.run("getent", "passwd", "pennon")).code, 2);
  // Where the distribution has no such directory of its own.
  const after = (await filesOf(machine)).filter((file) =>
    before.includes(file) || file !== "d /etc/apt/keyrings"
  );
  assertSameFiles(before, after);
}

async function installsFile({ machine, server, controller }: FleetWorld): Promise<void> {
  const [{ files }] = PACKAGE_TESTS!.versions;
  const file = files.find((name) => name.endsWith(".deb"))!;
  await Deno.copyFile(file, `${machine.root}/srv/ansible/pennon.deb`);
  const fromFile = {
    pennon_repository_url: "",
    pennon_repository_key_file: "",
    pennon_package_file: "/srv/ansible/pennon.deb",
  };
  await controller.mustChange("some", fromFile, "--check", "--diff");
  // As on a host that its operator registers later.
  await controller.mustChange("some", { ...fromFile, pennon_registration_token: "" });
  assertEquals((await machine.run("systemctl", "is-active", "pennon")).out.trim(), "inactive");
  const known = server.state().agents.length;
  await controller.mustChange("some", fromFile);
  assertEquals(server.state().agents.length, known + 1);
  await controller.mustChange(0, fromFile);
  assertEquals((await machine.ask("systemctl", "is-active", "pennon")).trim(), "active");
  assertEquals(server.state().violations, []);
  await controller.mustChange("some", { ...fromFile, pennon_state: "absent" });
}

for (const suite of ["bookworm", "trixie"]) {
  onMachine(
    `the Ansible role on Debian ${suite}`,
    { root: PACKAGE_TESTS?.roots[`fleet-${suite}`], executable: null },
    async ({ machine, server }, t) => {
      const { versions: [first], work } = PACKAGE_TESTS!;
      await using site = await publishAlone(first, ".deb", { work, name: `ansible-${suite}` });
      await machine.boot();
      await isolate(machine);
      await Controller.prepare(machine);
      const key = `${machine.root}/srv/ansible/pennon.asc`;
      await Deno.copyFile(`${site.directory}/apt/pennon.asc`, key);
      const controller = new Controller(machine, {
        pennon_repository_url: site.url,
        pennon_repository_key_file: "/srv/ansible/pennon.asc",
        pennon_server_url: server.url,
        pennon_registration_token: TOKEN,
      });
      const world = { machine, server, controller };
      await t.step("check mode changes nothing", () => checkChangesNothing(world));
      const before = await filesOf(machine);
      await t.step("it installs, registers and starts", () => installs(world));
      await t.step("a second run changes nothing", () => repeats(world));
      await t.step(
        "a changed configuration restarts, a wrong one is refused",
        () => reconfigures(world),
      );
      await t.step("absent leaves nothing", () => removes(world, before));
      await t.step("from a file, first without a registration", () => installsFile(world));
    },
  );
}
