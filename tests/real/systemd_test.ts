/** The service under a real systemd: `deno task test:systemd` makes the places and runs this. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Refserver } from "../../tools/refserver/server.ts";
import { CERTIFICATE } from "../fakes/pem.ts";
import type { Machine } from "./systemd_machine.ts";
import { onMachine, TOKEN, type World } from "./systemd_world.ts";
import { until, untilCheckIn } from "./until.ts";

const PLACE = Deno.env.get("PENNON_SYSTEMD_PLACE");
const EXECUTABLE = Deno.env.get("PENNON_EXECUTABLE");
const STATE = "/var/lib/pennon";

/** The highest score of `systemd-analyze security` that is accepted; the unit has about half. */
const MOST_EXPOSURE = 3.0;

const CONFIG = `
[polling]
interval = "10s"
start_spread = "0s"
[backoff]
base = "400ms"
cap = "1600ms"
floor = "100ms"
[scanners]
enabled = ["apt"]
changelogs = false
`;

/** One source, a directory of the host's, with an update for a package that every Debian has. */
async function writeHost(root: string): Promise<void> {
  await Deno.mkdir(`${root}/etc/pennon`);
  await Deno.writeTextFile(`${root}/etc/pennon/config.toml`, CONFIG);
  await Deno.mkdir(`${root}/srv/repo`);
  const packages = "Package: base-files\nVersion: 99:1\nArchitecture: amd64\nMaintainer: x\n" +
    "Filename: ./base-files.deb\nSize: 1000\nDescription: made for a test\n" +
    `SHA256: ${"0".repeat(64)}\n`;
  await Deno.writeTextFile(`${root}/srv/repo/Packages`, packages);
  const release =
    "Origin: Test\nLabel: Debian-Security\nSuite: stable\nDate: Mon, 30 Nov 2026 00:00:00 UTC\n";
  await Deno.writeTextFile(`${root}/srv/repo/Release`, release);
  const source = "deb [trusted=yes] file:/srv/repo ./\n";
  await Deno.writeTextFile(`${root}/etc/apt/sources.list`, source);
}

const logOf = (server: Refserver, id: string) =>
  server.state().logs.find((log) => log.command_id === id);

/** Waits until the agent runs as another process than `before`; answers its id. */
async function nextProcess(machine: Machine, before: string): Promise<string> {
  return await until("new process", async () => {
    const now = await machine.property("MainPID");
    const isActive = await machine.property("ActiveState") === "active";
    return isActive && now !== before && now !== "0" ? now : undefined;
  });
}

/** An agent that must end and stays ended: its host is not registered, or its configuration is wrong. */
async function staysEnded({ machine }: World, code: number): Promise<void> {
  assertEquals((await machine.run("systemctl", "start", "pennon")).code, 1);
  // Longer than the pause before a restart would be.
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  assertEquals(await machine.property("ActiveState"), "failed");
  assertEquals(await machine.property("ExecMainStatus"), String(code));
  assertEquals(await machine.property("NRestarts"), "0");
}

/** What `service install` advises where it refuses, taken as it is printed: by root, with a sudo that does nothing. */
async function takesAdvice({ machine }: World): Promise<void> {
  const take = (command: string) => machine.ask("sh", "-c", `sudo() { "$@"; }; ${command}`);
  const next = (text: string) => /Next: (.+)/.exec(text)?.[1] ?? "";
  const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const user = await machine.run(...nobody, "pennon", "service", "install");
  assertEquals(user.code, 1);
  assertEquals(next(user.err), "sudo pennon service install");
  assertMatch(await take(next(user.err)), /^Wrote /);
  await machine.ask("pennon", "service", "uninstall");
  // Where no service can see it.
  await machine.ask("cp", "/usr/local/bin/pennon", "/root/pennon");
  await machine.ask("umount", "/usr/local/bin/pennon"); // This host's, which is not to be overwritten.
  const hidden = await machine.run("/root/pennon", "service", "install");
  assertEquals(hidden.code, 1);
  assertMatch(
    next(hidden.err),
    /^sudo install -m 0755 \/root\/pennon \/usr\/local\/bin\/pennon && sudo /,
  );
  assertMatch(await take(next(hidden.err)), /^Wrote /);
  await machine.ask("pennon", "service", "uninstall");
  const unit = "/etc/systemd/system/pennon.service";
  await machine.ask("sh", "-c", `printf '[Service]\nExecStart=/bin/true\n' > ${unit}`);
  const foreign = await machine.run("pennon", "service", "install");
  assertEquals(foreign.code, 1);
  assertStringIncludes(foreign.err, `"${unit}" was not written by Pennon. Next: move it away\n`);
  await machine.ask("mv", unit, "/root/pennon.service");
  assertMatch(await machine.ask("pennon", "service", "install"), /^Wrote /);
  await machine.ask("pennon", "service", "uninstall");
}

