import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TASK, taskXml } from "../../src/service/task.ts";
import { TaskService } from "../../src/service/task_service.ts";
import { realSystem } from "../../src/system/real.ts";
import { assertNotStored, assertStored } from "./stored_task.ts";

const PROGRAM = "C:\\Program Files\\Pennon & Co\\pennon.exe";

Deno.test("schtasks reads and stores the task, and uninstall removes it", async () => {
  const state = await Deno.makeTempDir({ prefix: "pennon-task-" });
  const service = new TaskService({ ...realSystem(), executable: PROGRAM }, state);
  try {
    const done = await service.install();
    assertStringIncludes(done.at(-1) ?? "", "Not started: this host is not registered");
    // An exit code proves nothing under Wine: what was stored does.
    await assertStored();
    assertEquals(Array.from(Deno.readDirSync(state)), []);
    await service.install();
    await service.uninstall();
    await assertNotStored();
  } finally {
    await Deno.remove(state, { recursive: true });
  }
});

Deno.test("schtasks refuses a task that is damaged", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pennon-task-" });
  try {
    const { files, runCommand } = realSystem();
    const broken = taskXml({ program: PROGRAM }).replace("</Settings>", "");
    const options = { mode: 0o600, encoding: "utf-16" } as const;
    await files.writeText("write the task", `${folder}\\a.xml`, broken, options);
    const schtasks = "C:\\windows\\system32\\schtasks.exe";
    const argv = [schtasks, "/create", "/f", "/tn", TASK, "/xml", `${folder}\\a.xml`];
    const { code } = await runCommand(argv, { timeoutMs: 60_000 });
    assert(code !== 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
