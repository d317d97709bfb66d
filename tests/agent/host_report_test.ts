import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { checkInBody, registerBody, systemInfoEvent } from "../../src/agent/host_report.ts";
import { encodeBody } from "../../src/server/limits.ts";
import { assertStorable } from "../fakes/storable.ts";
import { anyText } from "../fakes/texts.ts";

const device = { type: "laptop", model: "X1", distro: "debian" } as const;

const facts = {
  hostName: "h".repeat(300),
  osType: "linux",
  osVersion: "Debian GNU/Linux 12 (bookworm)",
  architecture: "x86_64",
  kernel: "6.1.0",
  cpuModel: null,
  cpuCores: 2,
  memoryTotalBytes: 8_000,
  disks: [{ mount: "/", fileSystem: "ext4", totalBytes: 100, usedBytes: 60 }],
  processes: null,
  uptimeS: 93_784,
  addresses: ["192.0.2.1"],
} as const;

/** Who registers, but for its version. */
const registrant = {
  nowMs: 0,
  machineId: "0123456789abcdef",
  device: { type: "server", model: null, distro: null },
  scanners: [],
} as const;

const metrics = {
  cpuPercent: 12.345,
  memoryTotalBytes: 8 * 1_024 ** 3,
  memoryUsedBytes: 2 * 1_024 ** 3,
  diskTotalBytes: null,
  diskUsedBytes: null,
  uptimeS: 60,
};

Deno.test("registerBody() fits the columns and omits what is unknown", () => {
  const body = registerBody(facts, { ...registrant, agentVersion: "1.0.0" });
  assertEquals(body.hostname.length, 255);
  assertEquals(body.metadata["installation_time"], "1970-01-01T00:00:00.000Z");
  assertEquals(body.metadata["disk_used"], "60");
  assert(!("cpu_model" in body.metadata) && !("processes" in body.metadata));
  assert(Object.values(body.metadata).every((value) => typeof value === "string"));
});

Deno.test("registerBody() binds the machine, and names device and scanners as the server does", () => {
  const body = registerBody(facts, {
    ...registrant,
    agentVersion: "1.0.0",
    device: { type: "vm", model: "m".repeat(300), distro: "d".repeat(60) },
    scanners: ["apt", "winupdate"],
  });
  assertEquals([body.machine_id, body.device_type], ["0123456789abcdef", "vm"]);
  assertEquals(body.available_scanners, ["apt", "windows"]);
  assertEquals([body.device_model?.length, body.os_distro?.length], [255, 50]);
  const bare = registerBody(facts, { ...registrant, agentVersion: "1.0.0" });
  assert(!("device_model" in bare) && !("os_distro" in bare));
});

Deno.test("registerBody() names the processor as RedFlag's own agent does", () => {
  const rows = [
    ["x86_64", "amd64"],
    ["aarch64", "arm64"],
    ["i686", "386"],
    ["armv7l", "arm"],
    ["riscv64", "riscv64"],
    ["s390x", "s390x"],
  ];
  for (const [architecture = "", said] of rows) {
    const body = registerBody({ ...facts, architecture }, { ...registrant, agentVersion: "1.0.0" });
    assertEquals(body.os_architecture, said);
  }
});

const condition = {
  breaker: "closed",
  failures: 2,
  scannerBreakers: [["apt", "open"], ["dnf", "closed"]],
  pendingEvents: 3,
  deadLetters: 1,
  bufferDisk: "full",
  eventsInMemory: 2,
} as const;