async function register({ machine, server }: World): Promise<void> {
  const done = await machine.ask("pennon", "service", "install");
  assertMatch(done, /^Wrote [^]*Not started: this host is not registered/);
  await machine.ask("pennon", "register", "--server", server.url, "--token", TOKEN);
  assertMatch(await machine.ask("pennon", "service", "install"), /^Unchanged: [^]*Started: /);
  await untilCheckIn(server);
}

/** The agent has no rights, and root's commands leave its files its own. */
async function isConfined({ machine }: World): Promise<void> {
  const text = await machine.ask("systemd-analyze", "security", "--no-pager", "pennon.service");
  const figure = Number(/Overall exposure level for pennon.service: ([\d.]+)/.exec(text)?.[1]);
  console.log(`    exposure ${figure}`);
  assert(figure <= MOST_EXPOSURE, text);
  const status = await machine.ask("cat", `/proc/${await machine.property("MainPID")}/status`);
  assertMatch(status, /^CapBnd:\t0+$/m);
  assertMatch(status, /^NoNewPrivs:\t1$/m);
  assert(!/^Uid:\t0\t/m.test(status));
  await machine.ask("pennon", "status");
  await machine.ask("pennon", "events", "list");
  const owners = await machine.ask("find", STATE, "-not", "-user", "pennon");
  assertEquals(owners, "");
  assertEquals((await machine.ask("stat", "-c", "%a", STATE)).trim(), "700");
}

async function scansApt({ server }: World): Promise<void> {
  const id = server.queueCommand({ type: "scan_updates" });
  const log = await until("scan", () => logOf(server, id));
  assertEquals([log.result, log.exit_code], ["success", 0], JSON.stringify(log));
  const sent = server.state().updates.map(({ package_name, available_version }) =>
    `${package_name} ${available_version}`
  );
  assertEquals(sent, ["base-files 99:1"]);
}

async function restartsAfterKill({ machine }: World): Promise<void> {
  const before = await machine.property("MainPID");
  const startMs = performance.now();
  await machine.ask("kill", "-9", before);
  await nextProcess(machine, before);
  console.log(`    running again after ${((performance.now() - startMs) / 1_000).toFixed(1)} s`);
  assertEquals(await machine.property("NRestarts"), "1");
}

/** Both threads stand still, so that the agent's own watchdog cannot act. */
async function watchdogActs({ machine }: World): Promise<void> {
  const folder = "/etc/systemd/system/pennon.service.d";
  await machine.ask("mkdir", folder);
  const dropIn = `${machine.root}${folder}/fast.conf`;
  await Deno.writeTextFile(dropIn, "[Service]\nWatchdogSec=4s\nRestartSec=1s\n");
  await machine.ask("systemctl", "daemon-reload");
  await machine.ask("systemctl", "restart", "pennon");
  const before = await machine.property("MainPID");
  await new Promise((resolve) => setTimeout(resolve, 9_000));
  assertEquals(await machine.property("MainPID"), before, "a sign of life came too late");
  await machine.ask("kill", "-STOP", before);
  await nextProcess(machine, before);
  const journal = await machine.ask("journalctl", "-u", "pennon", "--no-pager", "-o", "cat");
  assertStringIncludes(journal, "Watchdog timeout (limit 4s)!");
  await Deno.remove(dropIn);
  await machine.ask("systemctl", "daemon-reload");
  await machine.ask("systemctl", "restart", "pennon");
}

async function deliversAtStop({ machine, server }: World): Promise<void> {
  await server.setFault({ mode: "slow", delayMs: 2_000, path: "/logs$" });
  const id = server.queueCommand({ type: "collect_specs" });
  await until("event in the buffer", async () => {
    const status = JSON.parse(await machine.ask("pennon", "status", "--json"));
    return status.buffer.pending > 0 && logOf(server, id) === undefined;
  });
  const startMs = performance.now();
  await machine.ask("systemctl", "stop", "pennon");
  console.log(`    stopped in ${((performance.now() - startMs) / 1_000).toFixed(1)} s`);
  await server.setFault({ mode: "none" });
  assertEquals(logOf(server, id)?.result, "success");
  assertEquals(await machine.property("Result"), "success");
  assertEquals(await machine.property("ExecMainStatus"), "0");
}

