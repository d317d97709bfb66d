/** What the server was told of each scanner's updates, on disk: `told-updates.json` in the state folder. */

import * as v from "valibot";
import { Buffer } from "node:buffer";
import type { NewEvent } from "../buffer/buffer.ts";
import type { Command } from "../buffer/command.ts";
import type { ToldList } from "./update_diff.ts";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import { packageTypeOf, SCANNER_NAMES } from "../scanners/registry.ts";
import { encodeBody } from "../server/limits.ts";
import { goneItem, type UpdateItem } from "../server/update_item.ts";
import type { System } from "../system/system.ts";

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

/** Commands that the server sets a row's state for. */
const ABOUT_A_ROW: ReadonlySet<string> = new Set([
  "dry_run_update",
  "confirm_dependencies",
  "install_updates",
]);

/** Which row a command is about; the server leaves the name out where it means all of them. */
const params = v.object({ package_type: v.string(), package_name: v.string() });

const log = v.object({ result: v.string() });

/**
 * The events that end a command, with the row before the log where the command leaves one behind. A
 * dry run that succeeded leaves none: what the server does next is up to its dependencies. Never
 * throws: a row that is not known is left for the next whole list.
 */
export async function withRowAgain(
  system: Pick<System, "files">,
  stateDirectory: string,
  { command, events }: { command: Command; events: readonly NewEvent[] },
): Promise<readonly NewEvent[]> {
  if (!ABOUT_A_ROW.has(command.type)) return events;
  const last = events.at(-1);
  const about = v.safeParse(params, command.params);
  if (last === undefined || !about.success) return events;
  if (command.type === "dry_run_update" && hasSucceeded(last)) return events;
  const told = await readToldUpdates(system, stateDirectory);
  const found = findRow(told, about.output.package_type, about.output.package_name);
  if (found === null) return events;
  const { row, atMs } = found;
  const event: NewEvent = {
    kind: "updates",
    commandId: command.id,
    snapshotOf: null,
    // Under its old timestamp it keeps its place in the dashboard's list.
    body: encodeBody({
      command_id: command.id,
      timestamp: new Date(atMs).toISOString(),
      updates: [row],
    }),
  };
  return [...events.slice(0, -1), event, last];
}

function hasSucceeded({ kind, body }: NewEvent): boolean {
  const read = decodeJson(log, body, LOCAL_LIMITS);
  return kind === "log" && read.ok && read.value.result === "success";
}

/** The row of a package as the server was told of it last; one that waits no more has a row, too. */
function findRow(
  told: ToldUpdates,
  packageType: string,
  packageName: string,
): { row: UpdateItem; atMs: number } | null {
  const name = SCANNER_NAMES.find((scanner) => packageTypeOf(scanner) === packageType);
  const list = told.get(name ?? "");
  if (name === undefined || list === undefined) return null;
  const item = Object.hasOwn(list.items, packageName) ? list.items[packageName] : undefined;
  if (item !== undefined) {
    const [, , atMs, row] = item;
    return row && { row, atMs };
  }
  const gone = Object.hasOwn(list.gone, packageName) ? list.gone[packageName] : undefined;
  if (gone === undefined) return null;
  const [version, atMs] = gone;
  return { row: goneItem(packageTypeOf(name), packageName, version), atMs };
}
