/** What a program on Windows complained of, as words for a person: short, and nothing but text. */

import { quoteWords } from "../../redact.ts";
import { stripControls } from "../../strip_controls.ts";

/** Longer complaints are cut: they go to a terminal and to a server. */
const LONGEST_COMPLAINT = 300;

/** More of an output is not looked at. */
const LOOKED_AT = 65_536;

/** One piece of an error in PowerShell's form for machines, which it writes to a redirected stderr. */
const CLIXML = /<S S="Error">([^<]*)<\/S>/g;

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  amp: "&",
  quot: '"',
  apos: "'",
};

/** The line of an error that shows the code, its marks, its category and its id: `+ ...`. */
const CODE = /^\s*\+/;

/** Where in a script an error is: `At line:1 char:1`, `At C:\\x.ps1:3 char:5`. */
const POSITION = /^\s*At .+:\d+ char:\d+\s*$/;

/**
 * The same in any language (`In Zeile:1 Zeichen:1`), which a sentence may look like
 * (`10.0.0.1:8080 after 3`): it is one only right above the code, which is not indented.
 */
const MAYBE_POSITION = /[:：]\s*\d+\D{1,30}\d+\s*$/;
const CODE_BELOW = /^\+/;

/** PowerShell 7 draws a frame: `Line |`, `   1 |  code`, `     | message`. */
const FRAME_HEAD = /^\s*\p{L}+\s*\|\s*$/u;
const FRAME_CODE = /^\s*\d+\s*\|/;
const FRAME = /^\s+\|\s?/;

/** Nothing but marks below code, or the kind of an error and a colon. */
const NO_WORDS = /^[\s~^]*$|^[\p{L}.-]+:\s*$/u;

/** Widths at which Windows PowerShell breaks a line where there is no console. */
const WIDTHS: readonly number[] = [79, 80, 119, 120];

/** The id of the error with which a virus scanner (AMSI) refuses a script; the same in every language. */
const BLOCKED = /ScriptContainedMaliciousContent/;

/**
 * The first sentence of `output` that says what is wrong; empty if none does. PowerShell may print the
 * place of an error and the code there first.
 */
export function describeComplaint(output: string): string {
  const lines = textOf(output).split(/[\r\n]+/);
  const said = lines.filter((line) => stripControls(line).trim() !== "");
  const isPosition = (line: string, at: number) =>
    POSITION.test(line) || (MAYBE_POSITION.test(line) && CODE_BELOW.test(said[at + 1] ?? ""));
  const shown = said.map((line, at) => ({ line, isPlace: isPosition(line, at) }))
    .filter(({ line }) => !CODE.test(line) && !FRAME_HEAD.test(line) && !FRAME_CODE.test(line))
    .map(({ line, isPlace }) => ({
      text: stripControls(line.replace(FRAME, "")).trimEnd(),
      isPlace,
    }));
  const words = shown.map(({ text }) => text);
  const sentences = shown.filter(({ text, isPlace }) => !isPlace && !NO_WORDS.test(text))
    .map(({ text }) => text);
  const from = sentences.length > 0 ? sentences : words.length > 0 ? words : said;
  return quoteWords(unbroken(from).trim(), LONGEST_COMPLAINT);
}

/** Whether an antivirus program refused the script. */
export function isBlocked(output: string): boolean {
  return BLOCKED.test(textOf(output));
}

function textOf(output: string): string {
  const head = output.slice(0, LOOKED_AT).replace(/[\0\ufeff]/g, "");
  return head.trimStart().startsWith("#< CLIXML") ? clixmlErrors(head) : head;
}

/** The first line, and what follows of it where it was broken because it was too long. */
function unbroken(lines: readonly string[]): string {
  let text = "";
  for (const line of lines) {
    text += line;
    if (!WIDTHS.includes(line.length)) break;
  }
  return text;
}

function clixmlErrors(xml: string): string {
  const pieces = [...xml.matchAll(CLIXML)].map(([, text = ""]) =>
    text
      .replace(/_x([0-9A-F]{4})_/g, (_, unit: string) => String.fromCharCode(parseInt(unit, 16)))
      .replace(/&(lt|gt|amp|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? "")
  );
  return pieces.join("");
}
