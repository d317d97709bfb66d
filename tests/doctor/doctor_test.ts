import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadConfig } from "../../src/config.ts";
import { examine } from "../../src/doctor/doctor.ts";
import type { Finding } from "../../src/doctor/finding.ts";
import { saveLastScans } from "../../src/scanners/last_scans.ts";
import { failedReport } from "../../src/scanners/run_scans.ts";
import { NO_SERVER_KEYS, saveServerKeys } from "../../src/server/key_trust.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, STATE } from "../cli/run_cli.ts";

async function findingsOf(system: FakeSystem): Promise<Map<string, Finding>> {
  const configuration = await loadConfig(system);
  const findings = await examine(system, { configuration, stateDirectory: STATE });
  return new Map(findings.map((finding) => [finding.check, finding]));
}

Deno.test("examine() says why it did not ask the server about this agent", async () => {
  const bare = await findingsOf(new FakeSystem());
  assertEquals(bare.get("access")?.seen, "because this host is not registered");
  const { system, server } = await enrolled();
  server.mood = { kind: "gone" };
  const unreached = await findingsOf(system);
  assertEquals(unreached.get("access")?.seen, "because the server is not reached");
  server.mood = { kind: "well" };
  system.files.ofHost.clear();
  system.files.texts.delete(`${STATE}/machine.json`);
  const anonymous = await findingsOf(system);
  assertEquals(anonymous.get("access")?.seen, "because this host has no machine id yet");
  assertEquals(anonymous.get("health")?.level, "ok");
});

Deno.test("examine() asks in the name of this machine", async () => {
  const { system, server } = await enrolled();
  const ids: (string | undefined)[] = [];
  system.sendHttp = (request) => {
    ids.push(request.headers["x-machine-id"]);
    return server.sendHttp(request);
  };
  await findingsOf(system);
  const { registered } = JSON.parse(system.files.texts.get(`${STATE}/machine.json`) ?? "{}");
  assertEquals(new Set(ids), new Set([registered]));
});

Deno.test("examine() judges the keys that the server shows just now, and saves nothing of it", async () => {
  const { system, server } = await enrolled();
  // Protocol 0.2, section 9.
  server.publicKeys = [{
    key_id: "56475aa75463474c0285df5dbf2bcab7",
    public_key: "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
    is_primary: true,
    version: 1,
    algorithm: "ed25519",
  }];
  const first = await findingsOf(system);
  assertStringIncludes(first.get("signatures")?.seen ?? "", "56475aa75463474c0285df5dbf2bcab7");
  assertEquals(first.get("signatures")?.level, "ok");
  const pinned = { keyId: "a".repeat(32), publicKey: "b".repeat(64) };
  const trust = {
    ...NO_SERVER_KEYS.trust,
    pinned,
    source: "first_use",
    isRatcheted: true,
  } as const;
  await saveServerKeys(system.files, STATE, { ...NO_SERVER_KEYS, trust });
  const before = system.files.texts.get(`${STATE}/keys.json`);
  assertEquals((await findingsOf(system)).get("signatures")?.level, "fail");
  assertEquals(system.files.texts.get(`${STATE}/keys.json`), before);
});

Deno.test("examine() shows no token that a program has repeated", async () => {
  const { system } = await enrolled();
  system.files.texts.set("/usr/bin/apt-get", "").set("/usr/bin/dpkg-query", "");
  system.files.texts.set("/var/lib/apt/lists/a_InRelease", "");
  system.files.modifiedMs.set("/var/lib/apt/lists", system.clock.nowMs());
  system.runCommand = () =>
    Promise.resolve({ code: 0, stdout: "apt 2.6.2", stderr: "", truncated: false });
  const message = "it says access-1 and refresh-1";
  const reports = [failedReport("apt", { reason: "transient", message }, 1)];
  await saveLastScans(system.files, STATE, { reports, nowMs: system.clock.nowMs() });
  const { seen = "", level } = (await findingsOf(system)).get("apt") ?? {};
  assertEquals(level, "warn");
  assertStringIncludes(seen, "the last scan failed: it says (hidden) and (hidden)");
  assert(!seen.includes("access-1") && !seen.includes("refresh-1"));
});
