/** A bit flipped in every page of the buffer's file: the agent starts, and keeps what can be read. */

import { assert, assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { BufferError } from "../../src/buffer/schema.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { realSystem } from "../../src/system/real.ts";
import { inFolder } from "./folder.ts";

const system = realSystem();
const limits = { maxEvents: 10_000, maxBytes: 10_000_000, maxAttempts: 10 };
const PAGE_BYTES = 4_096;
const EVENTS = 300;

function log(number: number): NewEvent {
  const body = JSON.stringify({ number, text: "x".repeat(100 + number % 700) });
  return { kind: "log", commandId: `c${number}`, snapshotOf: null, body };
}

/** Repeatable, so that a failure can be looked at. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

async function make(folder: string): Promise<Uint8Array> {
  const { buffer, journal, close } = await openBuffer(system, folder, limits);
  buffer.append(Array.from({ length: EVENTS }, (_, number) => log(number)));
  journal.receive([{ id: "cmd", type: "collect_specs", params: "{}" }]);
  close();
  return await Deno.readFile(`${folder}/buffer.sqlite`);
}

/** What a start on this file finds. */
async function start(folder: string, file: Uint8Array) {
  for await (const { name } of Deno.readDir(folder)) await Deno.remove(`${folder}/${name}`);
  await Deno.writeFile(`${folder}/buffer.sqlite`, file);
  const opened = await openBuffer(system, folder, limits);
  try {
    opened.buffer.append([log(EVENTS)]); // It works.
    const { appended, delivered, pending, deadLetters } = opened.buffer.counts();
    assertEquals(appended, delivered + pending + deadLetters);
    const kept = opened.buffer.list();
    assertEquals(kept.length, pending + deadLetters);
    // A flip in the middle of a text is not noticed by SQLite; the server then refuses that event.
    const salvaged = opened.recovered === null ? [] : kept;
    for (const { state, body } of salvaged) if (state === "pending") JSON.parse(body);
    return { kept: kept.length - 1, recovered: opened.recovered };
  } finally {
    opened.close();
  }
}

Deno.test("one bit flipped in each page in turn: it starts, and what can be read is kept", () =>
  inFolder(async (folder) => {
    const whole = await make(folder);
    const random = seeded(7);
    const pages = whole.length / PAGE_BYTES;
    let noticed = 0;
    let leastKept = EVENTS;
    for (let page = 0; page < pages; page++) {
      const file = whole.slice();
      const at = page * PAGE_BYTES + Math.floor(random() * PAGE_BYTES);
      file[at]! ^= 1 << Math.floor(random() * 8);
      const { kept, recovered } = await start(folder, file);
      if (recovered) noticed += 1;
      // The first pages are the roots: behind one of those there may be nothing left to find.
      if (page > 16) leastKept = Math.min(leastKept, kept);
      else assert(recovered || kept === EVENTS, `page ${page}: ${kept}`);
    }
    console.log(`${pages} pages, ${noticed} flips noticed, at least ${leastKept} events kept`);
    assert(leastKept >= EVENTS - 40, `${leastKept} of ${EVENTS}`);
  }));

Deno.test("a page overwritten whole in turn: it starts, and tells what is lost", () =>
  inFolder(async (folder) => {
    const whole = await make(folder);
    for (let page = 0; page < whole.length / PAGE_BYTES; page++) {
      const file = whole.slice();
      file.fill(0xa5, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      const { kept, recovered } = await start(folder, file);
      if (recovered === null) assertEquals(kept, EVENTS, `page ${page}`);
      else if (recovered.lostEvents !== null) {
        assertEquals(kept + recovered.lostEvents, EVENTS, `page ${page}`);
      }
    }
  }));

Deno.test("every bit of the file's header flipped in turn: it starts", () =>
  inFolder(async (folder) => {
    const whole = await make(folder);
    for (let bit = 0; bit < 100 * 8; bit++) {
      const file = whole.slice();
      file[bit >> 3]! ^= 1 << (bit & 7);
      await start(folder, file).catch((error) => {
        // The last byte of its version, flipped, is what a newer Pennon would have written.
        if (error instanceof BufferError && bit >> 3 === 63) return;
        throw new Error(`byte ${bit >> 3}, bit ${bit & 7}: ${error.message}`);
      });
    }
  }));

/** Indexed events and others that are only appended, some delivered, dead-lettered and evicted. */
async function makeCounted(folder: string) {
  const opened = await openBuffer(system, folder, {
    ...limits,
    maxEvents: EVENTS + 1,
    maxAttempts: 1,
  });
  const { buffer, database, close } = opened;
  buffer.append(Array.from({ length: EVENTS + 40 }, (_, number) => log(number)));
  const [first, second, ...others] = buffer.next(10);
  buffer.refuse(first!.id, "HTTP 400");
  buffer.refuse(second!.id, "HTTP 400");
  buffer.purge(second!.id);
  buffer.acknowledge(others.map(({ id }) => id));
  buffer.append([log(1_000), log(1_001)]);
  const bodies = new Set(buffer.list({ state: "pending" }).map(({ body }) => body));
  const [table] = database.all("SELECT rootpage FROM sqlite_master WHERE name = 'counters'");
  close();
  const file = await Deno.readFile(`${folder}/buffer.sqlite`);
  const page = (Number(table!["rootpage"]) - 1) * PAGE_BYTES;
  const row = page + new DataView(file.buffer).getUint16(page + 8);
  return { file, bodies, row, end: page + PAGE_BYTES };
}

Deno.test("every bit of the counters flipped in turn: each event is found, and counts balance", () =>
  inFolder(async (folder) => {
    const { file: whole, bodies, row, end } = await makeCounted(folder);
    const told = { recovered: 0, recounted: 0, nothing: 0 };
    for (let bit = row * 8; bit < end * 8; bit++) {
      const file = whole.slice();
      file[bit >> 3]! ^= 1 << (bit & 7);
      for await (const { name } of Deno.readDir(folder)) await Deno.remove(`${folder}/${name}`);
      await Deno.writeFile(`${folder}/buffer.sqlite`, file);
      const { buffer, recovered, recounted, close } = await openBuffer(system, folder, limits);
      told[recovered ? "recovered" : recounted ? "recounted" : "nothing"] += 1;
      const where = `byte ${(bit >> 3) - row}, bit ${bit & 7}`;
      const found = buffer.next(10_000);
      // The eviction notice is written anew where the counts are.
      assertEquals(new Set(found.map(({ body }) => body)), bodies, where);
      const { appended, delivered, pending, deadLetters, evicted, purged } = buffer.counts();
      assertEquals([pending, deadLetters], [bodies.size, 1], where);
      const gone = Object.values(evicted).reduce((sum, count) => sum + count, delivered + purged);
      assertEquals(appended, pending + deadLetters + gone, where);
      const { evicted: now } = buffer.append([log(EVENTS)]);
      assertEquals([now.log, buffer.next(10_000).length], [0, bodies.size + 1], where);
      close();
    }
    console.log(`${(end - row) * 8} flips`, told);
    assert(told.recounted > 100, `${told.recounted}`);
  }));

Deno.test("a page damaged after drops: the next notice tells of those too", () =>
  inFolder(async (folder) => {
    const small = { ...limits, maxEvents: 51 };
    const first = await openBuffer(system, folder, small);
    first.buffer.append(Array.from({ length: 150 }, (_, number) => log(number)));
    first.close();
    const path = `${folder}/buffer.sqlite`;
    const file = await Deno.readFile(path);
    file.fill(0xa5, file.length - PAGE_BYTES);
    await Deno.writeFile(path, file);
    const { buffer, recovered, close } = await openBuffer(system, folder, small);
    assert(recovered !== null);
    buffer.append(Array.from({ length: 60 }, (_, number) => log(1_000 + number)));
    const { evicted } = buffer.counts();
    const [notice, ...others] = buffer.list().filter(({ snapshotOf }) => snapshotOf !== null);
    assertEquals(JSON.parse(JSON.parse(notice!.body).stdout).dropped, evicted);
    assertEquals([others, evicted.log + (recovered.lostEvents ?? 0)], [[], 160]);
    close();
  }));

Deno.test("every bit of a command flipped in turn: it is given out as it is, and the other unharmed", () =>
  inFolder(async (folder) => {
    const opened = await openBuffer(system, folder, limits);
    const other = { id: "other", type: "reboot", params: "{}" };
    const params = JSON.stringify({ packages: ["one", "two"] });
    opened.journal.receive([other, { id: "command", type: "install_updates", params }]);
    const [table] = opened.database.all(
      "SELECT rootpage FROM sqlite_master WHERE name = 'commands'",
    );
    opened.close();
    const whole = await Deno.readFile(`${folder}/buffer.sqlite`);
    const page = (Number(table!["rootpage"]) - 1) * PAGE_BYTES;
    const view = new DataView(whole.buffer);
    // The newest row is the first on the page, and the older one is behind it.
    const [end, start] = [8, 10].map((at) => page + view.getUint16(page + at));
    const texts = new TextDecoder("latin1").decode(whole.subarray(start, end));
    const textsAt = start! + texts.indexOf("command");
    const paramsAt = start! + texts.indexOf(params);
    const textsEnd = paramsAt + params.length + "received".length;
    for (let bit = start! * 8; bit < end! * 8; bit++) {
      const file = whole.slice();
      file[bit >> 3]! ^= 1 << (bit & 7);
      for await (const { name } of Deno.readDir(folder)) await Deno.remove(`${folder}/${name}`);
      await Deno.writeFile(`${folder}/buffer.sqlite`, file);
      const { journal, recovered, close } = await openBuffer(system, folder, limits);
      const where = `byte ${(bit >> 3) - start!}, bit ${bit & 7}`;
      const found = journal.unfinished();
      assertEquals(found.find(({ id }) => id === "other")?.params, "{}", where);
      if (recovered === null) {
        const bytes = file.subarray(paramsAt, paramsAt + params.length);
        assertEquals(found.map(({ id }) => id), ["other", "command"], where);
        assertEquals(found[1]?.params, new TextDecoder().decode(bytes), where);
      } else if (bit >> 3 >= textsAt && bit >> 3 < textsEnd) assertEquals(found.length, 2, where);
      for (const { id } of found) {
        journal.start(id);
        journal.finish(id, () => {});
      }
      assertEquals(journal.unfinished(), [], where);
      close();
    }
  }));
