/**
 * A command that the server hands over again, whenever and however often: one run, one result. And what
 * a server says to that result that is neither a plain yes nor a plain no.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Unconfirmed } from "../../src/buffer/journal.ts";
import { countCommands, MOST_RECEIPTS, REMEMBERED } from "../../src/buffer/journal.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeSystem } from "../fakes/system.ts";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import type { LogMessage } from "../../src/log_messages.ts";
import { inWorld, log, type World } from "../fakes/world.ts";

const limits = { maxEvents: 10_000, maxBytes: 100_000_000, maxAttempts: 3 };
const scan = { type: "scan_apt", params: "null" };

/** What happens between a server that may repeat everything and a journal that may be reopened. */
type Step =
  | { readonly kind: "delivered"; readonly ids: readonly number[] }
  | { readonly kind: "rejected"; readonly ids: readonly number[] }
  | { readonly kind: "answered"; readonly again: readonly number[]; readonly confirms: boolean }
  | { readonly kind: "finished" }
  | { readonly kind: "restarted" };

const ids = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 150 });
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("delivered" as const), ids }),
    fc.record({ kind: fc.constant("rejected" as const), ids }),
    fc.record({ kind: fc.constant("answered" as const), again: ids, confirms: fc.boolean() }),
    fc.record({ kind: fc.constant("finished" as const) }),
    fc.record({ kind: fc.constant("restarted" as const) }),
  ),
  { maxLength: 30 },
);

Deno.test("whatever is delivered, confirmed, lost and restarted: one run, one result, no id piles up", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      const system = new FakeSystem();
      let { journal, buffer } = await openBuffer(system, "/state", limits);
      const [runs, results] = [new Map<string, number>(), new Map<string, number>()];
      /** As the rule has it: delivered, and since then in no check-in that was answered. */
      const due = new Set<string>();
      const count = (counts: Map<string, number>, id: string) =>
        counts.set(id, (counts.get(id) ?? 0) + 1);
      const deliver = (numbers: readonly number[]) => {
        const commands = numbers.map((number) => ({ ...scan, id: `c${number}` }));
        for (const { id } of journal.receive(commands)) count(runs, id);
        for (const { id } of commands) due.add(id);
      };
      for (const step of steps) await play(step);
      assert([...runs.values(), ...results.values()].every((times) => times === 1));
      // A server that never confirms and never repeats is not bothered for longer than that.
      for (let left = due.size; left > 0; left -= MOST_RECEIPTS) {
        journal.confirm({ results: [], receipts: journal.unconfirmed().receipts });
      }
      assertEquals(journal.unconfirmed(), { results: [], receipts: [] });
      buffer.append([]);

      async function play(step: Step): Promise<void> {
        switch (step.kind) {
          case "delivered":
            return deliver(step.ids);
          case "rejected": {
            const rejected = step.ids.map((number) => ({ id: `c${number}`, type: "t", why: "" }));
            journal.reject(rejected, (fresh, queue) => {
              queue.append(fresh.map(({ id }) => log(id)));
              for (const { id } of fresh) count(results, id);
            });
            for (const { id } of rejected) due.add(id);
            return;
          }
          case "answered": {
            const { receipts } = journal.unconfirmed();
            assert(receipts.length === Math.min(due.size, MOST_RECEIPTS));
            assert(
              receipts.every((id) => due.has(id)) && new Set(receipts).size === receipts.length,
            );
            const again = new Set(step.again.map((number) => `c${number}`));
            deliver(step.again);
            const settled = receipts.filter((id) => step.confirms || !again.has(id));
            journal.confirm({ results: [], receipts: settled });
            for (const id of settled) due.delete(id);
            return;
          }
          case "finished": {
            const [entry] = journal.unfinished();
            if (entry === undefined) return;
            journal.start(entry.id);
            journal.finish(entry.id, (queue) => void queue.append([log(entry.id)]));
            return void count(results, entry.id);
          }
          case "restarted":
            ({ journal, buffer } = await openBuffer(system, "/state", limits));
        }
      }
    }),
    { numRuns: 30 },
  );
});

/** The receipts that each check-in listed. */
function listed(world: World): unknown[] {
  return world.server.requests.filter(({ path }) => path.endsWith("/commands"))
    .map(({ body }) => body["received_command_ids"]).filter((ids) => ids !== undefined);
}

