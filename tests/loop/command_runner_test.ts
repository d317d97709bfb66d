import { assertEquals, assertThrows } from "@std/assert";
import type { Command, CommandHandler, CommandOutcome } from "../../src/buffer/journal.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { CommandRunner } from "../../src/loop/command_runner.ts";
import type { StorableCommand } from "../../src/received_command.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 3 };
const never = new AbortController().signal;

function outcome(command: Pick<Command, "id">, body = "done"): CommandOutcome {
  const event = { kind: "log", commandId: command.id, snapshotOf: null, body } as const;
  return { events: [event], rapidPollingMs: null };
}

async function setUp(handler: CommandHandler, ids: string[]) {
  const system = new FakeSystem();
  const { buffer, journal } = await openBuffer(system, "/state", limits);
  const log = new FakeLog();
  const done: string[] = [];
  journal.receive(ids.map((id) => ({ id, type: "scan_updates", params: "{}" })));
  const parts = {
    clock: system.clock,
    log,
    journal,
    buffer,
    findHandler: () => handler,
    reportFailure: (command: Pick<Command, "id">, why: string) => outcome(command, why).events[0]!,
    onAppend: () => {},
    onDone: ({ events }: CommandOutcome) => void done.push(events[0]?.commandId ?? ""),
  };
  const runner = new CommandRunner(parts);
  const commands = ids.map((id): StorableCommand => ({ id, type: "scan_updates", params: "{}" }));
  const { clock } = system;
  return {
    parts,
    runner,
    commands,
    done,
    log,
    clock,
    bodies: () => buffer.list().map((e) => e.body),
  };
}

Deno.test("take() runs commands one after the other, each reported when it is done", async () => {
  let running = 0;
  const { runner, commands, done, bodies } = await setUp({
    repeatable: true,
    async run(command) {
      running += 1;
      assertEquals(running, 1);
      await Promise.resolve();
      running -= 1;
      return outcome(command, command.id);
    },
  }, ["a", "b", "c"]);
  for (const command of commands) runner.enqueue(command, never);
  await runner.idle;
  assertEquals([done, bodies()], [["a", "b", "c"], ["a", "b", "c"]]);
});

Deno.test("take() answers for a handler that throws, and goes on with the next", async () => {
  const { parts, runner, commands, bodies } = await setUp({
    repeatable: true,
    run(command) {
      if (command.id === "a") throw new Error("no room");
      return Promise.resolve(outcome(command));
    },
  }, ["a", "b"]);
  for (const command of commands) runner.enqueue(command, never);
  await runner.idle;
  assertEquals(bodies(), ["no room", "done"]);
  assertEquals(parts.journal.unfinished(), []);
});

Deno.test("take() leaves what it was stopped in for the next start", async () => {
  const stop = new AbortController();
  const { parts, runner, commands, bodies } = await setUp({
    repeatable: true,
    run() {
      stop.abort(new Error("stopped"));
      return Promise.reject(new Error("killed with us"));
    },
  }, ["a", "b"]);
  for (const command of commands) runner.enqueue(command, stop.signal);
  await runner.idle;
  assertEquals(bodies(), []);
  assertEquals(parts.journal.unfinished().map(({ id, state }) => [id, state]), [
    ["a", "started"],
    ["b", "received"],
  ]);
});

Deno.test("take() waits for a disk that would not take the report, and loses nothing of it", async () => {
  const { parts, runner, commands, done, log, clock } = await setUp({
    repeatable: false,
    run: (command) => Promise.resolve(outcome(command)),
  }, ["a"]);
  const { buffer } = parts;
  const append = buffer.append.bind(buffer);
  buffer.append = () => {
    throw new DatabaseError("Cannot write: the disk is full", { reason: "full" });
  };
  runner.enqueue(commands[0]!, never);
  await clock.advance(3_600_000);
  assertEquals([done, parts.journal.unfinished().length], [[], 1]);
  assertEquals(log.told("command waits for the disk").length, 1);
  buffer.append = append;
  await clock.advance(10_000);
  assertEquals([done, parts.journal.unfinished()], [["a"], []]);
});

Deno.test("resume() reports what must not be run twice, and runs what never began", async () => {
  const ran: string[] = [];
  const { parts, runner, bodies } = await setUp({
    repeatable: false,
    run(command) {
      ran.push(command.id);
      return Promise.resolve(outcome(command));
    },
  }, ["a", "b"]);
  parts.journal.start("a");
  runner.resume(never);
  await runner.idle;
  assertEquals(ran, ["b"]);
  assertEquals(bodies(), ["interrupted: the agent stopped in the middle of it", "done"]);
});

