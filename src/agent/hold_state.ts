/** Holds the state folder for one agent: a second one is told who has it. */

import * as v from "valibot";
import type { System } from "../system/system.ts";

/** A hold on the state folder. */
export interface Hold {
  release(): Promise<void>;
}

/** Another agent has the state folder. */
export class HeldError extends Error {
  override readonly name = "HeldError";
}

const holder = v.object({ process_id: v.number(), since_ms: v.number() });

/** Who holds a state folder, by its own word. */
export type Holder = v.InferOutput<typeof holder>;

const LOCK = "agent.lock";
const HOLDER = "agent.json";

/**
 * Takes the state folder, which it makes if there is none; ends with the process, however that ends.
 * `action` completes "Cannot …". Throws `HeldError` naming the other agent, or `FileError`.
 */
export async function holdState(
  system: System,
  stateDirectory: string,
  action: string,
): Promise<Hold> {
  const { files, clock, processId } = system;
  await files.makeDirectory("make the state folder", stateDirectory, { mode: 0o700 });
  const lock = await files.lock("lock the state folder", `${stateDirectory}/${LOCK}`);
  if (lock === undefined) {
    const other = await readHolder(system, stateDirectory);
    const who = other ? `process ${other.process_id}` : "another process";
    throw new HeldError(
      `Cannot ${action}: ${who} already runs an agent on "${stateDirectory}". ` +
        `Next: stop it, or give this one a folder of its own with "--state-dir"`,
    );
  }
  const told: Holder = { process_id: processId, since_ms: clock.nowMs() };
  const path = `${stateDirectory}/${HOLDER}`;
  try {
    await files.writeText("tell who runs", path, `${JSON.stringify(told)}\n`, { mode: 0o600 });
  } catch (error) {
    lock.release();
    throw error;
  }
  return {
    async release() {
      // Only a word for `status`; the lock is what counts, so a full disk must not stop us here.
      await files.remove("tell who runs", path).catch(() => {});
      lock.release();
    },
  };
}

/** Who runs an agent on a folder by its last word; `undefined` if nobody does. Throws `FileError`. */
export async function findHolder(
  system: System,
  stateDirectory: string,
): Promise<Holder | undefined> {
  const told = await readHolder(system, stateDirectory);
  if (told === undefined) return undefined;
  // An agent that was killed leaves its word behind, but not its lock.
  const lock = await system.files.lock("look at the lock", `${stateDirectory}/${LOCK}`);
  lock?.release();
  return lock === undefined ? told : undefined;
}

async function readHolder(system: System, stateDirectory: string): Promise<Holder | undefined> {
  const text = await system.files.readText("read who runs", `${stateDirectory}/${HOLDER}`);
  if (text === undefined) return undefined;
  try {
    const result = v.safeParse(holder, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    return undefined; // A half-written word is none.
  }
}
