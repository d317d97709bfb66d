import { assertEquals, assertThrows } from "@std/assert";
import type { EventKind, NewEvent } from "../../src/buffer/buffer.ts";
import { ASKED_FOR_MS, MOST_ASKED } from "../../src/buffer/confirm.ts";
import { REMEMBERED } from "../../src/buffer/sqlite_journal.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { FakeSystem } from "../fakes/system.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 3 };
const scan = { id: "c1", type: "scan_updates", params: "{}" };
const reboot = { id: "c2", type: "reboot", params: '{"delay_minutes":1}' };

async function open(system = new FakeSystem()) {
  return await openBuffer(system, "/state", limits);
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
    journal.finish(`c-${number}`, () => {
      ids.push(...buffer.append([report(`c-${number}`)]).ids);
    });
  receive(0, 6);
  for (const number of [0, 2, 4, 5]) finish(number);
  buffer.acknowledge(ids.slice(0, 1)); // The first one is reported, the third is not.
  receive(6);
  finish(REMEMBERED + 3);
  const unknown = names.slice(0, 7).filter((id) => journal.receive([{ ...scan, id }]).length > 0);
  assertEquals(unknown, ["c-0", "c-2"]);
});

Deno.test("start() may be told again of a command that a crash cut off, finish() only once", async () => {
  const { journal } = await open();
  journal.receive([scan]);
  journal.start("c1");
  journal.start("c1");
  assertEquals(journal.counts(), { ...NONE, started: 1 });
  for (const unknown of [() => journal.start("c9"), () => journal.finish("c9", () => {})]) {
    assertThrows(unknown, Error, "was never received");
  }
});

Deno.test("tryWriting() writes, and changes nothing", async () => {
  const { journal, buffer } = await open();
  buffer.append([report("c1")]);
  const before = buffer.counts();
  journal.tryWriting();
  assertEquals([buffer.counts(), journal.counts()], [before, NONE]);
});

