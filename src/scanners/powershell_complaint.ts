/** What a program on Windows complained of, as words for a person: short, and nothing but text. */

import { stripControls } from "../strip_controls.ts";

/** Told shortened: it goes to a terminal and to a server. */
const LONGEST_COMPLAINT = 300;

/** More of an output is not looked at. */
const LOOKED_AT = 65_536;

/** The first line of errors of PowerShell's form for machines, which it writes to a redirected stderr. */
const CLIXML = /<S S="Error">([^<]*)<\/S>/;

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  amp: "&",
  quot: '"',
  apos: "'",
};

/** The first line of `output` that says anything; empty if none does. */
export function describeComplaint(output: string): string {
  const head = output.slice(0, LOOKED_AT).replace(/[\0\ufeff]/g, "");
  const text = head.trimStart().startsWith("#< CLIXML") ? clixmlError(head) : head;
  const lines = text.split(/[\r\n]+/).map((line) => stripControls(line).trim());
  const line = lines.find((line) => line !== "") ?? "";
  return line.slice(0, LONGEST_COMPLAINT).toWellFormed();
}

function clixmlError(xml: string): string {
  const [, text = ""] = CLIXML.exec(xml) ?? [];
  return text
    .replace(/_x([0-9A-F]{4})_/g, (_, unit: string) => String.fromCharCode(parseInt(unit, 16)))
    .replace(/&(lt|gt|amp|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? "");
}
