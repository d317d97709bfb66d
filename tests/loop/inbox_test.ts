import { assertEquals } from "@std/assert";
import type { Command } from "../../src/buffer/command.ts";
import { type CommandJournal, countCommands } from "../../src/buffer/journal.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { Inbox, LONGEST_WAITING, MOST_WAITING, type Received } from "../../src/loop/inbox.ts";
import { Worker } from "../../src/loop/worker.ts";
import type { ReceivedCommand } from "../../src/received_command.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";
import { log as logEvent } from "../fakes/world.ts";

const limits = { maxEvents: 2_000, maxBytes: 4_000_000, maxAttempts: 3 };

function command(id: string): ReceivedCommand {
  return { id, type: "scan_updates", params: '{"deep":true}' };
}

/** As it is run. */
function parsed(id: string): Command {
  return { id, type: "scan_updates", params: { deep: true } };
}

function brought(...commands: ReceivedCommand[]): Received {
  return { commands, rejected: [] };
}

async function setUp() {
  const system = new FakeSystem();
  const { clock } = system;
  const { buffer, journal, database } = await openBuffer(system, "/state", limits);
  const log = new FakeLog();
  const ran: Command[] = [];
  /** What commands wait for while they run; nothing, until a test sets it. */
  const gate: { promise: Promise<void> } = { promise: Promise.resolve() };
  const disk = { isFull: false, isBroken: false, poison: new Map<string, Error>() };
  const sick = {
    tryWriting: () => journal.tryWriting(),
    receive(commands: readonly ReceivedCommand[]) {
      if (disk.isBroken) throw new TypeError("a mistake");
      if (disk.isFull) throw new DatabaseError("Cannot change database: full", { reason: "full" });
      for (const { id } of commands) if (disk.poison.has(id)) throw disk.poison.get(id);
      return journal.receive(commands);
    },
    reject(commands, appendReports) {
      if (disk.isFull) throw new DatabaseError("Cannot change database: full", { reason: "full" });
      return journal.reject(commands, appendReports);
    },
    start: (id: string) => journal.start(id),
    finish: (id, append) => journal.finish(id, append),
    unfinished: () => journal.unfinished(),
    unconfirmed: () => journal.unconfirmed(),
    confirm: (ids: readonly string[]) => journal.confirm(ids),
  } satisfies CommandJournal;
  const worker = new Worker({
    clock,
    log,
    journal: sick,
    buffer,
    findHandler: () => ({
      repeatable: true,
      async run(command) {
        ran.push(command);
        await gate.promise;
        return { events: [logEvent(command.id)], rapidPollingMs: null };
      },
    }),
    reportFailure: ({ id }, why) => logEvent(id, why),
    onEarly: () => {},
    onDone: () => {},
  });
  const inbox = new Inbox({ clock, log, journal: sick, worker });
  const bodies = () => buffer.list().map(({ body }) => body);
  return { inbox, worker, ran, disk, clock, log, journal, database, bodies, gate };
}

Deno.test("receive() runs what was not known, once it is on disk", async () => {
  const { inbox, worker, ran } = await setUp();
  const { signal } = new AbortController();
  inbox.receive(brought(command("a"), command("b"), command("a")), signal);
  inbox.receive(brought(command("b")), signal);
  await worker.idle;
  assertEquals(ran, [parsed("a"), parsed("b")]);
});

Deno.test("receive() holds what a full disk refuses, and runs it when there is room", async () => {
  const { inbox, worker, ran, disk, clock, log } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  inbox.receive(brought(command("a")), signal);
  inbox.receive(brought(command("b")), signal);
  await clock.advance(3_600_000);
  assertEquals([ran, inbox.held], [[], 2]);
  assertEquals(log.told("commands wait for the disk").length, 1);
  disk.isFull = false;
  await clock.advance(10_000);
  await worker.idle;
  assertEquals(ran.map(({ id }) => id), ["a", "b"]);
  assertEquals(inbox.held, 0);
});

Deno.test("receive() writes all that waits as soon as a further command finds the disk well", async () => {
  const { inbox, worker, ran, disk, clock } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  inbox.receive(brought(command("a")), signal);
  await clock.advance(1);
  disk.isFull = false;
  inbox.receive(brought(command("b")), signal);
  assertEquals(inbox.held, 0);
  await clock.advance(10_000);
  await worker.idle;
  assertEquals(ran.map(({ id }) => id), ["a", "b"]);
});

