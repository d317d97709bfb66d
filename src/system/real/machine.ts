/**
 * The machine port on Deno: uses system calls, never `/proc`, which Deno protects. Polling shows when the
 * host has resumed from sleep or come onto a network.
 */

import { statfsSync } from "node:fs";
import { cpus } from "node:os";
import type { CpuTimes, HostEvent, Machine, NetworkAddress } from "../system.ts";
import { isWindows, realHomeDirectory, realUserId } from "./environment.ts";
import { realClock } from "./clock.ts";

export const realMachine: Machine = {
  hostName: () => ask(() => Deno.hostname(), ""),
  kernelRelease: () => ask(() => Deno.osRelease(), ""),
  uptimeS: () => ask(() => Deno.osUptime(), null),
  memory: () => ask(memory, null),
  cpus: () => ask(() => cpus().map(cpuTimes), []),
  disk: (path) => ask(() => disk(path), null),
  networkAddresses: () =>
    ask(
      () => Deno.networkInterfaces().map(({ family, address, mac }) => ({ family, address, mac })),
      [],
    ),
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

/** The state of the host at one instant. */
export interface HostSnapshot {
  readonly monotonicMs: number;
  /** Asleep since the process began, in ms. */
  readonly asleepMs: number;
  readonly addresses: readonly NetworkAddress[];
}

/** Between two snapshots: often enough for an event to be of use, at next to no cost. */
const INTERVAL_MS = 10_000;

/** A shorter sleep does not count. */
const LEAST_SLEEP_MS = 10_000;

/** Where monotonic time advances during sleep (Windows), a snapshot this late means that it slept. */
const LATE_MS = 30_000;

/** Calls `listener` for each event until the result is called. Keeps no process alive. */
export function onRealHostEvent(listener: (event: HostEvent) => void): () => void {
  let before = snapshot();
  const timer = setInterval(() => {
    const after = snapshot();
    const event = detectHostEvent(before, after, INTERVAL_MS);
    before = after;
    if (event) listener(event);
  }, INTERVAL_MS);
  Deno.unrefTimer(timer);
  return () => clearInterval(timer);
}

/** What happened between two snapshots that were scheduled `intervalMs` apart; `null`: nothing. */
export function detectHostEvent(
  before: HostSnapshot,
  after: HostSnapshot,
  intervalMs: number,
): HostEvent | null {
  const sleptMs = after.asleepMs - before.asleepMs;
  const lateMs = after.monotonicMs - before.monotonicMs - intervalMs;
  if (sleptMs >= LEAST_SLEEP_MS || lateMs >= LATE_MS) return "woke";
  const known = new Set(before.addresses.map(({ address }) => address));
  // Loopback and link-local addresses (RFC 4291, section 2.5; RFC 3927) lead to no server.
  const isLocal = /^(127\.|169\.254\.|::1$|fe80:)/i;
  const isNew = ({ address }: NetworkAddress) => !isLocal.test(address) && !known.has(address);
  return after.addresses.some(isNew) ? "network_up" : null;
}

function snapshot(): HostSnapshot {
  return {
    monotonicMs: realClock.monotonicMs(),
    asleepMs: realClock.asleepMs(),
    addresses: realMachine.networkAddresses(),
  };
}
