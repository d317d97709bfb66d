/** Reads what dnf 4 tells of advisories: `updateinfo list` and `updateinfo info`. */

import { type AdvisoryDetails, type AdvisoryRow, isCve, mentionedCves } from "./advisories.ts";
import { isAdvisoryId, readSeverity } from "./advisories.ts";
import { isDnfChatter } from "./chatter.ts";
import { outputLines } from "../output_lines.ts";
import { type PackageList, parseNevra } from "./rpm_packages.ts";

/** What dnf 4 writes for advisories that are not about security. */
const OTHER_TYPES = new Set(["bugfix", "enhancement", "newpackage", "unknown"]);

const SECURITY_SUFFIX = "/Sec.";

/**
 * Reads rows `id type package`. Ids are in nobody's scheme, and may hold blanks; dnf's word for the
 * type holds none. A line that has neither a type nor a package is a sentence, and no row.
 */
export function parseDnf4Advisories(text: string): PackageList<AdvisoryRow> {
  const { lines, dropped } = outputLines(text);
  const rows = lines.filter((line) => !isDnfChatter(line)).map(splitRow)
    .filter(({ type, nevra }) => isType(type) || nevra !== undefined);
  const packages = rows.map(readRow).filter((row) => row !== undefined);
  return { packages, unparsed: dropped + rows.length - packages.length };
}

function splitRow(line: string) {
  const words = line.trim().split(/\s+/);
  const nevra = parseNevra(words.at(-1) ?? "");
  return { id: words.slice(0, -2).join(" "), type: words.at(-2) ?? "", nevra };
}

function isType(type: string): boolean {
  return type.endsWith(SECURITY_SUFFIX) || OTHER_TYPES.has(type);
}

function readRow({ id, type, nevra }: ReturnType<typeof splitRow>): AdvisoryRow | undefined {
  if (!nevra || !isType(type) || !isAdvisoryId(id)) return undefined;
  const isSecurity = type.endsWith(SECURITY_SUFFIX);
  const word = isSecurity ? type.slice(0, -SECURITY_SUFFIX.length) : "";
  return { id, isSecurity, ...readSeverity(word), package: nevra };
}

/** An advisory that is being read. */
interface Block {
  readonly id: string;
  /** Of the field that the last line belonged to. */
  label: string;
  severity: string;
  readonly listed: string[];
  readonly texts: string[];
}

/** Labels stand right-aligned before a colon in this column; a line without one goes on. */
const COLON = 11;

/**
 * Reads blocks of `label: text` lines, each under a title between two rules. What belongs to no
 * block is passed over: the rows above tell which advisories there are.
 */
export function parseDnf4AdvisoryDetails(text: string): AdvisoryDetails[] {
  const found: AdvisoryDetails[] = [];
  let title = "";
  let block: Block | undefined;
  const end = () => {
    if (block) {
      const { id, severity, listed, texts } = block;
      const mentioned = mentionedCves(texts.join("\n"));
      found.push({ id, ...readSeverity(severity), listed, mentioned });
    }
    block = undefined;
  };
  for (const line of outputLines(text).lines) {
    const label = line.slice(0, COLON).trim();
    const isField = line[COLON] === ":" && /^\s*[A-Z]?[A-Za-z ]*$/.test(line.slice(0, COLON));
    // The cut may fall between the halves of a character.
    const value = line.slice(COLON + 2).toWellFormed();
    if (/^={79}$/.test(line)) end();
    else if (!isField) title = line;
    else if (label === "Update ID") {
      end();
      const id = value.trim().replace(/\s+/g, " ");
      if (isAdvisoryId(id)) block = { id, label, severity: "", listed: [], texts: [title] };
      title = "";
    } else if (block) {
      block.label = label || block.label;
      if (label === "Severity") block.severity = value;
      if (block.label === "CVEs" && isCve(value.trim())) block.listed.push(value.trim());
      if (block.label === "Bugs" || block.label === "Description") block.texts.push(value);
    }
  }
  end();
  return found;
}
