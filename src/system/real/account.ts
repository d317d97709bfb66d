/** Gives up root for another account. */

import process from "node:process";
import type { Account } from "../system.ts";

/**
 * Makes the whole process, with all of its threads, one of `account`. The group comes first: only root
 * can change it. The other groups of root's stay, because Deno has no call that drops them.
 */
export function becomeUser({ userId, groupId, home }: Account): void {
  process.setgid?.(groupId);
  process.setuid?.(userId);
  // Programs that are started from now on look for their files there.
  Deno.env.set("HOME", home);
}
