/** Dnf's configuration, as far as it keeps updates back: settings, version locks and plugins. */

import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { matchesWildcard } from "../wildcard.ts";

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
  return rows.toSorted((a, b) => costOf(a.repository, settings) - costOf(b.repository, settings));
}

function costOf(repository: string, settings: DnfSettings): number {
  const cost = settings.get(repository)?.get("cost") ?? "";
  return /^\d{1,10}$/.test(cost) ? Number(cost) : DEFAULT_COST;
}

/** Whether any section excludes packages. */
export function hasExcludes(settings: DnfSettings): boolean {
  return [...settings.values()].some((section) => EXCLUDING.some((key) => section.get(key)));
}

/** Whether any section has `includepkgs`, which excludes every other package. */
export function hasIncludes(settings: DnfSettings): boolean {
  return [...settings.values()].some((section) => section.get("includepkgs"));
}

/** Further patterns of a section are ignored. */
const MOST_PATTERNS = 1_000;

/** The exclude that matches one of `names`, as `excludepkgs=PATTERN`; `null` if none does. */
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

/** Where the files are: each path is a file, by its extension, or a directory of such files. */
export interface DnfFiles {
  /** In ascending precedence. @default those of dnf.conf(5), of both generations */
  readonly settings?: readonly string[];
  /** Repositories if the setting `reposdir` is absent. @default those of both generations */
  readonly repositories?: readonly string[];
  /** Override the settings of repositories. @default dnf 5's directories */
  readonly overrides?: readonly string[];
  /** Version locks, besides the `locklist` of `lockPlugins`. @default those of both generations */
  readonly locks?: readonly string[];
  /** The settings of dnf 4's plugin `versionlock`. */
  readonly lockPlugins?: readonly string[];
}

const SETTINGS = ["/usr/share/dnf5/libdnf.conf.d", "/etc/dnf/libdnf5.conf.d", "/etc/dnf/dnf.conf"];
const REPOSITORIES = ["/usr/share/dnf5/repos.d", "/etc/distro.repos.d"]
  .concat("/etc/yum/repos.d", "/etc/yum.repos.d");
const OVERRIDES = ["/usr/share/dnf5/repos.override.d", "/etc/dnf/repos.override.d"];
const LOCK_PLUGINS = ["/etc/dnf/plugins/versionlock.conf"];
const LOCKS = ["/etc/dnf/plugins/versionlock.list", "/etc/dnf/versionlock.toml"];

const PURPOSE = "read dnf's configuration";

/** The content of the files. */
export interface DnfConfiguration {
  readonly settings: DnfSettings;
  /** The text of the version locks. */
  readonly locks: string;
  /** Whether every existing file could be read. */
  readonly isWhole: boolean;
}

/** Reads all files; a missing file is empty and not a gap. */
export async function readDnfConfiguration(
  { files }: Pick<System, "files">,
  options: DnfFiles,
): Promise<DnfConfiguration> {
  const { settings = SETTINGS, repositories = REPOSITORIES, overrides = OVERRIDES } = options;
  const { lockPlugins = LOCK_PLUGINS, locks = LOCKS } = options;
  const [main, plugins] = await Promise.all([
    readTexts(files, settings, ".conf"),
    Promise.all(lockPlugins.map((path) => readText(files, path))),
  ]);
  const places = repositoryPlaces(parseDnfSettings(main.map(({ value }) => value)), repositories);
  const repos = await readTexts(files, [...places.value, ...overrides], ".repo");
  const list = parseDnfSettings(plugins.map(({ value }) => value)).get(MAIN)?.get("locklist");
  const lists = new Set(list?.startsWith("/") ? [...locks, list] : locks);
  const locked = await Promise.all([...lists].map((path) => readText(files, path)));
  const all = [...main, ...repos];
  return {
    settings: parseDnfSettings(all.map(({ value }) => value)),
    locks: locked.map(({ value }) => value).join("\n").trim(),
    isWhole: [...all, ...plugins, ...locked, places].every(({ isGap }) => !isGap),
  };
}