Deno.test("resume() of a disk that does not tell asks until it does, and runs nothing twice", async () => {
  const ran: string[] = [];
  const { parts, runner, commands, log, clock } = await setUp({
    repeatable: false,
    async run(command) {
      ran.push(command.id);
      await clock.sleep(60_000, never);
      return outcome(command);
    },
  }, ["left", "fresh"]);
  const { journal } = parts;
  const unfinished = journal.unfinished.bind(journal);
  journal.unfinished = () => {
    throw new DatabaseError("Cannot read", { reason: "denied" });
  };
  runner.resume(never);
  runner.enqueue(commands[1]!, never); // It came in meanwhile, and runs when the disk tells of it.
  await clock.advance(20_000);
  assertEquals(ran, ["fresh"]);
  journal.unfinished = unfinished;
  await clock.advance(200_000);
  assertEquals([ran, journal.unfinished()], [["fresh", "left"], []]);
  assertEquals(log.events.filter(({ level }) => level === "error"), []);
});

Deno.test("resume() reports a command that the disk has damaged, and goes on with the next", async () => {
  const handler = {
    repeatable: true,
    run: (command: Command) => Promise.resolve(outcome(command)),
  };
  const { parts, runner, log, bodies } = await setUp(handler, []);
  const damaged = ['{"a":1', "[1]", ""];
  const entries = [...damaged, '{"a":1}'];
  parts.journal.receive(
    entries.map((params, number) => ({ id: `c${number}`, type: "scan_updates", params })),
  );
  runner.resume(never);
  await runner.idle;
  const why = "not run: its journal entry is corrupt on disk";
  assertEquals(bodies(), [...damaged.map(() => why), "done"]);
  assertEquals(log.told("command is corrupt on disk").length, damaged.length);
  assertEquals(parts.journal.unfinished(), []);
});

Deno.test("resume() tells of an interrupted command when the disk takes that", async () => {
  const { parts, runner, bodies, clock } = await setUp({
    repeatable: false,
    run: (command) => Promise.resolve(outcome(command)),
  }, ["a", "b"]);
  parts.journal.start("a");
  const { buffer } = parts;
  const append = buffer.append.bind(buffer);
  buffer.append = () => {
    throw new DatabaseError("Cannot write: the disk is full", { reason: "full" });
  };
  runner.resume(never);
  assertEquals(await runner.idleOrStuck(), "stuck");
  buffer.append = append;
  await clock.advance(10_000);
  await runner.idle;
  assertEquals(bodies(), ["interrupted: the agent stopped in the middle of it", "done"]);
});

Deno.test("idleOrStuck() is idle when all is done", async () => {
  const { runner, commands } = await setUp({
    repeatable: true,
    run: (command) => Promise.resolve(outcome(command)),
  }, ["a"]);
  runner.enqueue(commands[0]!, never);
  assertEquals(await runner.idleOrStuck(), "idle");
});

Deno.test("enqueue() ignores a command that waits or runs, and accepts it again when it is done", async () => {
  const ran: string[] = [];
  const { runner, commands: [command] } = await setUp({
    repeatable: true,
    run(command) {
      ran.push(command.id);
      return Promise.resolve(outcome(command));
    },
  }, ["a"]);
  runner.enqueue(command!, never);
  runner.enqueue(command!, never);
  assertEquals(runner.waiting, 1);
  await runner.idle;
  assertEquals([ran, runner.waiting], [["a"], 0]);
  runner.enqueue(command!, never);
  assertEquals(runner.waiting, 1, "the journal is what knows that it was run");
  await runner.idle;
  assertEquals(runner.waiting, 0);
});

Deno.test("take() logs that a command begins, and how it ended", async () => {
  const { runner, commands, log, clock } = await setUp({
    repeatable: true,
    async run(command) {
      await clock.sleep(1_500, never);
      if (command.id === "b") throw new Error("no room");
      return outcome(command);
    },
  }, ["a", "b"]);
  for (const command of commands) runner.enqueue(command, never);
  await clock.advance(4_000);
  await runner.idle;
  const about = (id: string) => ({ command: "scan_updates", id });
  assertEquals(log.events, [
    { level: "info", message: "command started", fields: about("a") },
    {
      level: "info",
      message: "command finished",
      fields: { ...about("a"), result: "success", took_ms: 1_500, events: 1 },
    },
    { level: "info", message: "command started", fields: about("b") },
    {
      level: "warning",
      message: "command finished",
      fields: { ...about("b"), result: "failed", why: "no room", took_ms: 1_500, events: 1 },
    },
  ]);
});

