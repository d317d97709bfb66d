/** Stories of the server's keys and of forged commands, each with its own end; played with those of `scenarios.ts`. */

import { HOUR_MS, MINUTE_MS, must, type Scenario } from "./scenario.ts";
import type { Sim } from "./sim.ts";
import { SIM_MACHINE } from "./sim_host.ts";
import { FORGERIES, MISTIMED } from "./sim_keys.ts";

const DAY_MS = 24 * HOUR_MS;

/** Two check-ins, and a look-up of the keys that may have to wait for its turn. */
const A_WHILE_MS = 20 * MINUTE_MS;

/** Queues something that must run once, if it is rightly signed; `ran()` says how often it did. */
async function install(sim: Sim): Promise<{ id: string; ran: () => number }> {
  const id = `install-${Math.round(sim.clock.trueMs)}`;
  sim.queue({ id, type: "install_updates", params: { package_name: "a & b" } });
  await sim.run(sim.clock.trueMs + A_WHILE_MS);
  return { id, ran: () => sim.runs.get(id) ?? 0 };
}

/** How often the agent logged this. */
function told(sim: Sim, message: string): number {
  return sim.trace.told.get(message) ?? 0;
}

async function mustRun(sim: Sim, when: string): Promise<void> {
  const { ran } = await install(sim);
  must(ran() === 1, `${when}, a command ran ${ran()} times`);
}

async function mustRefuse(sim: Sim, when: string): Promise<void> {
  const { id, ran } = await install(sim);
  must(ran() === 0 && sim.commands.refused.has(id), `${when}, a command was not refused`);
}

/** It has a check-in behind it, and the server's key. */
async function beginPinned(sim: Sim): Promise<void> {
  await sim.run(10 * MINUTE_MS);
  must(sim.commands.trust.keyIds.length === 1, "no key is pinned");
  await mustRun(sim, "with the first key");
}

const rotated: Scenario = {
  name:
    "a key that is announced is accepted, and the one before it counts no more once it is retired",
  ages: ["0.2"],
  async play(sim) {
    await beginPinned(sim);
    const first = sim.server.keys.primaryId;
    sim.server.keys.rotate();
    await mustRun(sim, "with a key that is announced");
    must(told(sim, "server key accepted: a trusted one announces it") === 1, "no event says so");
    sim.server.keys.retire();
    await sim.run(sim.clock.trueMs + 7 * HOUR_MS);
    must(!sim.commands.trust.keyIds.includes(first), "the retired key is trusted");
    must(told(sim, "server key retired") === 1, "no event says that a key was retired");
    sim.kill();
    await sim.run(sim.clock.trueMs + MINUTE_MS);
    await mustRun(sim, "with the second key, after a restart");
  },
};

/** A key that nobody announced, until `mend()`. */
function swapped(name: string, isAnnounced: boolean): Scenario {
  return {
    name,
    ages: ["0.2"],
    async play(sim) {
      await beginPinned(sim);
      sim.server.keys.swap();
      await mustRefuse(sim, "with a key that nobody announced");
      const event = "server shows an unknown key: commands are refused";
      must(told(sim, event) === 1, "no event says that the key is unknown");
      sim.kill();
      await sim.run(sim.clock.trueMs + MINUTE_MS);
      await mustRefuse(sim, "with that key, after a restart");
      sim.pile(20);
      const checkIns = sim.requests;
      await sim.run(sim.clock.trueMs + HOUR_MS);
      must(sim.requests >= checkIns + 20 + 10, "it does not go on reporting");
      must(sim.agent?.loop.state.connection.breaker.state === "closed", "its breaker is open");
      sim.server.keys.endSwap({ isAnnounced });
      await mustRun(sim, "with a trusted key again");
      must(told(sim, "server shows a trusted key again") === 1, "no event says so");
    },
  };
}

