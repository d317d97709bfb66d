/** Which package lists an apt scan reads: the host's, or some of the agent's own. */

import type { System } from "../system/system.ts";
import { AptCommands, type AptOptions, type AskOptions } from "./apt_commands.ts";
import { type AptPlaces, listsFetchedMs } from "./apt_lists.ts";
import {
  fetchPrivately,
  fetchSettings,
  privatelyFetchedMs,
  privateSettings,
} from "./apt_private_lists.ts";
import { ScanError, type ScanOptions } from "./scanner.ts";

/** Lists that were fetched before so long are fetched anew, into a folder of the agent's own. */
const OLD_MS = 24 * 3_600_000;

/** The lists that a scan reads. */
export interface ListSource extends AskOptions {
  readonly places: AptPlaces;
  readonly ageMs: number | null;
  readonly warnings: readonly string[];
}

/**
 * The host's own lists, refreshed if root asks for it; where they are old, or nobody but root may
 * refresh them, lists of the agent's own. What cannot be fetched is a warning: the host's are there.
 */
export async function chooseLists(
  system: System,
  { refresh = false, cacheDirectory, signal }: ScanOptions,
  options: AptOptions,
): Promise<ListSource> {
  const places: AptPlaces = {
    aptStateDirectory: options.aptStateDirectory ?? "/var/lib/apt",
    dpkgDirectory: options.dpkgDirectory ?? "/var/lib/dpkg",
  };
  const age = (fetchedMs: number | null) =>
    fetchedMs === null ? null : Math.max(0, system.clock.nowMs() - fetchedMs);
  const isOld = (ageMs: number | null) => ageMs === null || ageMs >= OLD_MS;
  const hosts = async (warnings: readonly string[]): Promise<ListSource> => ({
    places,
    ageMs: age(await listsFetchedMs(system, places)),
    warnings,
    signal,
  });
  if (refresh && system.machine.userId() === 0) {
    return await hosts(await refreshHosts(new AptCommands(system, options, { signal })));
  }
  const own = await hosts([]);
  if (!refresh && !isOld(own.ageMs)) return own;
  // Apt runs in another folder than the agent: to it a relative path would be another place.
  if (!cacheDirectory?.startsWith("/")) {
    return refresh ? await hosts(["Cannot refresh the package lists: only root may"]) : own;
  }
  const directory = `${cacheDirectory}/apt`;
  const settings = privateSettings(directory);
  if (refresh || isOld(age(await privatelyFetchedMs(system, directory)))) {
    const fetching = { settings: fetchSettings(directory), signal };
    const commands = new AptCommands(system, options, fetching);
    const why = await fetchPrivately(system, directory, commands);
    if (why !== null) return await hosts([`The package lists are not fresh: ${why}`]);
  }
  return {
    places: { ...places, aptStateDirectory: directory },
    ageMs: age(await privatelyFetchedMs(system, directory)),
    settings,
    warnings: [],
    signal,
  };
}

async function refreshHosts(commands: AptCommands): Promise<string[]> {
  try {
    await commands.update();
    return commands.warnings;
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
    return [error.message];
  }
}
