/** Looks at dnf's package lists on disk: how old they are. */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

const PURPOSE = "look at dnf's package lists";

/** When a list was last found to be up to date; `null` if that is not known. */
export async function newestListMs(
  { files }: System,
  cacheDirectory: string = "/var/cache/dnf",
): Promise<number | null> {
  try {
    const names = await files.list(PURPOSE, cacheDirectory);
    const facts = await Promise.all(
      names.map((name) => files.inspect(PURPOSE, `${cacheDirectory}/${name}/repodata/repomd.xml`)),
    );
    const times = facts.filter((fact) => fact !== undefined).map((fact) => fact.modifiedMs);
    return times.length > 0 ? Math.max(...times) : null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}
