import { assert, assertEquals, assertThrows } from "@std/assert";
import { DatabaseError } from "../../src/system/database.ts";
import { event, openLasting } from "../fakes/lasting.ts";
import { SickDisk } from "../fakes/sick_disk.ts";

const command = { id: "c", type: "scan_updates", params: "{}" };

Deno.test("the journal takes no command before there is a disk, and finds what was left on it", async () => {
  const disk = new SickDisk();
  (await openLasting({}, disk)).journal.receive([command]);
  disk.isDead = true;
  const { journal, keeper, ...lasting } = await openLasting({}, disk);
  assertThrows(() => journal.receive([{ ...command, id: "d" }]), DatabaseError);
  assertThrows(() => journal.unfinished(), DatabaseError);
  disk.isDead = false;
  await disk.system.clock.advance(10_000);
  assertEquals([keeper.condition.disk, lasting.backs], ["ok", 0]);
  assertEquals(journal.unfinished().map(({ id }) => id), ["c"]);
});

Deno.test("tryWriting() tells a disk that takes no command from one that does, and changes nothing", async () => {
  const { journal, buffer, disk } = await openLasting();
  buffer.append([event("a")]);
  const before = buffer.counts();
  journal.tryWriting();
  assertEquals(buffer.counts(), before);
  disk.fault = "full";
  assertThrows(() => journal.tryWriting(), DatabaseError);
  disk.fault = null;
  journal.tryWriting();
  const none = await openLasting({}, Object.assign(new SickDisk(), { isDead: true }));
  assertThrows(() => none.journal.tryWriting(), DatabaseError);
});

Deno.test("finish() of a full disk throws, and neither ends the command nor reports it", async () => {
  const { journal, buffer, disk } = await openLasting();
  journal.receive([command]);
  journal.start("c");
  disk.fault = "full";
  buffer.append([event("early", "c")]);
  const finish = () => journal.finish("c", () => void buffer.append([event("report", "c")]));
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
    const { journal, buffer, disk, keeper } = await openLasting();
    journal.receive([command]);
    journal.start("c");
    disk.fault = "io";
    buffer.append([event("early", "c")]);
    disk.fault = null;
    disk.refuseCall(call);
    let isDone = true;
    try {
      journal.finish("c", () => void buffer.append([event("report", "c")]));
    } catch (error) {
      assert(error instanceof DatabaseError);
      isDone = false;
      refusals += 1;
    }
    disk.refuseCall(Infinity);
    const reported = buffer.next(9).map(({ body }) => body);
    assertEquals(reported, isDone ? ["early", "report"] : ["early"], `call ${call}`);
    assertEquals(journal.unfinished().length, isDone ? 0 : 1, `call ${call}`);
    keeper.close();
  }
  assert(refusals > 10, `${refusals} refusals`);
});

Deno.test("reject() that fails at any call of the disk did all of it, or nothing", async () => {
  const rejected = { id: "r", type: "reboot", why: "its type is missing" };
  let refusals = 0;
  for (let call = 1; call < 40; call++) {
    const { journal, buffer, disk, keeper } = await openLasting();
    disk.refuseCall(call);
    let isDone = true;
    try {
      journal.reject([rejected], () => void buffer.append([event("report", "r")]));
    } catch (error) {
      assert(error instanceof DatabaseError);
      isDone = false;
      refusals += 1;
    }
    disk.refuseCall(Infinity);
    assertEquals(buffer.next(9).length, isDone ? 1 : 0, `call ${call}`);
    assertEquals(journal.receive([{ ...command, id: "r" }]).length, isDone ? 0 : 1, `call ${call}`);
    keeper.close();
  }
  assert(refusals > 2, `${refusals} refusals`);
});

Deno.test("start() is on disk when it returns, and refused where the disk takes nothing", async () => {
  const { journal, disk } = await openLasting();
  journal.receive([command]);
  disk.fault = "full";
  assertThrows(() => journal.start("c"), DatabaseError);
  assertEquals(journal.unfinished().map(({ state }) => state), ["received"]);
  disk.fault = null;
  journal.start("c");
  assertEquals(journal.unfinished().map(({ state }) => state), ["started"]);
  assertEquals(journal.counts().started, 1);
});

Deno.test("unconfirmed() and confirm() of a disk that takes nothing are done without", async () => {
  const { journal, disk } = await openLasting();
  disk.isDead = true;
  assertEquals([journal.unconfirmed(), journal.confirm(["c"])], [[], 0]);
});

Deno.test("finish() ends no command whose report is in memory alone, whichever call the disk refuses", async () => {
  for (let call = 1; call < 30; call++) {
    const { journal, buffer, disk, keeper } = await openLasting();
    journal.receive([command]);
    journal.start("c");
    disk.refuseCall(call);
    try {
      journal.finish("c", () => void buffer.append([event("report", "c")]));
    } catch (error) {
      assert(error instanceof DatabaseError);
    }
    disk.refuseCall(Infinity);
    // Looked at before anything else brings to disk what is in memory.
    const { events } = keeper.condition;
    const onDisk = keeper.opened?.buffer.list().length ?? 0;
    const isFinished = keeper.opened?.journal.counts().finished === 1;
    assertEquals([onDisk, events], [isFinished ? 1 : 0, 0], `call ${call}`);
    keeper.close();
  }
});
