/** Encodes the host's facts and figures for the server: registration, check-in, system info. */

import type { NewEvent } from "../buffer/buffer.ts";
import { type Device, deviceFacts } from "../host/device.ts";
import { type HostFacts, hostFacts, type HostMetrics } from "../host/host.ts";
import { lastReboot, readLastScans } from "../scanners/last_scans.ts";
import { cut, encodeBody, LIMITS } from "../server/limits.ts";
import { describeDays } from "../wording.ts";
import type { CheckInBody, RegisterBody } from "../server/protocol.ts";
import { subsystemOf } from "../server/subsystems.ts";
import type { System } from "../system/system.ts";
import type { RebootState } from "../update.ts";

const GIB = 1_024 ** 3;

/** What a registration says besides the host's facts. */
interface Registrant {
  readonly agentVersion: string;
  readonly nowMs: number;
  readonly machineId: string;
  readonly device: Device;
  /** Names of the scanners of this host. */
  readonly scanners: readonly string[];
}

/** The body of a registration. The dashboard shows these metadata keys. */
export function registerBody(facts: HostFacts, agent: Registrant): RegisterBody {
  const disk = facts.disks[0];
  const metadata = {
    installation_time: new Date(agent.nowMs).toISOString(),
    cpu_model: facts.cpuModel,
    cpu_cores: facts.cpuCores,
    memory_total: facts.memoryTotalBytes,
    processes: facts.processes,
    uptime: facts.uptimeS === null ? null : describeDays(facts.uptimeS),
    disk_mount: disk?.mount ?? null,
    disk_total: disk?.totalBytes ?? null,
    disk_used: disk?.usedBytes ?? null,
    kernel: facts.kernel,
  };
  const known = Object.entries(metadata).flatMap(([name, value]) =>
    value === null ? [] : [[name, String(value)] as const]
  );
  return {
    hostname: cut(facts.hostName, LIMITS.hostname),
    os_type: facts.osType,
    os_version: cut(facts.osVersion, LIMITS.osVersion),
    os_architecture: cut(serverArchitecture(facts.architecture), LIMITS.osArchitecture),
    agent_version: cut(agent.agentVersion, LIMITS.agentVersion),
    machine_id: agent.machineId,
    ...deviceBody(agent.device),
    available_scanners: agent.scanners.map(subsystemOf),
    metadata: Object.fromEntries(known),
  };
}

/** The device as the registration and the host facts name it. */
function deviceBody({ type, model, distro }: Device) {
  return {
    device_type: type,
    ...(model !== null && { device_model: cut(model, LIMITS.deviceModel) }),
    ...(distro !== null && { os_distro: cut(distro, LIMITS.osDistro) }),
  };
}

/**
 * The names that RedFlag's own agent sends for the processors that `uname -m` names: Go's
 * `runtime.GOARCH` (https://go.dev/doc/install/source#environment). The dashboard groups hosts by it.
 */
const GO_ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ["x86_64", "amd64"],
  ["aarch64", "arm64"],
  ["i686", "386"],
  ["armv7l", "arm"],
]);

/** The server's name of a processor; one that has the same name in both is passed through. */
function serverArchitecture(machine: string): string {
  return GO_ARCHITECTURES.get(machine) ?? machine;
}

/** Collects the host's facts, with the need for a restart that the last scans found, as an event. */
export async function collectSystemInfo(system: System, stateDirectory: string): Promise<NewEvent> {
  const [facts, device] = await Promise.all([hostFacts(system), deviceFacts(system)]);
  const nowMs = system.clock.nowMs();
  const startedMs = facts.uptimeS === null ? null : nowMs - facts.uptimeS * 1_000;
  // Without the file the need for a restart is unknown; the other facts are reported in any case.
  const scans = await readLastScans(system.files, stateDirectory).catch(() => ({}));
  return systemInfoEvent(facts, nowMs, { reboot: lastReboot(scans, startedMs), device });
}

/**
 * The event with the host's facts; it supersedes an older one that is still pending. `reboot`: whether
 * the host needs a restart; `null`: unknown.
 */
