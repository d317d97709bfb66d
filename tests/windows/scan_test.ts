import { assertEquals, assertStringIncludes } from "@std/assert";
import { enveloped, hostTest } from "./windows_host.ts";

hostTest("pennon scan --json tells what Windows Update has", async (host) => {
  await host.powershell("stdout = out", { out: enveloped("winupdate/two.json") });
  const { code, out, err } = await host.pennon(["scan", "--json", "--only", "winupdate"]);
  assertEquals([code, err], [0, ""]);
  const { schema, scanners: [scanner] } = JSON.parse(out);
  assertEquals([schema, scanner.name, scanner.result], ["pennon.scan/1", "winupdate", "ok"]);
  assertEquals(scanner.updates.map(({ advisories }: { advisories: string[] }) => advisories), [
    ["KB5070001"],
    ["KB2267602"],
  ]);
});

hostTest("pennon scan fails, with a reason, where PowerShell is silent", async (host) => {
  await host.powershell("exit = 0");
  const { code, out, err } = await host.pennon(["scan", "--json", "--only", "winupdate"]);
  assertEquals([code, JSON.parse(out).scanners[0].result], [1, "failed"]);
  assertStringIncludes(err, "pennon: winupdate: Cannot read PowerShell's answer");
});

hostTest("pennon scan of what this host lacks says so", async (host) => {
  const { code, out, err } = await host.pennon(["scan", "--csv", "--only", "winget,apt"]);
  assertEquals([code, out.trim().split("\n").length], [1, 1]);
  assertStringIncludes(err, "Cannot scan with winget: it is not on this host");
  assertStringIncludes(err, "Cannot scan with apt: it is not on this host");
});
