import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ServiceError } from "../../src/service/manager.ts";
import { SERVICE_STATE_DIRECTORY, systemdUnit } from "../../src/service/systemd.ts";
import { parseProperties, SystemdService } from "../../src/service/systemd_service.ts";
import { FakeSystem } from "../fakes/system.ts";

const UNIT_FILE = "/etc/systemd/system/pennon.service";
const PROGRAM = "/usr/local/bin/pennon";

/** A host with systemd, root, and a record of what was run. */
function host({ isRegistered = true, userId = 0 } = {}) {
  const system = new FakeSystem();
  system.executable = PROGRAM;
  system.machine = { ...system.machine, userId: () => userId };
  system.files.texts.set("/run/systemd/system/mark", "").set(PROGRAM, "");
  if (isRegistered) system.files.texts.set(`${SERVICE_STATE_DIRECTORY}/identity.json`, "{}");
  const ran: string[] = [];
  let code = 0;
  system.runCommand = ([program = "", ...args]) => {
    ran.push([program.split("/").at(-1), ...args].join(" "));
    return Promise.resolve({ code, stdout: "", stderr: "said\n", truncated: false });
  };
  const failWith = (next: number) => code = next;
  return { system, ran, failWith, service: new SystemdService(system) };
}

const SYSUSERS =
  'systemd-sysusers --inline u pennon - "Pennon update agent" /var/lib/pennon /usr/sbin/nologin';
const ENABLE = "systemctl --quiet enable pennon.service";

Deno.test("install writes the unit for all to read, makes the account, enables and starts", async () => {
  const { system, ran, service } = host();
  const done = await service.install();
  assertEquals(system.files.texts.get(UNIT_FILE), systemdUnit({ program: PROGRAM }));
  assertEquals(system.files.modes.get(UNIT_FILE), 0o644);
  assertEquals(ran, [
    SYSUSERS,
    "systemctl daemon-reload",
    ENABLE,
    "systemctl --quiet restart pennon.service",
  ]);
  assertEquals(done, [
    `Wrote ${UNIT_FILE}`,
    "Enabled: the agent starts at boot",
    "Started: the agent runs",
  ]);
});

Deno.test("a second install writes nothing and restarts nothing", async () => {
  const { ran, service } = host();
  await service.install();
  ran.length = 0;
  assertEquals((await service.install())[0], `Unchanged: ${UNIT_FILE}`);
  assertEquals(ran, [SYSUSERS, ENABLE, "systemctl --quiet start pennon.service"]);
});

Deno.test("install on a host that is not registered starts nothing, and says what is next", async () => {
  const { ran, service } = host({ isRegistered: false });
  assertMatch((await service.install()).at(-1) ?? "", /^Not started: .*pennon register --server/);
  assertEquals(ran.at(-1), ENABLE);
});

Deno.test("with a package's unit, install writes none, and uninstall removes none", async () => {
  const { system, ran, service } = host();
  system.files.texts.set("/usr/lib/systemd/system/pennon.service", "[Unit]\n");
  await service.install();
  assertEquals(system.files.texts.has(UNIT_FILE), false);
  assertEquals(ran, [ENABLE, "systemctl --quiet start pennon.service"]);
  const done = await service.uninstall();
  assert(done.includes("The package's unit stays: /usr/lib/systemd/system/pennon.service"));
});

Deno.test("uninstall removes the unit and leaves the state; again, it does nothing", async () => {
  const { system, ran, service } = host();
  await service.install();
  ran.length = 0;
  const done = await service.uninstall();
  assertEquals(ran, [
    "systemctl --quiet disable --now pennon.service",
    "systemctl daemon-reload",
    "systemctl reset-failed pennon.service",
  ]);
  assertEquals(system.files.texts.has(UNIT_FILE), false);
  assert(system.files.texts.has(`${SERVICE_STATE_DIRECTORY}/identity.json`));
  assertEquals(done.at(-1), "Left: /var/lib/pennon, /etc/pennon, and the account");
  assertEquals(await service.uninstall(), ["The service is not installed"]);
});

