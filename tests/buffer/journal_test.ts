import { assert, assertEquals, assertThrows } from "@std/assert";
import type { EventKind, EventQueue, NewEvent } from "../../src/buffer/buffer.ts";
import { ASKED_FOR_MS, countCommands, MOST_ASKED, REMEMBERED } from "../../src/buffer/journal.ts";
import type { CommandJournal } from "../../src/buffer/journal.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { openBuffer, type OpenedBuffer } from "../../src/buffer/store.ts";
import type { StoreSupervisor } from "../../src/buffer/store_supervisor.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { event, openTestStore } from "../fakes/test_store.ts";
import { SickDisk } from "../fakes/sick_disk.ts";
import { FakeSystem } from "../fakes/system.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 3 };
const scan = { id: "c1", type: "scan_updates", params: "{}" };
const reboot = { id: "c2", type: "reboot", params: '{"delay_minutes":1}' };

const asked = (journal: CommandJournal) => journal.unconfirmed().results;
const confirm = (journal: CommandJournal, results: readonly string[]) =>
  journal.confirm({ results, receipts: [] });

async function open(system = new FakeSystem(), bounds = limits) {
  const opened = await openBuffer(system, "/state", bounds);
  /** How many commands are in each state. */
  const states = () => {
    const { remembered: _, unfinished: __, ...counts } = countCommands(opened.database);
    return counts;
  };
  return { ...opened, states };
}

Deno.test("receive() answers only the commands that were not known", async () => {
  const { journal } = await open();
  assertEquals(journal.receive([scan, reboot]), [scan, reboot]);
  assertEquals(journal.receive([scan]), []);
  journal.finish("c1", () => {});
  assertEquals(journal.receive([scan]), []);
});

Deno.test("a command is remembered however often others are handed over again", async () => {
  const { journal } = await open();
  const finish = (id: string) => {
    journal.receive([{ ...reboot, id }]);
    journal.finish(id, () => {});
  };
  finish("first");
  const again = Array.from({ length: 100 }, (_, number) => ({ ...scan, id: `again-${number}` }));
  for (let round = 0; round <= REMEMBERED / again.length; round++) journal.receive(again);
  finish("second");
  assertEquals(journal.receive([{ ...reboot, id: "first" }]), []);
});

Deno.test("of the newest commands so many are remembered, and no more", async () => {
  const { journal } = await open();
  const id = (number: number) => ({ ...scan, id: `c-${number}` });
  journal.receive(Array.from({ length: REMEMBERED + 1 }, (_, number) => id(number)));
  for (const number of [0, 1, REMEMBERED]) journal.finish(`c-${number}`, () => {});
  assertEquals(journal.receive([id(0), id(1)]).length, 1);
});

Deno.test("what is forgotten is the oldest, finished or reported, and nothing that is still to be run", async () => {
  const { journal, buffer } = await open();
  const names = Array.from({ length: REMEMBERED + 4 }, (_, number) => `c-${number}`);
  const receive = (from: number, to?: number) =>
    journal.receive(names.slice(from, to).map((id) => ({ ...scan, id })));
  const ids: string[] = [];
  const finish = (number: number) =>
    journal.finish(`c-${number}`, (queue) => {
      ids.push(...queue.append([report(`c-${number}`)]).ids);
    });
  receive(0, 6);
  for (const number of [0, 2, 4, 5]) finish(number);
  buffer.acknowledge(ids.slice(0, 1)); // The first one is reported, the third is not.
  receive(6);
  finish(REMEMBERED + 3);
  const unknown = names.slice(0, 7).filter((id) => journal.receive([{ ...scan, id }]).length > 0);
  assertEquals(unknown, ["c-0", "c-2"]);
});

Deno.test("start() may be called again for a command that a crash interrupted, finish() only once", async () => {
  const { states, journal } = await open();
  journal.receive([scan]);
  journal.start("c1");
  journal.start("c1");
  assertEquals(states(), { ...NONE, started: 1 });
  for (const unknown of [() => journal.start("c9"), () => journal.finish("c9", () => {})]) {
    assertThrows(unknown, Error, "was never received");
  }
});

Deno.test("tryWriting() writes, and changes nothing", async () => {
  const { states, journal, buffer } = await open();
  buffer.append([report("c1")]);
  const before = buffer.counts();
  journal.tryWriting();
  assertEquals([buffer.counts(), states()], [before, NONE]);
});

