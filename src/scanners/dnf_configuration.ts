/** Gets the files that dnf is configured by, which tell what none of its commands does. */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { type DnfSettings, parseDnfSettings } from "./dnf_settings.ts";

const PURPOSE = "read dnf's configuration";

/**
 * Where the files are. Each is a file, by its ending, or a folder of such files without a slash at its
 * end; what is told in a later one counts.
 */
export interface DnfFiles {
  /** @default those of dnf.conf(5), of both generations */
  readonly settings?: readonly string[];
  /** @default the folders of dnf's repositories, and dnf 5's of what goes over them */
  readonly repositories?: readonly string[];
  /** @default those of dnf 4's plugin `versionlock`, and of dnf 5 */
  readonly locks?: readonly string[];
}

const SETTINGS = ["/usr/share/dnf5/libdnf.conf.d", "/etc/dnf/libdnf5.conf.d", "/etc/dnf/dnf.conf"];
const REPOSITORIES = ["/usr/share/dnf5/repos.d", "/etc/distro.repos.d", "/etc/yum.repos.d"]
  .concat("/usr/share/dnf5/repos.override.d", "/etc/dnf/repos.override.d");
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
  { settings = SETTINGS, repositories = REPOSITORIES, locks = LOCKS }: DnfFiles,
): Promise<DnfConfiguration> {
  const [main, repos, locked] = await Promise.all([
    readTexts(files, settings, ".conf"),
    readTexts(files, repositories, ".repo"),
    Promise.all(locks.map((path) => readText(files, path))),
  ]);
  const all = [...main, ...repos];
  return {
    settings: parseDnfSettings(all.map(({ value }) => value)),
    locks: locked.map(({ value }) => value).join("\n").trim(),
    isWhole: [...all, ...locked].every(({ isGap }) => !isGap),
  };
}

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
