import { assertEquals, assertThrows } from "@std/assert";
import type { Command } from "../../src/buffer/command.ts";
import type { CommandJournal, ReceivedCommand } from "../../src/buffer/journal.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { Inbox } from "../../src/loop/inbox.ts";
import { Worker } from "../../src/loop/worker.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";
import { log as logEvent } from "../fakes/world.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 3 };

function command(id: string): Command {
  return { id, type: "scan_updates", params: { deep: true } };
}

async function setUp() {
  const system = new FakeSystem();
  const { clock } = system;
  const { buffer, journal } = await openBuffer(system, "/state", limits);
  const log = new FakeLog();
  const ran: Command[] = [];
  const disk = { isFull: false, isBroken: false };
  const sick = {
    tryWriting: () => journal.tryWriting(),
    receive(commands: readonly ReceivedCommand[]) {
      if (disk.isBroken) throw new TypeError("a mistake");
      if (disk.isFull) throw new DatabaseError("Cannot change database: full", { reason: "full" });
      return journal.receive(commands);
    },
    start: (id: string) => journal.start(id),
    finish: (id: string, append: () => void) => journal.finish(id, append),
    unfinished: () => journal.unfinished(),
    counts: () => journal.counts(),
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
      run(command) {
        ran.push(command);
        return Promise.resolve({ events: [logEvent(command.id)], rapidPollingMs: null });
      },
    }),
    reportFailure: ({ id }) => logEvent(id),
    onEarly: () => {},
    onDone: () => {},
  });
  const inbox = new Inbox({ clock, log, journal: sick, worker });
  return { inbox, worker, ran, disk, clock, log, journal };
}

Deno.test("receive() runs what was not known, once it is on disk", async () => {
  const { inbox, worker, ran } = await setUp();
  const { signal } = new AbortController();
  inbox.receive([command("a"), command("b"), command("a")], signal);
  inbox.receive([command("b")], signal);
  await worker.idle;
  assertEquals(ran, [command("a"), command("b")]);
});

Deno.test("receive() holds what a full disk refuses, and runs it when there is room", async () => {
  const { inbox, worker, ran, disk, clock, log } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  inbox.receive([command("a")], signal);
  inbox.receive([command("b")], signal);
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
  inbox.receive([command("a")], signal);
  await clock.advance(1);
  disk.isFull = false;
  inbox.receive([command("b")], signal);
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
    inbox.receive([command("a"), command("b")], signal);
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

Deno.test("receive() tells of a mistake that is not the disk's, and of the commands at the end", async () => {
  const { inbox, disk, log, clock } = await setUp();
  disk.isFull = true;
  inbox.receive([command("a")], new AbortController().signal);
  disk.isBroken = true;
  await clock.advance(10_000);
  await settle();
  const told = log.told("commands are left to the end").map(({ why }) => why);
  assertEquals([told, inbox.held], [["TypeError: a mistake"], 1]);
  disk.isBroken = false;
  inbox.end();
  assertEquals(log.told("commands lost, the disk took none").length, 1);
});

Deno.test("receive() says what is lost when it is stopped, or has no more room", async () => {
  const { inbox, disk, log } = await setUp();
  const stop = new AbortController();
  disk.isFull = true;
  inbox.receive(Array.from({ length: 1_001 }, (_, number) => command(`c${number}`)), stop.signal);
  assertEquals(log.told("commands lost, the disk took none")[0]?.["commands"], "c1000");
  stop.abort();
  await settle();
  assertEquals(log.told("commands lost, the disk took none").length, 2);
});

Deno.test("receive() of nothing touches no disk, and of what is known runs nothing", async () => {
  const { inbox, worker, ran, disk } = await setUp();
  const { signal } = new AbortController();
  disk.isBroken = true;
  inbox.receive([], signal);
  disk.isBroken = false;
  inbox.receive([command("a")], signal);
  await worker.idle;
  inbox.receive([command("a")], signal);
  await worker.idle;
  assertEquals([ran.length, inbox.held], [1, 0]);
});

Deno.test("receive() tries the disk every ten seconds, not before, and only while it holds some", async () => {
  const { inbox, disk, clock, log } = await setUp();
  const { signal } = new AbortController();
  disk.isFull = true;
  inbox.receive([command("a")], signal);
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
  inbox.receive([command("b")], signal);
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
  inbox.receive(some(0, 1_000), signal);
  assertEquals([inbox.held, log.told("commands lost, the disk took none")], [1_000, []]);
  inbox.receive(some(1_000, 1_002), signal);
  assertEquals(inbox.held, 1_000);
  assertEquals(log.told("commands lost, the disk took none"), [{ commands: "c1000 c1001" }]);
  inbox.end();
});

Deno.test("receive() hides no mistake of ours", async () => {
  const { inbox, disk } = await setUp();
  disk.isBroken = true;
  assertThrows(() => inbox.receive([command("a")], new AbortController().signal), TypeError);
});
