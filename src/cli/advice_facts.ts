/** What this host knows for an advice: its server, and what stops the agent that runs. */

import type { AdviceFacts } from "../advice.ts";
import { describeStop, findLockHolder } from "../agent/instance_lock.ts";
import { ConfigError, loadConfig } from "../config.ts";
import { locations } from "../config/locations.ts";
import { IdentityError, loadIdentity } from "../identity.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

/** Looks it up. What cannot be read is left open, since the advice is about an error anyway. */
export async function findAdviceFacts(
  system: System,
  values: Readonly<Record<string, string>>,
): Promise<AdviceFacts> {
  const stateDirectory = values["state-dir"] ?? locations(system).stateDirectory;
  const holder = await orUndefined(async () =>
    await findLockHolder(system, stateDirectory) ?? null
  );
  const stop = holder && describeStop(system.os, stateDirectory, holder);
  const identity = await orUndefined(() => loadIdentity(system, stateDirectory));
  const serverUrl = values["server"] ?? identity?.serverUrl ??
    await orUndefined(async () => {
      const file = values["config"];
      return (await loadConfig(system, file === undefined ? {} : { file })).config.server.url;
    });
  return {
    values,
    ...serverUrl != null && { serverUrl },
    ...stop !== undefined && { stop },
  };
}

async function orUndefined<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    const isExpected = error instanceof FileError || error instanceof IdentityError ||
      error instanceof ConfigError;
    if (!isExpected) throw error;
    return undefined;
  }
}
