/**
 * The update diff: computes which of a scanner's updates the server has not been told about. New,
 * changed and removed updates are reported, and one row again where nothing changed. Pure;
 * `reported_snapshot.ts` saves what was reported. Why so: docs/decisions/0010-update-diff.md,
 * 0018-rows-at-the-dashboard.md and 0031-close-by-absence.md.
 */

import { Buffer } from "node:buffer";
import { v5 as uuidv5 } from "uuid";
import { removedItem, type UpdateItem } from "../server/update_item.ts";
import type { PackageType } from "../update.ts";
import type { ReportedItem, ReportedList } from "./reported_snapshot.ts";

interface CurrentList {
  readonly packageType: PackageType;
  readonly items: readonly UpdateItem[];
  /** Whether an update that is not in it is known to have been removed. */
  readonly isWhole: boolean;
}

/**
 * Items that are reported with one `timestamp`, by which the dashboard orders its list.
 *
 * `complete`: all updates of a whole list, which fit one request; the server may declare installed what
 * is not in it. `list`: all updates, in any number of requests. `changes`: the new and changed ones. `removed`: those that are no longer
 * available. `unchanged`: one row as the server has it, because only a reported item moves the
 * dashboard's "Last scan".
 */
export interface DiffReport {
  readonly part: "complete" | "list" | "changes" | "removed" | "unchanged";
  readonly items: readonly UpdateItem[];
  readonly atMs: number;
}

/** What to report, and what the server knows after that. */
export interface UpdateDiff {
  /** None of them is empty, but for `complete`: then the host has no updates. */
  readonly reports: readonly DiffReport[];
  /** Whether all updates are reported, and not only new and changed ones. */
  readonly isFull: boolean;
  /** Number of new and changed items. */
  readonly changed: number;
  /** Names of packages whose update was removed. */
  readonly removed: readonly string[];
  readonly reported: ReportedList;
}

/** The server gets a whole list at least this often, in case a report was lost. */
export const FULL_LIST_EVERY_MS = 24 * 3_600_000;

/** Removed packages that the snapshot holds, so that a command about one of them has its row. */
export const MOST_REMOVED = 200;

/** Longest row, as JSON, that the snapshot holds, in UTF-16 units: room for some 500 CVEs. */
export const ROW_LENGTH = 32_768;

/** How much older than its last report a removed row is reported: it sorts behind that report's rows. */
const REMOVED_OLDER_MS = 1_000;

/**
 * Bounds of a complete list, which has to be one request: a usual limit of proxies is 1 MiB (nginx:
 * `client_max_body_size`), and one bad item costs a request per halving.
 */
export const MOST_COMPLETE = 1_000;
export const MOST_COMPLETE_BYTES = 786_432;

/** The package types of which a server can close rows by absence; RedFlag does so for pacman as well. */
const CLOSEABLE: ReadonlySet<PackageType> = new Set(["apt", "dnf"]);

/** What a diff depends on, besides the lists. */
interface DiffOptions {
  readonly nowMs: number;
  /** Requests the whole list in any case. */
  readonly wantsAll: boolean;
  /** Whether the server declares updates installed that a complete list lacks. @default false */
  readonly closesAbsent?: boolean;
  /**
   * An earlier list has yet to be delivered. It may be complete, and changes that overtake it would be
   * declared installed by it: they go into a list that supersedes it. @default false
   */
  readonly isListPending?: boolean;
}

/** Any fixed UUID will do: checksums are only compared with each other. */
const NAMESPACE = "7a2f3c86-2f0e-4d6b-9f0a-3c1f9f3f6d11";

/**
 * Compares a list with what was reported before.
 *
 * The server has one row per package name and no call to delete one. One that closes rows by absence gets
 * a complete list when an update was removed; any other one more item for its row (`removedItem`). Where
 * a list is not whole, what it lacks stays in the snapshot.
 */
