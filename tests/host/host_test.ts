import { assert, assertEquals } from "@std/assert";
import {
  cpuPercent,
  hostFacts,
  hostMetrics,
  MetricsReader,
  parseOsRelease,
  readOsRelease,
} from "../../src/host/host.ts";
import { FakeFiles } from "../fakes/files.ts";
import { FakeSystem } from "../fakes/system.ts";

function times(busyMs: number, totalMs: number) {
  return [{ model: "CPU", busyMs, totalMs }];
}

Deno.test("cpuPercent() is the busy part of what has passed", () => {
  assertEquals(cpuPercent(times(100, 1_000), times(150, 1_200)), 25);
  assertEquals(cpuPercent(times(100, 1_000), times(100, 1_000)), null);
  assertEquals(cpuPercent(times(100, 1_000), times(50, 500)), null); // Counters that went back.
  assertEquals(cpuPercent([], []), null);
  assertEquals(cpuPercent(times(0, 0), times(1, 1)), 100);
  const two = (busyMs: number) => [...times(busyMs, 1_000), ...times(busyMs, 1_000)];
  assertEquals(cpuPercent([...times(0, 500), ...times(0, 500)], two(250)), 50);
  // Counters that do not fit together: never under nothing, never over all.
  assertEquals(cpuPercent(times(100, 1_000), times(50, 1_100)), 0);
  assertEquals(cpuPercent(times(100, 1_000), times(500, 1_100)), 100);
});

Deno.test("hostFacts() works without the programs that a minimal system lacks", async () => {
  const system = new FakeSystem();
  const facts = await hostFacts(system);
  assertEquals(facts.processes, null);
  assertEquals(facts.osVersion, "Linux 6.1.0-test");
  assertEquals(facts.disks, [
    { mount: "/", fileSystem: "", totalBytes: 100_000_000_000, usedBytes: 60_000_000_000 },
  ]);
});

Deno.test("hostFacts() omits loopback and link-local addresses", async () => {
  const system = new FakeSystem();
  const useless = ["127.0.0.1", "127.9.9.9", "::1", "fe80::1", "FE80::2", "169.254.1.1"];
  const useful = ["192.0.2.7", "2001:db8::7", "::1:2", "10.127.0.1", "1.169.254.1", "2::fe80:1"];
  const addresses = [...useless, ...useful];
  system.machine = {
    ...system.machine,
    networkAddresses: () => addresses.map((address) => ({ family: "IPv4", address, mac: "" })),
  };
  assertEquals((await hostFacts(system)).addresses, useful);
});

Deno.test("hostFacts() describes Windows and macOS by their kernels", async () => {
  const system = new FakeSystem();
  system.os = "windows";
  assertEquals((await hostFacts(system)).osVersion, "Windows 6.1.0-test");
  system.os = "macos";
  assertEquals((await hostFacts(system)).osVersion, "macOS (Darwin 6.1.0-test)");
});

/** Programs that answer, by their path; what was asked is kept. */
function withPrograms(answers: Record<string, { code?: number; stdout: string }>) {
  const system = new FakeSystem();
  const asked: { argv: readonly string[]; timeoutMs: number }[] = [];
  system.runCommand = (argv, options) => {
    const answer = answers[argv[0] ?? ""];
    if (!answer) return Promise.reject(new Error(`no ${argv[0]}`));
    asked.push({ argv, timeoutMs: options.timeoutMs });
    return Promise.resolve({ code: 0, stderr: "", truncated: false, ...answer });
  };
  return { system, asked };
}

const PROCESSES = { stdout: "    1\n   42\n  \n  666\n" };

Deno.test("hostFacts() counts processes with ps, where that exists and succeeds", async () => {
  const linux = withPrograms({ "/usr/bin/ps": PROCESSES });
  assertEquals((await hostFacts(linux.system)).processes, 3);
  assertEquals(linux.asked, [{ argv: ["/usr/bin/ps", "-A", "-o", "pid="], timeoutMs: 5_000 }]);
  const macos = withPrograms({ "/bin/ps": PROCESSES });
  macos.system.os = "macos";
  assertEquals((await hostFacts(macos.system)).processes, 3);
  const failing = withPrograms({ "/usr/bin/ps": { ...PROCESSES, code: 1 } });
  assertEquals((await hostFacts(failing.system)).processes, null);
  const windows = withPrograms({ "/usr/bin/ps": PROCESSES, "/bin/ps": PROCESSES });
  windows.system.os = "windows";
  assertEquals([(await hostFacts(windows.system)).processes, windows.asked], [null, []]);
});

Deno.test("hostFacts() reads the disks from df on Linux alone", async () => {
  const df = { stdout: "/dev/sda1 ext4 100 60 40 60% /\n/dev/sdb1 xfs 50 25 25 50% /mnt\n" };
  const { system } = withPrograms({ "/usr/bin/df": df });
  assertEquals((await hostFacts(system)).disks.map(({ mount }) => mount), ["/", "/mnt"]);
  system.os = "macos";
  assertEquals((await hostFacts(system)).disks.map(({ mount }) => mount), ["/"]);
});

