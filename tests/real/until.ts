/** Waits, each with an end, for what another process does. */

import type { Refserver } from "../../tools/refserver/server.ts";

const PAUSE_MS = 200;

/** What is waited for: there, or not yet. */
type Answer<T> = T | undefined | false;

/** Waits until `ask` answers something; rejects after `patienceMs`. */
export async function until<T>(
  what: string,
  ask: () => Answer<T> | Promise<Answer<T>>,
  patienceMs = 40_000,
): Promise<T> {
  const endMs = performance.now() + patienceMs;
  while (performance.now() < endMs) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`Cannot go on: still no ${what}`);
}

/** Waits for a check-in since the server's requests were last forgotten. */
export async function untilCheckIn(server: Refserver): Promise<void> {
  await until(
    "check-in",
    () => server.state().requests.some(({ path }) => path.endsWith("/commands")),
  );
}
