/** What the server was told of each scanner's updates, on disk: `told-updates.json` in the state folder. */

import { Buffer } from "node:buffer";
import * as v from "valibot";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import type { System } from "../system/system.ts";
import type { ToldList } from "./news.ts";

const FILE = "told-updates.json";
const SCHEMA = "pennon.told-updates/2";

/** Some 800 bytes a package, 100 without its row: room for a host with tens of thousands of updates. */
const MAX_BYTES = 8_388_608;

const text = v.string();

/** A row as it was sent: it may be sent again, so each part of it has its shape. */
const row = v.object({
  package_type: v.picklist(["apt", "dnf", "windows_update", "winget", "docker_image"]),
  package_name: text,
  package_description: text,
  current_version: text,
  available_version: text,
  severity: v.picklist(["critical", "important", "moderate", "low"]),
  cve_list: v.array(text),
  kb_id: text,
  repository_source: text,
  size_bytes: v.pipe(v.number(), v.safeInteger()),
  metadata: v.record(text, v.union([text, v.number(), v.boolean(), v.array(text)])),
});

const instant = v.pipe(v.number(), v.minValue(-8.64e15), v.maxValue(8.64e15));

const stored = v.object({
  schema: v.literal(SCHEMA),
  scanners: v.record(
    v.string(),
    v.object({
      fullAtMs: v.pipe(v.number(), v.finite()),
      items: v.record(text, v.tuple([text, text, instant, v.nullable(row)])),
      gone: v.record(text, v.tuple([text, instant])),
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
    const json = await files.readText("read what was told", path, { maxBytes: MAX_BYTES });
    const read = decodeJson(stored, json ?? "null", LOCAL_LIMITS);
    return new Map(read.ok ? Object.entries(read.value.scanners) : []);
  } catch {
    return new Map();
  }
}

/** Keeps what was told, without the rows where they would make it too long. Throws `FileError`. */
export async function keepToldUpdates(
  { files }: Parts,
  stateDirectory: string,
  told: ToldUpdates,
): Promise<void> {
  const whole = encode(told);
  const json = Buffer.byteLength(whole) <= MAX_BYTES ? whole : encode(withoutRows(told));
  await files.writeText("keep what was told", `${stateDirectory}/${FILE}`, json, { mode: 0o600 });
}

function encode(told: ToldUpdates): string {
  return `${JSON.stringify({ schema: SCHEMA, scanners: Object.fromEntries(told) })}\n`;
}

function withoutRows(told: ToldUpdates): ToldUpdates {
  return new Map([...told].map(([name, list]) => {
    const items = Object.entries(list.items)
      .map(([key, [version, sum, atMs]]) => [key, [version, sum, atMs, null] as const]);
    return [name, { ...list, items: Object.fromEntries(items) }];
  }));
}

/** Another agent, or the same one anew: the server knows nothing of it. Throws `FileError`. */
export async function forgetToldUpdates({ files }: Parts, stateDirectory: string): Promise<void> {
  await files.remove("forget what was told", `${stateDirectory}/${FILE}`);
}
