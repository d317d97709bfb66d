/**
 * What of a scanner's list is reported to the server: what came, what changed, what waits no more, and
 * one row again where nothing did. Pure; `reported_snapshot.ts` keeps what was reported. Why so:
 * docs/decisions/0010-news.md and 0018-rows-at-the-dashboard.md.
 */

import { v5 as uuidv5 } from "uuid";
import { goneItem, type UpdateItem } from "../server/update_item.ts";
import type { PackageType } from "../update.ts";

/**
 * What the server was told of one package: the version that waits, a sum over all of it, the
 * `timestamp` of the report that named it last (ms since the Unix epoch), and its row; `null`: that is
 * too long to be kept.
 */
export type ToldItem = readonly [
  version: string,
  sum: string,
  atMs: number,
  row: UpdateItem | null,
];

/** A package that waits no more: its last version, and the `timestamp` under which that was reported. */
export type GoneItem = readonly [version: string, atMs: number];

/** What the server was told of one scanner's updates, by package name. */
export interface ToldList {
  /** When it last got the whole list, since the Unix epoch. */
  readonly fullAtMs: number;
  readonly items: Readonly<Record<string, ToldItem>>;
  /** The latest of them last, `MOST_GONE` at most. */
  readonly gone: Readonly<Record<string, GoneItem>>;
}

/** A scanner's list as it is now. */
export interface CurrentList {
  readonly packageType: PackageType;
  readonly items: readonly UpdateItem[];
  /** Whether what is not in it is known not to wait. */
  readonly isWhole: boolean;
}

/**
 * Items that are reported with one `timestamp`, by which the dashboard orders its list.
 *
 * `list`: all that wait. `changes`: what is new or changed. `gone`: what waits no more. `unchanged`:
 * one row as the server has it, because only a reported item moves its "Last scan".
 */
export interface NewsReport {
  readonly part: "list" | "changes" | "gone" | "unchanged";
  readonly items: readonly UpdateItem[];
  readonly atMs: number;
}

/** What to report, and what the server knows then. */
export interface News {
  /** None of them is empty. */
  readonly reports: readonly NewsReport[];
  /** Whether all that wait are reported, and not only what is new to the server. */
  readonly isFull: boolean;
  /** How many items are new or changed. */
  readonly changed: number;
  /** Names of packages that wait no more. */
  readonly gone: readonly string[];
  readonly told: ToldList;
}

/** The server gets a whole list at least so often, whatever became of the news in between. */
export const FULL_LIST_EVERY_MS = 24 * 3_600_000;

/** Packages that wait no more are kept in mind, so that a command about one of them has its row. */
export const MOST_GONE = 200;

/** Rows that are longer as JSON, in UTF-16 units, are not kept: some 500 CVEs fit. */
export const ROW_LENGTH = 32_768;

/** So much older than its last report a row is that waits no more: it sorts behind that report's. */
const GONE_OLDER_MS = 1_000;

/** Any fixed UUID does: sums are only compared with each other. */
const NAMESPACE = "7a2f3c86-2f0e-4d6b-9f0a-3c1f9f3f6d11";

/**
 * Compares a list with what was told; `wantsAll` asks for the whole list whatever that was.
 *
 * The server keeps one row a package name and takes no word to delete one: what waits no more is told
 * by one more item for its row (`goneItem`). Where a list is not whole, what it lacks stays told.
 */
export function findNews(
  current: CurrentList,
  before: ToldList | undefined,
  { nowMs, wantsAll }: { nowMs: number; wantsAll: boolean },
): News {
  const { items, isWhole } = current;
  const toldBefore = new Map(Object.entries(before?.items ?? {}));
  // A clock that was set back must not put the whole list off for years.
  const ageMs = before === undefined ? Infinity : Math.abs(nowMs - before.fullAtMs);
  const isFull = wantsAll || ageMs >= FULL_LIST_EVERY_MS;
  const groups = [...Map.groupBy(items, ({ package_name }) => package_name)];
  const told = new Map(groups.map(([name, group]) => {
    const known = toldBefore.get(name);
    const sum = uuidv5(JSON.stringify(group), NAMESPACE);
    const isSame = !isFull && known?.[1] === sum;
    return [name, isSame ? known : tellItem(group, sum, nowMs)] as const;
  }));
  const changes = items.filter(({ package_name: name }) =>
    toldBefore.get(name)?.[1] !== told.get(name)?.[1]
  );
  const absent = [...toldBefore].filter(([name]) => !told.has(name))
    .toSorted(([a], [b]) => BY_NAME.compare(a, b));
  const gone = isWhole ? absent : [];
  // Older than any report that named one of them, and than now, however the clock was set.
  const goneAtMs = Math.min(nowMs, ...gone.map(([, [, , atMs]]) => atMs)) - GONE_OLDER_MS;
  const goneBefore = Object.entries(before?.gone ?? {}).filter(([name]) => !told.has(name));
  const goneNow = gone.map(([name, [version]]) => [name, [version, goneAtMs]] as const);
  const toldNow: ToldList = {
    fullAtMs: isFull ? nowMs : before?.fullAtMs ?? nowMs,
    items: Object.fromEntries([...(isWhole ? [] : absent), ...told]),
    gone: Object.fromEntries([...goneBefore, ...goneNow].slice(-MOST_GONE)),
  };
  const reports: NewsReport[] = [
    { part: isFull ? "list" : "changes", items: isFull ? items : changes, atMs: nowMs } as const,
    {
      part: "gone",
      items: gone.map(([name, [version]]) => goneItem(current.packageType, name, version)),
      atMs: goneAtMs,
    } as const,
  ].filter((report) => report.items.length > 0);
  return {
    reports: reports.length > 0 ? reports : unchanged(current, toldNow),
    isFull,
    changed: changes.length,
    gone: gone.map(([name]) => name),
    told: toldNow,
  };
}

/**
 * One row as the server has it, with its own `timestamp`, so that it keeps its place. The server sets
 * a row that is reported back to pending, an approved one too: one that waits no more is best, since
 * nobody approves it, then one that cannot be installed, then the least important one.
 */
function unchanged({ packageType, items }: CurrentList, told: ToldList): NewsReport[] {
  const gone = Object.entries(told.gone).at(-1);
  if (gone !== undefined) {
    const [name, [version, atMs]] = gone;
    return [{ part: "unchanged", items: [goneItem(packageType, name, version)], atMs }];
  }
  const chosen = items.find(({ metadata }) => metadata["state"] !== "upgradable") ?? items[0];
  if (chosen === undefined) {
    // A list with gaps, of which the server knows more than is in it.
    return Object.values(told.items).flatMap(([, , atMs, row]): NewsReport[] =>
      row === null ? [] : [{ part: "unchanged", items: [row], atMs }]
    ).slice(0, 1);
  }
  const { package_name: name } = chosen;
  // Of several with one name the server has the last.
  const item = items.findLast(({ package_name }) => package_name === name) ?? chosen;
  return [{ part: "unchanged", items: [item], atMs: told.items[name]![2] }];
}

const BY_NAME = new Intl.Collator("en", { numeric: true });

/** Of several items with one name (two versions side by side) the server keeps the last. */
function tellItem(group: readonly UpdateItem[], sum: string, nowMs: number): ToldItem {
  const row = group.at(-1) ?? null;
  const isShort = JSON.stringify(row).length <= ROW_LENGTH;
  return [row?.available_version ?? "", sum, nowMs, isShort ? row : null];
}
