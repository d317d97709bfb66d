/** Stories with a server of 0.2, each with its own end; played with those of `scenarios.ts`. */

import { SIM_MACHINE } from "./sim_host.ts";
import { beginRapid, HOUR_MS, MINUTE_MS, must, type Scenario } from "./scenario.ts";
import type { RequestFate } from "./sim_network.ts";
import type { Sim } from "./sim.ts";

const DAY_MS = 24 * HOUR_MS;
/** An hour, its jitter, and what an agent's calls and its spread may take. */
const STATED_PACE_MS = 1.2 * HOUR_MS + 160_000;

const cause = (sim: Sim) => sim.agent?.loop.state.connection.operatorAction?.cause ?? null;

const upgrade: Scenario = {
  name: "an agent lives through the upgrade of its server, which then knows no machine of it",
  ages: ["0.1"],
  async play(sim) {
    await sim.run(6 * HOUR_MS);
    const arrived = () =>
      [...sim.server.stored.keys()].filter((body) => body.includes('"piledMs"')).length;
    sim.pile(100);
    // In the middle of a drain.
    while (arrived() < 10 && sim.clock.trueMs < 7 * HOUR_MS) {
      await sim.run(sim.clock.trueMs + 1_000);
    }
    sim.server.upgrade();
    await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
    must(cause(sim) === "machine_not_bound", `it says ${cause(sim)}`);
    sim.queue({ id: "meanwhile", type: "scan_updates", params: {} });
    const before = sim.requests;
    // Hourly; with an access token that is over, a try is two requests.
    await sim.run(sim.clock.trueMs + 3 * DAY_MS);
    const asked = sim.requests - before;
    must(asked >= 60 && asked <= 150, `${asked} requests in three days`);
    sim.server.machineId = SIM_MACHINE;
    await sim.run(sim.clock.trueMs + STATED_PACE_MS);
    must(cause(sim) === null, "it is not back in its stated time");
    await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
    must(arrived() === 100, `${arrived()} of 100 events arrived`);
    must(sim.server.commands.stateOf("meanwhile") !== "sent", "a command of the old server came");
  },
};

const fullDisk: Scenario = {
  name: "a disk that is full through renewals and a crash costs no tokens",
  ages: ["0.2"],
  async play(sim) {
    await sim.run(10 * MINUTE_MS);
    sim.disk.fault = "full";
    sim.monitor.excuse();
    for (let renewal = 0; renewal < 3; renewal++) {
      sim.server.revokeAccess();
      await sim.run(sim.clock.trueMs + 15 * MINUTE_MS);
    }
    sim.kill();
    await sim.run(sim.clock.trueMs + 30 * MINUTE_MS);
    sim.disk.fault = null;
    sim.monitor.excuse();
    for (let renewal = 0; renewal < 3; renewal++) {
      sim.server.revokeAccess();
      await sim.run(sim.clock.trueMs + 15 * MINUTE_MS);
    }
    must(cause(sim) === null, `it says ${cause(sim)}`);
  },
};

const lostRenewals: Scenario = {
  name: "answers to renewals that are lost, cut and late, and a kill after each, cost no tokens",
  ages: ["0.2"],
  async play(sim) {
    const kinds: RequestFate[] = [{ kind: "cut" }, { kind: "answer_lost" }, { kind: "late" }];
    let renewals = 0;
    sim.fate = ({ url }) => {
      if (!url.endsWith("/renew")) return null;
      renewals += 1;
      if (renewals % 4 === 0) sim.clock.after(1, () => sim.kill());
      return renewals % 2 === 0 ? null : kinds[Math.floor(renewals / 2) % kinds.length]!;
    };
    for (let step = 0; step < 12; step++) {
      await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
      sim.server.revokeAccess();
    }
    sim.fate = null;
    await sim.run(sim.clock.trueMs + HOUR_MS);
    must(renewals >= 12, `${renewals} renewals`);
    must(cause(sim) === null, `it says ${cause(sim)}`);
    must(sim.agent?.loop.state.connection.breaker.state === "closed", "it is not back");
  },
};

