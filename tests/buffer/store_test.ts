import { assert, assertEquals, assertRejects } from "@std/assert";
import { BufferError } from "../../src/buffer/schema.ts";
import { openBuffer, openBufferForChange } from "../../src/buffer/store.ts";
import { DatabaseError, type DatabaseErrorReason } from "../../src/system/database.ts";
import { FakeSystem } from "../fakes/system.ts";

const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };

function change(system: FakeSystem) {
  return openBufferForChange(system, "/state", limits);
}

/** A system whose database is there, and refuses every change. */
async function refusing(reason: DatabaseErrorReason) {
  const system = new FakeSystem();
  await openBuffer(system, "/state", limits);
  let closed = 0;
  const database = system.openDatabase("/state/buffer.sqlite");
  system.databases.set("/state/buffer.sqlite", {
    ...database,
    transaction() {
      throw new DatabaseError("Cannot change database: on purpose", { reason });
    },
    close: () => closed++,
  });
  return { system, closed: () => closed };
}

Deno.test("openBufferForChange() makes no buffer where there is none", async () => {
  const system = new FakeSystem();
  assertEquals(await change(system), null);
  assertEquals([system.databases.size, system.files.texts.size], [0, 0]);
});

Deno.test("openBufferForChange() opens what the agent left", async () => {
  const system = new FakeSystem();
  const agent = await openBuffer(system, "/state", limits);
  const event = { kind: "log", commandId: null, snapshotOf: null, body: "{}" } as const;
  const { ids: [id = ""] } = agent.buffer.append([event]);
  agent.buffer.refuse(id, "HTTP 400");
  assertEquals((await change(system))?.buffer.requeue("all"), 1);
  assertEquals(agent.buffer.counts().pending, 1);
});

Deno.test("openBufferForChange() says whom to be where this user may not write", async () => {
  const { system, closed } = await refusing("denied");
  const advice = 'no right to write "/state/buffer.sqlite". Next: run this as the agent\'s user';
  await assertRejects(() => change(system), BufferError, advice);
  assertEquals(closed(), 1);
  system.files.fail("look for the buffer", "denied");
  await assertRejects(() => change(system), BufferError, advice);
});

Deno.test("openBufferForChange() refuses a damaged file, and moves nothing", async () => {
  const { system } = await refusing("corrupt");
  const before = [...system.files.texts.keys()];
  const refusal = await assertRejects(() => change(system), BufferError, "is damaged");
  assert(refusal.cause instanceof DatabaseError);
  assertEquals([...system.files.texts.keys()], before);
});

Deno.test("openBufferForChange() tells of a disk that refuses as it is", async () => {
  const { system, closed } = await refusing("busy");
  await assertRejects(() => change(system), DatabaseError, "on purpose");
  assertEquals(closed(), 1);
});

Deno.test("openBuffer() that can begin no new file puts the damaged one back, to be salvaged later", async () => {
  const system = new FakeSystem();
  const path = "/state/buffer.sqlite";
  system.files.texts.set(path, "damaged");
  system.files.texts.set(`${path}-wal`, "its end");
  const open = system.openDatabase.bind(system);
  const refuse = (reason: DatabaseErrorReason) => () => {
    throw new DatabaseError("Cannot open database: on purpose", { reason });
  };
  const answers = [refuse("corrupt"), refuse("full"), refuse("corrupt")];
  system.openDatabase = (asked) => (answers.shift() ?? open)(asked);
  await assertRejects(() => openBuffer(system, "/state", limits), DatabaseError);
  assertEquals(
    new Map(system.files.texts),
    new Map([[path, "damaged"], [`${path}-wal`, "its end"]]),
  );
  const { recovered } = await openBuffer(system, "/state", limits);
  assert(system.files.texts.has(recovered?.movedTo ?? ""));
  assertEquals(system.files.texts.get(`${recovered?.movedTo}-wal`), "its end");
});