Deno.test("checkInBody() always contains rapid polling as a boolean", () => {
  const agent = { version: "1.0.0", nowMs: 0 };
  const off = checkInBody(metrics, condition, { ...agent, rapidLeftMs: 0 });
  assertEquals(off.metadata.rapid_polling_enabled, false);
  assertEquals(off.metadata.rapid_polling_until, "1970-01-01T00:00:00.000Z");
  assert(!("rapid_polling_duration_minutes" in off.metadata));
  const on = checkInBody(metrics, condition, { ...agent, rapidLeftMs: 90_000 });
  assertEquals(on.metadata, {
    rapid_polling_enabled: true,
    rapid_polling_until: "1970-01-01T00:01:30.000Z",
    rapid_polling_duration_minutes: 2,
    polling_mode: "rapid",
    connection_breaker: "closed",
    connection_failures: 2,
    scanner_breakers: "apt:open dnf:closed",
    pending_events: 3,
    dead_lettered_events: 1,
    buffer_disk: "full",
    events_in_memory: 2,
  });
});

Deno.test("checkInBody() contains figures in the server's units, and omits unknown ones", () => {
  const agent = { version: "1.0.0", nowMs: 0, rapidLeftMs: 0 };
  const { metadata: _, ...figures } = checkInBody(metrics, condition, agent);
  assertEquals(figures, {
    cpu_percent: 12.35,
    memory_percent: 25,
    memory_used_gb: 2,
    memory_total_gb: 8,
    uptime: "0d 0h 1m",
    version: "1.0.0",
  });
});

Deno.test("systemInfoEvent() supersedes an older one", () => {
  const event = systemInfoEvent(facts, 0, { reboot: null, device });
  assertEquals([event.kind, event.snapshotOf, event.commandId], [
    "system_info",
    "system_info",
    null,
  ]);
  const body = JSON.parse(event.body);
  assertEquals([body.uptime, body.ip_address, body.disk_used], ["1d 2h 3m", "192.0.2.1", 60]);
});

const WIDTHS = [
  ["hostname", "hostName", 255],
  ["os_version", "osVersion", 100],
  ["os_architecture", "architecture", 20],
] as const;

for (const [column, field, limit] of WIDTHS) {
  Deno.test(`registerBody() sends a ${column} of ${limit} characters, and cuts one more`, () => {
    for (const [given, sent] of [[limit, limit], [limit + 1, limit]] as const) {
      const long = { ...facts, [field]: "😀".repeat(given) };
      const body = registerBody(long, { ...registrant, agentVersion: "1.0.0" });
      assertEquals([...body[column]].length, sent);
    }
  });
}

Deno.test("registerBody() and checkInBody() send a version of 20 characters, and cut one more", () => {
  for (const [given, sent] of [[20, 20], [21, 20]] as const) {
    const version = "1".repeat(given);
    const registered = registerBody(facts, { ...registrant, agentVersion: version });
    const agent = { version, nowMs: 0, rapidLeftMs: 0 };
    const checkedIn = checkInBody(metrics, condition, agent);
    assertEquals([registered.agent_version.length, checkedIn.version.length], [sent, sent]);
  }
});

Deno.test("registerBody() and systemInfoEvent() send nothing that the server cannot store", () => {
  const text = anyText(300);
  fc.assert(
    fc.property(text, text, text, text, text, (hostName, osVersion, kernel, cpuModel, mount) => {
      const disks = [{ mount, fileSystem: mount, totalBytes: 1, usedBytes: 1 }];
      const odd = { ...facts, hostName, osVersion, kernel, cpuModel, disks, addresses: [mount] };
      const body = registerBody(odd, { ...registrant, agentVersion: kernel });
      for (const [column, , limit] of WIDTHS) assert([...body[column]].length <= limit);
      assertStorable(encodeBody(body));
      assertStorable(
        systemInfoEvent(odd, 0, {
          reboot: { isRequired: true, reason: odd.kernel },
          device: { type: "vm", model: odd.kernel, distro: odd.kernel },
        }).body,
      );
    }),
  );
});

