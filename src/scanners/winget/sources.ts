/** Reads `winget source export`: which sources winget has. JSON in every language, an object a line. */

import * as v from "valibot";
import { decodeJson } from "../../json.ts";
import { isDebris, plainText, wingetLines } from "./lines.ts";

/** A source of winget's. */
export interface WingetSource {
  readonly name: string;
  readonly url: string | null;
  /** winget asks it only where it is named: what no list holds by itself is not missing from one. */
  readonly isExplicit: boolean;
}

/** What there is on a host of which nothing else is known. */
export const DEFAULT_SOURCES: readonly WingetSource[] = ["winget", "msstore"].map((name) => ({
  name,
  url: null,
  isExplicit: false,
}));

/** Nobody has more; each is a line of every report. */
const MOST_SOURCES = 50;

const shape = v.object({
  Name: v.pipe(v.string(), v.maxLength(200), v.transform(plainText), v.nonEmpty()),
  Arg: v.nullish(v.pipe(v.string(), v.maxLength(2_000), v.transform(plainText)), null),
  Explicit: v.nullish(v.boolean(), false),
});

/** The sources in an answer; `null` if it is not one whole list of them. */
export function parseWingetSources(stdout: string): readonly WingetSource[] | null {
  // The last line may have no end: JSON that was cut off is none.
  const { lines, dropped } = wingetLines(`${stdout}\n`);
  const objects = lines.filter((line) => !isDebris(line));
  if (dropped > 0 || objects.length === 0 || objects.length > MOST_SOURCES) return null;
  const sources = objects.map(readSource);
  return sources.every((source) => source !== null) ? sources : null;
}

function readSource(line: string): WingetSource | null {
  const read = decodeJson(shape, line);
  if (!read.ok) return null;
  const { Name: name, Arg: url, Explicit: isExplicit } = read.value;
  return { name, url, isExplicit };
}
