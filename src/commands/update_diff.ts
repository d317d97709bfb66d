/**
 * The update diff: computes which of a scanner's updates the server has not been told about. New,
 * changed and removed updates are reported, and one row again where nothing changed. Pure;
 * `reported_snapshot.ts` saves what was reported. Why so: docs/decisions/0010-update-diff.md and
 * 0018-rows-at-the-dashboard.md.
 */

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
 * `list`: all updates. `changes`: the new and changed ones. `removed`: those that are no longer
 * available. `unchanged`: one row as the server has it, because only a reported item moves the
 * dashboard's "Last scan".
 */
export interface DiffReport {
  readonly part: "list" | "changes" | "removed" | "unchanged";
  readonly items: readonly UpdateItem[];
  readonly atMs: number;
}

/** What to report, and what the server knows after that. */
export interface UpdateDiff {
  /** None of them is empty. */
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

/** Any fixed UUID will do: checksums are only compared with each other. */
const NAMESPACE = "7a2f3c86-2f0e-4d6b-9f0a-3c1f9f3f6d11";

/**
 * Compares a list with what was reported before. `wantsAll` requests the whole list in any case.
 *
 * The server has one row per package name and no call to delete one: a removed update is reported by one
 * more item for its row (`removedItem`). Where a list is not whole, what it lacks stays in the snapshot.
 */
export function diffUpdates(
  current: CurrentList,
  before: ReportedList | undefined,
  { nowMs, wantsAll }: { nowMs: number; wantsAll: boolean },
): UpdateDiff {
  const { items, isWhole } = current;
  const known = new Map(Object.entries(before?.items ?? {}));
  // A clock that was set back must not delay the whole list for years.
  const ageMs = before === undefined ? Infinity : Math.abs(nowMs - before.fullAtMs);
  const isFull = wantsAll || ageMs >= FULL_LIST_EVERY_MS;
  const groups = [...Map.groupBy(items, ({ package_name }) => package_name)];
  const present = new Map(groups.map(([name, group]) => {
    const earlier = known.get(name);
    const sum = uuidv5(JSON.stringify(group), NAMESPACE);
    const isSame = !isFull && earlier?.sum === sum;
    return [name, isSame ? earlier : reportedItem(group, sum, nowMs)] as const;
  }));
  const changes = items.filter(({ package_name: name }) =>
    known.get(name)?.sum !== present.get(name)?.sum
  );
  const absent = [...known].filter(([name]) => !present.has(name))
    .toSorted(([a], [b]) => BY_NAME.compare(a, b));
  const removed = isWhole ? absent : [];
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
    removed: Object.fromEntries([...removedBefore, ...removedNow].slice(-MOST_REMOVED)),
  };
  const reports: DiffReport[] = [
    { part: isFull ? "list" : "changes", items: isFull ? items : changes, atMs: nowMs } as const,
    {
      part: "removed",
      items: removed.map(([name, { version }]) => removedItem(current.packageType, name, version)),
      atMs: removedAtMs,
    } as const,
  ].filter((report) => report.items.length > 0);
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
 * one that cannot be installed, then the least important one.
 */
function unchangedRow({ packageType, items }: CurrentList, reported: ReportedList): DiffReport[] {
  const removed = Object.entries(reported.removed).at(-1);
  if (removed !== undefined) {
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

const BY_NAME = new Intl.Collator("en", { numeric: true });

/** Of several items with one name (two versions side by side) the server keeps the last. */
function reportedItem(group: readonly UpdateItem[], sum: string, nowMs: number): ReportedItem {
  const row = group.at(-1) ?? null;
  const isShort = JSON.stringify(row).length <= ROW_LENGTH;
  return { version: row?.available_version ?? "", sum, atMs: nowMs, row: isShort ? row : null };
}
