/** Which updates no signature vouches for, and no person either. Pure. */

import type { Policies } from "./policy.ts";
import { filesOf, type WaitingUpdate } from "./updates.ts";
import { outputLines } from "../output_lines.ts";
import { joinNames } from "../../wording.ts";

/** Reads a list of package files, one a line, named as in `OfferedVersion.files`. */
export function parseFiles(text: string): ReadonlySet<string> {
  return new Set(outputLines(text).lines.filter((line) => line !== ""));
}

/** A sentence on the updates that only the files in `untrusted` offer; apt takes a signed one. */
export function tellUntrusted(
  waiting: readonly WaitingUpdate[],
  policies: Policies,
  untrusted: ReadonlySet<string>,
): string[] {
  const names = waiting.filter((update) => {
    const files = filesOf(update, policies);
    return files.length > 0 && files.every((file) => untrusted.has(file));
  }).map(({ name }) => name);
  if (names.length === 0) return [];
  return [`apt cannot authenticate ${joinNames(names)}: not offered by a signed source`];
}