async function startsAtBoot({ machine, server }: World): Promise<void> {
  await machine.powerOff();
  server.resetRequests();
  console.log(`    booted again in ${((await machine.boot()) / 1_000).toFixed(1)} s`);
  await nextProcess(machine, "0");
  await untilCheckIn(server);
}

async function logsAreInTheJournal({ machine }: World): Promise<void> {
  assertStringIncludes(await machine.ask("pennon", "service", "logs"), "INFO agent started");
  const status = JSON.parse(await machine.ask("pennon", "service", "status", "--json"));
  assertEquals([status.installed, status.running], [true, true]);
  assertEquals(status.details.UnitFileState, "enabled");
}

/** What the journal has of the agent, at this priority and above. */
async function journal({ machine }: World, priority: string): Promise<string> {
  const words = ["_SYSTEMD_UNIT=pennon.service", "-p", priority, "--no-pager", "-o", "cat"];
  return await machine.ask("journalctl", ...words);
}

/** A warning, an error of the log, and one of the command line, in either format of the log. */
async function prioritiesAreInTheJournal(world: World): Promise<void> {
  const { machine, server } = world;
  await server.setFault({ mode: "status", status: 503 });
  const line = "server answered with an error";
  await until("warning", async () => (await journal(world, "warning")).includes(line));
  await server.setFault({ mode: "none" });
  assert(!(await journal(world, "err")).includes(line));
  assert(!(await journal(world, "warning")).includes("agent started"));
  assert(!/^<\d>/m.test(await journal(world, "debug")));
  const file = `${machine.root}/etc/pennon/config.toml`;
  await Deno.writeTextFile(file, `${CONFIG}nonsense = 1\n`);
  await machine.run("systemctl", "restart", "pennon");
  assertStringIncludes(await journal(world, "err"), '"scanners.nonsense" is no setting');
  await Deno.writeTextFile(file, CONFIG);
  await machine.ask("systemctl", "restart", "pennon");
}

