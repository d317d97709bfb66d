/**
 * Closing a breaker from the command line: on disk if no agent runs, else by a request in the state
 * folder that the running agent takes up within seconds.
 */

import * as v from "valibot";
import { NEW_BREAKER } from "../breaker/breaker.ts";
import { decodeJson } from "../json.ts";
import type { Log } from "../log.ts";
import { resetConnection } from "../loop/transition.ts";
import type { System } from "../system/system.ts";
import { HeldError, holdState } from "./instance_lock.ts";
import { loadScannerBreakers, loadState, saveScannerBreakers, saveState } from "./saved_state.ts";

/** The name of the breaker that guards the connection; the others have their scanners' names. */
export const CONNECTION = "connection";

const FILE = "breaker-reset.json";

/** A running agent that has not taken up a request after this does not do so any more. */
const PATIENCE_MS = 15_000;

const request = v.object({ name: v.pipe(v.string(), v.maxLength(50)) });

/** Nothing is cut: a breaker that is reset has nothing left to wait for. */
const ANY_WAIT = {
  notBeforeMs: Infinity,
  openMs: Infinity,
  rapidMs: Infinity,
  intervalMs: Infinity,
};

/**
 * Closes a breaker; whether a running agent did it. Throws `FileError`, or an `Error` where the
 * running agent does not answer.
 */
export async function resetBreaker(
  system: System,
  state: { stateDirectory: string; log: Log },
  name: string,
): Promise<{ byAgent: boolean }> {
  try {
    const hold = await holdState(system, state.stateDirectory, "reset a breaker");
    try {
      await resetOnDisk(system, state, name);
      return { byAgent: false };
    } finally {
      await hold.release();
    }
  } catch (error) {
    if (!(error instanceof HeldError)) throw error;
    await askAgent(system, state.stateDirectory, name);
    return { byAgent: true };
  }
}

async function resetOnDisk(
  system: System,
  { stateDirectory, log }: { stateDirectory: string; log: Log },
  name: string,
): Promise<void> {
  if (name === CONNECTION) {
    const state = await loadState(system, stateDirectory, { longest: ANY_WAIT, log });
    const connection = resetConnection(state.connection);
    return await saveState(system, stateDirectory, { ...state, connection, nextCheckInMs: null });
  }
  const breakers = await loadScannerBreakers(system, stateDirectory, Infinity);
  const generation = (breakers.get(name)?.generation ?? 0) + 1;
  const reset = new Map([...breakers, [name, { ...NEW_BREAKER, generation }]]);
  await saveScannerBreakers(system, stateDirectory, reset);
}

async function askAgent(system: System, stateDirectory: string, name: string): Promise<void> {
  const { files, clock } = system;
  const path = `${stateDirectory}/${FILE}`;
  await files.writeText("ask the agent", path, `${JSON.stringify({ name })}\n`, { mode: 0o600 });
  const never = new AbortController().signal;
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 500) {
    await clock.sleep(500, never);
    if (await files.inspect("look for the request", path) === undefined) return;
  }
  await files.remove("take the request back", path);
  const fact = `the running agent did not take it up within ${PATIENCE_MS / 1_000} s`;
  throw new Error(`Cannot reset the breaker "${name}": ${fact}. Next: restart the agent`);
}

/** Makes what takes up a request, if there is one; what goes wrong with it is told and passed over. */
export function resetTaker(
  { files }: Pick<System, "files">,
  parts: { stateDirectory: string; log: Log; reset(name: string): Promise<void> },
): () => Promise<void> {
  const path = `${parts.stateDirectory}/${FILE}`;
  let isRefused = false;
  const take = async () => {
    const text = await files.readText("look for a request", path);
    if (text === undefined) return;
    const read = decodeJson(request, text);
    if (read.ok) {
      parts.log.info("breaker reset by a person", { breaker: read.value.name });
      await parts.reset(read.value.name);
    } else parts.log.warning("request not taken up", { why: read.why });
    await files.remove("take up a request", path);
  };
  return async () => {
    try {
      await take();
      isRefused = false;
    } catch (error) {
      // A directory that cannot be read is told once, not with each look.
      if (!isRefused) parts.log.warning("request not taken up", { why: String(error) });
      isRefused = true;
      await files.remove("take up a request", path).catch(() => {});
    }
  };
}