Deno.test("end() tries once more, and says what the disk took none of, once", async () => {
  for (const isFull of [true, false]) {
    const { inbox, worker, ran, disk, log, clock, journal } = await setUp();
    const { signal } = new AbortController();
    disk.isFull = true;
    inbox.receive(brought(command("a"), command("b")), signal);
    disk.isFull = isFull;
    inbox.end();
    inbox.end();
    await clock.advance(60_000);
    await worker.idle;
    const lost = log.told("commands lost, the disk took none").map(({ commands }) => commands);
    // It begins nothing: what is on disk is the next start's.
    assertEquals([lost, ran, inbox.held], [isFull ? ["a b"] : [], [], 0]);
    assertEquals(journal.unfinished().map(({ id }) => id), isFull ? [] : ["a", "b"]);
  }
});

Deno.test("receive() answers what cannot be stored for a reason that is not the disk's", async () => {
  const { inbox, disk, log, clock, journal, database, bodies } = await setUp();
  disk.isFull = true;
  inbox.receive(brought(command("a")), new AbortController().signal);
  disk.isFull = false;
  disk.isBroken = true;
  await clock.advance(10_000);
  await settle();
  const told = log.told("command cannot be stored").map(({ id, why }) => [id, why]);
  assertEquals([told, inbox.held], [[["a", "TypeError: a mistake"]], 0]);
  assertEquals(bodies(), ['{"command_id":"a","text":"not run: the agent could not store it"}']);
  assertEquals([countCommands(database).finished, journal.unfinished()], [1, []]);
});

Deno.test("receive() says what is lost when it is stopped, or has no more room", async () => {
  const { inbox, disk, log } = await setUp();
  const stop = new AbortController();
  disk.isFull = true;
  const many = Array.from({ length: 1_001 }, (_, number) => command(`c${number}`));
  inbox.receive(brought(...many), stop.signal);
  assertEquals(log.told("commands lost, the disk took none")[0]?.["commands"], "c1000");
  stop.abort();
  await settle();
  assertEquals(log.told("commands lost, the disk took none").length, 2);
});

Deno.test("receive() of nothing touches no disk, and of what is known runs nothing", async () => {
  const { inbox, worker, ran, disk } = await setUp();
  const { signal } = new AbortController();
  disk.isBroken = true;
  inbox.receive({ commands: [], rejected: [] }, signal);
  disk.isBroken = false;
  inbox.receive({ commands: [command("a")], rejected: [] }, signal);
  await worker.idle;
  inbox.receive({ commands: [command("a")], rejected: [] }, signal);
  await worker.idle;
  assertEquals([ran.length, inbox.held], [1, 0]);
});

Deno.test("receive() tries the disk every ten seconds, not before, and only while it holds some", async () => {
  const { inbox, disk, clock, log } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  inbox.receive({ commands: [command("a")], rejected: [] }, signal);
  assertEquals(log.told("commands wait for the disk"), [
    { commands: 1, why: "Cannot change database: full" },
  ]);
  disk.isFull = false;
  await clock.advance(9_999);
  assertEquals(inbox.held, 1);
  await clock.advance(1);
  assertEquals([inbox.held, clock.sleeping], [0, 0]);
  // The next time that the disk refuses it waits, and says so, anew.
  disk.isFull = true;
  inbox.receive({ commands: [command("b")], rejected: [] }, signal);
  assertEquals(log.told("commands wait for the disk").length, 2);
  disk.isFull = false;
  await clock.advance(10_000);
  assertEquals(inbox.held, 0);
});

Deno.test("receive() holds a thousand commands, those that came first, and says which were lost", async () => {
  const { inbox, disk, log } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  const some = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, number) => command(`c${from + number}`));
  inbox.receive({ commands: some(0, 1_000), rejected: [] }, signal);
  assertEquals([inbox.held, log.told("commands lost, the disk took none")], [1_000, []]);
  inbox.receive({ commands: some(1_000, 1_002), rejected: [] }, signal);
  assertEquals(inbox.held, 1_000);
  assertEquals(log.told("commands lost, the disk took none"), [{ commands: "c1000 c1001" }]);
  inbox.end();
});

const signal = new AbortController().signal;

