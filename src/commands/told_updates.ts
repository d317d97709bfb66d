/** What the server was told of each scanner's updates, on disk: `told-updates.json` in the state folder. */

import * as v from "valibot";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import type { System } from "../system/system.ts";
import type { ToldList } from "./news.ts";

const FILE = "told-updates.json";
const SCHEMA = "pennon.told-updates/1";

/** Some 100 bytes a package: room for a host with tens of thousands of updates. */
const MAX_BYTES = 8_388_608;

const stored = v.object({
  schema: v.literal(SCHEMA),
  scanners: v.record(
    v.string(),
    v.object({
      fullAtMs: v.pipe(v.number(), v.finite()),
      items: v.record(v.string(), v.tuple([v.string(), v.string()])),
    }),
  ),
});

/** By scanner's name. */
export type ToldUpdates = ReadonlyMap<string, ToldList>;

type Parts = Pick<System, "files">;

/** Reads what was told. A file that cannot be read means that nothing was: the whole lists are sent. */
export async function readToldUpdates(
  { files }: Parts,
  stateDirectory: string,
): Promise<ToldUpdates> {
  try {
    const path = `${stateDirectory}/${FILE}`;
    const text = await files.readText("read what was told", path, { maxBytes: MAX_BYTES });
    const read = decodeJson(stored, text ?? "null", LOCAL_LIMITS);
    return new Map(read.ok ? Object.entries(read.value.scanners) : []);
  } catch {
    return new Map();
  }
}

/** Keeps what was told. Throws `FileError`. */
export async function keepToldUpdates(
  { files }: Parts,
  stateDirectory: string,
  told: ToldUpdates,
): Promise<void> {
  const text = JSON.stringify({ schema: SCHEMA, scanners: Object.fromEntries(told) });
  const path = `${stateDirectory}/${FILE}`;
  await files.writeText("keep what was told", path, `${text}\n`, { mode: 0o600 });
}

/** Another agent, or the same one anew: the server knows nothing of it. Throws `FileError`. */
export async function forgetToldUpdates({ files }: Parts, stateDirectory: string): Promise<void> {
  await files.remove("forget what was told", `${stateDirectory}/${FILE}`);
}
