/**
 * `classic-level` (LevelDB) doing the same durable work. No dependency of the project: its specifier
 * is put together here, so that nothing but this benchmark fetches it, pinned by `packages.lock`.
 */

import type { Contestant } from "./contestant.ts";
import { LOOK } from "./pennon.ts";

const PACKAGE = "npm:classic-level@3.0.0";

/** What is used of it. */
interface Level {
  open(): Promise<void>;
  batch(
    operations: { type: "put"; key: string; value: string }[],
    options: { sync: boolean },
  ): Promise<void>;
  del(key: string, options: { sync: boolean }): Promise<void>;
  iterator(options: { limit: number }): { all(): Promise<[string, string][]> };
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** A store in this folder; rejects if the package cannot be had, or does not run here. */
export async function level(folder: string): Promise<Contestant> {
  const store = await openStore(folder);
  let next = 0;
  return {
    name: "classic-level",
    append: (events) =>
      store.batch(
        events.map(({ body }) => ({ type: "put", key: keyOf(next++), value: body })),
        { sync: true },
      ),
    async drain(count) {
      for (let done = 0; done < count;) {
        const found = await store.iterator({ limit: Math.min(LOOK, count - done) }).all();
        for (const [key] of found) await store.del(key, { sync: true });
        done += found.length;
      }
    },
    clear: () => store.clear(),
    close: () => store.close(),
  };
}

/** The first that are kept, as a store that is opened again looks for its work; answers how many. */
export async function openLevel(folder: string): Promise<number> {
  const store = await openStore(folder);
  return (await store.iterator({ limit: LOOK }).all()).length;
}

async function openStore(folder: string): Promise<Level> {
  const { ClassicLevel } = await import(PACKAGE) as {
    ClassicLevel: new (path: string) => Level;
  };
  const store = new ClassicLevel(`${folder}/level`);
  await store.open();
  return store;
}

function keyOf(number: number): string {
  return String(number).padStart(12, "0");
}
