/** The directory of Windows itself, below which its own programs and libraries have fixed paths. */

import type { System } from "./system/system.ts";

/** Where the environment does not name it. */
const DEFAULT_ROOT = "C:\\Windows";

/** The Windows directory by `SystemRoot`; `undefined` if that is not a directory on a drive. */
export function windowsDirectory(
  system: Pick<System, "readEnvironment">,
): string | undefined {
  const root = system.readEnvironment("SystemRoot") ?? DEFAULT_ROOT;
  const isDirectory = /^[A-Za-z]:(?:\\[\w $~.()-]+)+\\?$/.test(root) && !root.includes("..");
  return isDirectory ? root.replace(/\\$/, "") : undefined;
}
