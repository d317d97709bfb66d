import { assertEquals } from "@std/assert";
import { cpuPercent, hostFacts, hostMetrics } from "../../src/host/host.ts";
import { FakeSystem } from "../fakes/system.ts";

function times(busyMs: number, totalMs: number) {
  return [{ model: "CPU", busyMs, totalMs }];
}

Deno.test("cpuPercent() is the busy part of what has passed", () => {
  assertEquals(cpuPercent(times(100, 1_000), times(150, 1_200)), 25);
  assertEquals(cpuPercent(times(100, 1_000), times(100, 1_000)), null);
  assertEquals(cpuPercent(times(100, 1_000), times(50, 500)), null); // Counters that went back.
  assertEquals(cpuPercent([], []), null);
});

Deno.test("hostFacts() does without the programs a minimal system lacks", async () => {
  const system = new FakeSystem();
  const facts = await hostFacts(system);
  assertEquals(facts.processes, null);
  assertEquals(facts.osVersion, "Linux 6.1.0-test");
  assertEquals(facts.disks, [
    { mount: "/", fileSystem: "", totalBytes: 100_000_000_000, usedBytes: 60_000_000_000 },
  ]);
});

Deno.test("hostFacts() tells no address that means nothing elsewhere", async () => {
  const system = new FakeSystem();
  const addresses = ["127.0.0.1", "::1", "fe80::1", "169.254.1.1", "192.0.2.7", "2001:db8::7"];
  system.machine = {
    ...system.machine,
    networkAddresses: () =>
      addresses.map((address) => ({ interfaceName: "e", family: "IPv4", address, mac: "" })),
  };
  assertEquals((await hostFacts(system)).addresses, ["192.0.2.7", "2001:db8::7"]);
});

Deno.test("hostFacts() speaks of Windows and macOS in their words", async () => {
  const system = new FakeSystem();
  system.os = "windows";
  assertEquals((await hostFacts(system)).osVersion, "Windows 6.1.0-test");
  system.os = "macos";
  assertEquals((await hostFacts(system)).osVersion, "macOS (Darwin 6.1.0-test)");
});

Deno.test("hostMetrics() tells what the machine tells, and null for the rest", () => {
  const system = new FakeSystem();
  const { metrics, cpu } = hostMetrics(system, times(500, 5_000));
  assertEquals(metrics, {
    cpuPercent: 10,
    memoryTotalBytes: 8_000_000_000,
    memoryUsedBytes: 2_000_000_000,
    diskTotalBytes: 100_000_000_000,
    diskUsedBytes: 60_000_000_000,
    uptimeS: 3_600,
  });
  system.machine = { ...system.machine, memory: () => null, disk: () => null, uptimeS: () => null };
  const { metrics: poor } = hostMetrics(system, cpu);
  assertEquals(Object.values(poor), [null, null, null, null, null, null]);
});
