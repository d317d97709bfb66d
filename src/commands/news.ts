/**
 * What of a scanner's list is news to the server: what came, what changed, and what waits no more.
 * Pure; `told_updates.ts` keeps what was told.
 */

import { v5 as uuidv5 } from "uuid";
import { goneItem, type PackageType, type UpdateItem } from "../server/update_item.ts";

/** What the server was told of one package: the version that waits, and a sum over all of it. */
export type ToldItem = readonly [version: string, sum: string];

/** What the server was told of one scanner's updates, by package name. */
export interface ToldList {
  /** When it last got the whole list, since the Unix epoch. */
  readonly fullAtMs: number;
  readonly items: Readonly<Record<string, ToldItem>>;
}

/** A scanner's list as it is now. */
export interface CurrentList {
  readonly packageType: PackageType;
  readonly items: readonly UpdateItem[];
  /** Whether what is not in it is known not to wait. */
  readonly isWhole: boolean;
}

/** What to tell, and what the server knows then. */
export interface News {
  /** Whether these are all that wait, and not only what is new to the server. */
  readonly isFull: boolean;
  readonly items: readonly UpdateItem[];
  /** Names of packages that wait no more; the last of `items` say so. */
  readonly gone: readonly string[];
  readonly told: ToldList;
}

/** The server gets a whole list at least so often, whatever became of the news in between. */
export const FULL_LIST_EVERY_MS = 24 * 3_600_000;

/** Any fixed UUID does: sums are only compared with each other. */
const NAMESPACE = "7a2f3c86-2f0e-4d6b-9f0a-3c1f9f3f6d11";

/**
 * Compares a list with what was told; `wantsAll` asks for the whole list whatever that was.
 *
 * The server keeps one row a package name and takes no word to delete one: what waits no more is told
 * by one more item for its row (`goneItem`). Where a list is not whole, what it lacks stays told.
 */
export function findNews(
  { packageType, items, isWhole }: CurrentList,
  before: ToldList | undefined,
  { nowMs, wantsAll }: { nowMs: number; wantsAll: boolean },
): News {
  const toldBefore = new Map(Object.entries(before?.items ?? {}));
  const groups = Map.groupBy(items, ({ package_name }) => package_name);
  const told = new Map([...groups].map(([name, group]) => [name, toldOf(group)] as const));
  const absent = [...toldBefore].filter(([name]) => !told.has(name))
    .toSorted(([a], [b]) => BY_NAME.compare(a, b));
  const gone = isWhole ? absent : [];
  // A clock that was set back must not put the whole list off for years.
  const ageMs = before === undefined ? Infinity : Math.abs(nowMs - before.fullAtMs);
  const isFull = wantsAll || ageMs >= FULL_LIST_EVERY_MS;
  const isNews = ({ package_name }: UpdateItem) =>
    toldBefore.get(package_name)?.[1] !== told.get(package_name)?.[1];
  return {
    isFull,
    items: [
      ...(isFull ? items : items.filter(isNews)),
      ...gone.map(([name, [version]]) => goneItem(packageType, name, version)),
    ],
    gone: gone.map(([name]) => name),
    told: {
      fullAtMs: isFull ? nowMs : before?.fullAtMs ?? nowMs,
      items: Object.fromEntries([...(isWhole ? [] : absent), ...told]),
    },
  };
}

const BY_NAME = new Intl.Collator("en", { numeric: true });

/** Of several items with one name (two versions side by side) the server keeps the last. */
function toldOf(group: readonly UpdateItem[]): ToldItem {
  return [group.at(-1)?.available_version ?? "", uuidv5(JSON.stringify(group), NAMESPACE)];
}
