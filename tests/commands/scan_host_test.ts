import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { scanStorage, scanSystem } from "../../src/commands/scan_host.ts";
import { LIMITS } from "../../src/server/limits.ts";
import { assertStorable } from "../fakes/storable.ts";
import { FakeSystem } from "../fakes/system.ts";
import { anyString } from "../fakes/texts.ts";

const command = { id: "c1", type: "scan_storage", params: {} };

const DF = `Filesystem     Type     1-blocks  Used Available Capacity Mounted on
/dev/sda1      ext4     1000      600  200       75% /
/dev/sdb1      xfs      1000      950  50        95% /data
/dev/sdc1      xfs      1000      900  100       90% /nine
/dev/sdd1      xfs      1000      800  200       80% /eight
/dev/sde1      xfs      1000      799  201       80% /seven
`;

const LSBLK = JSON.stringify({
  blockdevices: [{ name: "/dev/sda", rota: false, children: [{ name: "/dev/sda1", rota: false }] }],
});

function setUp(df = DF) {
  const system = new FakeSystem();
  system.runCommand = (argv) => {
    const stdout = argv[0] === "/usr/bin/df" ? df : argv[0] === "/usr/bin/lsblk" ? LSBLK : "1\n2\n";
    return Promise.resolve({ code: 0, stdout, stderr: "", truncated: false });
  };
  const run = async (handler: ReturnType<typeof scanStorage>) => {
    const { signal } = new AbortController();
    const running = handler.run(command, { signal, appendEarly: () => {} });
    await system.clock.advance(1_000);
    const { events, rapidPollingMs } = await running;
    assertEquals(rapidPollingMs, null);
    assert(handler.repeatable);
    assertEquals(events.map(({ commandId }) => commandId), ["c1", "c1"]);
    return {
      kinds: events.map(({ kind }) => kind),
      bodies: events.map(({ body }) => JSON.parse(body)),
    };
  };
  return { system, run };
}

Deno.test("scan_storage reports each mount with its disk, then the command's log", async () => {
  const { system, run } = setUp();
  const { kinds, bodies: [report, log] } = await run(scanStorage(system));
  assertEquals(kinds, ["storage_metrics", "log"]);
  assertEquals([report.command_id, "agent_id" in report], ["c1", false]);
  assertMatch(report.timestamp, /^\d{4}-.*Z$/);
  assertEquals(report.metrics[0], {
    mountpoint: "/",
    device: "/dev/sda1",
    disk_type: "ssd",
    filesystem: "ext4",
    total_bytes: 1_000,
    used_bytes: 600,
    available_bytes: 200,
    used_percent: 75,
    severity: "low",
    metadata: {},
  });
  const rated = report.metrics.map((one: Record<string, unknown>) => [
    one["mountpoint"],
    one["used_percent"],
    one["severity"],
    one["disk_type"],
  ]);
  assertEquals(rated.slice(1), [
    ["/data", 95, "critical", "unknown"],
    ["/nine", 90, "important", "unknown"],
    ["/eight", 80, "moderate", "unknown"],
    ["/seven", 79.9, "low", "unknown"],
  ]);
  assertEquals([log.result, log.stdout.split("\n")[0]], ["success", "/: 75% used"]);
});

Deno.test("scan_storage fails where the host names no disk", async () => {
  const { system } = setUp("");
  system.machine.disk = () => null;
  const { signal } = new AbortController();
  await assertRejects(
    () => scanStorage(system).run(command, { signal, appendEarly: () => {} }),
    Error,
    "Cannot scan storage: this host names no disk",
  );
});

Deno.test("scan_storage sends nothing that the server cannot store, whatever the mounts are called", async () => {
  const name = anyString({ minLength: 1, maxLength: 300 });
  const size = fc.nat();
  await fc.assert(fc.asyncProperty(name, name, size, size, async (mount, type, used, free) => {
    const { system, run } = setUp(`${type} ${type} 100 ${used} ${free} 5% /${mount}\n`);
    system.machine.disk = () => ({ totalBytes: 5, freeBytes: 1 });
    const { bodies: [report] } = await run(scanStorage(system));
    assertStorable(JSON.stringify(report));
    for (const { mountpoint, device, filesystem, used_percent } of report.metrics) {
      assert([...mountpoint].length <= LIMITS.mountPoint && [...device].length <= LIMITS.device);
      assert([...filesystem].length <= LIMITS.fileSystem);
      assert(used_percent >= 0 && used_percent <= 100);
    }
  }));
});

Deno.test("scan_system reports figures of the moment, metadata as strings, then the log", async () => {
  const { system, run } = setUp();
  let reading = 0;
  system.machine.cpus = () => {
    reading += 1;
    return [{ model: "Z80", busyMs: reading === 1 ? 0 : 90, totalMs: reading === 1 ? 0 : 100 }];
  };
  system.machine.memory = () => ({ totalBytes: 1_000, availableBytes: 40 });
  system.machine.uptimeS = () => 93_780;
  system.machine.kernelRelease = () => "6.1.0";
  const { kinds, bodies: [report, log] } = await run(scanSystem(system));
  assertEquals(kinds, ["system_metrics", "log"]);
  const rows = report.metrics.map((one: Record<string, unknown>) => [
    one["package_type"],
    one["package_name"],
    one["current_version"],
    one["severity"],
    one["metadata"],
  ]);
  assertEquals(rows.slice(1), [
    ["system", "memory", "96%", "critical", { total_bytes: "1000", used_bytes: "960" }],
    ["system", "uptime", "1d 2h 3m", "low", { seconds: "93780" }],
    ["system", "processes", "2", "low", {}],
    ["system", "kernel", "6.1.0", "low", {}],
  ]);
  assertEquals(rows[0][1], "cpu");
  assertEquals(rows[0][4], { cores: "1", model: "Z80" });
  assertEquals(log.result, "success");
});

Deno.test("scan_system leaves out what the host does not say", async () => {
  const { system, run } = setUp();
  system.machine.cpus = () => [];
  system.machine.memory = () => null;
  system.machine.uptimeS = () => null;
  const { bodies: [report] } = await run(scanSystem(system));
  const names = report.metrics.map((one: { package_name: string }) => one.package_name);
  assertEquals(names, ["processes", "kernel"]);
});
