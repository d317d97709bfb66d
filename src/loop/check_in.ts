/** One check-in: reports the host's condition and receives the server's commands. */

import { pennonCommand, splitAdvice } from "../advice.ts";
import { DISK_WORDS } from "../buffer/disk_words.ts";
import type { CommandJournal, Unconfirmed } from "../buffer/journal.ts";
import type { Log } from "../log.ts";
import { DatabaseError } from "../system/database.ts";
import type { Client } from "../server/client.ts";
import type { Answer } from "../server/answer.ts";
import type { CheckInAnswer } from "../server/check_in_answer.ts";
import type { CheckInBody } from "../server/protocol.ts";
import type { Connection, Rejected } from "../connection/connection.ts";

/** What a check-in needs. */
export interface CheckInDeps {
  readonly journal: CommandJournal;
  readonly connection: Connection;
  readonly client: Pick<Client, "checkIn">;
  readonly signal: AbortSignal;
}

/** The contents of an answer, and what the server confirms of what was asked. */
export interface CheckInContents extends CheckInAnswer {
  readonly confirmed: Unconfirmed;
}

/** The server's answer, or why the check-in was not made. */
export type CheckInResult = Answer<CheckInContents> | Rejected;

/**
 * Checks in, lists the commands that are on disk, and asks about the results whose answer was lost.
 * The server may hand over the contents of the answer only once, and they are not on disk yet.
 */
export async function checkIn(deps: CheckInDeps, host: CheckInBody): Promise<CheckInResult> {
  const { connection, client, journal, signal } = deps;
  const asked = journal.unconfirmed();
  const body: CheckInBody = {
    ...host,
    ...(asked.results.length > 0 && { pending_acknowledgments: asked.results }),
    ...(asked.receipts.length > 0 && { received_command_ids: asked.receipts }),
  };
  return await connection.attempt("check_in", async (limits, caller) => {
    const answer = asFailure(await client.checkIn(caller, body, limits));
    if (answer.kind !== "ok") return answer;
    return { ...answer, value: { ...answer.value, confirmed: confirmedOf(answer.value, asked) } };
  }, { signal });
}

/**
 * What an answer confirms. An id that the agent did not ask for is dropped, as each costs a database
 * query. A listed receipt is settled by any answer (`MOST_RECEIPTS`), unless the answer has the command
 * once more without confirming it.
 */
function confirmedOf(answer: CheckInAnswer, asked: Unconfirmed): Unconfirmed {
  const acknowledged = new Set(answer.acknowledgedIds);
  const confirmed = new Set(answer.receiptConfirmedIds);
  const delivered = new Set([...answer.commands, ...answer.rejected].map(({ id }) => id));
  return {
    results: asked.results.filter((id) => acknowledged.has(id)),
    receipts: asked.receipts.filter((id) => confirmed.has(id) || !delivered.has(id)),
  };
}

/**
 * A working server has no reason to refuse a check-in: one that does is not set up, or no longer knows
 * this agent, and gets no reports either.
 */
function asFailure<T>(answer: Answer<T>): Answer<T> {
  if (answer.kind !== "refused") return answer;
  const { why, status } = answer;
  return { kind: "failed", why, status, offline: false, retryAfterMs: null };
}

/**
 * Throws if the disk cannot store a command: a command that is handed over is lost if the agent exits
 * before the disk works again.
 */
export function checkDisk({ journal }: Pick<CheckInDeps, "journal">): void {
  try {
    journal.tryWriting();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    const { message, reason } = error;
    const [fact, ownAdvice] = splitAdvice(message);
    const next = ownAdvice ??
      `${DISK_WORDS[reason].next}; \`${pennonCommand("doctor")}\` shows whether it accepts writes`;
    throw new Error(
      `Cannot check in: the disk cannot store commands (${reason}): ${fact}. Next: ${next}`,
      { cause: error },
    );
  }
}

/** How long until the next check-in, in ms; `null`: as soon as the connection allows it. */
export function dueAfter(
  answer: CheckInResult,
  when: { nextInMs(): number; afterResumeInMs(): number; isAborted: boolean },
): number | null {
  switch (answer.kind) {
    case "failed":
    case "limited":
      return null;
    case "aborted":
      // If the agent did not abort it, the host was asleep in the middle of it.
      return when.isAborted ? when.nextInMs() : when.afterResumeInMs();
    case "ok":
    case "refused":
    case "unauthorized":
    case "report_failed":
    case "operator_required":
    case "circuit_open":
    case "backoff":
      return when.nextInMs();
  }
}

/**
 * Finishes a check-in when its commands are on disk: logs one that succeeded (the connection logs the
 * others), and records which results the server confirms. An answer without confirmations means that
 * no result is lost. `isOnly`: `run --once`, whose log says how its one check-in ended.
 */
export function closeCheckIn(
  { journal, log }: { readonly journal: CommandJournal; readonly log: Log },
  answer: CheckInResult,
  { dueInMs, isOnly }: { readonly dueInMs: number | null; readonly isOnly: boolean },
): void {
  if (answer.kind === "circuit_open" || answer.kind === "backoff") {
    const retry_in_s = Math.ceil(answer.retryInMs / 1_000);
    log.warning("check-in not sent", { reason: answer.kind, retry_in_s });
    return;
  }
  if (answer.kind !== "ok") {
    const why = "why" in answer ? answer.why : "the agent was stopped";
    if (isOnly) log.info("check-in failed", { result: answer.kind, why });
    return;
  }
  const { commands: received, rejected, ignored, confirmed } = answer.value;
  for (const { part, count, first, why } of ignored) {
    log.warning("part of an answer ignored", { part, count, first, why });
  }
  const commands = received.length + rejected.length;
  const fields = { commands, next_in_s: Math.round((dueInMs ?? 0) / 1_000) };
  if (isOnly) log.info("checked in", { result: "ok", commands });
  else if (commands > 0) log.info("checked in", fields);
  else log.debug("checked in", fields);
  const logs = journal.confirm(confirmed);
  if (logs > 0) log.info("results confirmed by the server", { logs });
}
