/**
 * Names of Windows' updates. A name is made of ids alone: titles hold versions and channels, and are in
 * the host's language, and a server that goes by the name would have a new package every day. Pure.
 */

import { quoteWords } from "../redact.ts";
import { compareNumbers } from "./number_order.ts";
import type { WinupdateItem } from "./winupdate_answer.ts";
import { classOf } from "./winupdate_class.ts";

/** Longer names are cut; a hardware id is shorter. */
const LONGEST_NAME = 300;

/**
 * The KB numbers of an update. WSUS publishers give numbers of their own, and words; those are no
 * articles of Microsoft's. Where the agent tells none, a title may have one.
 */
export function kbsOf(item: WinupdateItem): string[] {
  const ids = item.kb.map((id) => id.replace(/^KB/i, "")).filter((id) => /^\d{4,9}$/.test(id));
  if (ids.length > 0) return [...new Set(ids)].map((id) => `KB${id}`);
  const inTitle = isDriver(item) ? undefined : kbInTitle(item);
  return inTitle === undefined ? [] : [inTitle];
}

function isDriver({ categories, type }: WinupdateItem): boolean {
  return classOf(categories, type) === "drivers";
}

/** The only number in a title, which is the same in every language. */
function kbInTitle({ title }: WinupdateItem): string | undefined {
  const found = new Set([...title.matchAll(/\bKB(\d{6,8})(?!\d)/gi)].map(([, id]) => `KB${id}`));
  return found.size === 1 ? [...found][0] : undefined;
}

/**
 * The name of the package that an update is of:
 *
 * - its KB number alone, which updates of one KB for several products share;
 * - of a driver its provider, model (or class) and hardware id;
 * - else the beginning of its own id, which a new revision keeps. Definitions without a KB number have
 *   another id each time, and one name for all.
 */
export function nameOf(item: WinupdateItem): string {
  const [kb] = kbsOf(item);
  if (kb !== undefined) return kb;
  const driver = driverName(item);
  if (driver !== "") return driver;
  if (classOf(item.categories, item.type) === "definitions") return "Definition updates";
  return `Update ${item.id.replace("{", "").slice(0, 8).toLowerCase()}`;
}

function driverName({ driver }: WinupdateItem): string {
  if (driver === null) return "";
  const { provider, model, hardwareId } = driver;
  const words = [provider, model || driver.class].filter((word) => word !== "").join(" ");
  const id = hardwareId.toUpperCase();
  const name = words !== "" && id !== "" ? `${words} [${id}]` : words || id;
  return quoteWords(name, LONGEST_NAME);
}

/** A version in brackets in a title, whatever the word before it: `(Version 1.421.100.0)`. */
const VERSION = /\([^()\d]*(\d+(?:\.\d+){2,5})[^()]*\)/;

/** The version in a title; `null` if there is none. */
export function versionInTitle(title: string): readonly number[] | null {
  const [, version] = VERSION.exec(title) ?? [];
  return version === undefined ? null : version.split(".").map(Number);
}

/** Whether `a` is the newer of two updates of one name. The order does not depend on their places. */
export function isNewer(a: WinupdateItem, b: WinupdateItem): boolean {
  const [one, other] = [versionInTitle(a.title), versionInTitle(b.title)];
  const order = (one && other ? compareNumbers(one, other) : 0) ||
    compareTexts(a.deployed, b.deployed) || a.revision - b.revision || compareTexts(b.id, a.id);
  return order > 0;
}

function compareTexts(a: string, b: string): number {
  return Number(a > b) - Number(a < b);
}