export function diffUpdates(
  current: CurrentList,
  before: ReportedList | undefined,
  { nowMs, wantsAll, isListPending = false, ...server }: DiffOptions,
): UpdateDiff {
  const { items, isWhole, packageType } = current;
  const isCloseable = CLOSEABLE.has(packageType);
  const closesAbsent = isCloseable && server.closesAbsent === true;
  const known = new Map(Object.entries(before?.items ?? {}));
  const groups = [...Map.groupBy(items, ({ package_name }) => package_name)];
  const sums = new Map(
    groups.map(([name, group]) => [name, uuidv5(JSON.stringify(group), NAMESPACE)]),
  );
  const changes = items.filter(({ package_name: name }) => known.get(name)?.sum !== sums.get(name));
  const absent = [...known].filter(([name]) => !sums.has(name))
    .toSorted(([a], [b]) => BY_NAME.compare(a, b));
  const removed = isWhole ? absent : [];
  const canBeComplete = isCloseable && isWhole && fitsOneRequest(items);
  const isClosing = canBeComplete && closesAbsent;
  // Also those that an older version of the server was told of by a row.
  const hasToClose = isClosing && removed.length + Object.keys(before?.removed ?? {}).length > 0;
  const hasToSupersede = isListPending && changes.length + removed.length > 0;
  // A clock that was set back must not delay the whole list for years.
  const ageMs = before === undefined ? Infinity : Math.abs(nowMs - before.fullAtMs);
  const isFull = wantsAll || hasToClose || hasToSupersede || ageMs >= FULL_LIST_EVERY_MS;
  const present = new Map(groups.map(([name, group]) => {
    const earlier = known.get(name);
    const sum = sums.get(name)!;
    const isSame = !isFull && earlier?.sum === sum;
    return [name, isSame ? earlier : reportedItem(group, sum, nowMs)] as const;
  }));
  // Older than any report that named one of them, and than now, however the clock was set.
  const removedAtMs = Math.min(nowMs, ...removed.map(([, { atMs }]) => atMs)) - REMOVED_OLDER_MS;
  const removedBefore = Object.entries(before?.removed ?? {}).filter(([name]) =>
    !present.has(name)
  );
  const removedNow = removed.map(([name, { version }]) =>
    [name, { version, atMs: removedAtMs }] as const
  );
  const reported: ReportedList = {
    fullAtMs: isFull ? nowMs : before?.fullAtMs ?? nowMs,
    items: Object.fromEntries([...(isWhole ? [] : absent), ...present]),
    removed: isFull && isClosing
      ? {}
      : Object.fromEntries([...removedBefore, ...removedNow].slice(-MOST_REMOVED)),
    ...(closesAbsent && { closesAbsent }),
  };
  const gone = removed.map(([name, { version }]) => removedItem(packageType, name, version));
  const whole = canBeComplete ? "complete" as const : "list" as const;
  const reports: DiffReport[] = [
    // Before the list: a server that closes rows after all, unknown to the agent, closes these as well.
    { part: "removed" as const, items: isFull && isClosing ? [] : gone, atMs: removedAtMs },
    { part: isFull ? whole : "changes" as const, items: isFull ? items : changes, atMs: nowMs },
  ].filter(({ part, items }) => items.length > 0 || part === "complete" && closesAbsent);
  return {
    reports: reports.length > 0 ? reports : unchangedRow(current, reported),
    isFull,
    changed: changes.length,
    removed: removed.map(([name]) => name),
    reported,
  };
}

/**
 * One row as the server has it, with its own `timestamp`, so that it keeps its place. The server resets a
 * reported row to pending, even an approved one: a removed row is best, since it is never approved, then
 * one that cannot be installed, then the least important one. A removed row that the server has closed
 * would be pending again.
 */
function unchangedRow({ packageType, items }: CurrentList, reported: ReportedList): DiffReport[] {
  const removed = Object.entries(reported.removed).at(-1);
  if (removed !== undefined && !reported.closesAbsent) {
    const [name, { version, atMs }] = removed;
    return [{ part: "unchanged", items: [removedItem(packageType, name, version)], atMs }];
  }
  const chosen = items.find(({ metadata }) => metadata["state"] !== "upgradable") ?? items[0];
  if (chosen === undefined) {
    // A list with gaps: the server has rows that are not in it.
    return Object.values(reported.items).flatMap(({ atMs, row }): DiffReport[] =>
      row === null ? [] : [{ part: "unchanged", items: [row], atMs }]
    ).slice(0, 1);
  }
  const { package_name: name } = chosen;
  // Of several items with one name the server has the last.
  const item = items.findLast(({ package_name }) => package_name === name) ?? chosen;
  return [{ part: "unchanged", items: [item], atMs: reported.items[name]!.atMs }];
}

/** Whether all items fit one request. */
function fitsOneRequest(items: readonly UpdateItem[]): boolean {
  return items.length <= MOST_COMPLETE &&
    Buffer.byteLength(JSON.stringify(items)) <= MOST_COMPLETE_BYTES;
}

const BY_NAME = new Intl.Collator("en", { numeric: true });

/** Of several items with one name (two versions side by side) the server keeps the last. */
function reportedItem(group: readonly UpdateItem[], sum: string, nowMs: number): ReportedItem {
  const row = group.at(-1) ?? null;
  const isShort = JSON.stringify(row).length <= ROW_LENGTH;
  return { version: row?.available_version ?? "", sum, atMs: nowMs, row: isShort ? row : null };
}
