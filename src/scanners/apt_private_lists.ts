/**
 * Package lists of the agent's own: fetched into a folder of its own where the host's are old, since a
 * scan changes nothing on the host, and where the host's may only be written by root.
 */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { AptCommands } from "./apt_commands.ts";
import { ScanError } from "./scanner.ts";

/** The folders that apt wants to be there: without `partial` it fetches nothing. */
const FOLDERS = ["", "/lists", "/lists/partial", "/cache", "/cache/archives/partial"];

/** Its time is that of the last fetch that went well; the lists' own are those of the archive. */
const STAMP = "fetched";

/** Read by apt after all others, when it fetches. */
const CONFIG = "fetch.conf";

/**
 * Hosts have apt run things when it has fetched lists, such as a stamp that says that the host's are
 * young. These lists are not the host's, and its hooks, which may do anything, are not for them.
 */
const WITHOUT_HOOKS = ["Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"]
  .map((hook) => `#clear APT::Update::${hook};\n`).join("");

/** Settings that have apt look into `directory`; as root it would else lower its rights, and fail. */
export function privateSettings(directory: string): string[] {
  return [
    `Dir::State::lists=${directory}/lists/`,
    `Dir::Cache=${directory}/cache/`,
    "APT::Sandbox::User=root",
  ].flatMap((setting) => ["-o", setting]);
}

/** Settings that have apt fetch lists into `directory`, and do nothing else. */
export function fetchSettings(directory: string): string[] {
  return ["-c", `${directory}/${CONFIG}`, ...privateSettings(directory)];
}

/** When the lists in `directory` were fetched; `null`: never, or not to an end. */
export async function privatelyFetchedMs(
  { files }: System,
  directory: string,
): Promise<number | null> {
  try {
    const stamp = await files.inspect("look at the private lists", `${directory}/${STAMP}`);
    return stamp?.modifiedMs ?? null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

/**
 * Has apt fetch lists into `directory`; `commands` are made with `fetchSettings`. One source that
 * fails fails all: lists without it would hide its updates. Answers why not, or `null`.
 */
export async function fetchPrivately(
  { files }: System,
  directory: string,
  commands: AptCommands,
): Promise<string | null> {
  try {
    for (const folder of FOLDERS) {
      await files.makeDirectory("make private lists", `${directory}${folder}`, { mode: 0o700 });
    }
    await files.remove("begin private lists", `${directory}/${STAMP}`);
    const config = `${directory}/${CONFIG}`;
    await files.writeText("begin private lists", config, WITHOUT_HOOKS, { mode: 0o600 });
    await commands.update();
    await files.writeText("finish private lists", `${directory}/${STAMP}`, "", { mode: 0o600 });
    return null;
  } catch (error) {
    if (error instanceof ScanError || error instanceof FileError) return error.message;
    throw error;
  }
}
