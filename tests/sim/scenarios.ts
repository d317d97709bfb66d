/** Stories that chance tells too seldom, each with its own end; run by the tests and by `mutate.ts`. */

import { Sim } from "./sim.ts";
import { beginRapid, HOUR_MS, MINUTE_MS, must, type Scenario } from "./scenario.ts";
import { SCENARIOS_02 } from "./scenarios_02.ts";
import { SCENARIOS_KEYS } from "./scenarios_keys.ts";
import type { Age } from "./sim_commands.ts";
import type { RequestFate } from "./sim_network.ts";
import { POISON } from "./sim_server.ts";

const REFUSED: RequestFate = { kind: "fails", reason: "refused" };

/** When the breaker turned half-open, so often as it did. */
function watchHalfOpen(sim: Sim): { count: number } {
  const seen = { count: 0 };
  const before = sim.trace.onMessage;
  sim.trace.onMessage = (message, fields) => {
    before(message, fields);
    if (message === "connection breaker half-open") seen.count += 1;
  };
  return seen;
}

const lateProbe: Scenario = {
  name: "the late good answer of an old probe closes no breaker",
  async play(sim) {
    const halfOpen = watchHalfOpen(sim);
    // The first probe's real call answers a good while later, when the third one is under way.
    sim.fate = ({ url }) => {
      if (halfOpen.count === 0) return sim.clock.trueMs < MINUTE_MS ? null : REFUSED;
      if (url.endsWith("/health")) return { kind: "well" };
      return halfOpen.count === 1 ? { kind: "held" } : { kind: "lost" };
    };
    await sim.run(HOUR_MS);
    must(halfOpen.count > 3, "the breaker was never half-open again");
    // Each probe is out for 5 s; the held answer comes in the middle of one.
    const before = halfOpen.count;
    for (let step = 0; halfOpen.count === before && step < 10_000; step++) {
      await sim.run(sim.clock.trueMs + 1_000);
    }
    sim.releaseHeld();
    await sim.run(sim.clock.trueMs + 1_000);
    must(sim.agent?.loop.state.connection.breaker.state !== "closed", "an old answer closed it");
  },
};

const silentProbe: Scenario = {
  name: "a probe that never settles gives its slot back after 10 s",
  async play(sim) {
    const halfOpen = watchHalfOpen(sim);
    sim.fate = () => {
      if (halfOpen.count === 0) return sim.clock.trueMs < MINUTE_MS ? null : REFUSED;
      return halfOpen.count === 1 ? { kind: "held" } : null;
    };
    await sim.run(2 * HOUR_MS);
    must(halfOpen.count >= 2, "there was no second probe");
    must(sim.agent?.loop.state.connection.breaker.state === "closed", "it did not recover");
  },
};

const restarts: Scenario = {
  name: "1,000 restarts in an hour of outage ask no more than an agent that stays up",
  async play(sim) {
    sim.fate = () => (sim.clock.trueMs < MINUTE_MS ? null : REFUSED);
    await sim.run(20 * MINUTE_MS);
    const before = sim.requests;
    for (let restart = 0; restart < 1_000; restart++) {
      sim.restartAtOnce();
      await sim.run(sim.clock.trueMs + HOUR_MS / 1_000);
    }
    const asked = sim.requests - before;
    // One that stays up asks every 150 to 300 s.
    must(asked <= 24, `${asked} requests`);
    must(asked >= 5, `only ${asked} requests`);
  },
};

const crashAtCheckIn: Scenario = {
  name: "an agent that dies in every check-in does not check in at each start",
  async play(sim) {
    await sim.run(MINUTE_MS);
    const before = sim.requests;
    sim.fate = () => {
      sim.clock.after(0, () => sim.kill());
      return { kind: "lost" };
    };
    await sim.run(sim.clock.trueMs + HOUR_MS);
    const asked = sim.requests - before;
    must(asked >= 5 && asked <= 20, `${asked} check-ins in an hour`);
  },
};

const sleep: Scenario = {
  name: "after eight hours of sleep there is one check-in within 60 s, and no burst",
  async play(sim) {
    await sim.run(HOUR_MS);
    sim.plan([{ fault: "suspend", fromMs: HOUR_MS + 1_000, toMs: 9 * HOUR_MS }]);
    await sim.run(HOUR_MS + 2_000);
    const before = sim.requests;
    await sim.run(9 * HOUR_MS + 75_000);
    const asked = sim.requests - before;
    must(asked >= 1 && asked <= 3, `${asked} requests after waking`);
  },
};

