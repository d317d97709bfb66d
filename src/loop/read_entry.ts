/** Decides whether a journal entry can be run, or is reported as not run. Pure. */

import type { Command, CommandHandler } from "../buffer/command.ts";
import type { JournalEntry } from "../buffer/journal.ts";
import { type JsonLimits, parseJson } from "../json.ts";
import { MOST_PARAMS_BYTES } from "../server/check_in_answer.ts";

/** Why a command is not run: what the log says, and what the server is told. */
export interface NotRun {
  readonly message: string;
  readonly why: string;
}

/** An entry. A fresh one was received by this process, so the disk cannot have damaged it. */
export interface ReadableEntry extends Pick<JournalEntry, "id" | "type" | "params" | "state"> {
  readonly isFresh: boolean;
}

const INTERRUPTED: NotRun = {
  message: "command was interrupted",
  why: "interrupted: the agent stopped in the middle of it",
};

/** SQLite does not look into texts when it looks for damage. */
const DAMAGED: NotRun = {
  message: "command is damaged on disk",
  why: "not run: what was kept of it is damaged on disk",
};

/** Limits of a command's parameters; the largest legitimate ones are lists of package names. */
const PARAMS_LIMITS: JsonLimits = { maxLength: MOST_PARAMS_BYTES, maxDepth: 16, maxValues: 5_000 };

/** The command of an entry that is unfinished, and why it is not to be run; `null`: it is. */
export function readEntry(
  { id, type, params: text, state, isFresh }: ReadableEntry,
  { repeatable }: Pick<CommandHandler, "repeatable">,
): { command: Command; notRun: NotRun | null } {
  const parsed = parseJson(text, PARAMS_LIMITS);
  if (parsed.ok && isParams(parsed.value)) {
    const notRun = state === "started" && !repeatable ? INTERRUPTED : null;
    return { command: { id, type, params: parsed.value }, notRun };
  }
  const why = parsed.ok ? "it is not an object" : parsed.why;
  const unusable = { message: "command not run", why: `not run: its params are invalid: ${why}` };
  return { command: { id, type, params: {} }, notRun: isFresh ? unusable : DAMAGED };
}

function isParams(value: unknown): value is Command["params"] {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
