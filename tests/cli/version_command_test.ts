import { assertEquals } from "@std/assert";
import { VERSION } from "../../src/version.ts";
import { FakeSystem } from "../fakes/system.ts";
import { say } from "./said.ts";

Deno.test("version says which Pennon this is, and what it runs on", async () => {
  const system = new FakeSystem();
  const text = { code: 0, out: `pennon ${VERSION} (linux, x86_64)\n`, err: "" };
  assertEquals(await say(system, "version"), text);
  assertEquals(await say(system, "--version"), text);
  const { code, out } = await say(system, "version", "--json");
  assertEquals([code, JSON.parse(out)], [0, {
    schema: "pennon.version/1",
    version: VERSION,
    os: "linux",
    architecture: "x86_64",
  }]);
});