Deno.test("take() says how long a command took that failed, and leaves rapid polling as it is", async () => {
  const durations: number[] = [];
  const outcomes: CommandOutcome[] = [];
  const made = await setUp({
    repeatable: true,
    async run() {
      await made.clock.sleep(2_000, never);
      throw new Error("no room");
    },
  }, ["a"]);
  const runner = new CommandRunner({
    ...made.parts,
    reportFailure: (command, why, durationMs) => {
      durations.push(durationMs);
      return outcome(command, why).events[0]!;
    },
    onDone: (done) => void outcomes.push(done),
  });
  runner.enqueue(made.commands[0]!, never);
  await made.clock.advance(2_000);
  await runner.idle;
  assertEquals([durations, outcomes.map(({ rapidPollingMs }) => rapidPollingMs)], [[2_000], [
    null,
  ]]);
});

Deno.test("take() keeps what completes a command's events with them, whatever became of it", async () => {
  const handlers: [name: string, handler: CommandHandler][] = [
    ["done", { repeatable: true, run: (command) => Promise.resolve(outcome(command, "end")) }],
    ["failed", {
      repeatable: true,
      run: () => {
        throw new Error("end");
      },
    }],
    ["refused", { repeatable: true, refusal: () => "end" }],
  ];
  for (const [name, handler] of handlers) {
    const made = await setUp(handler, ["a"]);
    const runner = new CommandRunner({
      ...made.parts,
      completeEvents: (command, events) =>
        Promise.resolve([...outcome(command, "row").events, ...events]),
    });
    runner.enqueue(made.commands[0]!, never);
    await runner.idle;
    assertEquals(made.bodies(), ["row", "end"], name);
  }
});

Deno.test("enqueue() wakes the loop for what a command appends early, and not for nothing", async () => {
  let woken = 0;
  const made = await setUp({
    repeatable: true,
    run(command, { appendEarly }) {
      appendEarly([]);
      assertEquals(woken, 0);
      appendEarly(outcome(command, "early").events);
      assertEquals([woken, made.bodies()], [1, ["early"]]);
      return Promise.resolve(outcome(command));
    },
  }, ["a"]);
  const runner = new CommandRunner({ ...made.parts, onAppend: () => woken += 1 });
  runner.enqueue(made.commands[0]!, never);
  await runner.idle;
  assertEquals([woken, made.bodies()], [1, ["early", "done"]]);
});

Deno.test("a command whose result cannot be written for another reason than the disk is left", async () => {
  const { parts, runner, commands, done, log } = await setUp({
    repeatable: true,
    run: (command) => Promise.resolve(outcome(command)),
  }, ["a", "b"]);
  const start = parts.journal.start.bind(parts.journal);
  parts.journal.start = (id) => {
    if (id === "a") throw new TypeError("oops");
    start(id);
  };
  for (const command of commands) runner.enqueue(command, never);
  await runner.idle;
  assertEquals(done, ["b"], "the next one runs all the same");
  assertEquals(log.told("command left for the next start"), [
    { command: "scan_updates", why: "oops" },
  ]);
});

Deno.test("take() begins nothing that is not in the journal as begun", async () => {
  const ran: string[] = [];
  const { parts, runner, commands, clock } = await setUp({
    repeatable: true,
    run(command) {
      ran.push(command.id);
      return Promise.resolve(outcome(command));
    },
  }, ["a"]);
  const { journal } = parts;
  const start = journal.start.bind(journal);
  journal.start = () => {
    throw new DatabaseError("Cannot write: the disk is full", { reason: "full" });
  };
  runner.enqueue(commands[0]!, never);
  await clock.advance(9_999);
  assertEquals(ran, []);
  journal.start = start;
  await clock.advance(1);
  await runner.idle;
  assertEquals(ran, ["a"]);
});

