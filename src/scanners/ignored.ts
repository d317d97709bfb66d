/** Marks the updates that `scanners.ignore` names, and validates its patterns. Pure. */

import { quoteWords } from "../redact.ts";
import type { Update } from "../update.ts";

/** A scanner name and a colon; another word in the place of the name is an error. */
const PREFIX = /^([a-z_]+):\s*(.*)$/i;

/** Architectures of Debian, which follow a package name and a colon, and are not package names. */
const ARCHITECTURES: ReadonlySet<string> = new Set(
  ("all alpha amd64 arm64 armel armhf hppa i386 ia64 loong64 m68k mips mips64el mipsel powerpc " +
    "ppc64 ppc64el riscv64 s390x sh4 sparc64 x32").split(" "),
);

/** Scanners whose package names and advisories contain no character of `SPECIAL`. */
const PLAIN_NAMES: readonly string[] = ["apt", "dnf"];
const SPECIAL = /[\s[\](){}|,;'"]/;

/** Longer patterns are truncated in an error message. */
const MAX_PATTERN_LENGTH = 100;

interface Pattern {
  readonly written: string;
  /** In lower case; `null`: the pattern applies to every scanner. */
  readonly scanner: string | null;
  readonly pattern: string;
}

/**
 * Gives updates that the patterns match the state `ignored`. A pattern must match a whole name, in any
 * case: that of the package, alone or with its architecture (`tool:i386`, `tool.i686`), or all titles
 * (`Update.titles`). Otherwise patterns must match every advisory of the update, because an advisory
 * without a pattern can be about another vulnerability. `scanner:pattern` applies to one scanner only.
 */
export function markIgnored(
  scanner: string,
  updates: readonly Update[],
  patterns: readonly string[],
): readonly Update[] {
  const own = patterns.map(readPattern)
    .filter((one) => one.scanner === null || one.scanner === scanner);
  return updates.map(({ titles = [], ...update }) => {
    const { package: name, architecture, advisories } = update;
    const names = architecture === null
      ? [name]
      : [name, `${name}:${architecture}`, `${name}.${architecture}`];
    const byName = own.find(({ pattern }) => names.some((one) => matchesWildcard(pattern, one)));
    const found = byName ? [byName] : allMatched(own, titles) ?? allMatched(own, advisories);
    if (!found) return update;
    const matched = [...new Set(found)].map(({ written }) => written).join(", ");
    return { ...update, state: "ignored", stateReason: `scanners.ignore: ${matched}` };
  });
}

/** A matching pattern for each text; `undefined` if a text has none, or if there are no texts. */
function allMatched(
  patterns: readonly Pattern[],
  texts: readonly string[],
): readonly Pattern[] | undefined {
  const found = texts.map((text) => patterns.find(({ pattern }) => matchesWildcard(pattern, text)));
  return found.length > 0 && found.every((one) => one !== undefined) ? found : undefined;
}

function readPattern(written: string): Pattern {
  const [, word = "", rest = ""] = PREFIX.exec(written) ?? [];
  return word === "" || ARCHITECTURES.has(rest.toLowerCase())
    ? { written, scanner: null, pattern: written }
    : { written, scanner: word.toLowerCase(), pattern: rest };
}

/**
 * Describes the error in a pattern that can match nothing, or that matches everything; `null` if there
 * is none. `scanners`: the names that can precede a colon.
 */
export function describePatternError(written: string, scanners: readonly string[]): string | null {
  const found = findPatternError(readPattern(written), scanners);
  if (found === null) return null;
  const [fact, next] = found;
  const shown = quoteWords(written, MAX_PATTERN_LENGTH);
  return `Cannot use "${shown}" in scanners.ignore: ${fact}. Next: ${next}`;
}

function findPatternError(
  { scanner, pattern }: Pattern,
  scanners: readonly string[],
): [fact: string, next: string] | null {
  if (scanner !== null && !scanners.includes(scanner)) {
    const words = scanners.map((name) => `"${name}:"`).join(", ");
    return [
      `there is no scanner "${scanner}"`,
      `write one of ${words} in front, even if the name contains a colon`,
    ];
  }
  if (pattern === "") {
    return ["no name follows the colon", 'write a name there, as in "apt:linux-*"'];
  }
  if (/^[*?]*\*[*?]*$/.test(pattern)) {
    return ["it matches every update", "leave the scanner out of scanners.enabled instead"];
  }
  if (scanner !== null && PLAIN_NAMES.includes(scanner) && SPECIAL.test(pattern)) {
    return [
      `no package name of ${scanner} contains blanks, brackets, commas or quotes`,
      "use * and ? for any characters",
    ];
  }
  if ((scanner === null || scanner === "winupdate") && /^\d{6,8}$/.test(pattern)) {
    return ["no update is named by a number only", `write "KB${pattern}"`];
  }
  return null;
}

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
