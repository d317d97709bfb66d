/**
 * Resets a breaker from the command line: on disk if no agent runs, else by a request file in the state
 * directory, which the running agent handles within seconds.
 */

import * as v from "valibot";
import { NEW_BREAKER, resetBreaker } from "../breaker/breaker.ts";
import { JsonFile } from "../json_file.ts";
import type { Log } from "../log.ts";
import { resetConnection } from "../connection/state.ts";
import type { System } from "../system/system.ts";
import { acquireInstanceLock, LockedError } from "./instance_lock.ts";
import { loadScannerBreakers, loadState, saveScannerBreakers, saveState } from "./saved_state.ts";

/** The name of the breaker for the connection; each other breaker has the name of its scanner. */
export const CONNECTION = "connection";

const REQUEST = new JsonFile({
  name: "breaker-reset.json",
  what: "the reset request",
  schema: "pennon.breaker-reset-request/1",
  value: v.object({ name: v.pipe(v.string(), v.maxLength(50)) }),
  earlier: { schema: undefined },
});

/** How long the command waits for a running agent to handle its request. */
const PATIENCE_MS = 15_000;

/** A reset removes the waits, so a long one in the file need not be shortened first. */
const ANY_WAIT = {
  notBeforeMs: Infinity,
  openMs: Infinity,
  rapidMs: Infinity,
  intervalMs: Infinity,
};

/**
 * Closes a breaker, on disk or through the running agent; `byAgent`: a running agent did it.
 * Throws `FileError`, or an `Error` if the running agent does not handle the request.
 */
export async function closeBreaker(
  system: System,
  state: { stateDirectory: string; log: Log },
  name: string,
): Promise<{ byAgent: boolean }> {
  // Locking would make it: a mistyped path must not look like a success.
  const directory = state.stateDirectory;
  if (await system.files.inspect("look for the state directory", directory) === undefined) {
    throw new Error(`Cannot reset the breaker "${name}": no directory "${directory}"`);
  }
  try {
    const lock = await acquireInstanceLock(system, state.stateDirectory, "reset a breaker");
    try {
      await resetOnDisk(system, state, name);
      return { byAgent: false };
    } finally {
      await lock.release();
    }
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    await requestReset(system, state.stateDirectory, name);
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
    return await saveState(system, stateDirectory, { ...state, connection, nextCheckInAtMs: null });
  }
  const breakers = await loadScannerBreakers(system, stateDirectory, Infinity);
  const reset = resetBreaker(breakers.get(name) ?? NEW_BREAKER);
  await saveScannerBreakers(system, stateDirectory, new Map([...breakers, [name, reset]]));
}

async function requestReset(system: System, stateDirectory: string, name: string): Promise<void> {
  const { files, clock } = system;
  await REQUEST.write(files, stateDirectory, { name });
  const path = REQUEST.pathIn(stateDirectory);
  const never = new AbortController().signal;
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 500) {
    await clock.sleep(500, never);
    if (await files.inspect("look for the reset request", path) === undefined) return;
  }
  await REQUEST.remove(files, stateDirectory);
  const fact = `the running agent did not handle the request within ${PATIENCE_MS / 1_000} s`;
  throw new Error(`Cannot reset the breaker "${name}": ${fact}. Next: restart the agent`);
}

interface BreakerResetDeps extends Pick<System, "files"> {
  readonly stateDirectory: string;
  readonly log: Log;
  reset(name: string): Promise<void>;
}

/** Handles the request file of `closeBreaker` in the running agent. */
export class BreakerResetRequests {
  readonly #deps: BreakerResetDeps;
  #isRefused = false;

  constructor(deps: BreakerResetDeps) {
    this.#deps = deps;
  }

  /** Handles a request if there is one. A failure is logged, and the request removed; never throws. */
  async handle(): Promise<void> {
    const { files, stateDirectory, log } = this.#deps;
    try {
      await this.#handle();
      this.#isRefused = false;
    } catch (error) {
      // A directory that stays unreadable is logged once.
      if (!this.#isRefused) log.warning("reset request failed", { why: String(error) });
      this.#isRefused = true;
      await REQUEST.remove(files, stateDirectory).catch(() => {});
    }
  }

  async #handle(): Promise<void> {
    const { files, stateDirectory, log, reset } = this.#deps;
    let fault: string | undefined;
    const request = await REQUEST.read(files, stateDirectory, (why) => fault = why);
    if (request !== undefined) {
      log.info("breaker reset by an operator", { breaker: request.name });
      await reset(request.name);
    } else if (fault === undefined) return;
    else log.warning("reset request failed", { why: fault });
    await REQUEST.remove(files, stateDirectory);
  }
}
