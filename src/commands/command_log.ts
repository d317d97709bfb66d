/** The log that ends a command; the server's dashboard shows it. */

import type { NewEvent } from "../buffer/buffer.ts";
import type { Command } from "../buffer/journal.ts";
import { cut, encodeBody, LIMITS } from "../server/limits.ts";
import type { LogBody } from "../server/protocol.ts";

/** How a command ended. Never `partial`: that would leave it open until it times out. */
interface CommandResult {
  readonly result: "success" | "failed";
  readonly stdout?: string;
  readonly stderr?: string;
  readonly durationMs: number;
}

/** Longest text of a log, in characters; a truncated text ends with a mark. */
const TEXT_LIMIT = 64 * 1_024;

/** The event that reports how a command ended. */
export function logEvent(command: Pick<Command, "id" | "type">, result: CommandResult): NewEvent {
  const body: LogBody = {
    command_id: command.id,
    action: cut(command.type, LIMITS.logAction),
    result: result.result,
    stdout: limit(result.stdout ?? ""),
    stderr: limit(result.stderr ?? ""),
    exit_code: result.result === "success" ? 0 : 1,
    duration_seconds: Math.round(result.durationMs / 1_000),
  };
  return {
    kind: "log",
    commandId: command.id,
    snapshotOf: null,
    body: encodeBody(body),
  };
}

/** The log of a command that failed with a message. */
export function failureEvent(
  command: Pick<Command, "id" | "type">,
  why: string,
  durationMs: number,
): NewEvent {
  return logEvent(command, { result: "failed", stderr: why, durationMs });
}

function limit(text: string): string {
  const mark = "\n(cut)";
  return text.length <= TEXT_LIMIT ? cut(text, TEXT_LIMIT) : cut(text, TEXT_LIMIT) + mark;
}
