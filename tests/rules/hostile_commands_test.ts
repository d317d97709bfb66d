/** Hostile commands in one answer: each is run, reported or counted once, whatever the others are. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { logEvent } from "../../src/commands/command_log.ts";
import type { Command } from "../../src/buffer/journal.ts";
import { whileTimePasses } from "../fakes/clock.ts";
import { response } from "../fakes/response.ts";
import { World } from "../fakes/world.ts";

/** An agent whose server answers check-ins with these texts; the test's handler only records commands. */
class Receiver {
  readonly world = new World();
  readonly ran: Command[] = [];
  readonly failed: { command_id: string; stderr: string }[] = [];

  async receive(answers: readonly string[]): Promise<void> {
    const { world } = this;
    world.handler = {
      repeatable: false,
      run: (command) => {
        this.ran.push(command);
        const result = { result: "success", durationMs: 0 } as const;
        return Promise.resolve({ events: [logEvent(command, result)], rapidPollingMs: null });
      },
    };
    const { sendHttp } = world.server;
    let answer = "";
    world.server.sendHttp = (request) =>
      request.url.endsWith("/commands")
        ? Promise.resolve(response(200, answer))
        : sendHttp(request);
    await world.open();
    for (answer of answers) {
      // It throws if one of the commands is in memory alone.
      assert(await whileTimePasses(world.system.clock, () => world.once(), 60_000));
    }
    assertEquals(world.journal.unfinished(), []);
    const waiting = world.buffer.list().map(({ body }) => JSON.parse(body));
    const reports = [...world.reports.map(({ body }) => body), ...waiting];
    this.failed.push(...reports.filter(({ result }) => result === "failed"));
    assertEquals(reports.length, this.ran.length + this.failed.length);
    await world.agent.close();
  }

  /** Commands that only a log line reports. */
  get counted(): number {
    return this.world.log.told("part of an answer ignored")
      .reduce((sum, { count }) => sum + Number(count), 0);
  }
}

/** A JSON text that is nested so deep. */
const deep = fc.integer({ min: 1, max: 30_000 }).map((depth) =>
  `${'{"a":['.repeat(depth)}${"]}".repeat(depth)}`
);

/** Any JSON, and known hostile values. */
const anything = fc.oneof(
  { weight: 4, arbitrary: fc.json() },
  fc.constantFrom(
    "null",
    "{}",
    "[]",
    '""',
    '"../x"',
    '"a\\u0000b"',
    '"\\ud800"',
    '{"__proto__":{"polluted":1}}',
    "1e999",
    `"${"x".repeat(65)}"`,
    `"${"x".repeat(70_000)}"`,
    `{"a":"${"x".repeat(70_000)}"}`,
    "9".repeat(1_000),
  ),
  deep,
);

/** Unique ids; another test covers commands that share an id. */
const usableId = fc.uuid();

const member = (name: string, value: fc.Arbitrary<string>) =>
  fc.option(value.map((text) => `"${name}":${text}`), { nil: "" });

const command = fc.tuple(
  member("id", fc.oneof(usableId.map((id) => `"${id}"`), anything)),
  member("type", fc.oneof(fc.constant('"install_updates"'), anything)),
  member("params", fc.oneof(fc.constant("{}"), anything)),
).map((members) => `{${members.filter((text) => text !== "").join(",")}}`);

const item = fc.oneof(
  { weight: 3, arbitrary: command.map((text) => ({ text, isGood: false })) },
  { weight: 1, arbitrary: anything.map((text) => ({ text, isGood: false })) },
  {
    weight: 2,
    arbitrary: usableId.map((id) => ({
      text: JSON.stringify({ id, type: "install_updates", params: { id } }),
      isGood: true,
    })),
  },
);

/** The id of a command, if it is usable. */
function usableIdOf(text: string): string | undefined {
  const value = JSON.parse(text);
  const id = value !== null && typeof value === "object" ? value.id : undefined;
  return typeof id === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : undefined;
}

Deno.test("every good command is run once, every other is answered once or counted", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 12 }), async (items) => {
      const answer = `{"commands":[${items.map(({ text }) => text).join(",")}]}`;
      const receiver = new Receiver();
      // The server sends the same commands twice.
      await receiver.receive([answer, answer]);
      const ids = items.map(({ text }) => usableIdOf(text));
      const ran = receiver.ran.map(({ id }) => id);
      const failed = receiver.failed.map(({ command_id }) => command_id);
      const good = items.flatMap(({ isGood }, at) => isGood ? [ids[at]] : []);
      assertEquals(good.filter((id) => !ran.includes(id ?? "")), []);
      const expected = ids.filter((id) => id !== undefined).toSorted();
      assertEquals([...ran, ...failed].toSorted(), expected);
      assertEquals(receiver.counted, 2 * ids.filter((id) => id === undefined).length);
      // A type that is a text and no command's is refused by the handler of such types.
      const expectedWhy =
        /^not run: its |^Cannot run ".*": Pennon (has no such scanner|knows no such command)$/s;
      for (const { stderr } of receiver.failed) assertMatch(stderr, expectedWhy);
      assertEquals(receiver.world.log.events.filter(({ level }) => level === "error"), []);
    }),
    { numRuns: 150 },
  );
});

Deno.test("no command is run twice, whatever stands beside its id", async () => {
  const ids = fc.constantFrom("a", "b", "c");
  const types = fc.constantFrom("install_updates", "reboot", 7, null);
  const params = fc.constantFrom({}, null, [], "x");
  const commands = fc.array(fc.record({ id: ids, type: types, params }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.array(commands, { minLength: 1, maxLength: 3 }), async (answers) => {
      const receiver = new Receiver();
      await receiver.receive(answers.map((list) => JSON.stringify({ commands: list })));
      const ended = [
        ...receiver.ran.map(({ id }) => id),
        ...receiver.failed.map(({ command_id }) => command_id),
      ];
      const given = new Set(answers.flat().map(({ id }) => id));
      assertEquals(ended.toSorted(), [...given].toSorted());
    }),
    { numRuns: 100 },
  );
});

Deno.test("params nested 20,000 deep stop none of the commands around them", async () => {
  const nested = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
  const shorter = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  const receiver = new Receiver();
  await receiver.receive([`{"commands":[
    {"id":"good-1","type":"install_updates","params":null},
    {"id":"bad-1","type":"install_updates","params":${nested}},
    {"id":"good-2","type":"install_updates"},
    {"id":"bad-2","type":"install_updates","params":{"a":${shorter}}},
    {"id":"good-3","type":"install_updates"}
  ]}`]);
  assertEquals(receiver.ran.map(({ id }) => id), ["good-1", "good-2", "good-3"]);
  assertEquals(receiver.failed.map(({ command_id, stderr }) => [command_id, stderr]), [
    ["bad-1", "not run: its params take 120001 bytes, more than 65536"],
    ["bad-2", "not run: its params are invalid: it is nested deeper than 16 levels"],
  ]);
});
