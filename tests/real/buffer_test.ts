import { assert, assertEquals, assertRejects } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { BufferError, SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import { openBuffer, openBufferForChange, openBufferReadOnly } from "../../src/buffer/store.ts";
import { DatabaseError, type DatabaseErrorReason } from "../../src/system/database.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { realSystem } from "../../src/system/real.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { inFolder } from "./folder.ts";
import { IRREGULAR, makeIrregular, NAMES } from "./irregular.ts";
import { cannotMount, withSmallDisk } from "./small_disk.ts";

const system = realSystem();
const limits = { maxEvents: 100_000, maxBytes: 100_000_000, maxAttempts: 3 };

function log(body: string): NewEvent {
  return { kind: "log", commandId: null, snapshotOf: null, body };
}

/** Appends one event after the other and prints the number of each that has returned. */
const APPENDING = (folder: string) => `
  import { openBuffer } from "${projectUrl("src/buffer/store.ts")}";
  import { realSystem } from "${projectUrl("src/system/real.ts")}";
  const limits = ${JSON.stringify(limits)};
  const { buffer } = await openBuffer(realSystem(), ${JSON.stringify(folder)}, limits);
  const word = new TextEncoder();
  for (let number = buffer.counts().appended; ; number++) {
    const event = { kind: "log", commandId: null, snapshotOf: null, body: String(number) };
    buffer.append([event]);
    if (number % 3 === 0) buffer.acknowledge([buffer.next(1)[0].id]);
    Deno.stdout.writeSync(word.encode(number + "\\n"));
    // Whoever writes without a pause keeps every other process out.
    if (number % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }`;

Deno.test("an append that returned survives kill -9, ten times over", () =>
  inFolder(async (folder) => {
    let lastTold = -1;
    for (let round = 0; round < 10; round++) {
      await using child = await startDeno(APPENDING(folder));
      let text = await child.firstOutput();
      // Another instant of the work each time.
      const reader = child.process.stdout.getReader();
      for (let chunk = 0; chunk < round * 3; chunk++) {
        text += new TextDecoder().decode((await reader.read()).value);
      }
      child.process.kill("SIGKILL");
      for (let rest = await reader.read(); !rest.done; rest = await reader.read()) {
        text += new TextDecoder().decode(rest.value);
      }
      reader.releaseLock();
      await child.process.status;
      const numbers = text.split("\n").slice(0, -1).map(Number);
      lastTold = Math.max(lastTold, ...numbers);
      const { buffer, recovered, close } = await openBuffer(system, folder, limits);
      assertEquals(recovered, null);
      const { appended, delivered, pending } = buffer.counts();
      assert(appended > lastTold, `${appended} kept, ${lastTold} told`);
      assertEquals(delivered + pending, appended);
      const kept = buffer.list().map(({ body }) => Number(body));
      assertEquals(kept.length, pending);
      // In order and each once; what is missing at the front was delivered.
      assertEquals(kept, Array.from({ length: pending }, (_, n) => delivered + n));
      close();
    }
  }));

Deno.test("a file that is no database is moved aside, and a new one begun", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/buffer.sqlite`, "no database at all. ".repeat(100));
    const { buffer, recovered, close } = await openBuffer(system, folder, limits);
    assert(recovered !== null && recovered.movedTo.includes("buffer.sqlite.corrupt-"));
    assertEquals((await Deno.readTextFile(recovered.movedTo)).slice(0, 11), "no database");
    buffer.append([log("new")]);
    close();
    const again = await openBuffer(system, folder, limits);
    assertEquals([again.recovered, again.buffer.counts().pending], [null, 1]);
    again.close();
  }));

Deno.test("a buffer of a newer Pennon is left as it is, and people are told", () =>
  inFolder(async (folder) => {
    const first = await openBuffer(system, folder, limits);
    first.buffer.append([log("kept")]);
    first.close();
    const path = `${folder}/buffer.sqlite`;
    const database = openRealDatabase(path);
    database.execute(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    database.close();
    await assertRejects(() => openBufferReadOnly(system, folder, limits), BufferError);
    await assertRejects(() => openBuffer(system, folder, limits), BufferError, "a newer Pennon");
    const kept = openRealDatabase(path);
    assertEquals(kept.all("SELECT body FROM events")[0]?.["body"], "kept");
    kept.close();
  }));

Deno.test("status may look while the agent writes, and cannot write itself", () =>
  inFolder(async (folder) => {
    assertEquals(await openBufferReadOnly(system, folder, limits), null);
    await using child = await startDeno(APPENDING(folder));
    await child.firstOutput();
    const opened = await openBufferReadOnly(system, folder, limits);
    assert(opened !== null && opened.buffer.counts().appended > 0);
    let reason: DatabaseErrorReason | null = null;
    try {
      opened.buffer.append([log("x")]);
    } catch (error) {
      if (error instanceof DatabaseError) reason = error.reason;
    }
    assertEquals(reason, "denied");
    opened.close();
  }));

Deno.test("a person may requeue and purge while the agent writes, and nothing is lost", () =>
  inFolder(async (folder) => {
    const once = { ...limits, maxAttempts: 1 };
    const first = await openBuffer(system, folder, once);
    const { ids } = first.buffer.append(["a", "b"].map(log));
    for (const id of ids) first.buffer.refuse(id, "HTTP 400");
    first.close();
    await using child = await startDeno(APPENDING(folder));
    await child.firstOutput();
    const opened = await openBufferForChange(system, folder, once);
    assert(opened !== null);
    assertEquals(opened.buffer.requeue(ids.slice(0, 1)), 1);
    assertEquals(opened.buffer.purge(ids[1] ?? ""), true);
    opened.close();
    await child.firstOutput();
    child.process.kill("SIGKILL");
    await child.process.status;
    const { buffer, close } = await openBuffer(system, folder, once);
    const { appended, delivered, pending, deadLetters, purged } = buffer.counts();
    assertEquals([deadLetters, purged, delivered + pending + purged], [0, 1, appended]);
    assertEquals(buffer.find(ids[1] ?? ""), null);
    close();
  }));

Deno.test("a change by hand makes no buffer, and leaves a damaged or a newer one as it is", () =>
  inFolder(async (folder) => {
    assertEquals(await openBufferForChange(system, folder, limits), null);
    assertEquals([...Deno.readDirSync(folder)], []);
    const path = `${folder}/buffer.sqlite`;
    const damaged = "no database at all. ".repeat(100);
    await Deno.writeTextFile(path, damaged);
    const open = () => openBufferForChange(system, folder, limits);
    await assertRejects(open, BufferError, "is damaged. Next: start the agent");
    assertEquals(await Deno.readTextFile(path), damaged);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["buffer.sqlite"]);
    await Deno.remove(path);
    (await openBuffer(system, folder, limits)).close();
    const database = openRealDatabase(path);
    database.execute(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    database.close();
    await assertRejects(open, BufferError, "it was written by a newer Pennon");
  }));

Deno.test({
  name: "a full disk refuses an event whole, and takes the next when there is room",
  ignore: await cannotMount(),
}, async () => {
  await withSmallDisk({ sizeKib: 512 }, async (folder) => {
    const { buffer, close } = await openBuffer(system, folder, limits);
    buffer.append([log("small")]);
    let refused: unknown = null;
    try {
      buffer.append([log("x".repeat(50)), log("y".repeat(600_000))]);
    } catch (error) {
      refused = error;
    }
    assert(refused instanceof DatabaseError && refused.reason === "full");
    assertEquals(buffer.list().map(({ body }) => body), ["small"]);
    buffer.append([log("fits")]);
    assertEquals(buffer.counts().appended, 2);
    close();
  });
});

Deno.test({
  name: "openBuffer() moves away what is no regular file, begins anew, and says so",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      for (const kind of IRREGULAR) {
        const state = `${folder}/${kind}`;
        await Deno.mkdir(state);
        const path = `${state}/buffer.sqlite`;
        if (!await makeIrregular(kind, path)) {
          console.log(`skipped in part: no ${kind} here`);
          continue;
        }
        if (kind === "dangling") {
          // Its target may be on a disk that is not mounted: it is left, and nothing made there.
          await assertRejects(
            () => openBuffer(system, state, limits),
            DatabaseError,
            `"${path}" is ${NAMES[kind]}`,
          );
          assertEquals([...Deno.readDirSync(state)].map(({ name }) => name), ["buffer.sqlite"]);
          continue;
        }
        const { ino } = await Deno.lstat(path);
        const { recovered, buffer, close } = await openBuffer(system, state, limits);
        assertEquals(recovered?.why, `"${path}" is ${NAMES[kind]}, not a regular file`);
        assertEquals((await Deno.lstat(recovered?.movedTo ?? "")).ino, ino);
        assertEquals(buffer.append([log("a")]).ids.length, 1);
        close();
      }
    }),
});

Deno.test({
  name: "what is no regular file beside a good buffer costs none of its events",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      for (const suffix of ["-wal", "-shm", "-journal", ".damaged"]) {
        for (const kind of ["fifo", "directory", "dangling"] as const) {
          const state = `${folder}/${kind}${suffix}`;
          await Deno.mkdir(state);
          const path = `${state}/buffer.sqlite`;
          const before = await openBuffer(system, state, limits);
          before.buffer.append([log("kept")]);
          before.close();
          await makeIrregular(kind, path + suffix);
          const isOpened = suffix === ".damaged";
          if (!isOpened) {
            await assertRejects(
              () => openBuffer(system, state, limits),
              DatabaseError,
              `"${path}${suffix}" is ${NAMES[kind]}`,
            );
            await Deno.remove(path + suffix, { recursive: true });
          }
          const after = await openBuffer(system, state, limits);
          assertEquals(after.recovered, null);
          assertEquals(after.buffer.list().map(({ body }) => body), ["kept"], kind + suffix);
          after.close();
        }
      }
    }),
});