/** Asserts that install is refused with these words, and that nothing has been done. */
async function assertRefused({ system, ran, service }: ReturnType<typeof host>, words: RegExp) {
  const before = system.files.texts.get(UNIT_FILE);
  const { message } = await assertRejects(() => service.install(), ServiceError);
  assertMatch(message, words);
  assertEquals([ran, system.files.texts.get(UNIT_FILE)], [[], before]);
}

Deno.test("install refuses without root, without systemd, and from source", async () => {
  await assertRefused(
    host({ userId: 1_000 }),
    /only root can\. Next: sudo pennon service install$/,
  );
  const elsewhere = host();
  elsewhere.system.files.texts.delete("/run/systemd/system/mark");
  await assertRefused(elsewhere, /systemd does not run here\. Next: /);
  const source = host();
  source.system.executable = null;
  await assertRefused(source, /runs from source\. Next: /);
});

Deno.test("install refuses a program that others can change, or that the sandbox hides", async () => {
  const writable = host();
  writable.system.files.modes.set(PROGRAM, 0o777);
  await assertRefused(writable, /can be written by every user \(mode 777\)\. Next: chmod go-w/);
  const foreign = host();
  foreign.system.files.owners.set(PROGRAM, 1_000);
  await assertRefused(foreign, /belongs to user 1000\. Next: .*sudo install -m 0755/);
  const hidden = host();
  hidden.system.executable = "/home/me/my downloads/pennon";
  await assertRefused(
    hidden,
    /sandbox hides .* Next: sudo install -m 0755 '\/home\/me\/my downloads\/pennon'/,
  );
});

Deno.test("install refuses a link and a foreign file in the unit's place", async () => {
  const foreign = host();
  foreign.system.files.texts.set(UNIT_FILE, "[Service]\n");
  await assertRefused(foreign, /was not written by Pennon\. Next: move it away$/);
  const linked = host();
  const facts = (await linked.system.files.inspect("look", PROGRAM))!;
  linked.system.files.trace = (purpose, path) => {
    const kind = path === UNIT_FILE ? "link" as const : "file" as const;
    assertMatch(purpose, /^look at /);
    return Promise.resolve({ steps: [{ path, ...facts, kind }], isWhole: true });
  };
  await assertRefused(linked, /is a symbolic link/);
});

Deno.test("a program that fails is named, with what it said", async () => {
  const { service, failWith } = host();
  failWith(4);
  const { message } = await assertRejects(() => service.install(), ServiceError);
  assertEquals(
    message,
    'Cannot install the service: "/usr/bin/systemd-sysusers" ended with 4: said',
  );
});

Deno.test("parseProperties() takes the properties that it asked for, whatever their values", () => {
  const text = "LoadState=loaded\nActiveState=active\nFragmentPath=/a=b\nOther=1\njunk\n=\n";
  assertEquals(parseProperties(text), {
    LoadState: "loaded",
    ActiveState: "active",
    FragmentPath: "/a=b",
  });
  assertEquals(parseProperties(""), {});
  assertEquals(Object.keys(parseProperties("__proto__=1\nconstructor=2")), []);
});

Deno.test("an agent that does not start is no success, and the log says why", async () => {
  const { system, service } = host();
  const answer = { stdout: "", stderr: "see journalctl", truncated: false };
  system.runCommand = (argv) =>
    Promise.resolve({ ...answer, code: argv.includes("restart") ? 1 : 0 });
  const { message } = await assertRejects(() => service.install(), ServiceError);
  assertMatch(message, /does not start\. Next: pennon service logs$/);
  assert(system.files.texts.has(UNIT_FILE));
});

Deno.test("a package's unit that cannot be looked for is an error, and not an absent one", async () => {
  const { system, service } = host();
  system.files.fail("look for the package's unit", "denied");
  const error = await assertRejects(() => service.install(), ServiceError);
  assertMatch(error.message, /^Cannot install the service: Cannot look for the package's unit/);
});
