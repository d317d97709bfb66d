import { assertEquals } from "@std/assert";
import { hostService } from "../../src/service/service.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("hostService() is the service manager of each system", () => {
  const system = new FakeSystem();
  const kinds = (["linux", "windows", "macos"] as const).map((os) => {
    system.os = os;
    return hostService(system, "/state").constructor.name;
  });
  assertEquals(kinds, ["SystemdService", "TaskService", "LaunchdService"]);
});