function logsOf(world: World, id: string): number {
  return world.reports.filter(({ report, body }) => report === "logs" && body["command_id"] === id)
    .length;
}

Deno.test("a command is listed as received in the check-in after it is on disk, and in no other", () =>
  inWorld(async (world) => {
    world.server.redelivers = true;
    world.server.queue("c1", "install_updates");
    await world.advance(2 * INTERVAL_MS);
    await world.advance(10 * INTERVAL_MS);
    assertEquals(listed(world), [["c1"]]);
    assertEquals([world.ran, logsOf(world, "c1")], [["c1"], 1]);
    assertEquals(world.server.delivered.get("c1")?.times, 1);
  }));

Deno.test("a server of age 0.1, which confirms nothing, is told of each command once", () =>
  inWorld(async (world) => {
    for (let number = 0; number < 5; number++) {
      world.server.queue(`c${number}`, "install_updates");
      await world.advance(INTERVAL_MS);
    }
    await world.advance(3 * INTERVAL_MS);
    assertEquals(listed(world), ["c0", "c1", "c2", "c3", "c4"].map((id) => [id]));
    const nothing: Unconfirmed = { results: [], receipts: [] };
    assertEquals(world.journal.unconfirmed(), nothing);
  }));

Deno.test("a command that comes again while it runs, or its result waits, is neither run nor reported again", () =>
  inWorld(async (world) => {
    const { server } = world;
    server.redelivers = true;
    const running = Promise.withResolvers<void>();
    world.handler = {
      repeatable: true,
      run: async (command) => {
        await running.promise;
        return world.done(command);
      },
    };
    server.queue("c1", "install_updates");
    const again = () => server.queue("c1", "install_updates");
    await world.advance(INTERVAL_MS);
    again();
    await world.advance(INTERVAL_MS);
    assertEquals(world.log.told("part of an answer ignored"), []);
    running.resolve();
    server.poison = { text: "command_id", status: 503 }; // Its result waits.
    await world.advance(INTERVAL_MS);
    server.poison = null;
    again();
    await world.advance(3 * INTERVAL_MS);
    assertEquals([world.ran, logsOf(world, "c1")], [["c1"], 1]);
    assertEquals(listed(world), [["c1"], ["c1"]]);
  }));

Deno.test("a command that comes again after its result was delivered is listed once more, and nothing is sent again", () =>
  inWorld(async (world) => {
    const { server } = world;
    server.redelivers = true;
    server.queue("c1", "install_updates");
    await world.advance(2 * INTERVAL_MS);
    assertEquals([listed(world), logsOf(world, "c1")], [[["c1"]], 1]);
    await world.stop();
    await world.start();
    server.queue("c1", "install_updates");
    await world.advance(3 * INTERVAL_MS);
    assertEquals(listed(world), [["c1"], ["c1"]]);
    assertEquals([world.ran, logsOf(world, "c1")], [["c1"], 1]);
    assertEquals(world.server.delivered.get("c1")?.state, "received");
  }));

Deno.test("a receipt whose answer is lost is listed again", () =>
  inWorld(async (world) => {
    const { server } = world;
    server.redelivers = true;
    server.queue("c1", "install_updates");
    while (world.ran.length === 0) await world.advance(1_000);
    server.mood = { kind: "gone" };
    while (listed(world).length === 0) await world.advance(10_000);
    server.mood = { kind: "well" };
    await world.advance(3 * INTERVAL_MS);
    assert(listed(world).length >= 2);
    const { receipts } = world.journal.unconfirmed();
    assertEquals([receipts, logsOf(world, "c1")], [[], 1]);
  }));

Deno.test("a server that ended a command by itself has its result: nothing is sent again, and the log says so", () =>
  inWorld(async (world) => {
    for (const current_status of ["timed_out", "cancelled", "completed"]) {
      world.server.logAnswer = { status: 409, body: { error: "duplicate", current_status } };
      world.server.queue(current_status, "install_updates");
      await world.advance(3 * INTERVAL_MS);
    }
    assertEquals(world.server.count("/logs"), 3);
    const { pending, deadLetters, delivered } = world.buffer.counts();
    assertEquals([pending, deadLetters, delivered], [0, 0, 3]);
    assertEquals(world.log.told("server ended a command without its result"), [
      { command: "timed_out", current_status: "timed_out" },
      { command: "cancelled", current_status: "cancelled" },
    ]);
  }));

