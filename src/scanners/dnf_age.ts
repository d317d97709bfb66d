/** Tells how old dnf's package lists are, and which of them are older than they should be. */

import type { RunResult } from "../system/process.ts";
import type { System } from "../system/system.ts";
import type { DnfDialect } from "./dnf_dialect.ts";
import { keptLists, newestListMs, toldAgeMs } from "./dnf_lists.ts";
import { tellOldLists } from "./dnf_old_lists.ts";
import { type DnfSettings, enabledRepositories } from "./dnf_settings.ts";

/** Where this user's package lists are; `null` if that is not known. */
export function listsFolder(
  { machine }: System,
  { systemCache, userCache }: DnfDialect,
  cacheDirectory: string = systemCache,
): string | null {
  if (machine.userId() === 0) return cacheDirectory;
  const home = machine.homeDirectory();
  return userCache === null || home === null ? null : `${home}/${userCache}`;
}

/** Warns of older lists: of a repository that is down, and may be, dnf says nothing. */
export async function findOldLists(
  system: System,
  folder: string | null,
  settings: DnfSettings,
): Promise<string[]> {
  if (folder === null) return [];
  const ids = enabledRepositories(settings).map(([id]) => id);
  return tellOldLists(await keptLists(system, folder, ids), settings, system.clock.nowMs());
}

/** How old the newest list is; `null` if that is not known. */
export async function ageOfLists(
  system: System,
  folder: string | null,
  result: RunResult,
): Promise<number | null> {
  const told = toldAgeMs(result);
  if (told !== null) return told;
  const fetchedMs = folder === null ? null : await newestListMs(system, folder);
  return fetchedMs === null ? null : Math.max(0, system.clock.nowMs() - fetchedMs);
}
