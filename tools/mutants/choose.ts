/** Which of all the mutations a run makes: a share of each directory, the same for the same seed. */

import type { Random } from "../../src/system/system.ts";
import type { Mutation } from "./mutation.ts";

/** A mutation of a file. */
export interface Mutant extends Mutation {
  /** Like `src/a/b.ts`. */
  readonly file: string;
}

/** A directory too small for a fair share still gets so many, if it has them. */
const LEAST = 12;

/** The directory that a file's score counts for: `src/a`, or `src` for a file of its own. */
export function directoryOf(file: string): string {
  return file.split("/").slice(0, -1).slice(0, 2).join("/");
}

/**
 * About `count` of `mutants`, shared out among the directories by their sizes. Within one, each place
 * in the text is as likely as any other, however many ways there are to change it.
 */
export function choose(mutants: readonly Mutant[], count: number, random: Random): Mutant[] {
  const groups = Map.groupBy(mutants, ({ file }) => directoryOf(file));
  // With few mutations in all, no directory may take the others' share.
  const least = Math.min(LEAST, Math.floor(count / groups.size));
  return [...groups].sort(([a], [b]) => a < b ? -1 : 1).flatMap(([, group]) => {
    const share = Math.round(count * group.length / mutants.length);
    return oneOfEachPlace(group, random).slice(0, Math.max(least, share));
  });
}

/** All, in random order: one of each place first, then the others. */
function oneOfEachPlace(group: readonly Mutant[], random: Random): Mutant[] {
  const places = Map.groupBy(
    shuffled(group, random),
    ({ file, operator, start }) => `${file} ${operator} ${start}`,
  );
  const ordered = shuffled([...places.values()], random);
  return [
    ...ordered.flatMap((place) => place.slice(0, 1)),
    ...ordered.flatMap((place) => place.slice(1)),
  ];
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items.map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
