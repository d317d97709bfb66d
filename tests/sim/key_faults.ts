/** What goes wrong with the server's keys, with commands that it did not make, and with the time of signatures. */

import type { Random } from "../../src/system/system.ts";
import type { CommandWatch } from "./command_watch.ts";
import type { SimClock } from "./sim_clock.ts";
import { FORGERIES, MISTIMED } from "./sim_keys.ts";
import type { SimServer } from "./sim_server.ts";
import type { Trace } from "./trace.ts";

/** The world as far as these faults need it. */
export interface KeyWorld {
  readonly random: Random;
  readonly clock: SimClock;
  readonly server: SimServer;
  readonly commands: CommandWatch;
  readonly trace: Trace;
}

const HOUR_MS = 3_600_000;

/** How far a host's clock may be off, on either side: also by so little that it does no harm. */
const MOST_OFF_MS = 10 * HOUR_MS;

/** Between two commands that somebody puts into the answers, at most. */
const FORGED_WITHIN_MS = HOUR_MS;

/** What a forged command would have the agent do. */
const WANTED = [
  { type: "install_updates", params: {} },
  { type: "scan_dnf", params: { subsystem: "dnf" } },
  { type: "enable_heartbeat", params: { duration_minutes: 10 } },
] as const;

/** A new key beside those before it: announced as it must be. */
export function beginRotation({ server, trace }: KeyWorld): void {
  server.keys.rotate();
  trace.note(`--- the key ${server.keys.primaryId} signs`);
}

/** An operator retires the other keys, once the agents know the one that signs. */
export function endRotation({ server, commands, trace }: KeyWorld): void {
  if (!commands.trust.keyIds.includes(server.keys.primaryId)) return;
  server.keys.retire();
  trace.note(`--- the key ${server.keys.primaryId} is the only one`);
}

/** The first key is believed, whoever shows it: before that there is nothing to swap. */
export function beginSwap({ server, commands }: KeyWorld): void {
  if (commands.trust.keyIds.length > 0) server.keys.swap();
}

/** The key from before is back, or is shown beside the other one. */
export function endSwap({ server, random, trace }: KeyWorld): void {
  const isAnnounced = random() < 0.5;
  server.keys.endSwap({ isAnnounced });
  trace.note(`--- the key from before is ${isAnnounced ? "shown too" : "back"}`);
}

/** Forges commands and repeats old ones, until then. */
export function forgeCommands(world: KeyWorld, untilMs: number): void {
  const { random, clock } = world;
  if (clock.trueMs >= untilMs) return;
  if (random() < 0.6) forgeNew(world);
  else forgeFromOld(world);
  clock.inWorld(random() * FORGED_WITHIN_MS, () => forgeCommands(world, untilMs));
}

function forgeNew({ random, clock, server }: KeyWorld): void {
  const kinds = [...FORGERIES, ...MISTIMED];
  const kind = kinds[Math.floor(random() * kinds.length)]!;
  const wanted = WANTED[Math.floor(random() * WANTED.length)]!;
  server.queue({ id: `forged-${kind}-${Math.floor(clock.trueMs)}`, ...wanted }, kind);
}

/** A command that the agent has had, as it was, or its id with another content. */
function forgeFromOld({ random, server, commands }: KeyWorld): void {
  const known = server.seen.filter(({ id }) => commands.stateOf(id) !== undefined);
  const old = known[Math.floor(random() * known.length)];
  if (old === undefined || server.age === "0.1") return;
  const stolen = { id: old.id, type: "install_updates", params: { package_name: "other" } };
  server.replayed.push(
    random() < 0.5 ? old : server.keys.forge(stolen, "of_a_stranger_as_own"),
  );
}

/** The host's clock is wrong by some hours at most, in either direction. */
export function setClockOff({ random, clock }: KeyWorld): void {
  clock.wallOffsetMs = Math.round((2 * random() - 1) * MOST_OFF_MS);
}
