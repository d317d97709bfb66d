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
    const { appended, delivered, pending, setAside } = opened.buffer.counts();
    assertEquals(appended, delivered + pending + setAside);
    const kept = opened.buffer.list();
    assertEquals(kept.length, pending + setAside);
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
