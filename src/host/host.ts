/** What kind of machine this is, and how it is doing: facts by the hour, figures by the check-in. */

import type { CpuTimes } from "../system/machine.ts";
import type { Os, System } from "../system/system.ts";
import { listDisks, readOsRelease } from "./linux.ts";
import { stripControls } from "../strip_controls.ts";

/** One file system on a disk. */
export interface Disk {
  readonly mount: string;
  readonly fileSystem: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
}

/** Facts that change slowly. `null`: this machine does not tell. */
export interface HostFacts {
  readonly hostName: string;
  readonly osType: Os;
  /** For people: `Debian GNU/Linux 12 (bookworm)`. */
  readonly osVersion: string;
  readonly architecture: string;
  readonly kernel: string;
  readonly cpuModel: string | null;
  readonly cpuCores: number;
  readonly memoryTotalBytes: number | null;
  /** The one the system is on first. */
  readonly disks: readonly Disk[];
  readonly processes: number | null;
  readonly uptimeS: number | null;
  /** Without those of the loopback and link-local ones. */
  readonly addresses: readonly string[];
}

/** Figures of the moment. `null`: this machine does not tell. */
export interface HostMetrics {
  /** Of all processors together, 0 to 100, since the last reading. */
  readonly cpuPercent: number | null;
  readonly memoryTotalBytes: number | null;
  readonly memoryUsedBytes: number | null;
  readonly diskTotalBytes: number | null;
  readonly diskUsedBytes: number | null;
  readonly uptimeS: number | null;
}

/** Limit on each program that is asked. */
const ASK_MS = 5_000;

/** Collects the facts; takes up to 10 s where a program hangs, and then does without its answer. */
export async function hostFacts(system: System): Promise<HostFacts> {
  const { machine } = system;
  const cpus = machine.cpus();
  const [osVersion, disks, processes] = await Promise.all([
    describeOs(system),
    findDisks(system),
    countProcesses(system),
  ]);
  return {
    hostName: stripControls(machine.hostName()),
    osType: system.os,
    osVersion: stripControls(osVersion),
    architecture: system.architecture,
    kernel: stripControls(machine.kernelRelease()),
    cpuModel: cpus[0] ? stripControls(cpus[0].model) : null,
    cpuCores: cpus.length,
    memoryTotalBytes: machine.memory()?.totalBytes ?? null,
    disks: disks.map((disk) => ({
      ...disk,
      mount: stripControls(disk.mount),
      fileSystem: stripControls(disk.fileSystem),
    })),
    processes,
    uptimeS: machine.uptimeS(),
    addresses: machine.networkAddresses()
      .map(({ address }) => address)
      .filter((address) => !/^(127\.|::1$|fe80:|169\.254\.)/i.test(address)),
  };
}

/** Reads the figures, in this process alone; `previous` is what the last reading gave back. */
export function hostMetrics(
  system: System,
  previous: readonly CpuTimes[],
): { metrics: HostMetrics; cpu: readonly CpuTimes[] } {
  const cpu = system.machine.cpus();
  const memory = system.machine.memory();
  const disk = system.machine.disk(systemDrive(system));
  const metrics = {
    cpuPercent: cpuPercent(previous, cpu),
    memoryTotalBytes: memory?.totalBytes ?? null,
    memoryUsedBytes: memory && memory.totalBytes - memory.availableBytes,
    diskTotalBytes: disk?.totalBytes ?? null,
    diskUsedBytes: disk && disk.totalBytes - disk.freeBytes,
    uptimeS: system.machine.uptimeS(),
  };
  return { metrics, cpu };
}

/** Busy part of the time between two readings, in percent; `null` if no time has passed. */
export function cpuPercent(
  before: readonly CpuTimes[],
  after: readonly CpuTimes[],
): number | null {
  const sum = (cpus: readonly CpuTimes[], key: "busyMs" | "totalMs") =>
    cpus.reduce((total, cpu) => total + cpu[key], 0);
  const totalMs = sum(after, "totalMs") - sum(before, "totalMs");
  if (!(totalMs > 0)) return null;
  const busyMs = sum(after, "busyMs") - sum(before, "busyMs");
  return Math.min(100, Math.max(0, (busyMs / totalMs) * 100));
}

function systemDrive(system: System): string {
  return system.os === "windows" ? `${system.readEnvironment("SystemDrive") ?? "C:"}\\` : "/";
}

async function describeOs(system: System): Promise<string> {
  const kernel = system.machine.kernelRelease();
  switch (system.os) {
    case "windows":
      return `Windows ${kernel}`;
    case "macos":
      return `macOS (Darwin ${kernel})`;
    case "linux":
      return await readOsRelease(system.files) ?? `Linux ${kernel}`;
  }
}

async function findDisks(system: System): Promise<readonly Disk[]> {
  const disks = system.os === "linux" ? await listDisks(system.runCommand, ASK_MS) : null;
  if (disks !== null) return disks;
  const mount = systemDrive(system);
  const disk = system.machine.disk(mount);
  if (disk === null) return [];
  const usedBytes = disk.totalBytes - disk.freeBytes;
  return [{ mount, fileSystem: "", totalBytes: disk.totalBytes, usedBytes }];
}

async function countProcesses(system: System): Promise<number | null> {
  if (system.os === "windows") return null;
  const ps = system.os === "macos" ? "/bin/ps" : "/usr/bin/ps";
  try {
    const { code, stdout } = await system.runCommand([ps, "-A", "-o", "pid="], {
      timeoutMs: ASK_MS,
    });
    return code === 0 ? stdout.split("\n").filter((line) => line.trim() !== "").length : null;
  } catch {
    return null; // Minimal systems have no ps; the dashboard does without.
  }
}
