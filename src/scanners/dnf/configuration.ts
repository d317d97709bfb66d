/** Dnf's configuration, as far as it keeps updates back: settings, version locks and plugins. */

import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { matchesWildcard } from "../ignored.ts";

/** The values of a section by key; the lines of a continued value are joined with line ends. */
type DnfSection = ReadonlyMap<string, string>;

/** The sections by name: `MAIN`, and one per repository under its id. */
export type DnfSettings = ReadonlyMap<string, DnfSection>;

/** The section of dnf's own settings. */
export const MAIN = "main";

/** The settings that exclude packages, of dnf or of a repository; `exclude` is the older name. */
const EXCLUDING = ["exclude", "excludepkgs"];

/** Lists that grow with each occurrence: a later file never lifts an exclude of an earlier one. */
const GROWING: ReadonlySet<string> = new Set([...EXCLUDING, "includepkgs"]);

/**
 * Parses `[section]` and `key=value`. The last occurrence of a key wins, except for the lists in
 * `GROWING`. An indented line continues the value above it, unless an empty line or a comment is
 * between them: dnf refuses such a file.
 */
export function parseDnfSettings(texts: readonly string[]): DnfSettings {
  const sections = new Map<string, Map<string, string>>();
  for (const text of texts) {
    let section = new Map<string, string>();
    let open: string | undefined;
    for (const line of text.split(/\r?\n/)) {
      const content = line.trim();
      if (open !== undefined && content !== "" && /^\s/.test(line)) {
        section.set(open, `${section.get(open)}\n${content}`);
        continue;
      }
      open = undefined;
      if (/^(?:$|[#;])/.test(content)) continue;
      const [, name] = /^\[([^\]]{1,1000})\]/.exec(content) ?? [];
      const equals = content.indexOf("=");
      if (name !== undefined) {
        section = sections.get(name) ?? new Map<string, string>();
        sections.set(name, section);
      } else if (equals > 0) {
        open = content.slice(0, equals).trimEnd();
        const value = content.slice(equals + 1).trimStart();
        const before = GROWING.has(open) ? section.get(open) : undefined;
        section.set(open, before ? `${before}\n${value}` : value);
      }
    }
  }
  return sections;
}

/** The defaults of a repository's `priority` and `cost` (dnf.conf(5)). */
const DEFAULT_PRIORITY = 99;
const DEFAULT_COST = 1_000;

/** A repository's priority; `undefined` if its section is missing or the value is not a number. */
export function priorityOf(repository: string, settings: DnfSettings): number | undefined {
  const section = settings.get(repository);
  if (section === undefined) return undefined;
  const priority = section.get("priority") ?? settings.get(MAIN)?.get("priority");
  if (priority === undefined) return DEFAULT_PRIORITY;
  return /^-?\d{1,10}$/.test(priority) ? Number(priority) : undefined;
}

/** Sorts rows by their repositories' cost: of equal packages, dnf installs the cheapest. */
export function sortByCost<T extends { readonly repository: string }>(
  rows: readonly T[],
  settings: DnfSettings,
): T[] {
  const costOf = ({ repository }: T) => {
    const cost = settings.get(repository)?.get("cost") ?? "";
    return /^\d{1,10}$/.test(cost) ? Number(cost) : DEFAULT_COST;
  };
  return rows.toSorted((a, b) => costOf(a) - costOf(b));
}

/** Whether any section has `includepkgs`, which excludes every other package. */
export function hasIncludes(settings: DnfSettings): boolean {
  return [...settings.values()].some((section) => section.get("includepkgs"));
}

/** Further patterns of a section are ignored. */
const MAX_PATTERNS = 1_000;

/** The exclude that matches one of `names`, as `excludepkgs=PATTERN`; `null` if none does. */
export function findExclude(
  names: readonly string[],
  repository: string,
  settings: DnfSettings,
): string | null {
  for (const id of [MAIN, repository]) {
    for (const key of EXCLUDING) {
      const patterns = (settings.get(id)?.get(key) ?? "").split(/[\s,]+/).slice(0, MAX_PATTERNS);
      const found = patterns.find((pattern) =>
        pattern.length <= 300 && names.some((name) => matchesWildcard(pattern, name))
      );
      if (found !== undefined) return `${key}=${found}`;
    }
  }
  return null;
}

/** Where the files are: each path is a file, by its extension, or a directory of such files. */
const FILES = {
  /** In ascending precedence, of both generations (dnf.conf(5)). */
  settings: ["/usr/share/dnf5/libdnf.conf.d", "/etc/dnf/libdnf5.conf.d", "/etc/dnf/dnf.conf"],
  /** Repositories if the setting `reposdir` is absent. */
  repositories: ["/usr/share/dnf5/repos.d", "/etc/distro.repos.d"]
    .concat("/etc/yum/repos.d", "/etc/yum.repos.d"),
  /** Override the settings of repositories (dnf 5). */
  overrides: ["/usr/share/dnf5/repos.override.d", "/etc/dnf/repos.override.d"],
  /** The settings of dnf 4's plugin `versionlock`, which may name another file of locks. */
  lockPlugins: ["/etc/dnf/plugins/versionlock.conf"],
  /** Version locks of both generations. */
  locks: ["/etc/dnf/plugins/versionlock.list", "/etc/dnf/versionlock.toml"],
};

/** Paths that replace the default ones. */
export type DnfFiles = Readonly<Partial<Record<keyof typeof FILES, readonly string[]>>>;

const PURPOSE = "read dnf's configuration";

export interface DnfConfiguration {
  readonly settings: DnfSettings;
  /** The text of the version locks. */
  readonly locks: string;
  /** Whether every existing file could be read. */
  readonly isFullyRead: boolean;
}

/** Reads all files; a missing file is empty, and so is an unreadable one, which is a gap. */
export async function readDnfConfiguration(
  { files }: Pick<System, "files">,
  options: DnfFiles,
): Promise<DnfConfiguration> {
  let hasFailed = false;
  const orEmpty = <T>(work: Promise<T>, empty: T) =>
    work.catch((error: unknown) => {
      if (!(error instanceof FileError)) throw error;
      hasFailed = true;
      return empty;
    });
  const readText = async (path: string) =>
    await orEmpty(files.readText(PURPOSE, path), undefined) ?? "";
  const readTexts = async (places: readonly string[], ending: string) => {
    const texts = places.map(async (place) => {
      if (place.endsWith(ending)) return [await readText(place)];
      const names = await orEmpty(files.list(PURPOSE, place), []);
      const found = names.filter((name) => name.endsWith(ending)).toSorted();
      return await Promise.all(found.map((name) => readText(`${place}/${name}`)));
    });
    return (await Promise.all(texts)).flat();
  };
  const { settings, repositories, overrides, lockPlugins, locks } = { ...FILES, ...options };
  const [main, plugins] = await Promise.all([
    readTexts(settings, ".conf"),
    Promise.all(lockPlugins.map(readText)),
  ]);
  const { places, isPlain } = repositoryPlaces(parseDnfSettings(main), repositories);
  const repos = await readTexts([...places, ...overrides], ".repo");
  const list = parseDnfSettings(plugins).get(MAIN)?.get("locklist");
  const lists = new Set(list?.startsWith("/") ? [...locks, list] : locks);
  const locked = await Promise.all([...lists].map(readText));
  return {
    settings: parseDnfSettings([...main, ...repos]),
    locks: locked.join("\n").trim(),
    isFullyRead: isPlain && !hasFailed,
  };
}

/** Further directories of `reposdir` are ignored. */
const MAX_PLACES = 50;

/** An absolute path that dnf uses literally: no variable, no pattern, no quotes. */
const PLAIN_PLACE = /^\/[^$*?[\]\\"']*$/;

/**
 * The directories that the setting `reposdir` names, or the default ones. If the value cannot be
 * interpreted completely, `isPlain` is false and the default directories are read as well.
 */
function repositoryPlaces(
  settings: DnfSettings,
  defaults: readonly string[],
): { places: readonly string[]; isPlain: boolean } {
  const setting = settings.get(MAIN)?.get("reposdir");
  if (setting === undefined) return { places: defaults, isPlain: true };
  const named = setting.split(/[\s,]+/).filter((place) => place !== "");
  const plain = named.filter((place) => PLAIN_PLACE.test(place)).slice(0, MAX_PLACES)
    .map((place) => place.replace(/\/+$/, ""));
  const isPlain = plain.length > 0 && plain.length === named.length;
  return { places: isPlain ? plain : [...defaults, ...plain], isPlain };
}

/** A line of a version lock; dnf 5's list starts with the version of its format. */
const LOCK = /^[ \t]*(?!version[ \t]*=)[^#\s]/m;

/** Whether version locks may exist: an unreadable file may contain one. */
export function mayHaveLocks({ locks, isFullyRead }: DnfConfiguration): boolean {
  return !isFullyRead || LOCK.test(locks);
}

/** Whether any section excludes packages, or may do so: an unreadable file may contain an exclude. */
export function mayHaveExcludes({ settings, isFullyRead }: DnfConfiguration): boolean {
  return !isFullyRead ||
    [...settings.values()].some((section) => EXCLUDING.some((key) => section.get(key)));
}

/** The names of packages that dnf 5's list locks. */
export function lockedNames({ locks }: Pick<DnfConfiguration, "locks">): string[] {
  return [...locks.matchAll(/^[ \t]*name[ \t]*=[ \t]*["']([^"'\n]{1,255})["']/gm)]
    .slice(0, MAX_LOCKS).map(([, name = ""]) => name);
}

const MAX_LOCKS = 10_000;

/**
 * Plugins of dnf 4 that hide no update, by their own names: those of dnf-plugins-core and -extras, of
 * subscriptions and of snapshots. `versionlock` hides updates but has an option of its own to lift
 * it. `kpatch` hides kernels and is not in this list.
 */
const HARMLESS: ReadonlySet<string> = new Set(
  [
    "builddep changelog config-manager copr debug debug-dump debug-restore debuginfo-install download",
    "enabled-repos-upload etckeeper generate-completion-cache groups-manager leaves local modulesync",
    "needs-restarting offline-distrosync offline-upgrade package-upload playground",
    "post-transaction-actions pre-transaction-actions product-id release-notification repoclosure",
    "repodiff repograph repomanage reposync rpmconf search-disabled-repos show-leaves snapper",
    "spacewalk subscription-manager supportinfo system-upgrade torproxy tracer ulninfo uploadprofile",
    "versionlock",
  ].flatMap((names) => names.split(" ")),
);

/** Further plugins are ignored. */
const MAX_PLUGINS = 200;

/** Parses the plugins that dnf 4 names with `-v`; empty if there is no such line. */
export function parseLoadedPlugins(lines: readonly string[]): string[] {
  const list = lines.map((line) => /^Loaded plugins: (.{1,8000})$/.exec(line)?.[1] ?? "")
    .find((names) => names !== "");
  const names = (list ?? "").split(",").map((name) => name.trim());
  return names.filter((name) => name !== "").slice(0, MAX_PLUGINS);
}

/** The plugins that may hide updates from every command: the scan queries dnf once more without them. */
export function suspectPlugins(loaded: readonly string[]): string[] {
  return loaded.filter((name) => !HARMLESS.has(dashed(name)));
}

/**
 * The options that make dnf 4 load only the harmless ones of its plugins; some of these provide
 * repositories or their keys. Dnf expects file names here, not the plugins' own names, so the suspect
 * plugins cannot be named. `--enableplugin` overrides a plugin's configuration, so it names only
 * plugins that are loaded anyway.
 */
export function harmlessPluginOptions(loaded: readonly string[]): string[] {
  const harmless = loaded.map(dashed).filter((name) => HARMLESS.has(name))
    .filter((name) => name !== "versionlock");
  const enabled = harmless.length > 0 ? [`--enableplugin=${harmless.join(",")}`] : [];
  return ["--disableplugin=*", ...enabled];
}

/** Dnf treats `_` and `-` in names of plugins as equal. */
function dashed(name: string): string {
  return name.replaceAll("_", "-");
}
