/**
 * Package names for Windows updates, and their order. A name consists of ids where possible: titles
 * contain versions and channels and are in the host's language, so that a server would see a new
 * package every day. An update that has only a title is named by that, without its versions. Pure.
 */

import { quoteWords } from "../../redact.ts";
import { compareTexts, compareVersionNumbers } from "../programs.ts";
import type { WinupdateItem } from "./search.ts";
import { classOf } from "./sources.ts";

/** Longer names are truncated; a hardware id is shorter. */
const MAX_NAME_LENGTH = 300;

/** Characters of a title that count. */
const MAX_TITLE_LENGTH = 500;

/**
 * The KB numbers of an update in ascending order: the agent's order varies. WSUS publishers use other
 * numbers, and words, which are not articles of Microsoft. Without a number from the agent, the title
 * may contain one.
 */
export function kbsOf(item: WinupdateItem): string[] {
  const ids = item.kb.map((id) => id.replace(/^KB[\s-]*/i, "").trim())
    .filter((id) => /^\d{4,9}$/.test(id));
  if (ids.length > 0) return sortedKbs(ids);
  const inTitle = isDriver(item) ? [] : kbsInTitle(item);
  return inTitle.length === 1 ? inTitle : [];
}

function sortedKbs(ids: readonly string[]): string[] {
  const numbers = new Set(ids.map(Number));
  return [...numbers].toSorted((a, b) => a - b).map((number) => `KB${number}`);
}

function isDriver({ categories, type }: WinupdateItem): boolean {
  return classOf(categories, type) === "drivers";
}

/** The KB numbers in a title, which are the same in every language. */
function kbsInTitle({ title }: WinupdateItem): string[] {
  return sortedKbs([...title.matchAll(/\bKB[\s-]?(\d{6,8})(?!\d)/gi)].map(([, id = ""]) => id));
}

/**
 * The package name of an update:
 *
 * - the lowest KB number, which updates of one KB for several products share;
 * - for a driver its class and hardware id, because its provider and model are words that change;
 *   without a hardware id these words, without versions;
 * - for definitions without a KB number, whose id changes every time, one name for all;
 * - else the title without versions in brackets and without dates, which is the same for its next
 *   version; but not one word, or a title that still contains a version: `.NET 8.0.4` can be a product
 *   or a version;
 * - else the beginning of the update's id, which is the same for its next revision.
 */
export function packageNameOf(item: WinupdateItem): string {
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
  const name = id === "" ? withoutVersions(words, VERSIONS) : kind === "" ? id : `${kind} [${id}]`;
  return quoteWords(name, MAX_NAME_LENGTH);
}

/** Empty if the title does not identify the update, or can change with its next version. */
function nameInTitle(item: WinupdateItem): string {
  const title = item.title.slice(0, MAX_TITLE_LENGTH);
  // With several KB numbers each can be the update, or what it replaces.
  if (!isDriver(item) && kbsInTitle(item).length > 0) return "";
  const name = isDriver(item) ? withoutVersions(title, VERSIONS) : withoutVersions(title);
  const words = name.split(/[\s()]+/).filter((word) => /\p{L}/u.test(word));
  return words.length < 2 || /\d\.\d+\.\d/.test(name) ? "" : quoteWords(name, MAX_NAME_LENGTH);
}

/** Brackets that contain a version: `(Build 119.0.2151.58)`. */
const BRACKETS = /[([（【][^()[\]（）【】]*\d\.\d[^()[\]（）【】]*[)\]）】]/g;
const VERSIONS = /(?<![\p{L}\d.])v?\d+(?:\.\d+)+/giu;
const DATES = /(?<![\p{L}\d.-])\d{4}-\d{2}(?:-\d{2})?(?![\p{L}\d.-])/gu;
const NUMBERS = /(?<![\p{L}\d.-])\d+(?![\p{L}\d.-])/gu;

/**
 * Removes versions in brackets, matches of `others`, numbers that one of these versions begins with
 * ("Version 119"), and dates. `25H2` is not a version here: two of them are two products.
 */
function withoutVersions(text: string, others?: RegExp): string {
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

/** A version in brackets, after any word: `(Version 1.421.100.0)`. */
const VERSION = /\([^()\d]*(\d+(?:\.\d+){2,5})[^()]*\)/;

export function versionInTitle(title: string): readonly number[] | null {
  const [, version] = VERSION.exec(title) ?? [];
  return version === undefined ? null : version.split(".").map(Number);
}

/** Whether `a` is the newer of two updates of one name; a total order. */
export function isNewer(a: WinupdateItem, b: WinupdateItem): boolean {
  const [one, other] = [versionInTitle(a.title), versionInTitle(b.title)];
  const order = (one && other ? compareVersionNumbers(one, other) : 0) ||
    compareTexts(a.deployed, b.deployed) || a.revision - b.revision || compareTexts(b.id, a.id);
  return order > 0;
}