Deno.test("unfinished() has the state of each command, oldest first, after a restart too", async () => {
  const system = new FakeSystem();
  const { journal } = await open(system);
  journal.receive([scan, reboot, { ...scan, id: "c3" }]);
  journal.start("c2");
  journal.finish("c1", () => {});
  const { journal: reopened } = await open(system);
  assertEquals(reopened.unfinished().map(({ id, state, params }) => [id, state, params]), [
    ["c2", "started", '{"delay_minutes":1}'],
    ["c3", "received", "{}"],
  ]);
});

Deno.test("finish() commits the report and the command's end, or neither", async () => {
  const { buffer, journal } = await open();
  journal.receive([scan]);
  const report = { kind: "log", commandId: "c1", snapshotOf: null, body: "{}" } as const;
  assertThrows(
    () =>
      journal.finish("c1", (queue) => {
        queue.append([report]);
        throw new Error("the disk is full");
      }),
    Error,
    "the disk is full",
  );
  assertEquals([buffer.counts().pending, journal.unfinished().length], [0, 1]);
  journal.finish("c1", (queue) => void queue.append([report]));
  assertEquals([buffer.counts().pending, journal.unfinished().length], [1, 0]);
});

function report(id: string, kind: EventKind = "log"): NewEvent {
  return { kind, commandId: id, snapshotOf: null, body: "{}" };
}

/** A command that was run and told, and its events' ids. */
async function told(id: string, kinds: readonly EventKind[], system = new FakeSystem()) {
  const opened = await open(system);
  const { journal } = opened;
  journal.receive([{ ...scan, id }]);
  journal.start(id);
  let ids: readonly string[] = [];
  journal.finish(id, (queue) => {
    ids = queue.append(kinds.map((kind) => report(id, kind))).ids;
  });
  return { ...opened, system, ids };
}

const NONE = { received: 0, started: 0, finished: 0, reported: 0 };

Deno.test("a command is reported when its last event is delivered, and not before", async () => {
  const { states, buffer, ids } = await told("c1", ["updates", "log"]);
  assertEquals(states(), { ...NONE, finished: 1 });
  buffer.acknowledge(ids.slice(0, 1));
  assertEquals(states(), { ...NONE, finished: 1 });
  buffer.acknowledge(ids.slice(1));
  assertEquals(states(), { ...NONE, reported: 1 });
});

Deno.test("a command is reported when its last event becomes a dead letter", async () => {
  const { states, buffer, ids: [id = ""] } = await told("c1", ["log"]);
  for (let refusals = 0; refusals < limits.maxAttempts; refusals++) {
    assertEquals(states(), { ...NONE, finished: 1 });
    buffer.refuse(id, "HTTP 400");
  }
  assertEquals(states(), { ...NONE, reported: 1 });
});

Deno.test("an event that is delivered while its command runs reports nothing yet", async () => {
  const { states, journal, buffer } = await open();
  journal.receive([scan]);
  journal.start("c1");
  const { ids } = buffer.append([report("c1", "updates")]);
  buffer.acknowledge(ids);
  assertEquals(states(), { ...NONE, started: 1 });
});

Deno.test("a command whose report was evicted is never reported", async () => {
  const system = new FakeSystem();
  const { states, journal, buffer } = await open(system, { ...limits, maxEvents: 2 });
  journal.receive([scan, { ...scan, id: "c2" }]);
  for (const id of ["c1", "c2"]) journal.finish(id, (queue) => void queue.append([report(id)]));
  buffer.acknowledge(buffer.list().map(({ id }) => id));
  assertEquals(states(), { ...NONE, finished: 1, reported: 1 });
});

Deno.test("no state lets a command be run, or ended, a second time", async () => {
  const { states, journal, buffer, ids } = await told("c1", ["log"]);
  for (const state of ["finished", "reported"] as const) {
    assertEquals(states()[state], 1);
    assertEquals([journal.receive([scan]), journal.unfinished()], [[], []]);
    assertThrows(() => journal.start("c1"), Error, "it is finished");
    assertThrows(() => journal.finish("c1", () => {}), Error, "it is finished");
    buffer.acknowledge(ids);
  }
});

Deno.test("unconfirmed() asks for finished commands whose log was sent without an answer", async () => {
  const { journal, buffer, ids: [updates = "", log = ""] } = await told("c1", ["updates", "log"]);
  assertEquals(asked(journal), []);
  buffer.noteUnanswered(updates); // The server has no word on those.
  assertEquals(asked(journal), []);
  buffer.noteUnanswered(log);
  assertEquals(asked(journal), ["c1"]);
  buffer.acknowledge([log]);
  assertEquals(asked(journal), []);
});