Deno.test("resume() wakes the loop for the report of what was interrupted, and tells why", async () => {
  let woken = 0;
  const { parts, log } = await setUp({
    repeatable: false,
    run: (command) => Promise.resolve(outcome(command)),
  }, ["a"]);
  parts.journal.start("a");
  const runner = new CommandRunner({ ...parts, onAppend: () => woken += 1 });
  runner.resume(never);
  runner.resume(never);
  assertEquals(runner.waiting, 1, "once, however often it is resumed");
  await runner.idle;
  assertEquals(woken, 1);
  assertEquals(log.events[0], {
    level: "warning",
    message: "command was interrupted",
    fields: {
      command: "scan_updates",
      id: "a",
      result: "failed",
      why: "interrupted: the agent stopped in the middle of it",
    },
  });
});

Deno.test("resume() hides no mistake of ours, and asks no more once it is to stop", async () => {
  const { parts, runner, clock } = await setUp({
    repeatable: true,
    run: (command) => Promise.resolve(outcome(command)),
  }, []);
  parts.journal.unfinished = () => {
    throw new TypeError("oops");
  };
  assertThrows(() => runner.resume(never), TypeError, "oops");
  let asked = 0;
  parts.journal.unfinished = () => {
    asked += 1;
    throw new DatabaseError("Cannot read", { reason: "denied" });
  };
  const stop = new AbortController();
  runner.resume(stop.signal);
  await clock.advance(9_999);
  assertEquals(asked, 1);
  await clock.advance(1);
  assertEquals(asked, 2);
  stop.abort(new Error("stop"));
  await clock.advance(60_000);
  assertEquals([asked, clock.sleeping], [2, 0]);
});

Deno.test("the event loop turns before each command, and a stop is noticed between two", async () => {
  const stop = new AbortController();
  const { parts, commands, done, bodies } = await setUp({
    repeatable: true,
    run: (command) => Promise.resolve(outcome(command, command.id)),
  }, ["a", "b", "c"]);
  let turns = 0;
  const turn = () => {
    turns += 1;
    if (turns === 3) stop.abort(new Error("stopped"));
    return Promise.resolve();
  };
  const clock = parts.clock;
  const runner = new CommandRunner({
    ...parts,
    clock: {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      asleepMs: () => clock.asleepMs(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
      after: (ms, call) => clock.after(ms, call),
      turn,
    },
  });
  for (const command of commands) runner.enqueue(command, stop.signal);
  await runner.idle;
  assertEquals([turns, done, bodies()], [3, ["a", "b"], ["a", "b"]]);
  assertEquals(parts.journal.unfinished().map(({ id }) => id), ["c"], "it stays in the journal");
});

Deno.test("commands of a type that is refused are reported as such, and never run", async () => {
  const { parts, runner, commands, log, bodies } = await setUp({
    repeatable: true,
    refusal: ({ id }) => `Cannot run ${id}: nobody may`,
  }, ["a", "b"]);
  for (const command of commands) runner.enqueue(command, never);
  await runner.idle;
  assertEquals(bodies(), ["Cannot run a: nobody may", "Cannot run b: nobody may"]);
  assertEquals(parts.journal.unfinished(), []);
  assertEquals(log.told("command not run").length, 2);
});

Deno.test("of commands that are not run a thousand are reported at once, then a thousand an hour", async () => {
  const system = new FakeSystem();
  const roomy = { maxEvents: 10_000, maxBytes: 100_000_000, maxAttempts: 3 };
  const { buffer, journal } = await openBuffer(system, "/state", roomy);
  const log = new FakeLog();
  const made = await setUp({ repeatable: true, refusal: () => "refused" }, []);
  const runner = new CommandRunner({ ...made.parts, clock: system.clock, buffer, journal, log });
  let sent = 0;
  const reject = (count: number) => {
    const commands = Array.from(
      { length: count },
      () => ({ id: `c${sent++}`, type: "x", why: "y" }),
    );
    runner.reject(commands);
    return buffer.countWaiting().pending;
  };
  assertEquals([reject(999), reject(1), reject(5)], [999, 1_000, 1_000]);
  assertEquals(log.told("commands not reported: too many of them do not run"), [{
    commands: 5,
    id: "c1000",
  }]);
  const [unknown] = journal.receive([{ id: "c1001", type: "x", params: "{}" }]);
  assertEquals(unknown, undefined, "it is remembered, and never run");
  await system.clock.advance(36_000);
  assertEquals([reject(9), reject(9)], [1_009, 1_010]);
  const late = { id: "late", type: "x", params: "{}" };
  journal.receive([late]);
  runner.enqueue(late, never);
  await runner.idle;
  assertEquals([buffer.countWaiting().pending, journal.unfinished()], [1_010, []]);
  await system.clock.advance(48 * 3_600_000);
  assertEquals(reject(2_000), 2_010);
});