export function systemInfoEvent(
  facts: HostFacts,
  nowMs: number,
  { reboot, device }: { reboot: RebootState | null; device: Device },
): NewEvent {
  const disk = facts.disks[0];
  const body = {
    timestamp: new Date(nowMs).toISOString(),
    cpu_model: facts.cpuModel ?? undefined,
    cpu_cores: facts.cpuCores,
    cpu_threads: facts.cpuCores,
    memory_total: facts.memoryTotalBytes ?? undefined,
    disk_total: disk?.totalBytes,
    disk_used: disk?.usedBytes,
    ip_address: facts.addresses[0],
    processes: facts.processes ?? undefined,
    uptime: facts.uptimeS === null ? undefined : describeDays(facts.uptimeS),
    ...deviceBody(device),
    metadata: {
      kernel: facts.kernel,
      os_version: facts.osVersion,
      addresses: facts.addresses,
      disks: facts.disks,
      ...(reboot && { reboot_required: reboot.isRequired, reboot_reason: reboot.reason }),
    },
  };
  return {
    kind: "system_info",
    commandId: null,
    snapshotOf: "system_info",
    body: encodeBody(body),
  };
}

/** The state of the agent itself, which each check-in reports. */
interface AgentCondition {
  /** State of the connection's breaker before this check-in. */
  readonly breaker: string;
  readonly failures: number;
  /** Name and state of each scanner's breaker. */
  readonly scannerBreakers: readonly (readonly [name: string, state: string])[];
  readonly pendingEvents: number;
  readonly deadLetters: number;
  /** "ok", or why the disk accepts no writes. */
  readonly bufferDisk: string;
  /** Pending events that exist in memory only. */
  readonly eventsInMemory: number;
}

/** The body of a check-in; `rapidLeftMs` is 0 while rapid polling is off. */
export function checkInBody(
  metrics: HostMetrics,
  agent: AgentCondition,
  { version, nowMs, rapidLeftMs }: { version: string; nowMs: number; rapidLeftMs: number },
): CheckInBody {
  return {
    ...ifKnown("cpu_percent", metrics.cpuPercent),
    ...ifKnown("memory_percent", percent(metrics.memoryUsedBytes, metrics.memoryTotalBytes)),
    ...ifKnown("memory_used_gb", gib(metrics.memoryUsedBytes)),
    ...ifKnown("memory_total_gb", gib(metrics.memoryTotalBytes)),
    ...ifKnown("disk_used_gb", gib(metrics.diskUsedBytes)),
    ...ifKnown("disk_total_gb", gib(metrics.diskTotalBytes)),
    ...ifKnown("disk_percent", percent(metrics.diskUsedBytes, metrics.diskTotalBytes)),
    ...(metrics.uptimeS !== null && { uptime: describeDays(metrics.uptimeS) }),
    version: cut(version, LIMITS.agentVersion),
    metadata: {
      rapid_polling_enabled: rapidLeftMs > 0,
      // Sent while it is off too: RedFlag ignores the flag without the instant, and would then record
      // the end of a heartbeat that it still assumes as a command in the history.
      rapid_polling_until: new Date(nowMs + rapidLeftMs).toISOString(),
      ...(rapidLeftMs > 0 && {
        rapid_polling_duration_minutes: Math.ceil(rapidLeftMs / 60_000),
      }),
      polling_mode: rapidLeftMs > 0 ? "rapid" : "normal",
      connection_breaker: agent.breaker,
      connection_failures: agent.failures,
      scanner_breakers: agent.scannerBreakers.map((pair) => pair.join(":")).join(" "),
      pending_events: agent.pendingEvents,
      dead_lettered_events: agent.deadLetters,
      buffer_disk: agent.bufferDisk,
      events_in_memory: agent.eventsInMemory,
    },
  };
}

function ifKnown<K extends string>(key: K, value: number | null): Partial<Record<K, number>> {
  return value === null ? {} : { [key]: Math.round(value * 100) / 100 } as Record<K, number>;
}

function percent(part: number | null, whole: number | null): number | null {
  return part === null || !whole ? null : (part / whole) * 100;
}

function gib(bytes: number | null): number | null {
  return bytes === null ? null : bytes / GIB;
}
