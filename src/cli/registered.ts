/** What commands that need an identity begin with. */

import { type Identity, loadIdentity } from "../identity.ts";
import type { System } from "../system/system.ts";
import { NotRegisteredError } from "./command.ts";
import type { Settings } from "./settings.ts";

/**
 * The identity, for the server that is configured and no other: a token goes to nobody else. Throws
 * `NotRegisteredError`, `IdentityError`, or an `Error` where the two servers differ.
 */
export async function openIdentity(
  system: System,
  settings: Settings,
  action: string,
): Promise<Identity> {
  const identity = await loadIdentity(system, settings.stateDirectory);
  if (identity === undefined) throw new NotRegisteredError(action);
  const { url } = settings.config.server;
  if (url !== null && url !== identity.serverUrl) {
    throw new Error(
      `Cannot ${action}: registered with "${identity.serverUrl}", but server.url is "${url}". ` +
        `Next: set server.url back, or run pennon unregister and register with the new server`,
    );
  }
  return identity;
}
