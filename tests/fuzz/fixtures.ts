/** The captured texts that a parser's fuzzing begins from. */

import type { Parser } from "./parsers.ts";

/** All that fit; throws if there are none, since nothing would be tested then. */
export function fixturesOf({ name, tool, fixtures }: Parser): string[] {
  const folder = new URL(`../fixtures/${tool}/`, import.meta.url);
  const texts = [...Deno.readDirSync(folder)]
    .filter((entry) => entry.isFile && fixtures.test(entry.name))
    .map((entry) => Deno.readTextFileSync(new URL(entry.name, folder)));
  if (texts.length === 0) throw new Error(`Cannot fuzz ${name}: no fixture fits ${fixtures}`);
  return texts;
}
