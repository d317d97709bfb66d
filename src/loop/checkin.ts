/** One check-in: tells how the host is, takes the server's commands and writes them down. */

import type { Command } from "../buffer/command.ts";
import type { CommandJournal } from "../buffer/journal.ts";
import type { Log } from "../log.ts";
import type { Client } from "../server/client.ts";
import type { CheckInAnswer, CheckInBody } from "../server/protocol.ts";
import type { Answer } from "../server/answer.ts";
import type { Connection, Withheld } from "./connection.ts";
import type { Session } from "./session.ts";

/** What a check-in needs. */
export interface CheckInParts {
  readonly connection: Connection;
  readonly session: Session;
  readonly client: Client;
  readonly journal: CommandJournal;
  readonly signal: AbortSignal;
}

/** What the server said, and what of it is to be done. */
export interface CheckedIn {
  readonly answer: Answer<CheckInAnswer> | Withheld;
  /** In the journal already, and not known before. */
  readonly commands: readonly Command[];
}

/**
 * Checks in. The server never hands a command over twice, so the commands are on disk when this
 * returns; throws `DatabaseError` if they could not be written.
 */
export async function checkIn(parts: CheckInParts, body: CheckInBody): Promise<CheckedIn> {
  const { connection, session, client, journal, signal } = parts;
  const answer = await connection.attempt("check_in", (limits) => {
    const options = { ...limits, signal: AbortSignal.any([signal, limits.signal]) };
    const call = session.call((caller) => client.checkIn(caller, body, options), limits.signal);
    return call.then(asFailure);
  });
  if (answer.kind !== "ok" || answer.value.commands.length === 0) return { answer, commands: [] };
  const handedOver = answer.value.commands;
  const known = journal.receive(
    handedOver.map(({ id, type, params }) => ({ id, type, params: JSON.stringify(params) })),
  );
  const fresh = new Set(known.map(({ id }) => id));
  return { answer, commands: handedOver.filter(({ id }) => fresh.has(id)) };
}

/**
 * There is nothing in a check-in that a well server could refuse: one that does is not set up, or has
 * forgotten this agent, and gets nothing else either.
 */
function asFailure<T>(answer: Answer<T>): Answer<T> {
  if (answer.kind !== "refused") return answer;
  const { why, status } = answer;
  return { kind: "failed", why, status, offline: false, retryAfterMs: null };
}

/** The log's line for a check-in that went well; how others went, the connection tells. */
export function tellCheckIn(
  log: Log,
  answer: CheckedIn["answer"],
  { commands, dueInMs }: { commands: number; dueInMs: number | null },
): void {
  if (answer.kind === "withheld") {
    log.debug("check-in withheld", { retry_in_ms: Math.round(answer.retryInMs) });
  }
  if (answer.kind !== "ok") return;
  const told = { commands, next_in_s: Math.round((dueInMs ?? 0) / 1_000) };
  if (commands > 0) log.info("checked in", told);
  else log.debug("checked in", told);
}
