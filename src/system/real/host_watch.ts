/** Polls this host, and reports when it has resumed from sleep or come onto a network. */

import type { NetworkAddress } from "../machine.ts";
import type { HostEvent } from "../system.ts";
import { realClock } from "./clock.ts";
import { realMachine } from "./machine.ts";

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
  const isNew = ({ address }: NetworkAddress) => leadsOutside(address) && !known.has(address);
  return after.addresses.some(isNew) ? "network_up" : null;
}

/** Loopback and link-local addresses (RFC 4291, section 2.5; RFC 3927) lead to no server. */
function leadsOutside(address: string): boolean {
  return !/^(127\.|169\.254\.|::1$|fe80:)/i.test(address);
}

function snapshot(): HostSnapshot {
  return {
    monotonicMs: realClock.monotonicMs(),
    asleepMs: realClock.asleepMs(),
    addresses: realMachine.networkAddresses(),
  };
}
