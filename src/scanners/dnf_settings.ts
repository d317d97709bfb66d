/** Reads dnf's own settings and those of its repositories, by the rules of its files. Pure. */

/** Settings by their names. Lines of a value that goes on are parted by a line end. */
export type DnfSection = ReadonlyMap<string, string>;

/** The repositories, by their ids, and dnf itself. */
export type DnfSettings = ReadonlyMap<string, DnfSection>;

/** The section that is no repository. */
export const MAIN = "main";

/**
 * Reads `[section]` and `key=value`; of a setting that is there twice, the last counts. An indented
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
        section.set(open, told.slice(equals + 1).trimStart());
      }
    }
  }
  return sections;
}

/** What dnf takes for "no" where it asks for yes or no. */
const NO = /^(?:0|no|false|off)$/i;

/** The repositories that are enabled, which they are unless they say no. */
export function enabledRepositories(settings: DnfSettings): [string, DnfSection][] {
  return [...settings].filter(([id, section]) =>
    id !== MAIN && !NO.test(section.get("enabled") ?? "")
  );
}

/** What a repository has that says nothing of its priority, or of its cost (dnf.conf(5)). */
const USUAL_PRIORITY = "99";
const USUAL_COST = 1_000;

/** Whether dnf prefers a repository to others, which it then takes no newer version from. */
export function hasPriorities(settings: DnfSettings): boolean {
  return enabledRepositories(settings).some(([, section]) =>
    (section.get("priority") ?? USUAL_PRIORITY) !== USUAL_PRIORITY
  );
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
