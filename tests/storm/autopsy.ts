/** What a killed agent was in the middle of, by what it left; looked at in a copy. */

import type { RefserverState } from "../../tools/refserver/server.ts";
import type { LoggedRequest } from "../../tools/refserver/request_log.ts";
import { isUnfinished } from "./command_verdict.ts";
import { identitiesAt, identitiesOf } from "./identity_of.ts";
import type { Life } from "./life.ts";
import { STARTED } from "./life.ts";
import { readWalTail } from "./wal_tail.ts";
import { readTestimony } from "./witness.ts";

/** What a kill can hit, each by the trace it leaves. */
export const HITS = {
  start: "before the agent had started",
  request: "a request was with the server, unanswered",
  answer: "the answer was given, and nothing kept of it",
  delivered: "the server had an event that still waited",
  handed_over: "commands handed over, not written down",
  received: "commands written down, not begun",
  running: "a command begun, not finished",
  committed: "the end of a command was on disk, and not yet known to the agent",
  torn: "a transaction half written",
  wal: "changes in the log, not in the database",
} as const;

export type Hit = keyof typeof HITS;

const REPORT = /\/(logs|updates|system-info)$/;

/**
 * Finds what one kill hit; nothing: the agent was idle. `seen` collects the events that will be sent
 * twice, each of which is one kill's.
 */
export async function findHits(
  life: Life,
  folder: { readonly state: string; readonly scratch: string },
  server: Pick<RefserverState, "logs" | "updates" | "systemInfo" | "requests">,
  seen: Set<string>,
): Promise<Set<Hit>> {
  const hits = new Set<Hit>();
  if (!life.lines.some(({ message }) => message === STARTED)) hits.add("start");
  const requests = server.requests.filter(({ atMs }) => atMs >= life.bornMs && atMs <= life.deadMs);
  const last = requests.at(-1);
  if (last && isOpen(last, life.deadMs)) hits.add("request");
  if (last && isFresh(last, life)) hits.add("answer");

  const copy = await copyBuffer(folder);
  if (copy === null) return hits;
  const wal = readWalTail(copy.wal);
  if (wal.torn > 0) hits.add("torn");
  if (wal.committed > 0) hits.add("wal");
  const { kept, commands } = readTestimony(copy.path);
  const there = identitiesAt(server);
  const sentTwice = kept.filter((event) =>
    event.state === "pending" && !seen.has(event.id) &&
    identitiesOf(event).every((identity) => there.has(identity))
  );
  const report = requests.findLast(({ path }) => REPORT.test(path));
  // Where the server lost the answer itself, it was not the kill.
  if (sentTwice.length > 0 && report?.fault === null) hits.add("delivered");
  for (const { id } of sentTwice) seen.add(id);
  if (commands.some(({ state }) => state === "received")) hits.add("received");
  if (commands.some(({ state }) => state === "started")) hits.add("running");
  const known = new Map(commands.map(({ id, state }) => [id, state]));
  const begun = idsTold(life, "command started").filter((id) =>
    !isUnfinished(known.get(id) ?? "received")
  );
  const told = new Set(idsTold(life, "command finished"));
  if (begun.some((id) => !told.has(id))) hits.add("committed");
  if (requests.some(({ handedOver }) => handedOver.some((id) => !known.has(id)))) {
    hits.add("handed_over");
  }
  return hits;
}

/** Whether a life that left this was doing nothing: a log of changes is always there. */
export function isIdle(hits: ReadonlySet<Hit>): boolean {
  return [...hits].every((hit) => hit === "wal");
}

function isOpen({ answeredAtMs, fault }: LoggedRequest, deadMs: number): boolean {
  return fault === null && (answeredAtMs === null || answeredAtMs > deadMs);
}

/** Answered, and dead before a line of the log could follow. */
function isFresh({ answeredAtMs }: LoggedRequest, life: Life): boolean {
  if (answeredAtMs === null) return false;
  const sinceMs = life.deadMs - answeredAtMs;
  return sinceMs >= 0 && sinceMs < 5;
}

function idsTold({ lines }: Life, message: string): string[] {
  return lines.filter((line) => line.message === message).map((line) => String(line["id"]));
}

/** Copies a dead agent's buffer as it left it, the log of changes with it; `null`: there is none. */
export async function copyBuffer(
  { state, scratch }: { readonly state: string; readonly scratch: string },
): Promise<{ path: string; wal: Uint8Array } | null> {
  const path = `${scratch}/buffer.sqlite`;
  for (const suffix of ["", "-wal", "-shm"]) await removeIfThere(path + suffix);
  try {
    await Deno.copyFile(`${state}/buffer.sqlite`, path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  try {
    const wal = await Deno.readFile(`${state}/buffer.sqlite-wal`);
    await Deno.writeFile(`${path}-wal`, wal);
    return { path, wal };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { path, wal: new Uint8Array() };
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
