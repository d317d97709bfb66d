/**
 * The reported snapshot: what the server was told about each scanner's updates, saved in
 * `told-updates.json`. From it a package's row is reported again after a command about the package.
 */

import { Buffer } from "node:buffer";
import * as v from "valibot";
import type { NewEvent } from "../buffer/buffer.ts";
import type { Command } from "../buffer/journal.ts";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import { JsonFile } from "../json_file.ts";
import { packageTypeOf, SCANNER_NAMES } from "../scanners/registry.ts";
import { encodeBody, timestampOf } from "../server/limits.ts";
import { removedItem, type UpdateItem, updateItem } from "../server/update_item.ts";
import { LAST_INSTANT_MS, type System } from "../system/system.ts";

const text = v.string();
const instant = v.pipe(v.number(), v.minValue(-LAST_INSTANT_MS), v.maxValue(LAST_INSTANT_MS));

const reportedItem = v.object({
  version: text,
  /** A checksum over everything that was reported of the package. */
  sum: text,
  /** The `timestamp` of the report that named it last, in ms since the epoch. */
  atMs: instant,
  /** Its row, which may be sent again; `null`: too long to be saved. */
  row: v.nullable(updateItem),
});

const reportedList = v.object({
  /** When the server last got the whole list, in ms since the epoch. */
  fullAtMs: instant,
  items: v.record(text, reportedItem),
  /** Removed packages, the latest last; `atMs`: the `timestamp` of the report of the removal. */
  removed: v.record(text, v.object({ version: text, atMs: instant })),
  /** Whether the server closed rows by absence, when it was last known. @default false */
  closesAbsent: v.optional(v.boolean()),
});

/** What the server was told about one package. */
export type ReportedItem = Readonly<v.InferOutput<typeof reportedItem>>;

/** What the server was told about one scanner's updates, by package name. */
export type ReportedList = Readonly<v.InferOutput<typeof reportedList>>;

/** What the server was told, by scanner. */
export type ReportedSnapshot = ReadonlyMap<string, ReportedList>;

const earlierList = v.pipe(
  v.object({
    fullAtMs: v.number(),
    items: v.record(text, v.tuple([text, text, v.number(), v.unknown()])),
    gone: v.record(text, v.tuple([text, v.number()])),
  }),
  v.transform(({ fullAtMs, items, gone }) => ({
    fullAtMs,
    items: mapValues(items, ([version, sum, atMs, row]) => ({ version, sum, atMs, row })),
    removed: mapValues(gone, ([version, atMs]) => ({ version, atMs })),
  })),
);

const earlier = v.object({ scanners: v.record(text, earlierList) });

/** Some 850 bytes per package, 150 without its row: room for tens of thousands of updates. */
const MAX_BYTES = 8_388_608;

/** The snapshot; it is removed for a new agent, about which the server knows nothing. */
export const SNAPSHOT_FILE = new JsonFile({
  name: "told-updates.json",
  what: "the reported snapshot",
  schema: "pennon.reported-snapshot/1",
  value: v.object({ scanners: v.record(text, reportedList) }),
  keys: { fullAtMs: "full_list_at", atMs: "reported_at", closesAbsent: "closes_absent" },
  records: ["scanners", "items", "removed", "metadata"],
  earlier: {
    schema: "pennon.told-updates/2",
    toValue(json) {
      const read = v.safeParse(earlier, json);
      return read.success ? read.output : undefined;
    },
  },
  limits: LOCAL_LIMITS,
  maxBytes: MAX_BYTES,
});

type Deps = Pick<System, "files">;

/** Reads the snapshot. It is empty if the file cannot be read: the whole lists are then reported. */
export async function readReportedSnapshot(
  { files }: Deps,
  stateDirectory: string,
): Promise<ReportedSnapshot> {
  try {
    const saved = await SNAPSHOT_FILE.read(files, stateDirectory);
    return new Map(Object.entries(saved?.scanners ?? {}));
  } catch {
    return new Map();
  }
}

/** Saves the snapshot, without its rows where they would make it too long. Throws `FileError`. */
export async function saveReportedSnapshot(
  { files }: Deps,
  stateDirectory: string,
  snapshot: ReportedSnapshot,
): Promise<void> {
  const whole = SNAPSHOT_FILE.encode(valueOf(snapshot));
  const isShort = Buffer.byteLength(whole) <= MAX_BYTES;
  await SNAPSHOT_FILE.write(
    files,
    stateDirectory,
    valueOf(isShort ? snapshot : withoutRows(snapshot)),
  );
}

function valueOf(snapshot: ReportedSnapshot) {
  return { scanners: Object.fromEntries(snapshot) };
}

function withoutRows(snapshot: ReportedSnapshot): ReportedSnapshot {
  return new Map([...snapshot].map(([name, list]) => {
    const items = mapValues(list.items, (item) => ({ ...item, row: null }));
    return [name, { ...list, items }];
  }));
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

/** Commands for which the server sets the state of a row. */
const ABOUT_A_ROW: ReadonlySet<string> = new Set([
  "dry_run_update",
  "confirm_dependencies",
  "install_updates",
]);

/** Which row a command is about; the server omits the name where it means all rows. */
const params = v.object({ package_type: text, package_name: text });

const log = v.object({ result: text });

/**
 * The events that end a command, with the package's row before the log where the command leaves the row
 * in an intermediate state. RedFlag 0.1.18 sets the row to `checking_dependencies` or `installing` when
 * it queues the command, and to `pending` only when the package is reported again: after a refused
 * command it would stay so for a day. A dry run that succeeded sends no row: the server continues with
 * the dependencies. Never throws: a row that is not in the snapshot waits for the next whole list.
 */
export async function withResentRow(
  deps: Deps,
  stateDirectory: string,
  { command, events }: { command: Command; events: readonly NewEvent[] },
): Promise<readonly NewEvent[]> {
  if (!ABOUT_A_ROW.has(command.type)) return events;
  const last = events.at(-1);
  const about = v.safeParse(params, command.params);
  if (last === undefined || !about.success) return events;
  if (command.type === "dry_run_update" && hasSucceeded(last)) return events;
  const snapshot = await readReportedSnapshot(deps, stateDirectory);
  const found = findRow(snapshot, about.output.package_type, about.output.package_name);
  if (found === null) return events;
  const event: NewEvent = {
    kind: "updates",
    commandId: command.id,
    snapshotOf: null,
    // With its old timestamp the row keeps its place in the dashboard's list.
    body: encodeBody({
      command_id: command.id,
      timestamp: timestampOf(found.atMs),
      updates: [found.row],
    }),
  };
  return [...events.slice(0, -1), event, last];
}

function hasSucceeded({ kind, body }: NewEvent): boolean {
  const read = decodeJson(log, body, LOCAL_LIMITS);
  return kind === "log" && read.ok && read.value.result === "success";
}

/** The row of a package as it was last reported, removed packages included. */
function findRow(
  snapshot: ReportedSnapshot,
  packageType: string,
  packageName: string,
): { row: UpdateItem; atMs: number } | null {
  const name = SCANNER_NAMES.find((scanner) => packageTypeOf(scanner) === packageType);
  const list = snapshot.get(name ?? "");
  if (name === undefined || list === undefined) return null;
  const item = Object.hasOwn(list.items, packageName) ? list.items[packageName] : undefined;
  if (item !== undefined) return item.row && { row: item.row, atMs: item.atMs };
  const removed = Object.hasOwn(list.removed, packageName) ? list.removed[packageName] : undefined;
  if (removed === undefined) return null;
  const { version, atMs } = removed;
  return { row: removedItem(packageTypeOf(name), packageName, version), atMs };
}
