import { assert, assertEquals } from "@std/assert";
import { keepForPeople, moveAside, moveStranger, putBack } from "../../src/buffer/damaged_file.ts";
import type { Files } from "../../src/system/files.ts";
import { FakeFiles } from "../fakes/files.ts";

const PATH = "/state/buffer.sqlite";
const KEPT = `${PATH}.corrupt-2026-11-24T120000.000Z`;
const NOW_MS = Date.UTC(2026, 10, 24, 12);

function damaged(suffixes = ["", "-wal", "-shm"]): FakeFiles {
  const files = new FakeFiles();
  for (const suffix of suffixes) files.texts.set(PATH + suffix, `damaged${suffix}`);
  return files;
}

/** The same files for a process that dies at its `last` call and makes no other. */
function dyingAt(files: FakeFiles, last: number): Files {
  let calls = 0;
  const live = () => {
    calls += 1;
    if (calls >= last) throw new Error("dead");
  };
  return {
    inspect: (purpose: string, path: string) => (live(), files.inspect(purpose, path)),
    remove: (purpose: string, path: string) => (live(), files.remove(purpose, path)),
    rename: (
      purpose: string,
      from: string,
      to: string,
    ) => (live(), files.rename(purpose, from, to)),
  } as Partial<Files> as Files;
}

/** What a start does with a damaged buffer; the new one's files come one by one, as SQLite's do. */
async function salvage(disk: FakeFiles, files: Files): Promise<void> {
  await moveAside(files, PATH);
  for (const suffix of ["", "-journal", "-wal", "-shm"]) {
    await files.inspect("a step of SQLite's", PATH + suffix);
    disk.texts.set(PATH + suffix, `new${suffix}`);
    if (suffix === "-wal") disk.texts.delete(`${PATH}-journal`);
  }
  await keepForPeople(files, PATH, NOW_MS);
}

/** Whether the process lived to the end. */
async function lives(work: Promise<unknown>): Promise<boolean> {
  return await work.then(() => true, () => false);
}

function under(files: FakeFiles, prefix: string): Record<string, string> {
  return Object.fromEntries(
    [...files.texts].filter(([path]) => path.startsWith(prefix))
      .map(([path, text]) => [path.slice(prefix.length), text]),
  );
}

Deno.test("moveAside() and keepForPeople() leave the damaged one whole, and room for a new one", async () => {
  const files = damaged();
  await salvage(files, files);
  assertEquals(under(files, KEPT), { "": "damaged", "-wal": "damaged-wal", "-shm": "damaged-shm" });
  assertEquals(files.texts.get(PATH), "new");
  assertEquals(await putBack(files, PATH), false);
});

Deno.test("moveAside() takes no log of an earlier one for this one's", async () => {
  const files = damaged([""]);
  files.texts.set(`${PATH}.damaged-wal`, "of another");
  await moveAside(files, PATH);
  assertEquals(under(files, `${PATH}.damaged`), { "": "damaged" });
});

Deno.test("putBack() makes the damaged one whole again, wherever a salvage and itself had died", async () => {
  for (const suffixes of [[""], ["", "-wal"], ["", "-wal", "-shm"]]) {
    const whole = Object.fromEntries(suffixes.map((suffix) => [suffix, `damaged${suffix}`]));
    let salvaged = false;
    for (let death = 1; !salvaged; death++) {
      for (let second = 1, isBack = false; !isBack; second++) {
        const files = damaged(suffixes);
        salvaged = await lives(salvage(files, dyingAt(files, death)));
        isBack = await lives(putBack(dyingAt(files, second), PATH));
        if (!isBack) await putBack(files, PATH);
        if (files.texts.get(PATH) === "new") {
          // It had all been read, and the name for people says so.
          assertEquals(files.texts.get(KEPT), "damaged");
          continue;
        }
        const all = under(files, PATH);
        assertEquals(all, whole, `death at call ${death}, then at ${second}`);
      }
    }
    assert(salvaged);
  }
});

Deno.test("putBack() takes what is no regular file for no salvage's, and touches no buffer for it", async () => {
  for (const kind of ["fifo", "socket", "directory", "device"] as const) {
    const files = new FakeFiles();
    files.texts.set(PATH, "good");
    files.texts.set(`${PATH}.damaged`, "");
    files.kinds.set(`${PATH}.damaged`, kind);
    assertEquals(await putBack(files, PATH), false);
    assertEquals(files.texts.get(PATH), "good", kind);
  }
});

Deno.test("moveStranger() moves away what is no regular file, with what lies beside it, and nothing else", async () => {
  const files = damaged();
  assertEquals(await moveStranger(files, PATH, NOW_MS), null);
  assertEquals(await moveStranger(files, "/state/absent.sqlite", NOW_MS), null);
  files.kinds.set(PATH, "fifo");
  assertEquals(await moveStranger(files, PATH, NOW_MS), { movedTo: KEPT, kind: "fifo" });
  assertEquals(under(files, KEPT), { "": "damaged", "-wal": "damaged-wal", "-shm": "damaged-shm" });
  assertEquals(files.texts.has(PATH), false);
});
