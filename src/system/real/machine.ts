/** The machine port on Deno: asks the system's own calls, never `/proc`, which Deno shields. */

import { statfsSync } from "node:fs";
import { cpus } from "node:os";
import type { CpuTimes, Machine, NetworkAddress } from "../machine.ts";
import { realHomeDirectory, realUserId } from "./environment.ts";

/** This machine. */
export const realMachine: Machine = {
  hostName: () => ask(() => Deno.hostname(), ""),
  kernelRelease: () => ask(() => Deno.osRelease(), ""),
  uptimeS: () => ask(() => Deno.osUptime(), null),
  memory: () => ask(memory, null),
  cpus: () => ask(() => cpus().map(cpuTimes), []),
  disk: (path) => ask(() => disk(path), null),
  networkAddresses: () => ask(() => Deno.networkInterfaces().map(networkAddress), []),
  userId: realUserId,
  homeDirectory: realHomeDirectory,
};

/** A fact that the system, a sandbox or Deno's permissions keep back is one we do not know. */
function ask<T>(question: () => T, unknown: T): T {
  try {
    return question();
  } catch {
    return unknown;
  }
}

/** On Windows Deno has what can be had under `free`, and 0 under `available`. */
function memory(): { totalBytes: number; availableBytes: number } {
  const { total, free, available } = Deno.systemMemoryInfo();
  return { totalBytes: total, availableBytes: Deno.build.os === "windows" ? free : available };
}

/** All that is not idle is busy. */
export function cpuTimes(cpu: Pick<ReturnType<typeof cpus>[number], "model" | "times">): CpuTimes {
  const { user, nice, sys, idle, irq } = cpu.times;
  const busyMs = user + nice + sys + irq;
  return { model: cpu.model.trim(), busyMs, totalMs: busyMs + idle };
}

/** `bfree`, not `bavail`: total - free is then what `df` calls used. */
function disk(path: string): { totalBytes: number; freeBytes: number } {
  const { bsize, blocks, bfree } = statfsSync(path);
  return { totalBytes: blocks * bsize, freeBytes: bfree * bsize };
}

function networkAddress(address: Deno.NetworkInterfaceInfo): NetworkAddress {
  const { name, family, address: text, mac } = address;
  return { interfaceName: name, family, address: text, mac };
}
