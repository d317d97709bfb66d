/** Lets root's commands work on the state of the service, as the account of the service. */

import { FileError } from "../system/files.ts";
import type { Account, System } from "../system/system.ts";
import { SERVICE_USER } from "./systemd.ts";

const ROOT = 0;

/**
 * If root uses a state directory that belongs to the account of the service, this process becomes that
 * account: root neither trusts nor writes what another user can change, and the files keep their owner.
 * Any other owner is left to the check of the state directory. Throws an `Error` if root cannot.
 */
export async function leaveRoot(
  system: Pick<System, "files" | "machine" | "becomeUser">,
  stateDirectory: string,
): Promise<void> {
  if (system.machine.userId() !== ROOT) return;
  const owner = await ownerOf(system, stateDirectory);
  if (owner === null || owner === ROOT) return;
  const account = await findServiceAccount(system);
  if (account?.userId === owner) system.becomeUser(account);
}

/** `null` also where it cannot be read: the check that follows says why. */
async function ownerOf({ files }: Pick<System, "files">, path: string): Promise<number | null> {
  try {
    const found = await files.inspect("look at the state directory", path);
    return found?.kind === "directory" ? found.owner : null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

async function findServiceAccount({ files }: Pick<System, "files">): Promise<Account | null> {
  try {
    return parseAccount(
      await files.readText("read the accounts", "/etc/passwd") ?? "",
      SERVICE_USER,
    );
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

/** Finds the account of this name in the text of passwd(5); `null`: there is none that is whole. */
export function parseAccount(text: string, name: string): Account | null {
  const line = text.split("\n").find((line) => line.startsWith(`${name}:`));
  const [, , user = "", group = "", , home = ""] = line?.split(":") ?? [];
  if (!/^\d{1,10}$/.test(user) || !/^\d{1,10}$/.test(group) || !home.startsWith("/")) return null;
  return { userId: Number(user), groupId: Number(group), home };
}
