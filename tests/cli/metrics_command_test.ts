import { assertEquals } from "@std/assert";
import { METRICS } from "../../src/agent/metrics.ts";
import { parseExposition } from "../fakes/exposition.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, runCli } from "./run_cli.ts";

Deno.test("pennon metrics prints valid text, also on a host that is not registered", async () => {
  const { system } = await enrolled();
  for (const [host, isRegistered] of [[system, 1], [new FakeSystem(), 0]] as const) {
    const { code, out, err } = await runCli(host, "metrics");
    assertEquals([code, err], [0, ""]);
    const metrics = parseExposition(out);
    const registered = metrics.find(({ name }) => name === "pennon_registered");
    assertEquals(registered?.samples[0]?.value, isRegistered);
    const unknown = metrics.filter(({ name }) => !Object.hasOwn(METRICS, name));
    assertEquals(unknown, []);
  }
});
