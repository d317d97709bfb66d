/** Gets the files that dnf is configured by, which tell what none of its commands does. */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { type DnfSettings, parseDnfSettings } from "./dnf_settings.ts";

const PURPOSE = "read dnf's configuration";

/** Where the files are, folders without a trailing slash. */
export interface DnfFiles {
  /** @default "/etc/dnf/dnf.conf" */
  readonly file?: string;
  /** @default "/etc/yum.repos.d" */
  readonly repositories?: string;
  /** Of the plugin `versionlock`. @default "/etc/dnf/plugins/versionlock.list" */
  readonly locks?: string;
}

/** What they say. */
export interface DnfConfiguration {
  readonly settings: DnfSettings;
  /** The plugin's list, as it is. */
  readonly locks: string;
  /** Whether everything that is there could be read. */
  readonly isWhole: boolean;
}

/** Reads them all; a file that is not there says nothing, and is no gap. */
export async function readDnfConfiguration(
  { files }: Pick<System, "files">,
  { file, repositories, locks }: DnfFiles,
): Promise<DnfConfiguration> {
  const folder = repositories ?? "/etc/yum.repos.d";
  const names = await orGap(() => files.list(PURPOSE, folder), []);
  const found = names.value.filter((name) => name.endsWith(".repo"));
  const [locked, ...texts] = await Promise.all(
    [
      locks ?? "/etc/dnf/plugins/versionlock.list",
      file ?? "/etc/dnf/dnf.conf",
      ...found.map((name) => `${folder}/${name}`),
    ].map((path) => orGap(async () => await files.readText(PURPOSE, path) ?? "", "")),
  );
  return {
    settings: parseDnfSettings(texts.map(({ value }) => value)),
    locks: locked?.value ?? "",
    isWhole: [names, locked, ...texts].every((one) => one?.isGap === false),
  };
}

async function orGap<T>(
  read: () => Promise<T>,
  nothing: T,
): Promise<{ value: T; isGap: boolean }> {
  try {
    return { value: await read(), isGap: false };
  } catch (error) {
    if (error instanceof FileError) return { value: nothing, isGap: true };
    throw error;
  }
}