Deno.test("receive() lets no command that cannot be stored cost the others", async () => {
  const { inbox, worker, ran, disk, log, bodies } = await setUp();
  disk.poison.set("b", new RangeError("Maximum call stack size exceeded"));
  inbox.receive(brought(command("a"), command("b"), command("c")), signal);
  inbox.receive(brought(command("d")), signal);
  await worker.idle;
  assertEquals(ran.map(({ id }) => id), ["a", "c", "d"]);
  assertEquals(bodies().filter((body) => body.includes('"b"')).length, 1);
  assertEquals([log.told("command cannot be stored").length, inbox.held], [1, 0]);
});

Deno.test("receive() holds a command that the database alone refuses, and runs the others", async () => {
  const { inbox, worker, ran, disk, log, clock } = await setUp();
  disk.poison.set("b", new DatabaseError("Cannot change database: odd", { reason: "failed" }));
  inbox.receive(brought(command("a"), command("b"), command("c")), signal);
  await clock.advance(10_000);
  inbox.receive(brought(command("d")), signal);
  await worker.idle;
  assertEquals([ran.map(({ id }) => id), inbox.held], [["a", "c", "d"], 1]);
  disk.poison.clear();
  await clock.advance(10_000);
  await worker.idle;
  assertEquals([ran.at(-1)?.id, inbox.held], ["b", 0]);
  assertEquals(log.told("commands wait for the disk").length, 1);
});

Deno.test("receive() answers a rejected command once, and runs none", async () => {
  const { inbox, worker, ran, log, database, bodies } = await setUp();
  const rejected = ["r", "a", "r"].map((id) => ({ id, type: "reboot", why: `${id} is bad` }));
  inbox.receive({ commands: [command("a")], rejected }, signal);
  inbox.receive({ commands: [command("r")], rejected: rejected.slice(0, 1) }, signal);
  await worker.idle;
  assertEquals(ran.map(({ id }) => id), ["a"]);
  assertEquals(bodies(), [
    '{"command_id":"r","text":"not run: r is bad"}',
    '{"command_id":"a","text":"done"}',
  ]);
  assertEquals(countCommands(database).finished, 2);
  assertEquals(log.told("commands rejected"), [{ commands: 1, first: "r", why: "r is bad" }]);
});

Deno.test("receive() holds what it has to answer while the disk is full", async () => {
  const { inbox, disk, clock, bodies, log } = await setUp();
  disk.isFull = true;
  inbox.receive({ commands: [], rejected: [{ id: "r", type: "reboot", why: "bad" }] }, signal);
  await clock.advance(20_000);
  assertEquals([inbox.held, bodies()], [1, []]);
  disk.isFull = false;
  await clock.advance(10_000);
  assertEquals([inbox.held, bodies().length], [0, 1]);
  assertEquals(log.told("commands wait for the disk").length, 1);
});

Deno.test("receive() answers what would wait without end, by number and by length", async () => {
  const { inbox, worker, ran, gate, bodies } = await setUp();
  const end = Promise.withResolvers<void>();
  gate.promise = end.promise;
  const ids = Array.from({ length: MOST_WAITING }, (_, number) => `c${number}`);
  for (const id of ids) inbox.receive(brought(command(id)), signal);
  assertEquals(bodies(), []);
  inbox.receive(brought(command("more"), command("c1")), signal);
  assertEquals(bodies(), [
    '{"command_id":"more","text":"not run: 1000 commands are already waiting"}',
  ]);
  end.resolve();
  await worker.idle;
  assertEquals(ran.length, MOST_WAITING);
  inbox.receive(brought(command("later")), signal);
  await worker.idle;
  assertEquals(ran.at(-1)?.id, "later");
});

Deno.test("receive() answers what would take too much memory while it waits", async () => {
  const { inbox, worker, ran, bodies } = await setUp();
  const params = JSON.stringify({ text: "x".repeat(60_000) });
  const count = Math.floor(LONGEST_WAITING / params.length);
  const commands = Array.from({ length: count + 2 }, (_, number) => ({
    ...command(`c${number}`),
    params,
  }));
  inbox.receive(brought(...commands.slice(0, 10)), signal);
  for (const one of commands.slice(10, 100)) inbox.receive(brought(one), signal);
  inbox.receive(brought(...commands.slice(100)), signal);
  assertEquals(bodies().length, 2);
  // What was turned down takes no room: a short one fits still.
  inbox.receive(brought(command("short")), signal);
  await worker.idle;
  assertEquals([ran.length, ran.at(-1)?.id, worker.waitingLength], [count + 1, "short", 0]);
});
