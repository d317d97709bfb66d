/** Extracts the error message from the output of PowerShell, as short plain text. */

import { quoteWords } from "../../redact.ts";
import { stripControls } from "../../strip_controls.ts";

/** Longer messages are truncated: they go to a terminal and to the server. */
const MAX_SENTENCE_LENGTH = 300;

/** Characters of an output that are searched. */
const MAX_SEARCHED = 65_536;

/** One piece of an error in CLIXML, which PowerShell writes to a redirected stderr. */
const CLIXML = /<S S="Error">([^<]*)<\/S>/g;

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  amp: "&",
  quot: '"',
  apos: "'",
};

/** A line of an error that shows the code, its underline, its category or its id: `+ ...`. */
const CODE = /^\s*\+/;

/** The position of an error in a script: `At line:1 char:1`, `At C:\\x.ps1:3 char:5`. */
const POSITION = /^\s*At .+:\d+ char:\d+\s*$/;

/**
 * The position in any language (`In Zeile:1 Zeichen:1`). A sentence can look the same
 * (`10.0.0.1:8080 after 3`): it is a position only directly above the code, which is not indented.
 */
const MAYBE_POSITION = /[:：]\s*\d+\D{1,30}\d+\s*$/;
const CODE_BELOW = /^\+/;

/** PowerShell 7 draws a frame: `Line |`, `   1 |  code`, `     | message`. */
const FRAME_HEAD = /^\s*\p{L}+\s*\|\s*$/u;
const FRAME_CODE = /^\s*\d+\s*\|/;
const FRAME = /^\s+\|\s?/;

/** Only an underline below code, or the type of an error and a colon. */
const NO_WORDS = /^[\s~^]*$|^[\p{L}.-]+:\s*$/u;

/** Widths at which Windows PowerShell breaks a line when it has no console. */
const WIDTHS: readonly number[] = [79, 80, 119, 120];

/** The id of the error with which an antivirus program (AMSI) refuses a script, in every language. */
const BLOCKED = /ScriptContainedMaliciousContent/;

/**
 * Returns the first sentence of `output` that describes the error; empty if there is none. PowerShell
 * may print the position of the error and the code there first.
 */
export function firstErrorSentence(output: string): string {
  const lines = textOf(output).split(/[\r\n]+/);
  const printed = lines.filter((line) => stripControls(line).trim() !== "");
  const looksLikePosition = (line: string, at: number) =>
    POSITION.test(line) || (MAYBE_POSITION.test(line) && CODE_BELOW.test(printed[at + 1] ?? ""));
  const shown = printed.map((line, at) => ({ line, isPosition: looksLikePosition(line, at) }))
    .filter(({ line }) => !CODE.test(line) && !FRAME_HEAD.test(line) && !FRAME_CODE.test(line))
    .map(({ line, isPosition }) => ({
      text: stripControls(line.replace(FRAME, "")).trimEnd(),
      isPosition,
    }));
  const words = shown.map(({ text }) => text);
  const sentences = shown.filter(({ text, isPosition }) => !isPosition && !NO_WORDS.test(text))
    .map(({ text }) => text);
  const from = sentences.length > 0 ? sentences : words.length > 0 ? words : printed;
  return quoteWords(joinBroken(from).trim(), MAX_SENTENCE_LENGTH);
}

/** Whether the output says that an antivirus program refused the script. */
export function isAntivirusRefusal(output: string): boolean {
  return BLOCKED.test(textOf(output));
}

function textOf(output: string): string {
  const head = output.slice(0, MAX_SEARCHED).replace(/[\0\ufeff]/g, "");
  return head.trimStart().startsWith("#< CLIXML") ? clixmlErrors(head) : head;
}

/** The first line, joined with the lines after it as long as PowerShell broke them at its width. */
function joinBroken(lines: readonly string[]): string {
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
