/** One story, and the process dies in it at each call of a port in turn, before it and after it. */

import { assert, assertEquals } from "@std/assert";
import { settle } from "../fakes/clock.ts";
import { Sim } from "./sim.ts";

const MINUTE_MS = 60_000;
const COMMANDS = [
  { id: "scan", type: "scan_updates", params: {} },
  { id: "install", type: "install_updates", params: {} },
  { id: "specs", type: "collect_specs", params: {} },
];

/** Start, migration, check-in, scan, an install that may run once, reports, host facts. */
async function play(crashAtCall: number): Promise<{ calls: number; handedOver: number }> {
  const sim = new Sim(1);
  sim.crashAtCall = crashAtCall;
  try {
    void sim.begin(); // A start that dies never ends.
    await settle();
    for (const command of COMMANDS) sim.queue(command);
    await sim.run(4 * MINUTE_MS);
    const { calls } = sim;
    await sim.run(40 * MINUTE_MS);
    const inJournal = sim.disk.database.all("SELECT id, state FROM commands");
    for (const { id, state } of inJournal) {
      assertEquals(state, "reported", `${id}`);
      assert(sim.server.logged.has(String(id)), `nothing is told of "${id}"`);
      assert((sim.runs.get(String(id)) ?? 0) <= 1, `"${id}" ran twice`);
    }
    const { buffer } = await sim.inspect();
    const { pending, setAside, appended, delivered } = buffer.counts();
    assertEquals([pending, setAside, appended - delivered], [0, 0, 0]);
    return { calls, handedOver: inJournal.length };
  } catch (error) {
    const tail = sim.trace.lines.slice(-15).join("\n");
    throw new Error(`dies at call ${crashAtCall}: ${(error as Error).message}\n${tail}`);
  } finally {
    sim.close();
  }
}

Deno.test("sim: a process that dies at any call of a port leaves nothing lost or done twice", async () => {
  const { calls, handedOver } = await play(Infinity);
  assertEquals(handedOver, COMMANDS.length);
  assert(calls > 200, `${calls} calls`);
  for (let call = 1; call <= calls; call++) await play(call);
});