Deno.test("unfinished() tells how far each command came, oldest first, after a restart too", async () => {
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

Deno.test("finish() keeps the report and the command's end, or neither", async () => {
  const { buffer, journal } = await open();
  journal.receive([scan]);
  const report = { kind: "log", commandId: "c1", snapshotOf: null, body: "{}" } as const;
  assertThrows(
    () =>
      journal.finish("c1", () => {
        buffer.append([report]);
        throw new Error("the disk is full");
      }),
    Error,
    "the disk is full",
  );
  assertEquals([buffer.counts().pending, journal.unfinished().length], [0, 1]);
  journal.finish("c1", () => void buffer.append([report]));
  assertEquals([buffer.counts().pending, journal.unfinished().length], [1, 0]);
});

function report(id: string, kind: EventKind = "log"): NewEvent {
  return { kind, commandId: id, snapshotOf: null, body: "{}" };
}

/** A command that was run and told, and its events' ids. */
async function told(id: string, kinds: readonly EventKind[], system = new FakeSystem()) {
  const opened = await open(system);
  const { journal, buffer } = opened;
  journal.receive([{ ...scan, id }]);
  journal.start(id);
  let ids: readonly string[] = [];
  journal.finish(id, () => {
    ids = buffer.append(kinds.map((kind) => report(id, kind))).ids;
  });
  return { ...opened, system, ids };
}

const NONE = { received: 0, started: 0, finished: 0, reported: 0 };

Deno.test("a command is reported when its last event is delivered, and not before", async () => {
  const { journal, buffer, ids } = await told("c1", ["updates", "log"]);
  assertEquals(journal.counts(), { ...NONE, finished: 1 });
  buffer.acknowledge(ids.slice(0, 1));
  assertEquals(journal.counts(), { ...NONE, finished: 1 });
  buffer.acknowledge(ids.slice(1));
  assertEquals(journal.counts(), { ...NONE, reported: 1 });
});

Deno.test("a command is reported when its last event is set aside", async () => {
  const { journal, buffer, ids: [id = ""] } = await told("c1", ["log"]);
  for (let refusals = 0; refusals < limits.maxAttempts; refusals++) {
    assertEquals(journal.counts(), { ...NONE, finished: 1 });
    buffer.refuse(id, "HTTP 400");
  }
  assertEquals(journal.counts(), { ...NONE, reported: 1 });
});

Deno.test("an event that is delivered while its command runs reports nothing yet", async () => {
  const { journal, buffer } = await open();
  journal.receive([scan]);
  journal.start("c1");
  const { ids } = buffer.append([report("c1", "updates")]);
  buffer.acknowledge(ids);
  assertEquals(journal.counts(), { ...NONE, started: 1 });
});

Deno.test("a command whose report a full buffer dropped is never called reported", async () => {
  const system = new FakeSystem();
  const { journal, buffer } = await openBuffer(system, "/state", { ...limits, maxEvents: 2 });
  journal.receive([scan, { ...scan, id: "c2" }]);
  for (const id of ["c1", "c2"]) journal.finish(id, () => void buffer.append([report(id)]));
  buffer.acknowledge(buffer.list().map(({ id }) => id));
  assertEquals(journal.counts(), { ...NONE, finished: 1, reported: 1 });
});

Deno.test("no state lets a command be run, or ended, a second time", async () => {
  const { journal, buffer, ids } = await told("c1", ["log"]);
  for (const state of ["finished", "reported"] as const) {
    assertEquals(journal.counts()[state], 1);
    assertEquals([journal.receive([scan]), journal.unfinished()], [[], []]);
    assertThrows(() => journal.start("c1"), Error, "it is finished");
    assertThrows(() => journal.finish("c1", () => {}), Error, "it is finished");
    buffer.acknowledge(ids);
  }
});

Deno.test("unconfirmed() asks for finished commands whose log was sent without an answer", async () => {
  const { journal, buffer, ids: [updates = "", log = ""] } = await told("c1", ["updates", "log"]);
  assertEquals(journal.unconfirmed(), []);
  buffer.noteUnanswered(updates); // The server has no word on those.
  assertEquals(journal.unconfirmed(), []);
  buffer.noteUnanswered(log);
  assertEquals(journal.unconfirmed(), ["c1"]);
  buffer.acknowledge([log]);
  assertEquals(journal.unconfirmed(), []);
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
    journal.finish(id, () => {
      const { ids } = buffer.append([report(id)]);
      buffer.noteUnanswered(ids[0]!);
    });
  }
  assertEquals(journal.unconfirmed(), names.slice(0, MOST_ASKED));
});

Deno.test("unconfirmed() gives up before the server writes a result of its own", async () => {
  const { journal, buffer, system, ids: [log = ""] } = await told("c1", ["log"]);
  buffer.noteUnanswered(log);
  await system.clock.advance(ASKED_FOR_MS);
  assertEquals(journal.unconfirmed(), ["c1"]);
  await system.clock.advance(1);
  assertEquals([journal.unconfirmed(), journal.confirm(["c1"])], [[], 0]);
  assertEquals(buffer.counts().pending, 1); // It is sent again: never lost.
});

Deno.test("confirm() takes the log as delivered, and no other event", async () => {
  const { journal, buffer, ids: [updates = "", log = ""] } = await told("c1", ["updates", "log"]);
  buffer.noteUnanswered(updates);
  assertEquals(journal.confirm(["c1", "unknown"]), 0);
  buffer.noteUnanswered(log);
  assertEquals(journal.confirm(["c1"]), 1);
  assertEquals(buffer.list().map(({ id }) => id), [updates]);
  const { delivered, pending, sizeBytes } = buffer.counts();
  assertEquals([delivered, pending, sizeBytes], [1, 1, buffer.list()[0]!.sizeBytes]);
  assertEquals(journal.counts(), { ...NONE, finished: 1 });
  buffer.acknowledge([updates]);
  assertEquals(journal.counts(), { ...NONE, reported: 1 });
  assertEquals(journal.confirm(["c1"]), 0);
});

Deno.test("unconfirmed() asks for a command once, and only for a log that waits of one that is over", async () => {
  const { journal, buffer, ids } = await told("c1", ["updates", "log", "log"]);
  const [updates = "", first = "", second = ""] = ids;
  for (const id of ids) buffer.noteUnanswered(id);
  assertEquals(journal.unconfirmed(), ["c1"]);
  // Set aside, it waits for a person, whatever the server has.
  for (const id of [first, second]) {
    for (let refusals = 0; refusals < limits.maxAttempts; refusals++) buffer.refuse(id, "HTTP 400");
  }
  assertEquals([journal.unconfirmed(), journal.confirm(["c1"])], [[], 0]);
  assertEquals([buffer.counts().pending, buffer.counts().setAside], [1, 2]);
  buffer.acknowledge([updates]);
});

Deno.test("unconfirmed() asks for no command that still runs", async () => {
  const { journal, buffer } = await open();
  journal.receive([scan]);
  journal.start("c1");
  const { ids: [log = ""] } = buffer.append([report("c1")]);
  buffer.noteUnanswered(log);
  assertEquals([journal.unconfirmed(), journal.confirm(["c1"])], [[], 0]);
  journal.finish("c1", () => {});
  assertEquals([journal.unconfirmed(), journal.confirm(["c1"])], [["c1"], 1]);
});

Deno.test("unconfirmed() asks for no command that a clock set back puts in the future", async () => {
  const { journal, buffer, system, ids: [log = ""] } = await told("c1", ["log"]);
  buffer.noteUnanswered(log);
  system.clock.setNow(system.clock.nowMs() - 1);
  assertEquals([journal.unconfirmed(), journal.confirm(["c1"])], [[], 0]);
});

Deno.test("confirm() of all logs of a command that waits for nothing more reports it", async () => {
  const { journal, buffer, ids } = await told("c1", ["log", "log"]);
  for (const id of ids) buffer.noteUnanswered(id);
  assertEquals(journal.confirm(["c1"]), 2);
  assertEquals([journal.counts(), buffer.counts().pending, buffer.counts().sizeBytes], [
    { ...NONE, reported: 1 },
    0,
    0,
  ]);
  assertEquals(journal.confirm([]), 0);
});

const bad = { id: "r1", type: "reboot", why: "its params are an array, not an object" };

Deno.test("reject() writes down what is not run with its report, once and finished", async () => {
  const system = new FakeSystem();
  const { buffer, journal } = await open(system);
  journal.receive([scan]);
  const append = (fresh: readonly { id: string }[]) =>
    void buffer.append(fresh.map(({ id }) => report(id)));
  assertEquals(journal.reject([bad, { ...bad, id: "c1" }, bad], append), 1);
  assertEquals(journal.reject([bad], () => assertEquals("reported", "twice")), 0);
  assertEquals(journal.receive([{ ...scan, id: "r1" }]), []);
  assertEquals(buffer.list().map(({ commandId }) => commandId), ["r1"]);
  assertEquals([journal.counts().finished, journal.unfinished().length], [1, 1]);
  const { journal: reopened } = await open(system);
  assertEquals(reopened.receive([{ ...scan, id: "r1" }]), []);
});

Deno.test("reject() keeps a command and its report, or neither", async () => {
  const { journal } = await open();
  const fail = () => {
    throw new Error("no report");
  };
  assertThrows(() => journal.reject([bad], fail), Error, "no report");
  assertEquals(journal.receive([{ ...scan, id: "r1" }]).length, 1);
});

Deno.test("reject() remembers no more commands than there are to be", async () => {
  const { journal } = await open();
  const ids = Array.from(
    { length: REMEMBERED + 5 },
    (_, number) => ({ ...bad, id: `r-${number}` }),
  );
  journal.reject(ids, () => {});
  assertEquals(journal.counts().finished, REMEMBERED);
});

Deno.test("confirm() reports no command of which something was appended just now", async () => {
  const { journal, buffer, ids: [log = ""] } = await told("c1", ["log"]);
  buffer.noteUnanswered(log);
  const { ids } = buffer.append([report("c1", "updates")]);
  assertEquals([journal.confirm(["c1"]), journal.counts()], [1, { ...NONE, finished: 1 }]);
  buffer.acknowledge(ids);
  assertEquals(journal.counts(), { ...NONE, reported: 1 });
});