Deno.test("checkInBody() omits each unknown figure, and never divides by zero", () => {
  const agent = { version: "1.0.0", nowMs: 0, rapidLeftMs: 0 };
  const unknown = {
    cpuPercent: null,
    memoryTotalBytes: null,
    memoryUsedBytes: null,
    diskTotalBytes: null,
    diskUsedBytes: null,
    uptimeS: null,
  };
  const figures = (known: Partial<Record<keyof typeof unknown, number>>) => {
    const { metadata: _, version: __, ...rest } = checkInBody(
      { ...unknown, ...known },
      condition,
      agent,
    );
    return rest;
  };
  const gib = 1_024 ** 3;
  assertEquals(figures({}), {});
  assertEquals(figures({ cpuPercent: 0 }), { cpu_percent: 0 });
  assertEquals(figures({ memoryUsedBytes: gib }), { memory_used_gb: 1 });
  assertEquals(figures({ diskTotalBytes: 0, diskUsedBytes: 0 }), {
    disk_used_gb: 0,
    disk_total_gb: 0,
  });
  assertEquals(figures({ diskTotalBytes: 3 * gib, diskUsedBytes: gib }), {
    disk_used_gb: 1,
    disk_total_gb: 3,
    disk_percent: 33.33,
  });
  assertEquals(figures({ uptimeS: 0 }), { uptime: "0d 0h 0m" });
});

Deno.test("systemInfoEvent() contains everything that is known, and omits the rest", () => {
  const body = JSON.parse(systemInfoEvent(facts, 1_000, { reboot: null, device }).body);
  assertEquals(body, {
    timestamp: "1970-01-01T00:00:01.000Z",
    cpu_cores: 2,
    cpu_threads: 2,
    memory_total: 8_000,
    disk_total: 100,
    disk_used: 60,
    ip_address: "192.0.2.1",
    uptime: "1d 2h 3m",
    device_type: "laptop",
    device_model: "X1",
    os_distro: "debian",
    metadata: {
      kernel: "6.1.0",
      os_version: "Debian GNU/Linux 12 (bookworm)",
      addresses: ["192.0.2.1"],
      disks: [{ mount: "/", fileSystem: "ext4", totalBytes: 100, usedBytes: 60 }],
    },
  });
  const due = systemInfoEvent(facts, 0, {
    reboot: { isRequired: true, reason: "a new kernel" },
    device,
  });
  const { metadata } = JSON.parse(due.body);
  assertEquals([metadata.reboot_required, metadata.reboot_reason], [true, "a new kernel"]);
  const bare = { ...facts, cpuModel: "CPU", processes: 7, memoryTotalBytes: null, uptimeS: null };
  const other = JSON.parse(
    systemInfoEvent({ ...bare, disks: [], addresses: [] }, 0, {
      reboot: null,
      device: { type: "server", model: null, distro: null },
    }).body,
  );
  assertEquals([other.cpu_model, other.processes], ["CPU", 7]);
  for (const name of ["memory_total", "disk_total", "disk_used", "ip_address", "uptime"]) {
    assert(!(name in other), name);
  }
});

Deno.test("registerBody() names what the dashboard shows, each under its own key", () => {
  const { metadata } = registerBody({ ...facts, cpuModel: "CPU", processes: 7 }, {
    ...registrant,
    agentVersion: "1.0.0",
  });
  assertEquals(metadata, {
    installation_time: "1970-01-01T00:00:00.000Z",
    cpu_model: "CPU",
    cpu_cores: "2",
    memory_total: "8000",
    processes: "7",
    uptime: "1d 2h 3m",
    disk_mount: "/",
    disk_total: "100",
    disk_used: "60",
    kernel: "6.1.0",
  });
});

Deno.test("checkInBody() reports rapid polling until its last millisecond", () => {
  for (
    const [rapidLeftMs, isOn, minutes] of [[1, true, 1], [60_001, true, 2], [0, false, 0]] as const
  ) {
    const { metadata } = checkInBody(metrics, condition, {
      version: "1.0.0",
      nowMs: 0,
      rapidLeftMs,
    });
    assertEquals([metadata.rapid_polling_enabled, metadata["polling_mode"]], [
      isOn,
      isOn ? "rapid" : "normal",
    ]);
    assertEquals(metadata["rapid_polling_duration_minutes"] ?? 0, minutes);
  }
});
