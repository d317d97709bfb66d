/** Tells from two looks at a host whether it has come back: out of sleep, or onto a network. Pure. */

import type { NetworkAddress } from "./machine.ts";
import type { HostHint } from "./system.ts";

/** What one look at the host shows. */
export interface HostLook {
  readonly monotonicMs: number;
  /** Asleep since the process began, in ms. */
  readonly asleepMs: number;
  readonly addresses: readonly NetworkAddress[];
}

/** Asleep for longer than this, and it counts as having woken. */
const LEAST_SLEEP_MS = 10_000;

/** Where monotonic time goes on through sleep (Windows), a look that is so late tells of it. */
const LATE_MS = 30_000;

/** What happened between two looks that were to be `everyMs` apart; `null`: nothing. */
export function hostHint(before: HostLook, after: HostLook, everyMs: number): HostHint | null {
  const sleptMs = after.asleepMs - before.asleepMs;
  const lateMs = after.monotonicMs - before.monotonicMs - everyMs;
  if (sleptMs >= LEAST_SLEEP_MS || lateMs >= LATE_MS) return "woke";
  const known = new Set(before.addresses.map(({ address }) => address));
  const isNew = ({ address }: NetworkAddress) => leadsOutside(address) && !known.has(address);
  return after.addresses.some(isNew) ? "network_up" : null;
}

/** Loopback and link-local addresses (RFC 4291, section 2.5; RFC 3927) lead to no server. */
function leadsOutside(address: string): boolean {
  return !/^(127\.|169\.254\.|::1$|fe80:)/i.test(address);
}
