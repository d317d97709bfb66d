/** Whether the administrator keeps packages from dnf, which then does not speak of their updates. */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

const PURPOSE = "look for packages that are excluded";

/** The files that say so, in folders without a trailing slash. */
export interface DnfConfiguration {
  /** @default "/etc/dnf/dnf.conf" */
  readonly file?: string;
  /** @default "/etc/yum.repos.d" */
  readonly repositories?: string;
  /** Of the plugin `versionlock`. @default "/etc/dnf/plugins/versionlock.list" */
  readonly locks?: string;
}

/** Whether there is an `excludepkgs` or a version lock. What cannot be read counts as none. */
export async function hasExcludes(
  { files }: Pick<System, "files">,
  { file, repositories, locks }: DnfConfiguration,
): Promise<boolean> {
  const folder = repositories ?? "/etc/yum.repos.d";
  try {
    const names = (await files.list(PURPOSE, folder)).filter((name) => name.endsWith(".repo"));
    const [locked = "", ...settings] = await Promise.all([
      locks ?? "/etc/dnf/plugins/versionlock.list",
      file ?? "/etc/dnf/dnf.conf",
      ...names.map((name) => `${folder}/${name}`),
    ].map((path) => readOrNothing(files, path)));
    return /^[ \t]*[^#\s]/m.test(locked) ||
      settings.some((text) => /^[ \t]*exclude(?:pkgs)?[ \t]*=[ \t]*\S/m.test(text));
  } catch (error) {
    if (error instanceof FileError) return false;
    throw error;
  }
}

async function readOrNothing(files: System["files"], path: string): Promise<string> {
  try {
    return await files.readText(PURPOSE, path) ?? "";
  } catch (error) {
    if (error instanceof FileError) return "";
    throw error;
  }
}
