/** Reads dnf's own settings and those of its repositories, by the rules of its files. Pure. */

import { matchesWildcard } from "../wildcard.ts";

/** Settings by their names. Lines of a value that goes on are parted by a line end. */
export type DnfSection = ReadonlyMap<string, string>;

/** The repositories, by their ids, and dnf itself. */
export type DnfSettings = ReadonlyMap<string, DnfSection>;

/** The section that is no repository. */
export const MAIN = "main";

/** The settings that keep packages from dnf, in dnf itself or in a repository; one is an older word. */
const EXCLUDING = ["exclude", "excludepkgs"];

/** Lists that grow where they are told again: another file never lifts what one of them keeps back. */
const GROWING: ReadonlySet<string> = new Set([...EXCLUDING, "includepkgs"]);

/**
 * Reads `[section]` and `key=value`; of a setting that is there twice the last counts, but for lists
 * of packages, which grow. An indented
 * line goes on with the value above it; behind an empty line or a comment there is none to go on
 * with, and dnf would refuse the file.
 */
export function parseDnfSettings(texts: readonly string[]): DnfSettings {
  const sections = new Map<string, Map<string, string>>();
  for (const text of texts) {
    let section = new Map<string, string>();
    let open: string | undefined;
    for (const line of text.split(/\r?\n/)) {
      const told = line.trim();
      if (open !== undefined && told !== "" && /^\s/.test(line)) {
        section.set(open, `${section.get(open)}\n${told}`);
        continue;
      }
      open = undefined;
      if (/^(?:$|[#;])/.test(told)) continue;
      const [, name] = /^\[([^\]]{1,1000})\]/.exec(told) ?? [];
      const equals = told.indexOf("=");
      if (name !== undefined) {
        section = sections.get(name) ?? new Map<string, string>();
        sections.set(name, section);
      } else if (equals > 0) {
        open = told.slice(0, equals).trimEnd();
        const value = told.slice(equals + 1).trimStart();
        const before = GROWING.has(open) ? section.get(open) : undefined;
        section.set(open, before ? `${before}\n${value}` : value);
      }
    }
  }
  return sections;
}

/** What a repository has that says nothing of its priority, or of its cost (dnf.conf(5)). */
const USUAL_PRIORITY = 99;
const USUAL_COST = 1_000;

/** A repository's priority; `undefined` if its file is not among those that were read. */
export function priorityOf(repository: string, settings: DnfSettings): number | undefined {
  const section = settings.get(repository);
  const priority = section?.get("priority") ?? settings.get(MAIN)?.get("priority");
  if (section === undefined) return undefined;
  return priority === undefined
    ? USUAL_PRIORITY
    : /^-?\d{1,10}$/.test(priority)
    ? Number(priority)
    : undefined;
}

/** Rows in the order in which dnf takes one of several that are alike: it looks at what they cost. */
export function cheapestFirst<T extends { readonly repository: string }>(
  rows: readonly T[],
  settings: DnfSettings,
): T[] {
  return rows.toSorted((a, b) => costOf(a.repository, settings) - costOf(b.repository, settings));
}

function costOf(repository: string, settings: DnfSettings): number {
  const cost = settings.get(repository)?.get("cost") ?? "";
  return /^\d{1,10}$/.test(cost) ? Number(cost) : USUAL_COST;
}

/** Whether an exclude is set anywhere. */
export function hasExcludes(settings: DnfSettings): boolean {
  return [...settings.values()].some((section) => EXCLUDING.some((key) => section.get(key)));
}

/** Whether `includepkgs` is set anywhere: then dnf takes nothing else from there. */
export function hasIncludes(settings: DnfSettings): boolean {
  return [...settings.values()].some((section) => section.get("includepkgs"));
}

/** Patterns looked at. */
const MOST_PATTERNS = 1_000;

/** The exclude that names a package of this repository, as `excludepkgs=PATTERN`; `null` if none does. */
export function findExclude(
  names: readonly string[],
  repository: string,
  settings: DnfSettings,
): string | null {
  for (const id of [MAIN, repository]) {
    for (const key of EXCLUDING) {
      const patterns = (settings.get(id)?.get(key) ?? "").split(/[\s,]+/).slice(0, MOST_PATTERNS);
      const found = patterns.find((pattern) =>
        pattern.length <= 300 && names.some((name) => matchesWildcard(pattern, name))
      );
      if (found !== undefined) return `${key}=${found}`;
    }
  }
  return null;
}