Deno.test("unconfirmed() asks for the oldest, and no more than its number", async () => {
  const { journal, buffer } = await openBuffer(new FakeSystem(), "/state", {
    ...limits,
    maxEvents: 1_000,
  });
  assertEquals(MOST_ASKED, 50);
  const names = Array.from({ length: MOST_ASKED + 2 }, (_, number) => `c${number}`);
  journal.receive(names.map((id) => ({ ...scan, id })));
  for (const id of names.toReversed()) {
    journal.finish(id, (queue) => {
      const { ids } = queue.append([report(id)]);
      buffer.noteUnanswered(ids[0]!);
    });
  }
  assertEquals(asked(journal), names.slice(0, MOST_ASKED));
});

Deno.test("unconfirmed() gives up before the server writes a result of its own", async () => {
  const { journal, buffer, system, ids: [log = ""] } = await told("c1", ["log"]);
  buffer.noteUnanswered(log);
  await system.clock.advance(ASKED_FOR_MS);
  assertEquals(asked(journal), ["c1"]);
  await system.clock.advance(1);
  assertEquals([asked(journal), confirm(journal, ["c1"])], [[], 0]);
  assertEquals(buffer.counts().pending, 1); // It is sent again: never lost.
});

Deno.test("confirm() counts the log as delivered, and no other event", async () => {
  const { states, journal, buffer, ids: [updates = "", log = ""] } = await told("c1", [
    "updates",
    "log",
  ]);
  buffer.noteUnanswered(updates);
  assertEquals(confirm(journal, ["c1", "unknown"]), 0);
  buffer.noteUnanswered(log);
  assertEquals(confirm(journal, ["c1"]), 1);
  assertEquals(buffer.list().map(({ id }) => id), [updates]);
  const { delivered, pending, sizeBytes } = buffer.counts();
  assertEquals([delivered, pending, sizeBytes], [1, 1, buffer.list()[0]!.sizeBytes]);
  assertEquals(states(), { ...NONE, finished: 1 });
  buffer.acknowledge([updates]);
  assertEquals(states(), { ...NONE, reported: 1 });
  assertEquals(confirm(journal, ["c1"]), 0);
});

Deno.test("unconfirmed() asks for a command once, and only for a log that waits of one that is over", async () => {
  const { journal, buffer, ids } = await told("c1", ["updates", "log", "log"]);
  const [updates = "", first = "", second = ""] = ids;
  for (const id of ids) buffer.noteUnanswered(id);
  assertEquals(asked(journal), ["c1"]);
  // Set aside, it waits for a person, whatever the server has.
  for (const id of [first, second]) {
    for (let refusals = 0; refusals < limits.maxAttempts; refusals++) buffer.refuse(id, "HTTP 400");
  }
  assertEquals([asked(journal), confirm(journal, ["c1"])], [[], 0]);
  assertEquals([buffer.counts().pending, buffer.counts().deadLetters], [1, 2]);
  buffer.acknowledge([updates]);
});

Deno.test("unconfirmed() asks for no command that still runs", async () => {
  const { journal, buffer } = await open();
  journal.receive([scan]);
  journal.start("c1");
  const { ids: [log = ""] } = buffer.append([report("c1")]);
  buffer.noteUnanswered(log);
  assertEquals([asked(journal), confirm(journal, ["c1"])], [[], 0]);
  journal.finish("c1", () => {});
  assertEquals([asked(journal), confirm(journal, ["c1"])], [["c1"], 1]);
});

Deno.test("unconfirmed() asks for no command that a clock set back puts in the future", async () => {
  const { journal, buffer, system, ids: [log = ""] } = await told("c1", ["log"]);
  buffer.noteUnanswered(log);
  system.clock.setNow(system.clock.nowMs() - 1);
  assertEquals([asked(journal), confirm(journal, ["c1"])], [[], 0]);
});

Deno.test("confirm() of all logs of a command that waits for nothing more reports it", async () => {
  const { states, journal, buffer, ids } = await told("c1", ["log", "log"]);
  for (const id of ids) buffer.noteUnanswered(id);
  assertEquals(confirm(journal, ["c1"]), 2);
  assertEquals([states(), buffer.counts().pending, buffer.counts().sizeBytes], [
    { ...NONE, reported: 1 },
    0,
    0,
  ]);
  assertEquals(confirm(journal, []), 0);
});

