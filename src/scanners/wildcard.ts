/** Patterns with `*` and `?` for packages, advisories and titles. Pure. */

/**
 * Whether `pattern` matches the whole of `text`, in any case: `*` stands for any characters, `?` for
 * one. The time is at most proportional to the product of both lengths.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  const wanted = [...pattern.toLowerCase()];
  const given = [...text.toLowerCase()];
  let at = 0;
  let last: { readonly star: number; from: number } | undefined;
  for (let index = 0; index < given.length;) {
    if (wanted[at] === "*") {
      last = { star: at++, from: index };
    } else if (wanted[at] === "?" || (at < wanted.length && wanted[at] === given[index])) {
      at += 1;
      index += 1;
    } else if (last) {
      // The last star matches one more character.
      at = last.star + 1;
      index = ++last.from;
    } else return false;
  }
  while (wanted[at] === "*") at += 1;
  return at === wanted.length;
}
