/** The machine port on Deno: uses system calls, never `/proc`, which Deno protects. */

import { statfsSync } from "node:fs";
import { cpus } from "node:os";
import type { CpuTimes, Machine, NetworkAddress } from "../machine.ts";
import { isWindows, realHomeDirectory, realUserId } from "./environment.ts";

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

/** Returns `unknown` where the system, a sandbox or Deno's permissions deny the fact. */
function ask<T>(question: () => T, unknown: T): T {
  try {
    return question();
  } catch {
    return unknown;
  }
}

/** On Windows Deno reports available memory as `free`, and 0 as `available`. */
function memory(): { totalBytes: number; availableBytes: number } {
  const { total, free, available } = Deno.systemMemoryInfo();
  return { totalBytes: total, availableBytes: isWindows ? free : available };
}

/** Counts all time that is not idle as busy. */
export function cpuTimes(cpu: Pick<ReturnType<typeof cpus>[number], "model" | "times">): CpuTimes {
  const { user, nice, sys, idle, irq } = cpu.times;
  const busyMs = user + nice + sys + irq;
  return { model: cpu.model.trim(), busyMs, totalMs: busyMs + idle };
}

/** With `bfree`, not `bavail`, total - free equals what `df` calls used. */
function disk(path: string): { totalBytes: number; freeBytes: number } {
  const { bsize, blocks, bfree } = statfsSync(path);
  return { totalBytes: blocks * bsize, freeBytes: bfree * bsize };
}

function networkAddress(address: Deno.NetworkInterfaceInfo): NetworkAddress {
  const { family, address: text, mac } = address;
  return { family, address: text, mac };
}
