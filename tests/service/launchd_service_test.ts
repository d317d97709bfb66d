import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { launchdPlist } from "../../src/service/launchd.ts";
import { LaunchdService, parsePrint } from "../../src/service/launchd_service.ts";
import { ServiceError } from "../../src/service/manager.ts";
import { FakeSystem } from "../fakes/system.ts";

const STATE = "/Library/Application Support/Pennon";
const PLIST = "/Library/LaunchDaemons/io.pennon.agent.plist";
const PROGRAM = "/usr/local/bin/pennon";

const PRINT = "system/io.pennon.agent = {\n\tactive count = 1\n\tstate = running\n\tpid = 77\n" +
  "\tendpoints = {\n\t\tstate = active\n\t}\n}\n";

function host({ isLoaded = false } = {}) {
  const system = new FakeSystem();
  system.os = "macos";
  system.executable = PROGRAM;
  system.machine = { ...system.machine, userId: () => 0 };
  system.files.texts.set(`${STATE}/identity.json`, "{}");
  const ran: string[] = [];
  system.runCommand = (argv) => {
    ran.push(argv.join(" "));
    const code = argv[1] === "print" && !isLoaded ? 113 : 0;
    return Promise.resolve({ code, stdout: code ? "" : PRINT, stderr: "", truncated: false });
  };
  return { system, ran, service: new LaunchdService(system, STATE) };
}

const PRINTS = "/bin/launchctl print system/io.pennon.agent";
const BOOTSTRAP = `/bin/launchctl bootstrap system ${PLIST}`;
const BOOTOUT = "/bin/launchctl bootout system/io.pennon.agent";

Deno.test("install writes the property list and loads it", async () => {
  const { system, ran, service } = host();
  await service.install();
  assertEquals(system.files.texts.get(PLIST), launchdPlist({ program: PROGRAM }));
  assertEquals(system.files.modes.get(PLIST), 0o644);
  assertEquals(ran, [PRINTS, BOOTSTRAP]);
});

Deno.test("install of a loaded daemon loads it again only if it changed", async () => {
  const { system, ran, service } = host({ isLoaded: true });
  await service.install();
  assertEquals(ran, [PRINTS, BOOTOUT, BOOTSTRAP]);
  ran.length = 0;
  assertEquals(await service.install(), [`Unchanged: ${PLIST}`, "The agent is loaded already"]);
  assertEquals(ran, [PRINTS]);
  system.files.texts.delete(`${STATE}/identity.json`);
  assertMatch((await service.install()).at(-1) ?? "", /^Not started: /);
});

Deno.test("uninstall unloads the daemon and removes its list", async () => {
  const { system, ran, service } = host({ isLoaded: true });
  await service.install();
  ran.length = 0;
  await service.uninstall();
  assertEquals(ran, [PRINTS, BOOTOUT]);
  assertEquals(system.files.texts.has(PLIST), false);
  assertEquals(await service.uninstall(), ["The service is not installed"]);
});

Deno.test("install and uninstall refuse without root", async () => {
  const { system, ran, service } = host();
  system.machine = { ...system.machine, userId: () => 501 };
  await assertRejects(() => service.install(), ServiceError, "sudo pennon service install");
  await assertRejects(() => service.uninstall(), ServiceError, "sudo pennon service uninstall");
  assertEquals(ran, []);
});

Deno.test("parsePrint() takes the state of the service itself, not that of its parts", () => {
  assertEquals(parsePrint(PRINT), { state: "running", pid: "77" });
  assertEquals(parsePrint(""), {});
});
