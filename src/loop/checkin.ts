/** One check-in: tells how the host is, and hears what the server wants. */

import type { CommandJournal } from "../buffer/journal.ts";
import type { Log } from "../log.ts";
import { DatabaseError } from "../system/database.ts";
import type { Client } from "../server/client.ts";
import type { Answer } from "../server/answer.ts";
import type { CheckInAnswer } from "../server/check_in_answer.ts";
import type { CheckInBody } from "../server/protocol.ts";
import type { Connection, Withheld } from "./connection.ts";
import type { Session } from "./session.ts";

/** What a check-in needs. */
export interface CheckInParts {
  readonly journal: CommandJournal;
  readonly connection: Connection;
  readonly session: Session;
  readonly client: Client;
  readonly signal: AbortSignal;
}

/** What the server said, or why it was not asked. */
export type CheckedIn = Answer<CheckInAnswer> | Withheld;

/**
 * Checks in, and asks for the results whose answer was lost. What the answer holds is handed over
 * once, and is not on disk yet.
 */
export async function checkIn(parts: CheckInParts, told: CheckInBody): Promise<CheckedIn> {
  const { connection, session, client, journal, signal } = parts;
  const asked = journal.unconfirmed();
  const body = asked.length === 0 ? told : { ...told, pending_acknowledgments: asked };
  return await connection.attempt("check_in", (limits) => {
    const call = session.call((caller) => client.checkIn(caller, body, limits), limits.signal);
    return call.then(asFailure).then((answer) => onlyAsked(answer, asked));
  }, { cut: signal });
}

/** Keeps only the acknowledgements that the agent asked for: each id costs a database query. */
function onlyAsked(
  answer: Answer<CheckInAnswer>,
  asked: readonly string[],
): Answer<CheckInAnswer> {
  if (answer.kind !== "ok") return answer;
  const told = new Set(answer.value.acknowledgedIds);
  const acknowledgedIds = asked.filter((id) => told.has(id));
  return { ...answer, value: { ...answer.value, acknowledgedIds } };
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

/**
 * Throws where the disk would not take down a command: one that is handed over to an agent that ends
 * before the disk is well again is lost.
 */
export function checkDisk({ journal }: Pick<CheckInParts, "journal">): void {
  try {
    journal.tryWriting();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    const { message, reason } = error;
    throw new Error(
      `Cannot check in: the disk takes no commands down (${reason}): ${message}. Next: see "pennon status"`,
      { cause: error },
    );
  }
}

/** In how many ms the next check-in is due; `null`: when the connection allows it. */
export function dueAfter(
  answer: CheckedIn,
  when: { nextInMs(): number; afterSleepMs(): number; isCutOff: boolean },
): number | null {
  switch (answer.kind) {
    case "failed":
    case "limited":
      return null;
    case "aborted":
      // Not by us: the host has slept in the middle of it.
      return when.isCutOff ? when.nextInMs() : when.afterSleepMs();
    case "ok":
    case "refused":
    case "unauthorized":
    case "needs_person":
    case "withheld":
      return when.nextInMs();
  }
}

/**
 * What is left to do when the commands are on disk: the log's line for a check-in that went well (how
 * others went, the connection tells), and the server's word on the results that it was asked for. One
 * that says nothing of them has lost none.
 */
export function closeCheckIn(
  { journal, log }: { readonly journal: CommandJournal; readonly log: Log },
  answer: CheckedIn,
  dueInMs: number | null,
): void {
  if (answer.kind === "withheld") {
    log.warning("check-in withheld", { retry_in_s: Math.ceil(answer.retryInMs / 1_000) });
  }
  if (answer.kind !== "ok") return;
  const { commands: given, rejected, ignored, acknowledgedIds } = answer.value;
  for (const { part, count, first, why } of ignored) {
    log.warning("part of an answer ignored", { part, count, first, why });
  }
  const commands = given.length + rejected.length;
  const told = { commands, next_in_s: Math.round((dueInMs ?? 0) / 1_000) };
  if (commands > 0) log.info("checked in", told);
  else log.debug("checked in", told);
  const logs = journal.confirm(acknowledgedIds);
  if (logs > 0) log.info("results confirmed by the server", { logs });
}
