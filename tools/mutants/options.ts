/** The command line of the mutation run: what is to be done, or what is wrong with it. */

import { parseArgs } from "@std/cli/parse-args";

/** What is to be run. */
export interface Options {
  /** `null`: taken from the commit, so that each commit tries other mutations. */
  readonly seed: number | null;
  readonly count: number;
  /** Only sources whose path begins like this. */
  readonly only: string;
  readonly jobs: number;
  /** The score to reach, in per cent. */
  readonly goal: number;
  /** Where the whole result goes, as JSON. */
  readonly jsonFile: string | null;
  /** Only say which mutations there would be. */
  readonly isListing: boolean;
}

/** How to use it. */
export const USAGE = `Usage: deno task mutants [options]
  --count N     about how many mutations; default 300
  --seed N      which ones; default 1
  --only PATH   only sources below this path, as in --only src/buffer
  --jobs N      how many at a time; default 2
  --goal N      the score to reach, in per cent; default 90
  --json FILE   write everything there, too
  --list        show the mutations and run nothing
  --rotate      the share of one commit in CI: its seed comes from the commit, and 60 mutations
                take about four minutes on two cores`;

/** The mutations of a rotating part. */
const ROTATING_COUNT = 60;

/** Reads the arguments: options, or what is wrong with them; `null`: help is wanted. */
export function readOptions(args: readonly string[]): Options | string | null {
  const strange: string[] = [];
  const flags = parseArgs([...args], {
    string: ["count", "seed", "only", "jobs", "goal", "json"],
    boolean: ["list", "rotate", "help"],
    unknown: (argument) => strange.push(argument) === 0,
  });
  if (flags["help"]) return null;
  if (strange.length > 0) return `no such argument "${strange[0]}"`;
  const isRotating = flags["rotate"] === true;
  if (isRotating && flags["seed"] !== undefined) return "--rotate takes its seed from the commit";
  try {
    const number = (name: string, fallback: number, range: readonly [number, number]) =>
      wholeNumber(flags[name], { name, fallback, range });
    const seed = number("seed", 1, [0, 2 ** 32 - 1]);
    return {
      seed: isRotating ? null : seed,
      count: number("count", isRotating ? ROTATING_COUNT : 300, [1, 1_000_000]),
      only: String(flags["only"] ?? "src/"),
      jobs: number("jobs", 2, [1, 64]),
      goal: number("goal", 90, [0, 100]),
      jsonFile: flags["json"] === undefined ? null : String(flags["json"]),
      isListing: flags["list"] === true,
    };
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

function wholeNumber(
  text: unknown,
  { name, fallback, range: [least, most] }: {
    name: string;
    fallback: number;
    range: readonly [least: number, most: number];
  },
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (/^\d+$/.test(String(text)) && value >= least && value <= most) return value;
  throw new RangeError(`--${name} is "${text}", not a whole number from ${least} to ${most}`);
}
