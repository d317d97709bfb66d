/** The host: facts that change slowly, and figures of the moment. */

import { stripControls } from "../strip_controls.ts";
import type { Files } from "../system/files.ts";
import type { CpuTimes, Os, System } from "../system/system.ts";
import { findMounts, systemDrive } from "./storage.ts";

interface HostDisk {
  readonly mount: string;
  readonly fileSystem: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
}

/** Facts that change slowly. `null`: unknown on this machine. */
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
  /** The system's own disk is the first. */
  readonly disks: readonly HostDisk[];
  readonly processes: number | null;
  readonly uptimeS: number | null;
  /** Without loopback and link-local addresses. */
  readonly addresses: readonly string[];
}

/** Figures of the moment. `null`: unknown on this machine. */
export interface HostMetrics {
  /** Load of all processors together since the last reading, 0 to 100. */
  readonly cpuPercent: number | null;
  readonly memoryTotalBytes: number | null;
  readonly memoryUsedBytes: number | null;
  readonly diskTotalBytes: number | null;
  readonly diskUsedBytes: number | null;
  readonly uptimeS: number | null;
}

const PROGRAM_MS = 5_000;

/** Collects the facts; takes up to 10 s where a program hangs, and omits what it would report. */
export async function hostFacts(system: System): Promise<HostFacts> {
  const { machine } = system;
  const cpus = machine.cpus();
  const [osVersion, disks, processes] = await Promise.all([
    describeOs(system),
    findMounts(system),
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
    disks: disks.map(({ mount, fileSystem, totalBytes, usedBytes }) => ({
      mount,
      fileSystem,
      totalBytes,
      usedBytes,
    })),
    processes,
    uptimeS: machine.uptimeS(),
    addresses: machine.networkAddresses()
      .map(({ address }) => address)
      .filter((address) => !/^(127\.|::1$|fe80:|169\.254\.)/i.test(address)),
  };
}

/** Reads the figures without starting a program; `previous`: the CPU times of the last reading. */
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

/** Between two readings: while somebody watches, check-ins come every 5 s, and a reading takes CPU. */
const METRICS_AGE_MS = 15_000;

/** Reads the figures for check-ins: anew if the last ones are older than 15 s. */
export class MetricsReader {
  readonly #system: System;
  #last: { readonly metrics: HostMetrics; readonly readMs: number } | null = null;
  #cpu: readonly CpuTimes[];

  /** The load is measured from now on. */
  constructor(system: System) {
    this.#system = system;
    this.#cpu = system.machine.cpus();
  }

  read(): HostMetrics {
    const nowMs = this.#system.clock.monotonicMs();
    if (this.#last !== null && nowMs - this.#last.readMs < METRICS_AGE_MS) {
      return this.#last.metrics;
    }
    const { metrics, cpu } = hostMetrics(this.#system, this.#cpu);
    this.#cpu = cpu;
    this.#last = { metrics, readMs: nowMs };
    return metrics;
  }
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

async function countProcesses(system: System): Promise<number | null> {
  if (system.os === "windows") return null;
  const ps = system.os === "macos" ? "/bin/ps" : "/usr/bin/ps";
  try {
    const { code, stdout } = await system.runCommand([ps, "-A", "-o", "pid="], {
      timeoutMs: PROGRAM_MS,
    });
    return code === 0 ? stdout.split("\n").filter((line) => line.trim() !== "").length : null;
  } catch {
    return null; // Minimal systems have no ps.
  }
}

/** os-release(5): the first file that exists counts. */
const OS_RELEASE = ["/etc/os-release", "/usr/lib/os-release"];

/** The distribution's name and version for people; `undefined`: unknown. */
export async function readOsRelease(files: Files): Promise<string | undefined> {
  const text = await readOsReleaseText(files);
  return text === undefined ? undefined : describeRelease(parseOsRelease(text));
}

/** The text of the first os-release file that can be read; `undefined`: none. */
export async function readOsReleaseText(files: Files): Promise<string | undefined> {
  for (const path of OS_RELEASE) {
    try {
      const text = await files.readText("read os-release", path);
      if (text !== undefined) return text;
    } catch {
      // Not readable: the next one may be.
    }
  }
  return undefined;
}

/** The assignments of an os-release file; quotes and backslashes as in os-release(5). */
export function parseOsRelease(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const assignment = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line.trim());
    if (assignment !== null) found.set(assignment[1]!, unquote(assignment[2]!));
  }
  return found;
}

function unquote(value: string): string {
  const first = value[0];
  const isQuoted = value.length >= 2 && (first === '"' || first === "'") && value.endsWith(first);
  const inner = isQuoted ? value.slice(1, -1) : value;
  return first === "'" ? inner : inner.replace(/\\(.)/g, "$1");
}

function describeRelease(release: ReadonlyMap<string, string>): string | undefined {
  const name = release.get("NAME");
  const version = release.get("VERSION_ID");
  return release.get("PRETTY_NAME") ?? (name && version ? `${name} ${version}` : name);
}
