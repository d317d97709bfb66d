/** A week without the server, 20,000 events meanwhile, and then its real limits. */

import { assert, assertEquals } from "@std/assert";
import type { EventKind, NewEvent } from "../../src/buffer/buffer.ts";
import { ORIGIN } from "./monitor.ts";
import { Sim } from "./sim.ts";
import type { RequestFate } from "./sim_network.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const WEEK_MS = 7 * 24 * HOUR_MS;
const EVENTS = 20_000;
const PER_MINUTE = 30;
const REFUSED: RequestFate = { kind: "fails", reason: "refused" };

/** The nth event of the week: every 40th a command's result, every 400th one after its lists. */
function eventsOf(n: number): NewEvent[] {
  const event = (kind: EventKind, commandId: string | null = null): NewEvent => ({
    kind,
    commandId,
    snapshotOf: kind === "system_info" ? "system_info" : kind === "updates" ? "updates/apt" : null,
    body: JSON.stringify({ n, kind, command_id: commandId ?? "", result: "success" }),
  });
  if (n % 400 === 0) return [event("updates", `scan-${n}`), event("log", `scan-${n}`)];
  if (n % 40 === 0) return [event("log", `command-${n}`)];
  const kinds = ["system_info", "updates", "updates", "dependencies"] as const;
  return [event(kinds[n % 4]!)];
}

/** Appends the week's events, spread over it, into the buffer of the agent that runs. */
async function fill(sim: Sim): Promise<string[]> {
  const { buffer } = await sim.inspect();
  const bodies: string[] = [];
  const chunk = EVENTS / 200;
  for (let first = 0; first < EVENTS; first += chunk) {
    sim.clock.inWorld(WEEK_MS * first / EVENTS, () => {
      for (let n = first; n < first + chunk; n++) {
        const events = eventsOf(n);
        buffer.append(events);
        bodies.push(...events.map(({ body }) => body));
      }
    });
  }
  return bodies;
}

Deno.test("sim: a week's outage with 20,000 events is made up for at the server's own pace", async () => {
  const sim = new Sim(1);
  try {
    await sim.begin();
    await sim.run(HOUR_MS);
    sim.fate = () => REFUSED;
    const bodies = await fill(sim);
    await sim.run(HOUR_MS + WEEK_MS);
    const before = sim.server.stored.size;
    const { buffer } = await sim.inspect();
    const { pending } = buffer.counts();
    assert(pending >= EVENTS);
    sim.fate = null;
    const backMs = sim.clock.trueMs;
    const dueMs = backMs + pending / PER_MINUTE * MINUTE_MS + 300_000;
    await sim.run(dueMs);
    const { pending: left, evicted, deadLetters, delivered } = buffer.counts();
    assertEquals({ left, deadLetters }, { left: 0, deadLetters: 0 });
    assert(Object.values(evicted).every((count) => count === 0));
    const stored = [...sim.server.stored.keys()];
    assertEquals(bodies.filter((body) => sim.server.stored.get(body) !== 1), []);
    assert(delivered >= bodies.length);
    assert(sim.server.mostTurnedAwayInARow <= 1, "more than one 429 in a row");
    checkOrder(stored.slice(before));
  } finally {
    sim.close();
  }
});

/** Results come first; one that has a list of its command before it comes after that. */
function checkOrder(stored: readonly string[]): void {
  const reports = stored.map((body): { kind?: EventKind; command_id?: string } => JSON.parse(body));
  const kinds = reports.map(({ kind }) => kind);
  const urgent = reports.flatMap(({ command_id }, at) =>
    command_id?.startsWith("command") ? at : []
  );
  assertEquals(urgent.length, EVENTS / 40 - EVENTS / 400);
  const earlier = new Set(kinds.slice(0, urgent.at(-1)));
  assertEquals(earlier, new Set<EventKind>(["dependencies", "log"]));
  assert(kinds.lastIndexOf("updates") < kinds.indexOf("system_info"), "host facts go last");
  const lists = new Map<string, number>();
  reports.forEach(({ kind, command_id = "" }, at) => {
    if (!command_id.startsWith("scan")) return;
    if (kind === "updates") lists.set(command_id, at);
    else assert(lists.has(command_id), `the result of ${command_id} came before its list`);
  });
  assertEquals(lists.size, EVENTS / 400);
}

/** What makes the agent's own idea of the server's window wrong. */
const DISTURBANCES: Readonly<Record<string, { slowerBy: number; begin: (sim: Sim) => void }>> = {
  "a host whose clock is wrong by three hours": {
    slowerBy: 1,
    begin: (sim) => sim.clock.wallOffsetMs = 3 * HOUR_MS,
  },
  "a server that does not tell its time": {
    slowerBy: 1,
    begin: (sim) => {
      sim.clock.wallOffsetMs = -3 * HOUR_MS;
      sim.server.tellsTime = false;
    },
  },
  // It then waits for an empty window, since it cannot know which places are free.
  "somebody else in the same window": {
    slowerBy: 3,
    begin: (sim) => useToo(sim),
  },
  // Each start waits for its place in the interval, and has forgotten what it sent.
  "a restart every 100 s": {
    slowerBy: 10,
    begin: (sim) => {
      for (let atMs = 0; atMs < 2 * HOUR_MS; atMs += 100_000) {
        sim.clock.inWorld(atMs, () => sim.restartAtOnce());
      }
    },
  },
};

/** Another process reports as this agent, every 6 s. */
function useToo(sim: Sim): void {
  sim.clock.inWorld(6_000, () => {
    sim.server.handle({
      method: "POST",
      url: `${ORIGIN}/api/v1/agents/x/logs`,
      headers: { authorization: `Bearer ${sim.server.token()}` },
      body: '{"command_id":"","action":"other","result":"success"}',
      connectTimeoutMs: 1,
      timeoutMs: 1,
      maxBodyBytes: 1,
      tls: {},
    });
    useToo(sim);
  });
}

for (const [name, { slowerBy, begin }] of Object.entries(DISTURBANCES)) {
  Deno.test(`sim: a drain meets no 429 twice in a row, in spite of ${name}`, async () => {
    for (const seed of [1, 2, 3]) {
      const sim = new Sim(seed);
      try {
        await sim.begin();
        await sim.run(MINUTE_MS);
        const { buffer } = await sim.inspect();
        const events = Array.from({ length: 600 }, (_, n) => eventsOf(n)).flat();
        buffer.append(events);
        begin(sim);
        const lengthMs = slowerBy * events.length / PER_MINUTE * MINUTE_MS;
        await sim.run(sim.clock.trueMs + lengthMs + 2 * 300_000);
        assertEquals(events.filter(({ body }) => !sim.server.stored.has(body)), []);
        assert(sim.server.mostTurnedAwayInARow <= 1, `seed ${seed}: more than one 429 in a row`);
      } finally {
        sim.close();
      }
    }
  });
}
