/** Names what a sentence is about, the first of them if there are many. */

/** `a, b and 3 more`; `most` of them are named. */
export function enumerate(names: readonly string[], most = 10): string {
  const told = names.slice(0, most).join(", ");
  return names.length > most ? `${told} and ${names.length - most} more` : told;
}
