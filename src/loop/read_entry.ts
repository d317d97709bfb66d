/** What an earlier process left in the journal: run again, or reported as not run. Pure. */

import type { Command, CommandHandler } from "../buffer/command.ts";
import type { JournalEntry } from "../buffer/journal.ts";

/** Why a command is not run: what the log says, and what the server is told. */
export interface NotRun {
  readonly message: string;
  readonly why: string;
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

/** The command of an entry that is unfinished, and why it is not to be run; `null`: it is. */
export function readEntry(
  { id, type, params: text, state }: JournalEntry,
  { repeatable }: Pick<CommandHandler, "repeatable">,
): { command: Command; notRun: NotRun | null } {
  const params = readParams(text);
  const command: Command = { id, type, params: params ?? {} };
  if (params === null) return { command, notRun: DAMAGED };
  return { command, notRun: state === "started" && !repeatable ? INTERRUPTED : null };
}

function readParams(text: string): Command["params"] | null {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? value as Command["params"] : null;
  } catch {
    return null;
  }
}