const forged: Scenario = {
  name: "no forged command runs, each leaves a security event, and nothing else suffers",
  ages: ["0.2"],
  async play(sim) {
    await beginPinned(sim);
    for (const forgery of [...FORGERIES, ...MISTIMED]) {
      const id = `forged-${forgery}`;
      sim.server.queue({ id, type: "install_updates", params: {} }, forgery);
      await sim.run(sim.clock.trueMs + A_WHILE_MS);
      must(sim.commands.refused.has(id), `${id} left no security event`);
      must(sim.runs.get(id) === undefined, `${id} ran`);
      must(sim.server.told.get(id)?.includes('"failed"') === true, `${id} was not answered`);
    }
    await mustRun(sim, "after forged ones");
    must(sim.commands.trust.keyIds.length === 1, "another key is trusted");
  },
};

const replayed: Scenario = {
  name: "an id that was run is never run again, whoever signs it",
  ages: ["0.2"],
  async play(sim) {
    await beginPinned(sim);
    const { id } = await install(sim);
    const old = sim.server.seen.find((command) => command.id === id)!;
    const stolen = { id, type: "install_updates", params: { package_name: "other" } };
    for (let hour = 0; hour < 6; hour++) {
      sim.server.replayed.push(old, old);
      await sim.run(sim.clock.trueMs + A_WHILE_MS);
      sim.server.replayed.push(sim.server.keys.sign(stolen));
      await sim.run(sim.clock.trueMs + A_WHILE_MS);
      if (hour % 2 === 0) sim.kill();
      await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
    }
    must(sim.runs.get(id) === 1, `it ran ${sim.runs.get(id)} times`);
    sim.server.replayed.push(sim.server.keys.forge(stolen, "of_a_stranger_as_own"));
    await sim.run(sim.clock.trueMs + A_WHILE_MS);
    must(sim.commands.refused.has(id), "its stolen id left no security event");
    await mustRun(sim, "after replays");
  },
};

const clockOff: Scenario = {
  name: "a host whose clock is off refuses commands, names the clock, and is back by itself",
  ages: ["0.2"],
  async play(sim) {
    await beginPinned(sim);
    const whys: string[] = [];
    const before = sim.trace.onMessage;
    sim.trace.onMessage = (message, fields) => {
      before(message, fields);
      if (message === "command refused") whys.push(String(fields["why"]));
    };
    for (const [offMs, side] of [[-10 * MINUTE_MS, "behind"], [5 * HOUR_MS, "ahead of"]] as const) {
      sim.clock.wallOffsetMs = offMs;
      sim.monitor.excuse();
      await mustRefuse(sim, `with a clock ${side} the server's`);
      const minutes = Math.abs(offMs) / MINUTE_MS;
      const words = `the clock of this host is ${minutes} min ${side} the server's`;
      must(whys.at(-1)?.includes(words) === true, `it says: ${whys.at(-1)}`);
    }
    // Within the limits of a signature.
    for (const offMs of [-4 * MINUTE_MS, 3 * HOUR_MS, 0]) {
      sim.clock.wallOffsetMs = offMs;
      sim.monitor.excuse();
      await mustRun(sim, `with a clock that is ${offMs / MINUTE_MS} min ahead`);
    }
  },
};

const ratchet: Scenario = {
  name: "unsigned commands are over with the first key that the server shows",
  ages: ["0.1"],
  async play(sim) {
    await sim.run(10 * MINUTE_MS);
    const unsigned = (id: string) => sim.server.commands.add({ id, type: "scan_dnf", params: {} });
    unsigned("before");
    await sim.run(sim.clock.trueMs + A_WHILE_MS);
    must(sim.server.commands.stateOf("before") === "completed", "an agent of 0.1 does nothing");
    sim.server.upgrade();
    sim.server.machineId = SIM_MACHINE;
    await sim.run(sim.clock.trueMs + DAY_MS);
    must(sim.commands.trust.isRatcheted, "the key was not looked up");
    unsigned("after");
    await sim.run(sim.clock.trueMs + A_WHILE_MS);
    must(sim.commands.refused.has("after"), "an unsigned command is not refused");
    must(sim.server.commands.stateOf("after") === "failed", "it was not answered");
    await mustRun(sim, "after the upgrade");
  },
};

/** Stories of keys and signatures. */
export const SCENARIOS_KEYS: readonly Scenario[] = [
  rotated,
  swapped("a key that nobody announced is refused until the one before it is back", false),
  swapped("a key that nobody announced is refused until it is announced", true),
  forged,
  replayed,
  clockOff,
  ratchet,
];
