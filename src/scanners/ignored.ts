/** Updates that the administrator does not want to hear of: `scanners.ignore`. Pure. */

import { quoteWords } from "../redact.ts";
import { matchesWildcard } from "./wildcard.ts";
import type { Update } from "../update.ts";

/** A scanner's name and a colon; a word in the place of that name is a mistake. */
const PREFIX = /^([a-z_]+):\s*(.*)$/i;

/** Debian's, which stand behind a package's name and a colon, and are no package's name. */
const ARCHITECTURES: ReadonlySet<string> = new Set(
  ("all alpha amd64 arm64 armel armhf hppa i386 ia64 loong64 m68k mips mips64el mipsel powerpc " +
    "ppc64 ppc64el riscv64 s390x sh4 sparc64 x32").split(" "),
);

/** Scanners whose names and advisories hold none of `ODD`. */
const PLAIN_NAMES: readonly string[] = ["apt", "dnf"];
const ODD = /[\s[\](){}|,;'"]/;

/** Longer patterns are cut in a complaint. */
const LONGEST_PATTERN = 100;

/** A pattern of the administrator's. */
interface Pattern {
  readonly written: string;
  /** In small letters; `null`: it holds for every scanner. */
  readonly scanner: string | null;
  readonly pattern: string;
}

/**
 * The updates, with those that the patterns name in state `ignored`. A pattern must match the whole of
 * a name, whatever its case: the package's, alone or with its architecture (`tool:i386`, `tool.i686`),
 * or, where people call it something else, all that they call it (`Update.titles`). Else each of its
 * advisories must be matched: an advisory that nobody named may be about a hole of its own.
 * `scanner:pattern` holds for one scanner only.
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
    const reason = `scanners.ignore: ${
      [...new Set(found)].map(({ written }) => written).join(", ")
    }`;
    return { ...update, state: "ignored", stateReason: reason };
  });
}

/** For each of the texts a pattern that matches it; `undefined` if one has none, or there is no text. */
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
 * What is wrong with a pattern that can match nothing, or that matches everything; `null`: nothing.
 * `scanners`: the names that may stand before a colon.
 */
export function complainOfPattern(written: string, scanners: readonly string[]): string | null {
  const found = mistakeIn(readPattern(written), scanners);
  if (found === null) return null;
  const [fact, next] = found;
  const shown = quoteWords(written, LONGEST_PATTERN);
  return `Cannot use "${shown}" in scanners.ignore: ${fact}. Next: ${next}`;
}

function mistakeIn(
  { scanner, pattern }: Pattern,
  scanners: readonly string[],
): [fact: string, next: string] | null {
  if (scanner !== null && !scanners.includes(scanner)) {
    const words = scanners.map((name) => `"${name}:"`).join(", ");
    return [
      `there is no scanner "${scanner}"`,
      `write one of ${words} in front, also of a name that holds a colon`,
    ];
  }
  if (pattern === "") {
    return ["nothing stands behind the colon", 'write a name there, as in "apt:linux-*"'];
  }
  if (/^[*?]*\*[*?]*$/.test(pattern)) {
    return ["it matches every update", "leave the scanner out of scanners.enabled instead"];
  }
  if (scanner !== null && PLAIN_NAMES.includes(scanner) && ODD.test(pattern)) {
    return [
      `no name of ${scanner}'s holds blanks, brackets, commas or quotes`,
      "use * and ? for characters that may be any",
    ];
  }
  if ((scanner === null || scanner === "winupdate") && /^\d{6,8}$/.test(pattern)) {
    return ["no update is called by a number alone", `write "KB${pattern}"`];
  }
  return null;
}