const redelivery: Scenario = {
  name: "a command that comes twice in an answer, and again from a cache, runs once",
  ages: ["0.2"],
  async play(sim) {
    await sim.run(10 * MINUTE_MS);
    // It waits for more than 5 min, and the server then finds it twice.
    sim.fate = () => ({ kind: "fails", reason: "refused" });
    sim.queue({ id: "install", type: "install_updates", params: {} });
    await sim.run(sim.clock.trueMs + 12 * MINUTE_MS);
    // Then a cache answers in the server's place, and the server is told of no receipt.
    let answers = 0;
    sim.fate = ({ url }) => {
      if (!url.endsWith("/commands")) return null;
      answers += 1;
      return answers > 1 && answers < 5 ? { kind: "repeated" } : null;
    };
    await sim.run(sim.clock.trueMs + 30 * MINUTE_MS);
    sim.fate = null;
    await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
    must(answers >= 5, `${answers} answers`);
    must(sim.runs.get("install") === 1, `it ran ${sim.runs.get("install")} times`);
    must(sim.server.commands.stateOf("install") === "completed", "its result did not arrive");
    must(sim.server.commands.unconfirmed().length === 0, "its receipt was not confirmed");
  },
};

const ownResult: Scenario = {
  name: "a result that the server wrote itself when it gave up is not taken for the agent's",
  ages: ["0.2"],
  async play(sim) {
    await sim.run(10 * MINUTE_MS);
    sim.queue({ id: "specs", type: "collect_specs", params: {} });
    sim.fate = ({ url }) => url.endsWith("/logs") ? { kind: "lost" } : null;
    await sim.run(sim.clock.trueMs + HOUR_MS);
    must(sim.server.commands.stateOf("specs") === "timed_out", "the server has not given up");
    sim.fate = null;
    await sim.run(sim.clock.trueMs + HOUR_MS);
    must(sim.server.told.has("specs"), "nothing is told of it");
    const { buffer } = await sim.inspect();
    const { pending, deadLetters } = buffer.counts();
    must(pending + deadLetters === 0, `${pending} events wait, ${deadLetters} are dead letters`);
  },
};

const stillOpen: Scenario = {
  name: "a log whose command the server could not close is sent again, until it could",
  ages: ["0.2"],
  async play(sim) {
    await sim.run(10 * MINUTE_MS);
    sim.server.cannotClose = true;
    sim.queue({ id: "scan", type: "scan_dnf", params: null });
    await sim.run(sim.clock.trueMs + 10 * MINUTE_MS);
    must(sim.server.logged.has("scan"), "no log came");
    sim.server.cannotClose = false;
    await sim.run(sim.clock.trueMs + 15 * MINUTE_MS);
    must(sim.server.commands.stateOf("scan") === "completed", "its command is still open");
  },
};

/** A renewal that the server handles an hour after the agent has given up on it, and renewed again. */
function lateRenewal(name: string, then: (sim: Sim) => Promise<void>): Scenario {
  return {
    name,
    ages: ["0.2"],
    async play(sim) {
      await sim.run(10 * MINUTE_MS);
      let renewals = 0;
      sim.fate = ({ url }) => {
        if (!url.endsWith("/renew")) return null;
        renewals += 1;
        return renewals === 1 ? { kind: "arrives_late", ms: HOUR_MS } : null;
      };
      sim.server.revokeAccess();
      await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
      must(renewals === 2, `${renewals} renewals`);
      await then(sim);
      sim.server.revokeAccess();
      await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
      must(cause(sim) === null, `it says ${cause(sim)}`);
      const sinceMs = sim.clock.monotonicMs() - (sim.agent?.loop.state.lastCheckInAtMs ?? 0);
      must(sinceMs < 10 * MINUTE_MS, "it is not back");
    },
  };
}