/** Further directories of `reposdir` are ignored. */
const MOST_PLACES = 50;

/** An absolute path that dnf uses literally: no variable, no pattern, no quotes. */
const PLAIN_PLACE = /^\/[^$*?[\]\\"']*$/;

/**
 * The directories that the setting `reposdir` names, or the default ones. A value that cannot be
 * interpreted completely is a gap, and the default directories are read as well.
 */
function repositoryPlaces(
  settings: DnfSettings,
  defaults: readonly string[],
): Read<readonly string[]> {
  const setting = settings.get(MAIN)?.get("reposdir");
  if (setting === undefined) return { value: defaults, isGap: false };
  const places = setting.split(/[\s,]+/).filter((place) => place !== "");
  const plain = places.filter((place) => PLAIN_PLACE.test(place)).slice(0, MOST_PLACES)
    .map((place) => place.replace(/\/+$/, ""));
  const isGap = plain.length === 0 || plain.length !== places.length;
  return { value: isGap ? [...defaults, ...plain] : plain, isGap };
}

/** A line of a version lock; dnf 5's list starts with the version of its format. */
const LOCK = /^[ \t]*(?!version[ \t]*=)[^#\s]/m;

/** Whether version locks may exist: an unreadable file may contain one. */
export function mayHaveLocks({ locks, isWhole }: DnfConfiguration): boolean {
  return !isWhole || LOCK.test(locks);
}

/** Whether excludes may exist: an unreadable file may contain one. */
export function mayHaveExcludes({ settings, isWhole }: DnfConfiguration): boolean {
  return !isWhole || hasExcludes(settings);
}

/** The names of packages that dnf 5's list locks. */
export function lockedNames({ locks }: Pick<DnfConfiguration, "locks">): string[] {
  return [...locks.matchAll(/^[ \t]*name[ \t]*=[ \t]*["']([^"'\n]{1,255})["']/gm)]
    .slice(0, MOST_LOCKS).map(([, name = ""]) => name);
}

const MOST_LOCKS = 10_000;

/** A value, and whether reading it failed; then it is empty. */
interface Read<T> {
  readonly value: T;
  readonly isGap: boolean;
}

async function readTexts(
  files: System["files"],
  places: readonly string[],
  ending: string,
): Promise<Read<string>[]> {
  const texts = await Promise.all(places.map(async (place) => {
    if (place.endsWith(ending)) return [await readText(files, place)];
    const names = await orGap(() => files.list(PURPOSE, place), []);
    const found = names.value.filter((name) => name.endsWith(ending)).toSorted();
    const read = await Promise.all(found.map((name) => readText(files, `${place}/${name}`)));
    return [{ value: "", isGap: names.isGap }, ...read];
  }));
  return texts.flat();
}

function readText(files: System["files"], path: string): Promise<Read<string>> {
  return orGap(async () => await files.readText(PURPOSE, path) ?? "", "");
}

async function orGap<T>(read: () => Promise<T>, empty: T): Promise<Read<T>> {
  try {
    return { value: await read(), isGap: false };
  } catch (error) {
    if (error instanceof FileError) return { value: empty, isGap: true };
    throw error;
  }
}

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
const MOST_PLUGINS = 200;

/** Parses the plugins that dnf 4 names with `-v`; empty if there is no such line. */
export function parseLoadedPlugins(lines: readonly string[]): string[] {
  const list = lines.map((line) => /^Loaded plugins: (.{1,8000})$/.exec(line)?.[1] ?? "")
    .find((names) => names !== "");
  const names = (list ?? "").split(",").map((name) => name.trim());
  return names.filter((name) => name !== "").slice(0, MOST_PLUGINS);
}

/**
 * The plugins that may hide updates. They hide an update from every command, so that no difference
 * between two answers reveals it; the scan queries dnf once more without them.
 */
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
