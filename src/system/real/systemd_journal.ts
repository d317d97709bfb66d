/**
 * Marks lines on stderr with their priority where systemd's journal reads them, which knows none
 * otherwise: sd-daemon(3), "<3>". Imports no package.
 */

import { fstatSync } from "node:fs";
import { readRealEnvironment } from "./environment.ts";

const STDERR = 2;

let isJournal: boolean | undefined;

/** The text, with each of its lines marked if the journal reads stderr; `priority` as in syslog(3). */
export function markPriority(text: string, priority: number | undefined): string {
  if (priority === undefined || !(isJournal ??= stderrIsJournal())) return text;
  return text.split("\n").map((line) => `<${priority}>${line}`).join("\n");
}

/**
 * Whether stderr is the stream that systemd connected to its journal. A program that was started by a
 * service may have the variable and another stderr: systemd.exec(5), `$JOURNAL_STREAM`.
 */
function stderrIsJournal(): boolean {
  const stream = readRealEnvironment("JOURNAL_STREAM");
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(STDERR, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false; // It is closed.
  }
}
