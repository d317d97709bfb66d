/** Patterns with `*` and `?` that name packages, advisories and titles. Pure. */

/**
 * Whether `pattern` matches the whole of `text`, whatever their case: `*` stands for any characters,
 * `?` for one. Takes at most time in proportion to the product of both lengths.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  const wanted = [...pattern.toLowerCase()];
  const given = [...text.toLowerCase()];
  let at = 0;
  let star = -1;
  let from = 0;
  for (let index = 0; index < given.length;) {
    if (wanted[at] === "*") {
      star = at++;
      from = index;
    } else if (wanted[at] === "?" || (at < wanted.length && wanted[at] === given[index])) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      // The last star takes one character more.
      at = star + 1;
      index = ++from;
    } else return false;
  }
  while (wanted[at] === "*") at += 1;
  return at === wanted.length;
}
