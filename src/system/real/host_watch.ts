/** Looks at this host now and then, and tells when it has come back from sleep or onto a network. */

import { hostHint, type HostLook } from "../host_watch.ts";
import { realClock } from "./clock.ts";
import { realMachine } from "./machine.ts";
import type { HostHint } from "../system.ts";

/** Between two looks: often enough for a hint to be of use, and next to nothing in cost. */
const EVERY_MS = 10_000;

/** Calls `listener` for each hint until the result is called. Keeps no process alive. */
export function onRealHostHint(listener: (hint: HostHint) => void): () => void {
  let before = look();
  const timer = setInterval(() => {
    const after = look();
    const hint = hostHint(before, after, EVERY_MS);
    before = after;
    if (hint) listener(hint);
  }, EVERY_MS);
  Deno.unrefTimer(timer);
  return () => clearInterval(timer);
}

function look(): HostLook {
  return {
    monotonicMs: realClock.monotonicMs(),
    asleepMs: realClock.asleepMs(),
    addresses: realMachine.networkAddresses(),
  };
}