const offline: Scenario = {
  name: "an offline host asks within 30 s, opens no breaker, and is back soon after a hint",
  async play(sim) {
    sim.fate = () => sim.clock.trueMs < MINUTE_MS ? null : { kind: "fails", reason: "offline" };
    await sim.run(2 * HOUR_MS);
    must(sim.agent?.loop.state.connection.breaker.state === "closed", "the breaker opened");
    sim.fate = null;
    sim.hint("network_up");
    await sim.run(sim.clock.trueMs + 31_000);
    must(sim.agent?.loop.state.connection.outage === null, "it is not back");
  },
};

const breaksOverReports: Scenario = {
  name: "a server that breaks over every report gets its rest, however much there is to tell",
  async play(sim) {
    await sim.run(MINUTE_MS);
    const isReport = (url: string) => !/\/(health|commands|renew)$/.test(url);
    let reports = 0;
    sim.fate = ({ url }) => {
      if (!isReport(url)) return null;
      reports += 1;
      return { kind: "status", status: reports % 2 === 0 ? 500 : 404 };
    };
    sim.pile(900);
    await sim.run(10 * MINUTE_MS);
    reports = 0;
    await sim.run(HOUR_MS + 10 * MINUTE_MS);
    must(reports >= 30 && reports <= 240, `${reports} reports in an hour`);
    sim.fate = null;
    await sim.run(sim.clock.trueMs + 900 / 30 * MINUTE_MS * 1.2 + 10 * MINUTE_MS);
    const { buffer } = await sim.inspect();
    must(buffer.counts().pending <= 5, `${buffer.counts().pending} events are not delivered`);
  },
};

const killed: Scenario = {
  name:
    "in rapid polling an agent is back within 30 s of a kill of 300 s, after 20 requests at most",
  async play(sim) {
    await beginRapid(sim);
    const before = sim.requests;
    sim.fate = () => REFUSED;
    await sim.run(sim.clock.trueMs + 300_000);
    const asked = sim.requests - before;
    must(asked >= 10 && asked <= 20, `${asked} requests`);
    sim.fate = null;
    await sim.run(sim.clock.trueMs + 31_000);
    must(sim.agent?.loop.state.connection.outage === null, "it is not back");
  },
};

const databaseAway: Scenario = {
  name:
    "in rapid polling an agent is back within 30 s of a database outage, and asks no health in it",
  async play(sim) {
    await beginRapid(sim);
    let healths = 0;
    sim.fate = ({ url }) => {
      if (url.endsWith("/health")) healths += 1;
      return null;
    };
    sim.server.isDatabaseDown = true;
    await sim.run(sim.clock.trueMs + 100_000);
    sim.server.isDatabaseDown = false;
    await sim.run(sim.clock.trueMs + 31_000);
    must(sim.agent?.loop.state.connection.outage === null, "it is not back");
    must(healths === 0, `${healths} requests to /health`);
  },
};

const overlap: Scenario = {
  name: "a heartbeat of an hour outlasts the commands and the shorter heartbeats that overlap it",
  async play(sim) {
    await beginRapid(sim);
    const untilMs = sim.agent?.loop.state.rapidUntilMs ?? 0;
    sim.queue({ id: "scan", type: "scan_updates", params: {} });
    sim.queue({ id: "short", type: "enable_heartbeat", params: { duration_minutes: 5 } });
    await sim.run(sim.clock.trueMs + 2 * MINUTE_MS);
    must(sim.server.logged.has("short"), "the second heartbeat was not run");
    must((sim.agent?.loop.state.rapidUntilMs ?? 0) >= untilMs, "it was cut short");
    sim.queue({ id: "end", type: "disable_heartbeat", params: {} });
    await sim.run(sim.clock.trueMs + MINUTE_MS);
    must(sim.agent?.loop.state.rapidUntilMs === null, "it did not end");
  },
};

const refusedRenewal: Scenario = {
  name: "a renewal that a database outage refuses costs an interval, not an hour",
  async play(sim) {
    await sim.run(10 * MINUTE_MS);
    sim.server.revokeAccess();
    sim.server.isDatabaseDown = true;
    await sim.run(sim.clock.trueMs + 9 * MINUTE_MS);
    must(sim.agent?.loop.state.connection.operatorAction === null, "an operator is called");
    await sim.run(sim.clock.trueMs + 2 * HOUR_MS);
    sim.server.isDatabaseDown = false;
    const backMs = sim.clock.trueMs;
    await sim.run(backMs + 10 * MINUTE_MS);
    const { connection, lastCheckInAtMs } = sim.agent!.loop.state;
    must(connection.operatorAction === null && connection.doubt === null, "it is in doubt");
    must(sim.clock.monotonicMs() - (lastCheckInAtMs ?? 0) < 10 * MINUTE_MS, "it is not back");
  },
};

