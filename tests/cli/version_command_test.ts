import { assertEquals } from "@std/assert";
import { VERSION } from "../../src/version.ts";
import { FakeSystem } from "../fakes/system.ts";
import { runCli } from "./run_cli.ts";

Deno.test("version prints the version and the platform", async () => {
  const system = new FakeSystem();
  const text = { code: 0, out: `pennon ${VERSION} (linux, x86_64)\n`, err: "" };
  assertEquals(await runCli(system, "version"), text);
  assertEquals(await runCli(system, "--version"), text);
  const { code, out } = await runCli(system, "version", "--json");
  assertEquals([code, JSON.parse(out)], [0, {
    schema: "pennon.version/1",
    version: VERSION,
    os: "linux",
    architecture: "x86_64",
  }]);
});
