import { assertEquals } from "@std/assert";
import type { Command, CommandHandler, CommandOutcome } from "../../src/buffer/command.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { Worker } from "../../src/loop/worker.ts";
import type { ReceivedCommand } from "../../src/received_command.ts";
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
    onEarly: () => {},
    onDone: ({ events }: CommandOutcome) => void done.push(events[0]?.commandId ?? ""),
  };
  const worker = new Worker(parts);
  const commands = ids.map((id): ReceivedCommand => ({ id, type: "scan_updates", params: "{}" }));
  const { clock } = system;
  return {
    parts,
    worker,
    commands,
    done,
    log,
    clock,
    bodies: () => buffer.list().map((e) => e.body),
  };
}

Deno.test("take() runs commands one after the other, each reported when it is done", async () => {
  let running = 0;
  const { worker, commands, done, bodies } = await setUp({
    repeatable: true,
    async run(command) {
      running += 1;
      assertEquals(running, 1);
      await Promise.resolve();
      running -= 1;
      return outcome(command, command.id);
    },
  }, ["a", "b", "c"]);
  for (const command of commands) worker.take(command, never);
  await worker.idle;
  assertEquals([done, bodies()], [["a", "b", "c"], ["a", "b", "c"]]);
});

Deno.test("take() answers for a handler that throws, and goes on with the next", async () => {
  const { parts, worker, commands, bodies } = await setUp({
    repeatable: true,
    run(command) {
      if (command.id === "a") throw new Error("no room");
      return Promise.resolve(outcome(command));
    },
  }, ["a", "b"]);
  for (const command of commands) worker.take(command, never);
  await worker.idle;
  assertEquals(bodies(), ["no room", "done"]);
  assertEquals(parts.journal.unfinished(), []);
});

Deno.test("take() leaves what it was stopped in for the next start", async () => {
  const stop = new AbortController();
  const { parts, worker, commands, bodies } = await setUp({
    repeatable: true,
    run() {
      stop.abort(new Error("stopped"));
      return Promise.reject(new Error("killed with us"));
    },
  }, ["a", "b"]);
  for (const command of commands) worker.take(command, stop.signal);
  await worker.idle;
  assertEquals(bodies(), []);
  assertEquals(parts.journal.unfinished().map(({ id, state }) => [id, state]), [
    ["a", "started"],
    ["b", "received"],
  ]);
});

Deno.test("take() waits for a disk that would not take the report, and loses nothing of it", async () => {
  const { parts, worker, commands, done, log, clock } = await setUp({
    repeatable: false,
    run: (command) => Promise.resolve(outcome(command)),
  }, ["a"]);
  const { buffer } = parts;
  const append = buffer.append.bind(buffer);
  buffer.append = () => {
    throw new DatabaseError("Cannot write: the disk is full", { reason: "full" });
  };
  worker.take(commands[0]!, never);
  await clock.advance(3_600_000);
  assertEquals([done, parts.journal.unfinished().length], [[], 1]);
  assertEquals(log.told("command waits for the disk").length, 1);
  buffer.append = append;
  await clock.advance(10_000);
  assertEquals([done, parts.journal.unfinished()], [["a"], []]);
});

Deno.test("resume() reports what must not be run twice, and runs what never began", async () => {
  const ran: string[] = [];
  const { parts, worker, bodies } = await setUp({
    repeatable: false,
    run(command) {
      ran.push(command.id);
      return Promise.resolve(outcome(command));
    },
  }, ["a", "b"]);
  parts.journal.start("a");
  worker.resume(never);
  await worker.idle;
  assertEquals(ran, ["b"]);
  assertEquals(bodies(), ["interrupted: the agent stopped in the middle of it", "done"]);
});

Deno.test("resume() of a disk that does not tell asks until it does, and runs nothing twice", async () => {
  const ran: string[] = [];
  const { parts, worker, commands, log, clock } = await setUp({
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
  worker.resume(never);
  worker.take(commands[1]!, never); // It came in meanwhile, and runs when the disk tells of it.
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
  const { parts, worker, log, bodies } = await setUp(handler, []);
  const damaged = ['{"a":1', "[1]", "null", ""];
  const entries = [...damaged, '{"a":1}'];
  parts.journal.receive(
    entries.map((params, number) => ({ id: `c${number}`, type: "scan_updates", params })),
  );
  worker.resume(never);
  await worker.idle;
  const why = "not run: what was kept of it is damaged on disk";
  assertEquals(bodies(), [...damaged.map(() => why), "done"]);
  assertEquals(log.told("command is damaged on disk").length, damaged.length);
  assertEquals(parts.journal.unfinished(), []);
});

Deno.test("resume() tells of an interrupted command when the disk takes that", async () => {
  const { parts, worker, bodies, clock } = await setUp({
    repeatable: false,
    run: (command) => Promise.resolve(outcome(command)),
  }, ["a", "b"]);
  parts.journal.start("a");
  const { buffer } = parts;
  const append = buffer.append.bind(buffer);
  buffer.append = () => {
    throw new DatabaseError("Cannot write: the disk is full", { reason: "full" });
  };
  worker.resume(never);
  assertEquals(await worker.idleOrStuck(), "stuck");
  buffer.append = append;
  await clock.advance(10_000);
  await worker.idle;
  assertEquals(bodies(), ["interrupted: the agent stopped in the middle of it", "done"]);
});

Deno.test("idleOrStuck() is idle when all is done", async () => {
  const { worker, commands } = await setUp({
    repeatable: true,
    run: (command) => Promise.resolve(outcome(command)),
  }, ["a"]);
  worker.take(commands[0]!, never);
  assertEquals(await worker.idleOrStuck(), "idle");
});
