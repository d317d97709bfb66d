import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ServiceError } from "../../src/service/manager.ts";
import { taskXml } from "../../src/service/task.ts";
import { parseList, TaskService } from "../../src/service/task_service.ts";
import { FakeSystem } from "../fakes/system.ts";

const STATE = "C:\\ProgramData\\Pennon\\State";
const SCHTASKS = "C:\\Windows\\System32\\schtasks.exe";
const PROGRAM = "C:\\Program Files\\Pennon\\pennon.exe";

function host({ isRegistered = true, queryCode = 0, code = 0 } = {}) {
  const system = new FakeSystem();
  system.os = "windows";
  system.executable = PROGRAM;
  if (isRegistered) system.files.texts.set(`${STATE}/identity.json`, "{}");
  const ran: string[] = [];
  /** What the file had in it when it was given to Task Scheduler. */
  const given: (string | undefined)[] = [];
  system.runCommand = (argv) => {
    assertEquals(argv[0], SCHTASKS);
    ran.push(argv.slice(1).join(" "));
    if (argv.includes("/xml")) given.push(system.files.texts.get(argv.at(-1) ?? ""));
    const isQuery = argv.includes("/query");
    const stdout = isQuery ? "\r\nFolder: \\\r\nStatus:       Running\r\n" : "";
    return Promise.resolve({
      code: isQuery ? queryCode : code,
      stdout,
      stderr: "Access is denied.",
      truncated: false,
    });
  };
  return { system, ran, given, service: new TaskService(system, STATE) };
}

Deno.test("install gives the task to schtasks, leaves no file, and starts it", async () => {
  const { system, ran, given, service } = host();
  const done = await service.install();
  const create = `/create /tn \\Pennon /f /xml ${STATE}\\task.xml`;
  assertEquals(ran, [create, "/run /tn \\Pennon"]);
  assertEquals(given, [taskXml({ program: PROGRAM })]);
  assertEquals(system.files.texts.has(`${STATE}\\task.xml`), false);
  assertEquals(done.at(-1), "Started: the agent runs");
});

Deno.test("install without rights names the next step, and leaves no file", async () => {
  const { system, service } = host({ code: 1 });
  const { message } = await assertRejects(() => service.install(), ServiceError);
  assertMatch(message, /ended with 1: Access is denied\.\. Next: .*Run as administrator$/);
  assertEquals(system.files.texts.has(`${STATE}\\task.xml`), false);
});

Deno.test("install on a host that is not registered does not start the task", async () => {
  const { ran, service } = host({ isRegistered: false });
  assertMatch((await service.install()).at(-1) ?? "", /^Not started: .*pennon register/);
  assertEquals(ran.length, 1);
});

Deno.test("status: installed by schtasks' exit code, running by the lock of the agent", async () => {
  const { system, service } = host();
  assertEquals(await service.status(), {
    isInstalled: true,
    isRunning: false,
    details: { Folder: "\\", Status: "Running" },
  });
  system.files.texts.set(`${STATE}\\agent.lock`, "");
  assertEquals((await service.status()).isRunning, false);
  assertEquals(system.files.locked.size, 0);
  system.files.locked.add(`${STATE}\\agent.lock`);
  assert((await service.status()).isRunning);
  const absent = await host({ queryCode: 1 }).service.status();
  assertEquals(absent, { isInstalled: false, isRunning: false, details: {} });
});

Deno.test("uninstall ends and deletes the task, if there is one", async () => {
  const { ran, service } = host();
  await service.uninstall();
  assertEquals(ran.slice(1), ["/end /tn \\Pennon", "/delete /tn \\Pennon /f"]);
  const absent = host({ queryCode: 1 });
  assertEquals(await absent.service.uninstall(), ["The service is not installed"]);
  assertEquals(absent.ran.length, 1);
});

Deno.test("logs are the end of the log file", async () => {
  const { system, service } = host();
  await assertRejects(() => service.logs(2), ServiceError, "there is no");
  system.files.texts.set(`${STATE}\\pennon.log`, "a\nb\nc\n");
  assertEquals(await service.logs(2), "b\nc");
  assertEquals(await service.logs(9), "a\nb\nc");
});

Deno.test("parseList() reads lines of any language, and no others", () => {
  const text =
    "Ordner: \\\nStatus:     Bereit\nN\u00e4chste Laufzeit:  30.11.2026 15:00:00\nno value:\n";
  assertEquals(parseList(text), {
    "Ordner": "\\",
    "Status": "Bereit",
    "N\u00e4chste Laufzeit": "30.11.2026 15:00:00",
  });
  assertEquals(parseList(""), {});
});
