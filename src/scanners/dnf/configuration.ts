/** Gets the files that dnf is configured by, which tell what none of its commands does. */

import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { type DnfSettings, hasExcludes, MAIN, parseDnfSettings } from "./settings.ts";

const PURPOSE = "read dnf's configuration";

/**
 * Where the files are. Each is a file, by its ending, or a folder of such files without a slash at its
 * end; what is told in a later one counts.
 */
export interface DnfFiles {
  /** @default those of dnf.conf(5), of both generations */
  readonly settings?: readonly string[];
  /** Where repositories are if the setting `reposdir` does not say. @default those of both generations */
  readonly repositories?: readonly string[];
  /** What goes over the settings of repositories, wherever those are. @default dnf 5's folders */
  readonly overrides?: readonly string[];
  /** Files of version locks. @default what dnf 4's plugin is configured to read, and dnf 5's own */
  readonly locks?: readonly string[];
  /** The settings of dnf 4's plugin `versionlock`, which say where its locks are. */
  readonly lockPlugins?: readonly string[];
}

const SETTINGS = ["/usr/share/dnf5/libdnf.conf.d", "/etc/dnf/libdnf5.conf.d", "/etc/dnf/dnf.conf"];
const REPOSITORIES = ["/usr/share/dnf5/repos.d", "/etc/distro.repos.d"]
  .concat("/etc/yum/repos.d", "/etc/yum.repos.d");
const OVERRIDES = ["/usr/share/dnf5/repos.override.d", "/etc/dnf/repos.override.d"];
const LOCK_PLUGINS = ["/etc/dnf/plugins/versionlock.conf"];
const LOCKS = ["/etc/dnf/plugins/versionlock.list", "/etc/dnf/versionlock.toml"];

/** What they say. */
export interface DnfConfiguration {
  readonly settings: DnfSettings;
  /** The version locks, as they are written. */
  readonly locks: string;
  /** Whether everything that is there could be read. */
  readonly isWhole: boolean;
}

/** Reads them all; a file that is not there says nothing, and is no gap. */
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
  const told = parseDnfSettings(plugins.map(({ value }) => value)).get(MAIN)?.get("locklist");
  const lists = new Set(told?.startsWith("/") ? [...locks, told] : locks);
  const locked = await Promise.all([...lists].map((path) => readText(files, path)));
  const all = [...main, ...repos];
  return {
    settings: parseDnfSettings(all.map(({ value }) => value)),
    locks: locked.map(({ value }) => value).join("\n").trim(),
    isWhole: [...all, ...plugins, ...locked, places].every(({ isGap }) => !isGap),
  };
}

/** Folders of repositories that are looked at. */
const MOST_PLACES = 50;

/** What dnf takes as it is written: no variable, no pattern, no address, and the whole path. */
const PLAIN_PLACE = /^\/[^$*?[\]\\"']*$/;

/**
 * The folders that the setting `reposdir` names, or the usual ones. Where what it says is not
 * understood that is a gap, and the usual ones are looked at as well.
 */
function repositoryPlaces(
  settings: DnfSettings,
  usual: readonly string[],
): Read<readonly string[]> {
  const told = settings.get(MAIN)?.get("reposdir");
  if (told === undefined) return { value: usual, isGap: false };
  const places = told.split(/[\s,]+/).filter((place) => place !== "");
  const plain = places.filter((place) => PLAIN_PLACE.test(place)).slice(0, MOST_PLACES)
    .map((place) => place.replace(/\/+$/, ""));
  const isUnderstood = plain.length > 0 && plain.length === places.length;
  return { value: isUnderstood ? plain : [...usual, ...plain], isGap: !isUnderstood };
}

/** A line of a version lock; dnf 5 begins its list with the version of its form. */
const LOCK = /^[ \t]*(?!version[ \t]*=)[^#\s]/m;

/** Whether there may be a version lock: what could not be read may hold one. */
export function mayLock({ locks, isWhole }: DnfConfiguration): boolean {
  return !isWhole || LOCK.test(locks);
}

/** Whether there may be an exclude: what could not be read may hold one. */
export function mayExclude({ settings, isWhole }: DnfConfiguration): boolean {
  return !isWhole || hasExcludes(settings);
}

/** Names of packages that dnf 5's list locks. */
export function lockedNames({ locks }: Pick<DnfConfiguration, "locks">): string[] {
  return [...locks.matchAll(/^[ \t]*name[ \t]*=[ \t]*["']([^"'\n]{1,255})["']/gm)]
    .slice(0, MOST_LOCKS).map(([, name = ""]) => name);
}

const MOST_LOCKS = 10_000;

/** What was read; a gap holds nothing. */
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

async function orGap<T>(read: () => Promise<T>, nothing: T): Promise<Read<T>> {
  try {
    return { value: await read(), isGap: false };
  } catch (error) {
    if (error instanceof FileError) return { value: nothing, isGap: true };
    throw error;
  }
}
