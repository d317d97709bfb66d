/** What Wine's Task Scheduler has stored: an exit code of `schtasks` proves nothing there. */

import { assertRejects, assertStringIncludes } from "@std/assert";

/** Where Task Scheduler keeps the tasks that it took, one file each. */
const STORED = "C:\\windows\\system32\\tasks\\Pennon";

/** The text of a file in UTF-16 or UTF-8. */
async function readAny(path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
  return new TextDecoder(isUtf16 ? "utf-16le" : "utf-8").decode(bytes);
}

/** What Wine's Task Scheduler keeps of a task; it drops triggers, account and program. */
const KEPT = [
  "<URI>\\Pennon</URI>",
  "<MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>",
  "<DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>",
  "<StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>",
  "<StartWhenAvailable>true</StartWhenAvailable>",
  "<ExecutionTimeLimit>PT0S</ExecutionTimeLimit>",
];

/** Throws unless it has stored the task of Pennon's. */
export async function assertStored(): Promise<void> {
  const stored = await readAny(STORED);
  for (const element of KEPT) assertStringIncludes(stored, element);
}

/** Throws if it has a task of Pennon's. */
export async function assertNotStored(): Promise<void> {
  await assertRejects(() => Deno.stat(STORED), Deno.errors.NotFound);
}
