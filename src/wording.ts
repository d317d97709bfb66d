/** Wording of messages: lists of names, durations, and suggestions for mistyped words. Pure. */

/** Joins names for a sentence: `a, b and 3 more`. At most `most` of them are named. */
export function joinNames(names: readonly string[], most = 10): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** The end of a message about an unknown word: `; did you mean "--json"?`, or nothing if none is near. */
export function didYouMean(word: string, known: readonly string[], front = ""): string {
  const hint = suggest(word, known);
  return hint === undefined ? "" : `; did you mean "${front}${hint}"?`;
}

/** Edits at most, and at most half of the word's characters: "x" is no mistyped "run". */
const FARTHEST = 3;

/** Finds the one of `known` that is nearest to `word` by edit distance; `undefined` if none is near. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const last = (path: string) => path.split(".").at(-1);
  const sameKey = known.find((other) => last(other) === last(word));
  const ranked = known
    .map((other) => ({ other, away: distance(word, other) }))
    .sort((a, b) => a.away - b.away)[0];
  const farthest = Math.min(FARTHEST, Math.ceil(word.length / 2));
  return ranked && ranked.away <= farthest ? ranked.other : sameKey;
}

/** Levenshtein distance: insertions, deletions and replacements of one character. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= Math.min(a.length, 200); i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** "3 s", "12 min", "5 h", "2 days"; a negative duration counts as 0. */
export function describeDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}

/** An uptime as RedFlag's own agent reports it, "3d 4h 5m"; for people there is `describeDuration`. */
export function describeDays(uptimeS: number): string {
  const minutes = Math.floor(uptimeS / 60);
  const days = Math.floor(minutes / 1_440);
  const hours = Math.floor(minutes / 60) % 24;
  return `${days}d ${hours}h ${minutes % 60}m`;
}