Deno.test("a log that the server stores and wants again is sent again, later each time, then a dead letter", () =>
  inWorld(async (world) => {
    const { server } = world;
    server.logAnswer = { status: 200, body: { should_retry: true, reason: "state busy" } };
    server.queue("c1", "install_updates");
    await world.advance(24 * 3_600_000);
    const times = server.requests.filter(({ path }) => path.endsWith("/logs"))
      .map(({ atMs }) => atMs);
    assertEquals([times.length, world.buffer.counts().deadLetters], [world.maxAttempts, 1]);
    const waits = times.slice(1).map((atMs, number) => atMs - times[number]!);
    assert(waits.every((ms) => ms >= 60_000), String(waits));
    const [letter] = world.buffer.list();
    assertEquals(
      letter?.lastError,
      "HTTP 200, but the server could not close the command: state busy",
    );
    assertEquals(world.loop.state.connection.outage, null);
  }));

Deno.test("a log that the server wants again once is delivered by the next one", () =>
  inWorld(async (world) => {
    const { server } = world;
    server.logAnswer = { status: 200, body: { should_retry: true } };
    server.queue("c1", "install_updates");
    while (server.count("/logs") === 0) await world.advance(1_000);
    server.logAnswer = null;
    await world.advance(2 * INTERVAL_MS);
    assertEquals([logsOf(world, "c1"), world.buffer.counts().pending], [1, 0]);
  }));

Deno.test("a server that sheds load is asked again after seconds, and nothing of that is an outage", () =>
  inWorld(async (world) => {
    const { server } = world;
    const body = '{"error":"database pool saturated, retry shortly"}';
    server.mood = { kind: "answers", status: 503, headers: { "retry-after": "2" }, body };
    const before = world.checkIns();
    while (world.checkIns() === before) await world.advance(1_000);
    server.mood = { kind: "well" };
    server.queue("c1", "install_updates");
    await world.advance(15_000);
    assertEquals([world.ran, logsOf(world, "c1")], [["c1"], 1]);
    const told = (message: LogMessage) => world.log.told(message).length;
    assertEquals([told("server asked to slow down"), told("server not reached")], [1, 0]);
    assertEquals(told("connection recovered"), 0);
  }));

Deno.test("a server that sheds load for an hour gets fewer and fewer requests, and opens no breaker", () =>
  inWorld(async (world) => {
    const body = '{"error":"database pool saturated, retry shortly"}';
    world.server.mood = { kind: "answers", status: 503, headers: { "retry-after": "2" }, body };
    await world.advance(2 * INTERVAL_MS);
    const before = world.server.requests.length;
    await world.advance(3_600_000);
    const requests = world.server.requests.length - before;
    assert(requests >= 5 && requests <= 60, String(requests));
    const { breaker, outage } = world.loop.state.connection;
    assertEquals([breaker.state, outage], ["closed", null]);
  }));

/** Until then the signature of a command counts that arrives now: 4 h, and 5 min for the clocks. */
const REPLAYABLE_MS = (4 * 60 + 5) * 60_000;

Deno.test("no flood of commands that are not run makes the journal forget one that was, while it can be replayed", async () => {
  const system = new FakeSystem();
  const { journal, database } = await openBuffer(system, "/state", limits);
  const command = { ...scan, id: "executed" };
  journal.receive([command]);
  journal.start(command.id);
  journal.finish(command.id, () => {});
  await system.clock.advance(REPLAYABLE_MS);
  const flood = (name: string) =>
    Array.from({ length: REMEMBERED }, (_, at) => ({ ...scan, id: `${name}${at}`, why: "" }));
  journal.reject(flood("refused"), () => {});
  for (const { id } of journal.receive(flood("not run"))) journal.finish(id, () => {});
  assertEquals(journal.receive([command]), []);
  // What is not run is bounded apart, and what cannot be replayed any more is forgotten.
  assertEquals(countCommands(database).remembered, REMEMBERED + 1);
  await system.clock.advance(10 * 60_000);
  journal.reject(flood("later"), () => {});
  assertEquals(countCommands(database).remembered, REMEMBERED);
});