/** In an outage and after a scan, as the account of the service and in its sandbox. */
async function startsHooks(world: World): Promise<void> {
  const { machine, server } = world;
  const file = `${machine.root}/etc/pennon/config.toml`;
  const folder = `${machine.root}/etc/pennon/hooks`;
  await Deno.mkdir(folder);
  const programs = {
    on_outage: "echo $PENNON_EVENT by $(id -un) > /var/lib/pennon/hook\n" +
      "touch /etc/pennon/hooks/x 2>/dev/null || echo confined\n",
    on_security_update: "echo $PENNON_SCANNER $PENNON_NEW_SECURITY_UPDATES of $PENNON_UPDATES\n",
  };
  for (const [name, script] of Object.entries(programs)) {
    await Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${script}`);
    await Deno.chmod(`${folder}/${name}`, 0o755);
  }
  const hooks = '[hooks]\non_outage = true\noutage_after = "1s"\non_security_update = true\n';
  await Deno.writeTextFile(file, CONFIG + hooks);
  await machine.ask("systemctl", "restart", "pennon");
  await server.setFault({ mode: "reset" });
  const line = (event: string) => new RegExp(`hook finished .*event=${event} .*output=confined`);
  const says = async (event: string) => line(event).test(await journal(world, "info"));
  await until("hook of the beginning", () => says("outage_began"));
  assertEquals(await machine.ask("cat", `${STATE}/hook`), "outage_began by pennon\n");
  await server.setFault({ mode: "none" });
  await until("hook of the end", () => says("outage_ended"));
  for (const scan of ["first", "second"]) {
    const id = server.queueCommand({ type: "scan_updates" });
    await until(`${scan} scan`, () => logOf(server, id));
    await new Promise((resolve) => setTimeout(resolve, 6_000)); // One look.
  }
  const found = (await journal(world, "info")).match(/hook finished .*event=security_updates.*/g);
  assertEquals(found?.length, 1);
  assertStringIncludes(found?.[0] ?? "", 'output="apt 1 of 1"');
  await Deno.writeTextFile(file, CONFIG);
  await machine.ask("systemctl", "restart", "pennon");
}

/** A token and a certificate that only root can read, through systemd's credentials. */
async function readsCredentials({ machine, server }: World): Promise<void> {
  await machine.ask("systemctl", "stop", "pennon");
  await machine.ask("pennon", "unregister");
  const secrets = `${machine.root}/root/secrets`;
  await Deno.mkdir(secrets, { mode: 0o700 });
  await Deno.writeTextFile(`${secrets}/token`, `${TOKEN}\n`, { mode: 0o600 });
  await Deno.writeTextFile(`${secrets}/ca.pem`, CERTIFICATE, { mode: 0o600 });
  const dropIn = `${machine.root}/etc/systemd/system/pennon.service.d/credentials.conf`;
  const register = `register --state-dir ${STATE} --server ${server.url} --token-file %d/token`;
  const lines = [
    "[Service]",
    "LoadCredential=token:/root/secrets/token",
    "LoadCredential=ca.pem:/root/secrets/ca.pem",
    "Environment=PENNON_TLS_CA_FILE=%d/ca.pem",
    `ExecStartPre=/usr/local/bin/pennon ${register}`,
  ];
  await Deno.writeTextFile(dropIn, `${lines.join("\n")}\n`);
  await machine.ask("systemctl", "daemon-reload");
  server.resetRequests();
  await machine.ask("systemctl", "start", "pennon");
  await untilCheckIn(server);
  const said = await machine.ask("journalctl", "-u", "pennon", "-b", "--no-pager", "-o", "cat");
  assertStringIncludes(said, `Registered with ${server.url}`);
  assert(!said.includes(TOKEN) && !said.includes("not safe"), said);
  // Once more: the host is registered, and the token may be spent.
  await machine.ask("rm", "/root/secrets/token");
  await Deno.writeTextFile(dropIn, lines.join("\n").replace(/^.*=token:.*\n/m, ""));
  await machine.ask("systemctl", "daemon-reload");
  await machine.ask("systemctl", "restart", "pennon");
  await Deno.remove(dropIn);
  await machine.ask("systemctl", "daemon-reload");
  await machine.ask("systemctl", "restart", "pennon");
}

async function uninstalls({ machine }: World): Promise<void> {
  const unit = "/etc/systemd/system/pennon.service";
  await machine.ask("pennon", "service", "uninstall");
  assertEquals((await machine.run("test", "-e", unit)).code, 1);
  await machine.ask("test", "-e", `${STATE}/identity.json`);
  assertEquals((await machine.run("pennon", "service", "status")).code, 1);
  // A link in the unit's place must not be followed.
  await machine.ask("ln", "-s", "/etc/passwd", unit);
  const refused = await machine.run("pennon", "service", "install");
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.err, "is a symbolic link");
  assertStringIncludes(await machine.ask("cat", "/etc/passwd"), "root:x:0:0:");
  await machine.ask("rm", unit);
  const file = `${machine.root}/etc/pennon/config.toml`;
  await Deno.writeTextFile(file, "nonsense = 1\n");
  await machine.run("pennon", "service", "install");
  assertEquals(await machine.property("ExecMainStatus"), "2");
}

for (const suite of ["bookworm", "trixie"]) {
  const isMade = PLACE !== undefined && EXECUTABLE !== undefined;
  onMachine(
    `the service under systemd of Debian ${suite}`,
    {
      root: isMade ? `${PLACE}/debian-${suite}-1` : undefined,
      executable: EXECUTABLE ?? null,
    },
    async (world, t) => {
      const { machine } = world;
      await writeHost(machine.root);
      console.log(`    booted in ${((await machine.boot()) / 1_000).toFixed(1)} s`);
      await t.step("advice of service install is taken", () => takesAdvice(world));
      await t.step("install, register, install again: it runs", () => register(world));
      await t.step("it is confined", () => isConfined(world));
      await t.step("it scans apt inside of its sandbox", () => scansApt(world));
      await t.step("its log is in the journal", () => logsAreInTheJournal(world));
      await t.step("its log has priorities", () => prioritiesAreInTheJournal(world));
      await t.step("it starts the hooks", () => startsHooks(world));
      await t.step("after kill -9 it is started again", () => restartsAfterKill(world));
      await t.step("the watchdog ends an agent that stands still", () => watchdogActs(world));
      await t.step("a stop delivers what is buffered", () => deliversAtStop(world));
      await t.step("it takes secrets from credentials", () => readsCredentials(world));
      await t.step("it starts at boot", () => startsAtBoot(world));
      await t.step("uninstall leaves the state; install follows no link", () => uninstalls(world));
      await t.step("exit code 2 is not started again", () => staysEnded(world, 2));
      await machine.ask("sh", "-c", "rm -r /var/lib/pennon/* /etc/pennon/config.toml");
      await machine.ask("systemctl", "reset-failed", "pennon");
      await t.step("exit code 3 is not started again", () => staysEnded(world, 3));
    },
  );
}
