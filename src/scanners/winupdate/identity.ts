/**
 * Names of Windows' updates. A name is made of ids as far as there are any: titles hold versions and
 * channels, and are in the host's language, and a server that goes by the name would have a new package
 * every day. What has a title alone is called by that without its versions. Pure.
 */

import { quoteWords } from "../../redact.ts";
import { compareNumbers } from "../number_order.ts";
import type { WinupdateItem } from "./answer.ts";
import { classOf } from "./class.ts";

/** Longer names are cut; a hardware id is shorter. */
const LONGEST_NAME = 300;

/** More of a title says nothing more of what it is. */
const LONGEST_TITLE = 500;

/**
 * The KB numbers of an update, the lowest first: the agent keeps no order. WSUS publishers give numbers
 * of their own, and words; those are no articles of Microsoft's. Where the agent tells none, a title
 * may have one.
 */
export function kbsOf(item: WinupdateItem): string[] {
  const ids = item.kb.map((id) => id.replace(/^KB[\s-]*/i, "").trim())
    .filter((id) => /^\d{4,9}$/.test(id));
  if (ids.length > 0) return inOrder(ids);
  const inTitle = isDriver(item) ? [] : kbsInTitle(item);
  return inTitle.length === 1 ? inTitle : [];
}

function inOrder(ids: readonly string[]): string[] {
  const numbers = new Set(ids.map(Number));
  return [...numbers].toSorted((a, b) => a - b).map((number) => `KB${number}`);
}

function isDriver({ categories, type }: WinupdateItem): boolean {
  return classOf(categories, type) === "drivers";
}

/** The numbers in a title, which are the same in every language. */
function kbsInTitle({ title }: WinupdateItem): string[] {
  return inOrder([...title.matchAll(/\bKB[\s-]?(\d{6,8})(?!\d)/gi)].map(([, id = ""]) => id));
}

/**
 * The name of the package that an update is of:
 *
 * - its lowest KB number alone, which updates of one KB for several products share;
 * - of a driver its class and hardware id, since who made it and what it is called are words that
 *   change; without a hardware id these words, without versions;
 * - of definitions without a KB number, which have another id each time, one name for all;
 * - else its title without the versions in brackets and without dates, which a new version of it keeps;
 *   not if that is one word, or holds a version still: `.NET 8.0.4` may be a product or a version of one;
 * - else the beginning of its own id, which a new revision keeps.
 */
export function nameOf(item: WinupdateItem): string {
  const [kb] = kbsOf(item);
  if (kb !== undefined) return kb;
  const driver = driverName(item);
  if (driver !== "") return driver;
  if (classOf(item.categories, item.type) === "definitions") return "Definition updates";
  const title = nameInTitle(item);
  return title !== "" ? title : `Update ${item.id.replace("{", "").slice(0, 8).toLowerCase()}`;
}

function driverName({ driver }: WinupdateItem): string {
  if (driver === null) return "";
  const id = driver.hardwareId.toUpperCase();
  const kind = driver.class.toUpperCase();
  const words = `${driver.provider} ${driver.model || driver.class}`;
  const name = id === "" ? unversioned(words, VERSIONS) : kind === "" ? id : `${kind} [${id}]`;
  return quoteWords(name, LONGEST_NAME);
}

/** Empty where that says nothing of what the update is, or may not be the same in the next version. */
function nameInTitle(item: WinupdateItem): string {
  const title = item.title.slice(0, LONGEST_TITLE);
  // Of several KB numbers each may be what the update is, or what it replaces.
  if (!isDriver(item) && kbsInTitle(item).length > 0) return "";
  const name = isDriver(item) ? unversioned(title, VERSIONS) : unversioned(title);
  const words = name.split(/[\s()]+/).filter((word) => /\p{L}/u.test(word));
  return words.length < 2 || /\d\.\d+\.\d/.test(name) ? "" : quoteWords(name, LONGEST_NAME);
}

/** A pair of brackets with a version in it: `(Build 119.0.2151.58)`. */
const BRACKETS = /[([（【][^()[\]（）【】]*\d\.\d[^()[\]（）【】]*[)\]）】]/g;
const VERSIONS = /(?<![\p{L}\d.])v?\d+(?:\.\d+)+/giu;
const DATES = /(?<![\p{L}\d.-])\d{4}-\d{2}(?:-\d{2})?(?![\p{L}\d.-])/gu;
const NUMBERS = /(?<![\p{L}\d.-])\d+(?![\p{L}\d.-])/gu;

/**
 * A text without the versions in brackets and what else is one, without the number that one of them
 * begins with ("Version 119"), and without dates. `25H2` is no version in this sense: two of them are
 * two products.
 */
function unversioned(text: string, others?: RegExp): string {
  const majors = new Set<string>();
  const drop = (part: string) => {
    const [major = ""] = /\d+(?=\.\d)/.exec(part) ?? [];
    majors.add(major);
    return " ";
  };
  const outside = text.replace(BRACKETS, drop);
  return (others ? outside.replace(others, drop) : outside).replace(DATES, " ")
    .replace(NUMBERS, (number) => majors.has(number) ? " " : number)
    .replace(/\s+/g, " ").replace(/^[\s,;:–—-]+|[\s,;:–—-]+$/g, "");
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
