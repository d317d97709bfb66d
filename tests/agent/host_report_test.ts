import { assert, assertEquals } from "@std/assert";
import {
  checkInBody,
  describeUptime,
  registerBody,
  systemInfoEvent,
} from "../../src/agent/host_report.ts";

const facts = {
  hostName: "h".repeat(300),
  osType: "linux",
  osVersion: "Debian GNU/Linux 12 (bookworm)",
  architecture: "x86_64",
  kernel: "6.1.0",
  cpuModel: null,
  cpuCores: 2,
  memoryTotalBytes: 8_000,
  disks: [{ mount: "/", totalBytes: 100, usedBytes: 60 }],
  processes: null,
  uptimeS: 93_784,
  addresses: ["192.0.2.1"],
} as const;

const metrics = {
  cpuPercent: 12.345,
  memoryTotalBytes: 8 * 1_024 ** 3,
  memoryUsedBytes: 2 * 1_024 ** 3,
  diskTotalBytes: null,
  diskUsedBytes: null,
  uptimeS: 60,
};

Deno.test("registerBody() keeps to the columns and leaves out what is not known", () => {
  const body = registerBody(facts, { agentVersion: "0.1.0", nowMs: 0 });
  assertEquals(body.hostname.length, 255);
  assertEquals(body.metadata["installation_time"], "1970-01-01T00:00:00.000Z");
  assertEquals(body.metadata["disk_used"], "60");
  assert(!("cpu_model" in body.metadata) && !("processes" in body.metadata));
  assert(Object.values(body.metadata).every((value) => typeof value === "string"));
});

const condition = {
  breaker: "closed",
  failures: 2,
  scannerBreakers: [["apt", "open"], ["dnf", "closed"]],
  pendingEvents: 3,
  setAsideEvents: 1,
  bufferDisk: "full",
  eventsInMemory: 2,
} as const;

Deno.test("checkInBody() always says whether rapid polling is on, as a boolean", () => {
  const agent = { version: "0.1.0", nowMs: 0, ...condition };
  const off = checkInBody(metrics, { ...agent, rapidLeftMs: 0 });
  assertEquals(off.metadata.rapid_polling_enabled, false);
  assert(!("rapid_polling_until" in off.metadata));
  const on = checkInBody(metrics, { ...agent, rapidLeftMs: 90_000 });
  assertEquals(on.metadata, {
    rapid_polling_enabled: true,
    rapid_polling_until: "1970-01-01T00:01:30.000Z",
    rapid_polling_duration_minutes: 2,
    polling_mode: "rapid",
    connection_breaker: "closed",
    connection_failures: 2,
    scanner_breakers: "apt:open dnf:closed",
    pending_events: 3,
    set_aside_events: 1,
    buffer_disk: "full",
    events_in_memory: 2,
  });
});

Deno.test("checkInBody() gives figures in the server's units, and none it does not have", () => {
  const agent = { version: "0.1.0", nowMs: 0, ...condition, rapidLeftMs: 0 };
  const { metadata: _, ...figures } = checkInBody(metrics, agent);
  assertEquals(figures, {
    cpu_percent: 12.35,
    memory_percent: 25,
    memory_used_gb: 2,
    memory_total_gb: 8,
    uptime: "0d 0h 1m",
    version: "0.1.0",
  });
});

Deno.test("systemInfoEvent() takes the place of an older one", () => {
  const event = systemInfoEvent(facts, 0);
  assertEquals([event.kind, event.snapshotOf, event.commandId], [
    "system_info",
    "system_info",
    null,
  ]);
  const body = JSON.parse(event.body);
  assertEquals([body.uptime, body.ip_address, body.disk_used], ["1d 2h 3m", "192.0.2.1", 60]);
});

Deno.test("describeUptime() counts days, hours and minutes", () => {
  assertEquals([0, 59, 60, 86_399, 86_400].map(describeUptime), [
    "0d 0h 0m",
    "0d 0h 0m",
    "0d 0h 1m",
    "0d 23h 59m",
    "1d 0h 0m",
  ]);
});
