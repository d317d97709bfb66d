/** Makes folders that are for their owner, as far as the caller asks for that. */

import { commandEnvironment, systemRoot } from "./command_environment.ts";

const isWindows = Deno.build.os === "windows";

/** The right to all of it and to what comes into it, for a SID. */
function everything(sid: string): string {
  return `*${sid}:(OI)(CI)F`;
}

/**
 * By number, as their names are in the user's language: SYSTEM, the administrators, and whoever owns
 * a thing, https://learn.microsoft.com/en-us/windows-server/identity/ad-ds/manage/understand-security-identifiers.
 */
const OWNERS = ["S-1-5-18", "S-1-5-32-544", "S-1-3-4"].map(everything);

/**
 * Makes the folder at `path`, and its parents, with `mode`. On Windows, which has no modes, one that
 * is for nobody else loses what it would inherit: below `%ProgramData%` that is every user's right
 * to read. One that is there keeps what it has.
 *
 * @throws {Error} Deno's own, or if its rights cannot be set
 */
export async function makeFolder(path: string, mode: number): Promise<void> {
  const isPrivate = isWindows && (mode & 0o077) === 0;
  const isThere = isPrivate && await Deno.stat(path).then(() => true, () => false);
  await Deno.mkdir(path, { recursive: true, mode });
  if (isPrivate && !isThere) await keepToOwners(path);
}

async function keepToOwners(path: string): Promise<void> {
  const { code } = await new Deno.Command(`${systemRoot()}\\System32\\icacls.exe`, {
    args: [path, "/inheritance:r", "/grant:r", ...OWNERS, "/q"],
    clearEnv: true,
    env: commandEnvironment(),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  if (code === 0) return;
  await Deno.remove(path);
  throw new Error(`its rights cannot be set: icacls ended with ${code}`);
}