const lateRenewals: readonly Scenario[] = [
  lateRenewal(
    "a renewal that the server handles after a later one costs no tokens",
    (sim) => sim.run(sim.clock.trueMs + 2 * HOUR_MS),
  ),
  lateRenewal(
    "a renewal that the server handles after two later ones costs no tokens",
    async (sim) => {
      sim.server.revokeAccess();
      await sim.run(sim.clock.trueMs + 2 * HOUR_MS);
    },
  ),
  lateRenewal(
    "a renewal that the server handles after a later one and a restart costs no tokens",
    async (sim) => {
      sim.kill();
      await sim.run(sim.clock.trueMs + 7 * HOUR_MS);
    },
  ),
  lateRenewal(
    "a renewal that the server handles after a later one, on the day before a restart, costs none",
    async (sim) => {
      await sim.run(sim.clock.trueMs + 7 * HOUR_MS);
      sim.kill();
      await sim.run(sim.clock.trueMs + 10 * MINUTE_MS);
    },
  ),
];

const youngServer: Scenario = {
  name: "a server that starts anew and halves its limits turns no report away",
  ages: ["0.2"],
  async play(sim) {
    await sim.run(10 * MINUTE_MS);
    sim.pile(400);
    for (let step = 0; step < 6; step++) {
      await sim.run(sim.clock.trueMs + 4 * MINUTE_MS);
      sim.server.restart();
    }
    await sim.run(sim.clock.trueMs + 10 * MINUTE_MS);
    must(sim.server.turnedAway === 0, `${sim.server.turnedAway} requests turned away`);
    const { buffer } = await sim.inspect();
    must(buffer.counts().pending <= 1, `${buffer.counts().pending} events are not delivered`);
  },
};

const shedding: Scenario = {
  name: "a server that sheds load for a minute in rapid polling is no outage",
  ages: ["0.2"],
  async play(sim) {
    await beginRapid(sim);
    sim.server.isPoolSaturated = true;
    await sim.run(sim.clock.trueMs + MINUTE_MS);
    must(sim.agent?.loop.state.connection.breaker.state === "closed", "the breaker opened");
    sim.server.isPoolSaturated = false;
    await sim.run(sim.clock.trueMs + 31_000);
    must(sim.agent?.loop.state.connection.paths.check_in.failures === 0, "it is not back");
  },
};

const oldVersion: Scenario = {
  name: "an agent that the server finds too old says so, and is back by itself",
  ages: ["0.2"],
  async play(sim) {
    await sim.run(20 * MINUTE_MS);
    sim.server.lowestVersion = "999.0.0";
    await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
    must(cause(sim) === "version_too_old", `it says ${cause(sim)}`);
    const before = sim.requests;
    await sim.run(sim.clock.trueMs + 12 * HOUR_MS);
    const asked = sim.requests - before;
    must(asked >= 9 && asked <= 30, `${asked} requests in twelve hours`);
    sim.server.lowestVersion = null;
    await sim.run(sim.clock.trueMs + STATED_PACE_MS);
    must(cause(sim) === null, "it is not back in its stated time");
  },
};

const deleted: Scenario = {
  name: "an agent whose row is gone calls an operator within an hour, and is back by itself",
  ages: ["0.2"],
  async play(sim) {
    await sim.run(20 * MINUTE_MS);
    sim.server.isAgentDeleted = true;
    await sim.run(sim.clock.trueMs + HOUR_MS);
    // Its tokens go with the row, and its calls get the 401 of a token that is not good.
    must(cause(sim) === "token", `it says ${cause(sim)}`);
    sim.pile(50);
    const before = sim.requests;
    await sim.run(sim.clock.trueMs + 6 * HOUR_MS);
    const asked = sim.requests - before;
    // For four hours it may be a database outage, and is asked about once an interval, with a renewal.
    must(asked >= 8 && asked <= 110, `${asked} requests in six hours`);
    sim.server.isAgentDeleted = false;
    await sim.run(sim.clock.trueMs + STATED_PACE_MS);
    must(cause(sim) === null, "it is not back in its stated time");
    await sim.run(sim.clock.trueMs + 20 * MINUTE_MS);
    const { buffer } = await sim.inspect();
    must(buffer.counts().pending <= 1, `${buffer.counts().pending} events are not delivered`);
  },
};

/** Stories of 0.2. */
export const SCENARIOS_02: readonly Scenario[] = [
  upgrade,
  deleted,
  fullDisk,
  lostRenewals,
  redelivery,
  ...lateRenewals,
  ownResult,
  stillOpen,
  youngServer,
  shedding,
  oldVersion,
];