Deno.test("hostFacts() and hostMetrics() use the drive that Windows is on", async () => {
  const system = new FakeSystem();
  system.os = "windows";
  const looked: string[] = [];
  system.machine = {
    ...system.machine,
    disk: (path) => {
      looked.push(path);
      return { totalBytes: 100, freeBytes: 40 };
    },
  };
  await hostFacts(system);
  system.environment.set("SystemDrive", "D:");
  assertEquals((await hostFacts(system)).disks, [
    { mount: "D:\\", fileSystem: "", totalBytes: 100, usedBytes: 60 },
  ]);
  hostMetrics(system, []);
  assertEquals(looked, ["C:\\", "D:\\", "D:\\"]);
});

Deno.test("hostFacts() returns null for what the machine does not report", async () => {
  const system = new FakeSystem();
  const { cpuModel, cpuCores, memoryTotalBytes, uptimeS } = await hostFacts(system);
  assertEquals([cpuModel, cpuCores, memoryTotalBytes, uptimeS], [
    "Test CPU",
    1,
    8_000_000_000,
    3_600,
  ]);
  system.machine = {
    ...system.machine,
    cpus: () => [],
    memory: () => null,
    disk: () => null,
    uptimeS: () => null,
  };
  const poor = await hostFacts(system);
  assertEquals({
    cpuModel: poor.cpuModel,
    cpuCores: poor.cpuCores,
    memoryTotalBytes: poor.memoryTotalBytes,
  }, { cpuModel: null, cpuCores: 0, memoryTotalBytes: null });
  assertEquals([poor.disks, poor.uptimeS], [[], null]);
});

Deno.test("hostMetrics() returns what the machine reports, and null for the rest", () => {
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

import fc from "fast-check";
import { anyString } from "../fakes/texts.ts";

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nID=debian\n';

Deno.test("parseOsRelease() reads assignments as os-release(5) writes them", () => {
  const text = `# comment\n${DEBIAN}QUOTED='a "b"'\nESCAPED="a \\"b\\" \\$c"\njunk\n=x\nEMPTY=\n`;
  assertEquals(Object.fromEntries(parseOsRelease(text)), {
    PRETTY_NAME: "Debian GNU/Linux 12 (bookworm)",
    NAME: "Debian GNU/Linux",
    ID: "debian",
    QUOTED: 'a "b"',
    ESCAPED: 'a "b" $c',
    EMPTY: "",
  });
});

Deno.test("parseOsRelease() removes matching quotes, and no others", () => {
  const rows: [written: string, value: string][] = [
    ['""', ""],
    ["''", ""],
    ['"', '"'],
    ["'", "'"],
    [`"a'`, `"a'`],
    [`'a"`, `'a"`],
    ["'a\\$b'", "a\\$b"], // In single quotes a backslash is one.
    ["a\\$b", "a$b"],
    ['a"', 'a"'],
  ];
  for (const [written, value] of rows) {
    assertEquals(parseOsRelease(`A1_B=${written}\r\n`).get("A1_B"), value, written);
  }
  assertEquals([...parseOsRelease("a=1\n1A=1\n A=1\nxA=1\nA B=1\n")], [["A", "1"]]);
});

Deno.test("parseOsRelease() throws at nothing", () => {
  fc.assert(fc.property(anyString(), (text) => {
    assert(parseOsRelease(text) instanceof Map);
  }));
});

Deno.test("readOsRelease() reads the first readable file", async () => {
  const files = new FakeFiles();
  assertEquals(await readOsRelease(files), undefined);
  files.texts.set("/usr/lib/os-release", "NAME=Alpine\nVERSION_ID=3.20\n");
  assertEquals(await readOsRelease(files), "Alpine 3.20");
  files.texts.set("/etc/os-release", DEBIAN);
  assertEquals(await readOsRelease(files), "Debian GNU/Linux 12 (bookworm)");
  files.texts.set("/etc/os-release", "NAME=Arch\n");
  assertEquals(await readOsRelease(files), "Arch");
  files.texts.set("/etc/os-release", "VERSION_ID=3\n");
  assertEquals(await readOsRelease(files), undefined);
  files.fail("read os-release", "denied");
  assertEquals(await readOsRelease(files), undefined);
});

Deno.test("MetricsReader reads at once, and anew after 15 s", async () => {
  const system = new FakeSystem();
  let readings = 0;
  system.machine = {
    ...system.machine,
    cpus: () => [{ model: "CPU", busyMs: 50 * ++readings, totalMs: 100 * readings }],
    uptimeS: () => readings,
  };
  const reader = new MetricsReader(system);
  const first = reader.read();
  assertEquals(first.cpuPercent, 50);
  await system.clock.advance(14_999);
  assertEquals(reader.read(), first);
  assertEquals(readings, 2);
  await system.clock.advance(1);
  assertEquals(reader.read(), { ...first, uptimeS: 3 });
});
