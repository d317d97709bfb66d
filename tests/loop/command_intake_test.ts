import { assertEquals } from "@std/assert";
import { type Command, type CommandJournal, countCommands } from "../../src/buffer/journal.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import {
  CommandIntake,
  MAX_WAITING,
  MAX_WAITING_LENGTH,
  type Received,
} from "../../src/loop/command_intake.ts";
import { CommandRunner } from "../../src/loop/command_runner.ts";
import type { ReceivedCommand, StorableCommand } from "../../src/received_command.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";
import { log as logEvent } from "../fakes/world.ts";

const limits = { maxEvents: 2_000, maxBytes: 4_000_000, maxAttempts: 3 };

function command(id: string): ReceivedCommand {
  return { id, type: "scan_updates", params: '{"deep":true}', signed: null };
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
    receive<C extends StorableCommand>(commands: readonly C[]) {
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
    confirm: (confirmed) => journal.confirm(confirmed),
  } satisfies CommandJournal;
  const runner = new CommandRunner({
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
    onAppend: () => {},
    onDone: () => {},
  });
  const intake = new CommandIntake({ clock, log, journal: sick, runner });
  const bodies = () => buffer.list().map(({ body }) => body);
  return { intake, runner, ran, disk, clock, log, journal, database, bodies, gate };
}

Deno.test("receive() runs what was not known, once it is on disk", async () => {
  const { intake, runner, ran } = await setUp();
  const { signal } = new AbortController();
  intake.receive(brought(command("a"), command("b"), command("a")), signal);
  intake.receive(brought(command("b")), signal);
  await runner.idle;
  assertEquals(ran, [parsed("a"), parsed("b")]);
});

Deno.test("receive() holds what a full disk refuses, and runs it when there is room", async () => {
  const { intake, runner, ran, disk, clock, log } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  intake.receive(brought(command("a")), signal);
  intake.receive(brought(command("b")), signal);
  await clock.advance(3_600_000);
  assertEquals([ran, intake.unstored], [[], 2]);
  assertEquals(log.told("commands wait for the disk").length, 1);
  disk.isFull = false;
  await clock.advance(10_000);
  await runner.idle;
  assertEquals(ran.map(({ id }) => id), ["a", "b"]);
  assertEquals(intake.unstored, 0);
});

Deno.test("receive() writes all that waits as soon as a further command finds the disk well", async () => {
  const { intake, runner, ran, disk, clock } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  intake.receive(brought(command("a")), signal);
  await clock.advance(1);
  disk.isFull = false;
  intake.receive(brought(command("b")), signal);
  assertEquals(intake.unstored, 0);
  await clock.advance(10_000);
  await runner.idle;
  assertEquals(ran.map(({ id }) => id), ["a", "b"]);
});

Deno.test("end() tries once more, and says what the disk took none of, once", async () => {
  for (const isFull of [true, false]) {
    const { intake, runner, ran, disk, log, clock, journal } = await setUp();
    const { signal } = new AbortController();
    disk.isFull = true;
    intake.receive(brought(command("a"), command("b")), signal);
    disk.isFull = isFull;
    intake.end();
    intake.end();
    await clock.advance(60_000);
    await runner.idle;
    const lost = log.told("commands lost: the disk accepted no writes").map(({ commands }) =>
      commands
    );
    // It begins nothing: what is on disk is the next start's.
    assertEquals([lost, ran, intake.unstored], [isFull ? ["a b"] : [], [], 0]);
    assertEquals(journal.unfinished().map(({ id }) => id), isFull ? [] : ["a", "b"]);
  }
});

Deno.test("receive() answers what cannot be stored for a reason that is not the disk's", async () => {
  const { intake, disk, log, clock, journal, database, bodies } = await setUp();
  disk.isFull = true;
  intake.receive(brought(command("a")), new AbortController().signal);
  disk.isFull = false;
  disk.isBroken = true;
  await clock.advance(10_000);
  await settle();
  const told = log.told("command cannot be stored").map(({ id, why }) => [id, why]);
  assertEquals([told, intake.unstored], [[["a", "TypeError: a mistake"]], 0]);
  assertEquals(bodies(), ['{"command_id":"a","text":"not run: the agent could not store it"}']);
  assertEquals([countCommands(database).finished, journal.unfinished()], [1, []]);
});

Deno.test("receive() says what is lost when it is stopped, or has no more room", async () => {
  const { intake, disk, log } = await setUp();
  const stop = new AbortController();
  disk.isFull = true;
  const many = Array.from({ length: 1_001 }, (_, number) => command(`c${number}`));
  intake.receive(brought(...many), stop.signal);
  assertEquals(log.told("commands lost: the disk accepted no writes")[0]?.["commands"], "c1000");
  stop.abort();
  await settle();
  assertEquals(log.told("commands lost: the disk accepted no writes").length, 2);
});

Deno.test("receive() of nothing touches no disk, and of what is known runs nothing", async () => {
  const { intake, runner, ran, disk } = await setUp();
  const { signal } = new AbortController();
  disk.isBroken = true;
  intake.receive({ commands: [], rejected: [] }, signal);
  disk.isBroken = false;
  intake.receive({ commands: [command("a")], rejected: [] }, signal);
  await runner.idle;
  intake.receive({ commands: [command("a")], rejected: [] }, signal);
  await runner.idle;
  assertEquals([ran.length, intake.unstored], [1, 0]);
});