const bad = { id: "r1", type: "reboot", why: "its params are an array, not an object" };

Deno.test("reject() stores what is not run with its report, once and finished", async () => {
  const system = new FakeSystem();
  const { states, buffer, journal } = await open(system);
  journal.receive([scan]);
  const append = (fresh: readonly { id: string }[], queue: EventQueue) =>
    void queue.append(fresh.map(({ id }) => report(id)));
  assertEquals(journal.reject([bad, { ...bad, id: "c1" }, bad], append), 1);
  assertEquals(journal.reject([bad], () => assertEquals("reported", "twice")), 0);
  assertEquals(journal.receive([{ ...scan, id: "r1" }]), []);
  assertEquals(buffer.list().map(({ commandId }) => commandId), ["r1"]);
  assertEquals([states().finished, journal.unfinished().length], [1, 1]);
  const { journal: reopened } = await open(system);
  assertEquals(reopened.receive([{ ...scan, id: "r1" }]), []);
});

Deno.test("reject() commits a command and its report, or neither", async () => {
  const { journal } = await open();
  const fail = () => {
    throw new Error("no report");
  };
  assertThrows(() => journal.reject([bad], fail), Error, "no report");
  assertEquals(journal.receive([{ ...scan, id: "r1" }]).length, 1);
});

Deno.test("reject() remembers no more commands than there are to be", async () => {
  const { states, journal } = await open();
  const ids = Array.from(
    { length: REMEMBERED + 5 },
    (_, number) => ({ ...bad, id: `r-${number}` }),
  );
  journal.reject(ids, () => {});
  assertEquals(states().finished, REMEMBERED);
});

Deno.test("confirm() reports no command of which something was appended just now", async () => {
  const { states, journal, buffer, ids: [log = ""] } = await told("c1", ["log"]);
  buffer.noteUnanswered(log);
  const { ids } = buffer.append([report("c1", "updates")]);
  assertEquals([confirm(journal, ["c1"]), states()], [1, { ...NONE, finished: 1 }]);
  buffer.acknowledge(ids);
  assertEquals(states(), { ...NONE, reported: 1 });
});

/** The file of a supervisor that has it open. */
function openedBy({ opened }: StoreSupervisor): OpenedBuffer {
  if (opened === null) throw new Error("the file is not open");
  return opened;
}

const command = { id: "c", type: "scan_updates", params: "{}" };

Deno.test("the journal stores no command before the file is open, and finds what was stored in it", async () => {
  const disk = new SickDisk();
  (await openTestStore({}, disk)).journal.receive([command]);
  disk.isDead = true;
  const { journal, supervisor, ...testStore } = await openTestStore({}, disk);
  assertThrows(() => journal.receive([{ ...command, id: "d" }]), DatabaseError);
  assertThrows(() => journal.unfinished(), DatabaseError);
  disk.isDead = false;
  await disk.system.clock.advance(10_000);
  assertEquals([supervisor.condition.disk, testStore.backs], ["ok", 0]);
  assertEquals(journal.unfinished().map(({ id }) => id), ["c"]);
});

Deno.test("tryWriting() throws where the disk refuses writes, and changes nothing", async () => {
  const { journal, buffer, stored, disk } = await openTestStore();
  buffer.append([event("a")]);
  const before = stored.counts();
  journal.tryWriting();
  assertEquals(stored.counts(), before);
  disk.fault = "full";
  assertThrows(() => journal.tryWriting(), DatabaseError);
  disk.fault = null;
  journal.tryWriting();
  const none = await openTestStore({}, Object.assign(new SickDisk(), { isDead: true }));
  assertThrows(() => none.journal.tryWriting(), DatabaseError);
});

Deno.test("finish() of a full disk throws, and neither ends the command nor reports it", async () => {
  const { journal, buffer, disk } = await openTestStore();
  journal.receive([command]);
  journal.start("c");
  disk.fault = "full";
  buffer.append([event("early", "c")]);
  const finish = () => journal.finish("c", (queue) => void queue.append([event("report", "c")]));
  assertThrows(finish, DatabaseError);
  assertEquals(buffer.next(9).map(({ body }) => body), ["early"]);
  disk.fault = null;
  finish();
  assertEquals(buffer.next(9).map(({ body }) => body), ["early", "report"]);
  assertEquals(journal.unfinished(), []);
});

