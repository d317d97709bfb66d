/** Feeds one parser with damaged texts, and with lines that are far too long. */

import fc from "fast-check-unseeded";
import { ScanError } from "../../src/scanners/scanner.ts";
import { hasControls } from "../../src/strip_controls.ts";
import { mutated } from "./mutate.ts";
import type { Parser } from "./parsers.ts";

/** What came of one parser. */
export interface FuzzResult {
  readonly name: string;
  readonly cases: number;
  /** What went wrong, with the seed to see it again; `null`: nothing. */
  readonly failure: string | null;
  readonly tookMs: number;
}

const LONG_LINE = 10_000_000;

/** A parser may take so long over one. */
export const LONGEST_LINE_MS = 5_000;

export interface FuzzOptions {
  readonly cases: number;
  /** Fewer cases, where more would take longer than this. */
  readonly seconds?: number | undefined;
  readonly seed?: number | undefined;
}

/** Runs `cases` damaged texts; a parser may throw `ScanError`, and must let nothing steering through. */
export function fuzzParser(
  parser: Parser,
  texts: readonly string[],
  { cases, seconds, seed }: FuzzOptions,
): FuzzResult {
  const startedMs = performance.now();
  const run = fc.check(fc.property(mutated(texts), (text) => look(parser, text)), {
    numRuns: cases,
    ...(seed !== undefined && { seed }),
    ...(seconds !== undefined && { interruptAfterTimeLimit: seconds * 1_000 }),
  });
  const tookMs = performance.now() - startedMs;
  const failure = run.failed
    ? `seed ${run.seed}: ${JSON.stringify(run.counterexample)}: ${run.errorInstance}`
    : null;
  return { name: parser.name, cases: run.numRuns, failure, tookMs };
}

/**
 * The longest that the parser takes over a line of 10 million characters. One that takes longer than
 * `LONGEST_LINE_MS` is tried twice more, and the shortest time counts: the machine may have other work.
 */
export function longestLineMs(parser: Parser, texts: readonly string[]): number {
  const times = longLines(texts).map((line) => {
    let bestMs = Infinity;
    for (let tries = 0; tries < 3 && bestMs > LONGEST_LINE_MS; tries++) {
      bestMs = Math.min(bestMs, timeOf(() => look(parser, line)));
    }
    return bestMs;
  });
  return Math.max(...times);
}

function look(parser: Parser, text: string): void {
  try {
    const found = steeringText(parser.parse(text));
    if (found !== null) throw new Error(`lets through ${JSON.stringify(found)}`);
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
    if (hasControls(error.message, "\n\t")) {
      throw new Error(`its error lets through ${JSON.stringify(error.message)}`);
    }
  }
}

/** A text anywhere in a value that could steer; `null`: none. */
export function steeringText(value: unknown): string | null {
  if (typeof value === "string") return hasControls(value, "\n\t") ? value : null;
  if (value instanceof Map) return steeringText([...value]);
  if (typeof value !== "object" || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const found = steeringText(key) ?? steeringText(inner);
    if (found !== null) return found;
  }
  return null;
}

/** Lines that a careless pattern takes for ever over: of one character, and of the fixtures' own. */
function longLines(texts: readonly string[]): string[] {
  const units = [" ", "a", "0", "-", "(", "[", "a ", "a:", "(1 ", "[a] ", "a=b,", "…", "装"];
  const own = texts.flatMap((text) => text.split("\n").slice(0, 3)).filter((line) => line !== "");
  return [...units, ...own.slice(0, 6)].map((unit) =>
    `${unit.repeat(Math.ceil(LONG_LINE / unit.length))}\n`
  );
}

function timeOf(work: () => void): number {
  const startedMs = performance.now();
  work();
  return performance.now() - startedMs;
}
