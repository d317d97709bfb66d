import { assertEquals, assertRejects } from "@std/assert";
import { tryFolder } from "../../src/agent/try_folder.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("tryFolder() makes nothing where there is no folder", async () => {
  const system = new FakeSystem();
  assertEquals(await tryFolder(system, "/state"), undefined);
  assertEquals(system.files.texts.size, 0);
});

Deno.test("tryFolder() says whether a folder takes writes, and leaves nothing in it", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/state/identity.json", "{}");
  assertEquals(await tryFolder(system, "/state"), null);
  assertEquals([...system.files.texts.keys()], ["/state/identity.json"]);
  for (const reason of ["full", "denied", "failed"] as const) {
    system.files.fail("try the state folder", reason);
    const why = `Cannot try the state folder: ${reason} on purpose`;
    assertEquals(await tryFolder(system, "/state"), why);
  }
});

Deno.test("tryFolder() throws on what is no matter of files", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/state/identity.json", "{}");
  system.files.writeText = () => Promise.reject(new TypeError("a mistake of ours"));
  await assertRejects(() => tryFolder(system, "/state"), TypeError, "a mistake of ours");
});