Deno.test("receive() tries the disk every ten seconds, not before, and only while it holds some", async () => {
  const { intake, disk, clock, log } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  intake.receive({ commands: [command("a")], rejected: [] }, signal);
  assertEquals(log.told("commands wait for the disk"), [
    { commands: 1, why: "Cannot change database: full" },
  ]);
  disk.isFull = false;
  await clock.advance(9_999);
  assertEquals(intake.unstored, 1);
  await clock.advance(1);
  assertEquals([intake.unstored, clock.sleeping], [0, 0]);
  // The next time that the disk refuses it waits, and says so, anew.
  disk.isFull = true;
  intake.receive({ commands: [command("b")], rejected: [] }, signal);
  assertEquals(log.told("commands wait for the disk").length, 2);
  disk.isFull = false;
  await clock.advance(10_000);
  assertEquals(intake.unstored, 0);
});

Deno.test("receive() holds a thousand commands, those that came first, and says which were lost", async () => {
  const { intake, disk, log } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  const some = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, number) => command(`c${from + number}`));
  intake.receive({ commands: some(0, 1_000), rejected: [] }, signal);
  assertEquals([intake.unstored, log.told("commands lost: the disk accepted no writes")], [
    1_000,
    [],
  ]);
  intake.receive({ commands: some(1_000, 1_002), rejected: [] }, signal);
  assertEquals(intake.unstored, 1_000);
  assertEquals(log.told("commands lost: the disk accepted no writes"), [{
    commands: "c1000 c1001",
  }]);
  intake.end();
});

const signal = new AbortController().signal;

Deno.test("receive() lets no command that cannot be stored cost the others", async () => {
  const { intake, runner, ran, disk, log, bodies } = await setUp();
  disk.poison.set("b", new RangeError("Maximum call stack size exceeded"));
  intake.receive(brought(command("a"), command("b"), command("c")), signal);
  intake.receive(brought(command("d")), signal);
  await runner.idle;
  assertEquals(ran.map(({ id }) => id), ["a", "c", "d"]);
  assertEquals(bodies().filter((body) => body.includes('"b"')).length, 1);
  assertEquals([log.told("command cannot be stored").length, intake.unstored], [1, 0]);
});

Deno.test("receive() holds a command that the database alone refuses, and runs the others", async () => {
  const { intake, runner, ran, disk, log, clock } = await setUp();
  disk.poison.set("b", new DatabaseError("Cannot change database: odd", { reason: "failed" }));
  intake.receive(brought(command("a"), command("b"), command("c")), signal);
  await clock.advance(10_000);
  intake.receive(brought(command("d")), signal);
  await runner.idle;
  assertEquals([ran.map(({ id }) => id), intake.unstored], [["a", "c", "d"], 1]);
  disk.poison.clear();
  await clock.advance(10_000);
  await runner.idle;
  assertEquals([ran.at(-1)?.id, intake.unstored], ["b", 0]);
  assertEquals(log.told("commands wait for the disk").length, 1);
});

Deno.test("receive() answers a rejected command once, and runs none", async () => {
  const { intake, runner, ran, log, database, bodies } = await setUp();
  const rejected = ["r", "a", "r"].map((id) => ({ id, type: "reboot", why: `${id} is bad` }));
  intake.receive({ commands: [command("a")], rejected }, signal);
  intake.receive({ commands: [command("r")], rejected: rejected.slice(0, 1) }, signal);
  await runner.idle;
  assertEquals(ran.map(({ id }) => id), ["a"]);
  assertEquals(bodies(), [
    '{"command_id":"r","text":"not run: r is bad"}',
    '{"command_id":"a","text":"done"}',
  ]);
  assertEquals(countCommands(database).finished, 2);
  assertEquals(log.told("commands rejected"), [{ commands: 1, first: "r", why: "r is bad" }]);
});

Deno.test("receive() holds what it has to answer while the disk is full", async () => {
  const { intake, disk, clock, bodies, log } = await setUp();
  disk.isFull = true;
  intake.receive({ commands: [], rejected: [{ id: "r", type: "reboot", why: "bad" }] }, signal);
  await clock.advance(20_000);
  assertEquals([intake.unstored, bodies()], [1, []]);
  disk.isFull = false;
  await clock.advance(10_000);
  assertEquals([intake.unstored, bodies().length], [0, 1]);
  assertEquals(log.told("commands wait for the disk").length, 1);
});

Deno.test("receive() answers what would wait without end, by number and by length", async () => {
  const { intake, runner, ran, gate, bodies } = await setUp();
  const end = Promise.withResolvers<void>();
  gate.promise = end.promise;
  const ids = Array.from({ length: MAX_WAITING }, (_, number) => `c${number}`);
  for (const id of ids) intake.receive(brought(command(id)), signal);
  assertEquals(bodies(), []);
  intake.receive(brought(command("more"), command("c1")), signal);
  assertEquals(bodies(), [
    '{"command_id":"more","text":"not run: 1000 commands are already waiting"}',
  ]);
  end.resolve();
  await runner.idle;
  assertEquals(ran.length, MAX_WAITING);
  intake.receive(brought(command("later")), signal);
  await runner.idle;
  assertEquals(ran.at(-1)?.id, "later");
});

Deno.test("receive() answers what would take too much memory while it waits", async () => {
  const { intake, runner, ran, bodies } = await setUp();
  const params = JSON.stringify({ text: "x".repeat(60_000) });
  const count = Math.floor(MAX_WAITING_LENGTH / params.length);
  const commands = Array.from({ length: count + 2 }, (_, number) => ({
    ...command(`c${number}`),
    params,
  }));
  intake.receive(brought(...commands.slice(0, 10)), signal);
  for (const one of commands.slice(10, 100)) intake.receive(brought(one), signal);
  intake.receive(brought(...commands.slice(100)), signal);
  assertEquals(bodies().length, 2);
  // What was turned down takes no room: a short one fits still.
  intake.receive(brought(command("short")), signal);
  await runner.idle;
  assertEquals([ran.length, ran.at(-1)?.id, runner.waitingLength], [count + 1, "short", 0]);
});