const deleted: Scenario = {
  name: "a deleted agent says so within an hour, and is quiet",
  ages: ["0.1"],
  async play(sim) {
    await sim.run(20 * MINUTE_MS);
    sim.server.isAgentDeleted = true;
    await sim.run(sim.clock.trueMs + HOUR_MS);
    const person = () => sim.agent?.loop.state.connection.operatorAction;
    must(person()?.cause === "deleted", "it does not know");
    sim.pile(50);
    const before = sim.requests;
    await sim.run(sim.clock.trueMs + 6 * HOUR_MS);
    const asked = sim.requests - before;
    must(asked >= 8 && asked <= 14, `${asked} requests in six hours`);
    sim.server.isAgentDeleted = false;
    await sim.run(sim.clock.trueMs + 1.5 * HOUR_MS);
    must(person() === null, "it does not know that it is known again");
    const { buffer } = await sim.inspect();
    must(buffer.counts().pending <= 1, `${buffer.counts().pending} events are not delivered`);
  },
};

const notFoundOnce: Scenario = {
  name: "an agent that is not found for want of a database is not taken for deleted",
  ages: ["0.1"],
  async play(sim) {
    await sim.run(10 * MINUTE_MS);
    sim.fate = ({ url }) => {
      if (url.endsWith("/system-info")) sim.server.isDatabaseDown = true;
      return null;
    };
    await sim.run(sim.clock.trueMs + 2 * HOUR_MS);
    must(sim.server.isDatabaseDown, "no host facts were sent");
    const { connection } = sim.agent!.loop.state;
    must(connection.operatorAction === null, "it says that it was deleted");
    must(connection.outage !== null, "it does not see the outage");
  },
};

const badItem: Scenario = {
  name: "a bad item of a list holds up neither its neighbours nor its command's log",
  async play(sim) {
    await sim.run(MINUTE_MS);
    const items = 2 + Math.floor(sim.random() * 6);
    const bad = Math.floor(sim.random() * items);
    const updates = Array.from(
      { length: items },
      (_, n) => ({ n, is: n === bad ? POISON : "good" }),
    );
    await sim.change((buffer) =>
      void buffer.append([
        {
          kind: "updates",
          commandId: "listed",
          snapshotOf: null,
          body: JSON.stringify({ updates }),
        },
        {
          kind: "log",
          commandId: "listed",
          snapshotOf: null,
          body: JSON.stringify({ command_id: "listed", result: "success" }),
        },
      ])
    );
    const good = () =>
      [...sim.server.stored.keys()].flatMap((body) => JSON.parse(body).updates ?? [])
        .filter(({ is }: { is?: string }) => is === "good").length;
    while (good() < items - 1 && sim.clock.trueMs < 12 * MINUTE_MS) {
      await sim.run(sim.clock.trueMs + 1_000);
    }
    must(good() === items - 1, `${good()} of ${items - 1} good items arrived`);
    await sim.run(sim.clock.trueMs + 15_000);
    must(sim.server.logged.has("listed"), "the log waits behind a bad item");
    await sim.run(30 * MINUTE_MS);
    const { buffer } = await sim.inspect();
    const { pending, deadLetters } = buffer.counts();
    must(
      pending === 0 && deadLetters === 1,
      `${pending} events wait, ${deadLetters} are dead letters`,
    );
  },
};

export const SCENARIOS: readonly Scenario[] = [
  killed,
  databaseAway,
  overlap,
  refusedRenewal,
  deleted,
  notFoundOnce,
  lateProbe,
  silentProbe,
  restarts,
  crashAtCheckIn,
  sleep,
  offline,
  breaksOverReports,
  badItem,
  ...SCENARIOS_02,
  ...SCENARIOS_KEYS,
];

/** Plays a story with a seed; throws the violation it ends in. */
export async function playScenario(scenario: Scenario, seed: number, age: Age): Promise<void> {
  const sim = new Sim(seed, age);
  try {
    await sim.begin();
    await scenario.play(sim);
  } catch (error) {
    const tail = sim.trace.lines.slice(-15).join("\n");
    throw new Error(`${scenario.name} (${age}): ${(error as Error).message}\n${tail}`, {
      cause: error,
    });
  } finally {
    sim.close();
  }
}

/** The servers that a story is played with. */
export function agesOf({ ages = ["0.1", "0.2"] }: Scenario): readonly Age[] {
  return ages;
}

if (import.meta.main) {
  for (const scenario of SCENARIOS) {
    for (const age of agesOf(scenario)) {
      for (let seed = 1; seed <= 5; seed++) {
        try {
          await playScenario(scenario, seed, age);
        } catch (error) {
          console.log(`Scenario ${(error as Error).message}`);
          Deno.exit(1);
        }
      }
    }
  }
}
