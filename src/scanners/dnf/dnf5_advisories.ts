/** Reads what dnf 5 tells of advisories: `advisory list` and `advisory info`, in JSON or as a table. */

import * as v from "valibot";
import {
  type AdvisoryDetails,
  type AdvisoryRow,
  isAdvisoryId,
  isCve,
  mentionedCves,
  readSeverity,
} from "./advisories.ts";
import { isDnfChatter } from "./chatter.ts";
import { findJson } from "./dnf5_json.ts";
import { outputLines } from "../output_lines.ts";
import { type PackageList, parseNevra } from "./rpm_packages.ts";

const id = v.pipe(v.string(), v.transform((told) => told.trim()), v.check(isAdvisoryId));

const listedAdvisory = v.object({
  name: id,
  type: v.string(),
  severity: v.fallback(v.string(), ""),
  nevra: v.string(),
});

/** Reads `advisory list --json` (5.2.4 and later); `undefined` if it is no list. */
export function parseDnf5Advisories(text: string): PackageList<AdvisoryRow> | undefined {
  const list = findJson(text);
  if (!Array.isArray(list)) return undefined;
  const packages = list.map((item) => {
    const result = v.safeParse(listedAdvisory, item);
    if (!result.success) return undefined;
    const { name, type, severity, nevra } = result.output;
    return advisoryRow(name, type, severity, nevra);
  }).filter((row) => row !== undefined);
  return { packages, unparsed: list.length - packages.length };
}

const TYPES = new Set([
  "security",
  "bugfix",
  "enhancement",
  "newpackage",
  "recommended",
  "optional",
]);

/** A longer line is no row. */
const LONGEST_ROW = 4_000;

/** Reads the table of `advisory list`: `name type severity package date time`. */
export function parseDnf5AdvisoryTable(text: string): PackageList<AdvisoryRow> {
  const { lines, dropped } = outputLines(text);
  // A line without a day and a time is a sentence, and no row.
  const told = lines.filter((line) =>
    line.length <= LONGEST_ROW && !isDnfChatter(line) &&
    / \d{4}-\d\d-\d\d +\d\d:\d\d:\d\d\s*$/.test(line)
  );
  const packages = told.map((line) => {
    const words = line.trim().split(/\s+/).slice(0, -2);
    const nevra = words.at(-1) ?? "";
    // An id may hold blanks: what is known to be a type ends it.
    const known = words.findIndex((word, index) => index > 0 && TYPES.has(word.toLowerCase()));
    const at = Math.max(1, known);
    const name = words.slice(0, at).join(" ");
    if (!isAdvisoryId(name)) return undefined;
    return advisoryRow(name, words[at] ?? "", words.slice(at + 1, -1).join(" "), nevra);
  }).filter((row) => row !== undefined);
  return { packages, unparsed: dropped + told.length - packages.length };
}

function advisoryRow(
  id: string,
  type: string,
  severity: string,
  nevra: string,
): AdvisoryRow | undefined {
  const package_ = parseNevra(nevra);
  if (!package_) return undefined;
  const isSecurity = type.toLowerCase() === "security";
  // How important a bug is says nothing of a hole.
  return { id, isSecurity, ...readSeverity(isSecurity ? severity : ""), package: package_ };
}

const text = v.fallback(v.string(), "");

const describedAdvisory = v.object({
  Name: id,
  Title: text,
  Description: text,
  Severity: text,
  references: v.fallback(
    v.array(v.object({ Title: text, Id: text })),
    [],
  ),
});

/**
 * Reads `advisory info --json` (5.2.9 and later): a list, before 5.3 an object by the advisories'
 * names; `undefined` if it is neither.
 */
export function parseDnf5AdvisoryDetails(text: string): AdvisoryDetails[] | undefined {
  const told = v.safeParse(v.looseObject({}), findJson(text));
  if (!told.success) return undefined;
  return Object.values(told.output).flatMap((item) => {
    const result = v.safeParse(describedAdvisory, item);
    if (!result.success) return [];
    const { Name, Title, Description, Severity, references } = result.output;
    const listed = references.filter(({ Id }) => isCve(Id));
    const texts = [Title, Description, ...references.map(({ Title }) => Title)];
    return [{
      id: Name,
      ...readSeverity(Severity),
      listed: [...new Set(listed.map(({ Id }) => Id))],
      mentioned: mentionedCves(texts.join("\n")),
    }];
  });
}
