/** A story, and the process dies in it at each call of a port in turn, before it and after it. */

import { assert, assertEquals } from "@std/assert";
import { migrate } from "../../src/buffer/schema.ts";
import { settle } from "../fakes/clock.ts";
import { Sim } from "./sim.ts";
import type { Age } from "./sim_commands.ts";
import { REFUSED_TEXT } from "./sim_server.ts";

const MINUTE_MS = 60_000;

/** Its world has a server that acknowledges results. */
const SEED = 2;

/** What happens in the time in which the process dies. */
interface Story {
  readonly age: Age;
  readonly lastsMs: number;
  prepare(sim: Sim): void;
  play(sim: Sim): Promise<void>;
}

/** How many calls the story has, and what was told in the time in which the process dies. */
interface Played {
  readonly calls: number;
  readonly told: ReadonlySet<string>;
  readonly handedOver: number;
}

const COMMANDS = [
  { id: "scan", type: "scan_updates", params: {} },
  { id: "install", type: "install_updates", params: {} },
  { id: "specs", type: "collect_specs", params: {} },
];

/** Start, migration of nothing, check-in, scan, an install that may run once, reports, host facts. */
const ordinary: Story = {
  age: "0.1",
  lastsMs: 4 * MINUTE_MS,
  prepare: () => {},
  async play(sim) {
    for (const command of COMMANDS) sim.queue(command);
    await sim.run(this.lastsMs);
  },
};

/**
 * A database of an earlier life, with a list of which the server will not have one item and a log
 * that it refuses for the tenth time; the answer to a result is lost, and the server is asked for it;
 * an operator requeues the dead letters.
 */
const FROM_EARLIER_LIFE: Story = {
  age: "0.1",
  lastsMs: 8 * MINUTE_MS,
  prepare(sim) {
    const { database } = sim.disk;
    migrate(database);
    const items = JSON.stringify({ updates: ["a", "b", "c", REFUSED_TEXT] });
    const add = (id: string, kind: string, attempts: number, body: string) =>
      database.run(
        `INSERT INTO events (id, kind, command_id, urgency, importance, attempts, created_ms,
          size_bytes, body) VALUES (?, ?, 'old', 1, 1, ?, 1, 300, ?)`,
        id,
        kind,
        attempts,
        body,
      );
    add("0e000001", "updates", 8, items);
    add("0e000002", "log", 9, JSON.stringify({ command_id: "old", text: REFUSED_TEXT }));
    database.execute(`
      UPDATE events SET is_indexed = 1;
      UPDATE counters SET pending = 2, appended = 2, size_bytes = 600, indexed_to = 2;
      INSERT INTO commands (id, type, params, state, received_ms)
        VALUES ('old', 'scan_updates', '{}', 'finished', 1)`);
  },
  async play(sim) {
    let isLost = false;
    sim.fate = ({ url, body }) => {
      if (isLost || !url.endsWith("/logs") || !body?.includes('"specs"')) return null;
      isLost = true;
      return { kind: "cut" };
    };
    for (const command of COMMANDS.slice(1)) sim.queue(command);
    await sim.run(3 * MINUTE_MS);
    sim.server.refusesUnwanted = false;
    await requeue(sim);
    await sim.run(this.lastsMs);
  },
};

/** At 0.2: renewals that rotate the refresh token, a scan of one subsystem, an install, receipts. */
const ROTATING: Story = {
  age: "0.2",
  lastsMs: 8 * MINUTE_MS,
  prepare: () => {},
  async play(sim) {
    sim.clock.inWorld(10_000, () => sim.server.revokeAccess());
    sim.queue({ id: "scan", type: "scan_dnf", params: null });
    sim.queue({ id: "install", type: "install_updates", params: {} });
    await sim.run(4 * MINUTE_MS);
    sim.server.revokeAccess();
    await sim.run(this.lastsMs);
  },
};

function requeue(sim: Sim): Promise<void> {
  return sim.change((buffer) => {
    const count = buffer.requeue("all");
    if (count > 0) sim.trace.info("requeued", { count });
  });
}

async function tell(story: Story, crashAtCall: number): Promise<Played> {
  const sim = new Sim(SEED, story.age);
  sim.crashAtCall = crashAtCall;
  try {
    assert(!sim.server.isOld);
    // A check-in every five seconds would be the same calls, over and over.
    sim.server.busyMs = 0;
    story.prepare(sim);
    void sim.begin(); // A start that dies never ends.
    await settle();
    await story.play(sim);
    const { calls } = sim;
    const told = new Set(sim.trace.told.keys());
    await sim.run(25 * MINUTE_MS);
    await requeue(sim); // What the first time may have missed.
    await sim.run(50 * MINUTE_MS);
    assertEquals(sim.agent?.loop.state.connection.operatorAction, null);
    const inJournal = sim.disk.database.all("SELECT id, state FROM commands");
    for (const { id, state } of inJournal) {
      assertEquals(state, "reported", `${id}`);
      assert(sim.server.logged.has(String(id)), `nothing is told of "${id}"`);
      assert((sim.runs.get(String(id)) ?? 0) <= 1, `"${id}" ran twice`);
    }
    const { buffer } = await sim.inspect();
    const { pending, deadLetters, appended, delivered } = buffer.counts();
    assertEquals([pending, deadLetters, appended - delivered], [0, 0, 0]);
    return { calls, handedOver: inJournal.length, told };
  } catch (error) {
    const tail = sim.trace.lines.slice(-15).join("\n");
    throw new Error(`dies at call ${crashAtCall}: ${(error as Error).message}\n${tail}`);
  } finally {
    sim.close();
  }
}

async function dieAtEachCall(story: Story): Promise<Played> {
  const played = await tell(story, Infinity);
  for (let call = 1; call <= played.calls; call++) await tell(story, call);
  return played;
}

Deno.test("sim: a process that dies at any call of a port leaves nothing lost or done twice", async () => {
  const { calls, handedOver } = await dieAtEachCall(ordinary);
  assertEquals(handedOver, COMMANDS.length);
  assert(calls > 200, `${calls} calls`);
});

Deno.test("sim: so does one whose tokens rotate, and whose commands are to be confirmed", async () => {
  const { calls, handedOver, told } = await dieAtEachCall(ROTATING);
  assertEquals(handedOver, 2);
  assert(told.has("access token renewed"), "no token was renewed");
  assert(calls > 200, `${calls} calls`);
});

Deno.test("sim: so does one that bisects, dead-letters, requeues and asks", async () => {
  const { calls, told } = await dieAtEachCall(FROM_EARLIER_LIFE);
  const messages = [
    "event bisected",
    "event dead-lettered",
    "requeued",
    "results confirmed by the server",
  ];
  for (const message of messages) assert(told.has(message), `no "${message}" in the story`);
  assert(calls > 200, `${calls} calls`);
});
