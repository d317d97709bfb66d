/**
 * `scan_storage` and `scan_system` of RedFlag 0.2: how full the host's disks are, and its figures of the
 * moment. The metrics come first, then the command's log; a server of 0.1 never asks for them.
 */

import type { NewEvent } from "../buffer/buffer.ts";
import type { Command, RunningHandler } from "../buffer/journal.ts";
import { hostFacts, hostMetrics } from "../host/host.ts";
import { type DiskType, findDiskTypes, findMounts, type Mount } from "../host/storage.ts";
import { cut, encodeBody, LIMITS } from "../server/limits.ts";
import type { System } from "../system/system.ts";
import { describeDays } from "../wording.ts";
import { logEvent } from "./command_log.ts";

/** The processors' load is that of this time. */
const SAMPLE_MS = 500;

/** From which part in use, in percent, something is this bad; the words are those of updates. */
const SEVERITIES: readonly (readonly [fromPercent: number, severity: string])[] = [
  [95, "critical"],
  [90, "important"],
  [80, "moderate"],
];

/** `scan_storage` reports the mounted file systems to `storage-metrics`. */
export function scanStorage(system: System): RunningHandler {
  return {
    repeatable: true,
    async run(command, { signal }) {
      const { clock, os, runCommand } = system;
      const startedMs = clock.monotonicMs();
      const [mounts, types] = await Promise.all([
        findMounts(system, signal),
        os === "linux" ? findDiskTypes(runCommand, signal) : new Map<string, DiskType>(),
      ]);
      if (mounts.length === 0) throw new Error("Cannot scan storage: this host names no disk");
      const metrics = mounts.map((mount) => storageMetric(mount, types.get(mount.device)));
      const stdout = mounts.map(({ mount }, at) => `${mount}: ${metrics[at]?.used_percent}% used`)
        .join("\n");
      const durationMs = clock.monotonicMs() - startedMs;
      const report = metricsEvent("storage_metrics", command, { nowMs: clock.nowMs(), metrics });
      const log = logEvent(command, { result: "success", stdout, durationMs });
      return { events: [report, log], rapidPollingMs: null };
    },
  };
}

/** `scan_system` reports load, memory, uptime and processes to `metrics`. */
export function scanSystem(system: System): RunningHandler {
  return {
    repeatable: true,
    async run(command, { signal }) {
      const { clock, machine } = system;
      const startedMs = clock.monotonicMs();
      const before = machine.cpus();
      const facts = await hostFacts(system);
      await clock.sleep(SAMPLE_MS, signal);
      const { metrics: now } = hostMetrics(system, before);
      const { memoryTotalBytes: total, memoryUsedBytes: used, uptimeS } = now;
      const memoryPercent = total && used !== null ? used / total * 100 : null;
      const metrics = [
        systemMetric("cpu", percentText(now.cpuPercent), {
          percent: now.cpuPercent,
          metadata: { cores: facts.cpuCores, model: facts.cpuModel },
        }),
        systemMetric("memory", percentText(memoryPercent), {
          percent: memoryPercent,
          metadata: { total_bytes: total, used_bytes: used },
        }),
        systemMetric("uptime", uptimeS === null ? null : describeDays(uptimeS), {
          metadata: { seconds: uptimeS },
        }),
        systemMetric("processes", facts.processes === null ? null : String(facts.processes)),
        systemMetric("kernel", facts.kernel),
      ].filter((metric) => metric !== null);
      const stdout = metrics.map((one) => `${one.package_name}: ${one.current_version}`).join("\n");
      const durationMs = clock.monotonicMs() - startedMs;
      const report = metricsEvent("system_metrics", command, { nowMs: clock.nowMs(), metrics });
      const log = logEvent(command, { result: "success", stdout, durationMs });
      return { events: [report, log], rapidPollingMs: null };
    },
  };
}

/** A later scan's metrics supersede those of an earlier one that still wait. */
function metricsEvent(
  kind: "storage_metrics" | "system_metrics",
  command: Command,
  { nowMs, metrics }: { nowMs: number; metrics: readonly object[] },
): NewEvent {
  const timestamp = new Date(nowMs).toISOString();
  const body = encodeBody({ command_id: command.id, timestamp, metrics });
  return { kind, commandId: command.id, snapshotOf: kind, body };
}

function storageMetric(
  { device, fileSystem, mount, totalBytes, usedBytes, availableBytes }: Mount,
  type: DiskType = "unknown",
) {
  // As df counts: what is reserved for root is not in it.
  const usable = usedBytes + availableBytes;
  const percent = usable > 0 ? Math.min(100, usedBytes / usable * 100) : 0;
  return {
    mountpoint: cut(mount, LIMITS.mountPoint),
    device: cut(device, LIMITS.device),
    disk_type: type,
    filesystem: cut(fileSystem, LIMITS.fileSystem),
    total_bytes: totalBytes,
    used_bytes: usedBytes,
    available_bytes: availableBytes,
    used_percent: Math.round(percent * 10) / 10,
    severity: severityOf(percent),
    metadata: {},
  };
}

/** One row; `null`: the host does not say. The server refuses metadata that are no strings. */
function systemMetric(
  name: string,
  value: string | null,
  { percent = null, metadata = {} }: {
    percent?: number | null;
    metadata?: Readonly<Record<string, string | number | null>>;
  } = {},
) {
  if (value === null) return null;
  const known = Object.entries(metadata).filter(([, one]) => one !== null)
    .map(([key, one]) => [key, cut(String(one), LIMITS.version)] as const);
  return {
    package_type: "system",
    package_name: name,
    current_version: cut(value, LIMITS.version),
    available_version: "",
    severity: severityOf(percent ?? 0),
    repository_source: "",
    metadata: Object.fromEntries(known),
  };
}

function percentText(percent: number | null): string | null {
  return percent === null ? null : `${Math.round(percent * 10) / 10}%`;
}

function severityOf(percent: number): string {
  return SEVERITIES.find(([from]) => percent >= from)?.[1] ?? "low";
}