Deno.test("finish() that fails at any call of the disk did all of it, or nothing", async () => {
  let refusals = 0;
  for (let call = 1; call < 60; call++) {
    const { journal, buffer, disk, supervisor } = await openTestStore();
    journal.receive([command]);
    journal.start("c");
    disk.fault = "io";
    buffer.append([event("early", "c")]);
    disk.fault = null;
    disk.refuseCall(call);
    let isDone = true;
    try {
      journal.finish("c", (queue) => void queue.append([event("report", "c")]));
    } catch (error) {
      assert(error instanceof DatabaseError);
      isDone = false;
      refusals += 1;
    }
    disk.refuseCall(Infinity);
    const reported = buffer.next(9).map(({ body }) => body);
    assertEquals(reported, isDone ? ["early", "report"] : ["early"], `call ${call}`);
    assertEquals(journal.unfinished().length, isDone ? 0 : 1, `call ${call}`);
    supervisor.close();
  }
  assert(refusals > 10, `${refusals} refusals`);
});

Deno.test("reject() that fails at any call of the disk did all of it, or nothing", async () => {
  const rejected = { id: "r", type: "reboot", why: "its type is missing" };
  let refusals = 0;
  for (let call = 1; call < 40; call++) {
    const { journal, buffer, disk, supervisor } = await openTestStore();
    disk.refuseCall(call);
    let isDone = true;
    try {
      journal.reject([rejected], (_, queue) => void queue.append([event("report", "r")]));
    } catch (error) {
      assert(error instanceof DatabaseError);
      isDone = false;
      refusals += 1;
    }
    disk.refuseCall(Infinity);
    assertEquals(buffer.next(9).length, isDone ? 1 : 0, `call ${call}`);
    assertEquals(journal.receive([{ ...command, id: "r" }]).length, isDone ? 0 : 1, `call ${call}`);
    supervisor.close();
  }
  assert(refusals > 2, `${refusals} refusals`);
});

Deno.test("start() is on disk when it returns, and throws where the disk refuses writes", async () => {
  const { journal, disk, supervisor } = await openTestStore();
  journal.receive([command]);
  disk.fault = "full";
  assertThrows(() => journal.start("c"), DatabaseError);
  assertEquals(journal.unfinished().map(({ state }) => state), ["received"]);
  disk.fault = null;
  journal.start("c");
  assertEquals(journal.unfinished().map(({ state }) => state), ["started"]);
  assertEquals(countCommands(openedBy(supervisor).database).started, 1);
});

Deno.test("unconfirmed() and confirm() return nothing where the disk refuses", async () => {
  const { journal, disk } = await openTestStore();
  disk.isDead = true;
  assertEquals([asked(journal), confirm(journal, ["c"])], [[], 0]);
});

Deno.test("finish() ends no command whose report is in memory alone, whichever call the disk refuses", async () => {
  for (let call = 1; call < 30; call++) {
    const { journal, disk, supervisor } = await openTestStore();
    journal.receive([command]);
    journal.start("c");
    disk.refuseCall(call);
    try {
      journal.finish("c", (queue) => void queue.append([event("report", "c")]));
    } catch (error) {
      assert(error instanceof DatabaseError);
    }
    disk.refuseCall(Infinity);
    // Looked at before anything else brings to disk what is in memory.
    const { events } = supervisor.condition;
    const onDisk = supervisor.opened?.buffer.list().length ?? 0;
    const isFinished = countCommands(openedBy(supervisor).database).finished === 1;
    assertEquals([onDisk, events], [isFinished ? 1 : 0, 0], `call ${call}`);
    supervisor.close();
  }
});

/** A journal with so many commands in each state. */
function journalOf(counts: Readonly<Record<string, number>>) {
  const database = openRealDatabase(":memory:");
  migrate(database);
  for (const [state, count] of Object.entries(counts)) {
    for (let number = 0; number < count; number++) {
      database.run(
        "INSERT INTO commands (id, type, params, state, received_ms) VALUES (?, 'x', '{}', ?, 0)",
        `${state} ${number}`,
        state,
      );
    }
  }
  return database;
}

Deno.test("countCommands() counts each state, all commands, and the unfinished ones; none of an empty journal", () => {
  assertEquals(countCommands(journalOf({})), { ...NONE, remembered: 0, unfinished: 0 });
  const counts = { received: 1, started: 2, finished: 4, reported: 8 };
  assertEquals(countCommands(journalOf(counts)), { ...counts, remembered: 15, unfinished: 3 });
});
