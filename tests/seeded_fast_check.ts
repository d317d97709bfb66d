/**
 * What the tests import as `fast-check`: it draws the cases of all properties from the commit. So a
 * commit's tests give the same result each time they run, and every commit tries other cases. A test
 * without a property does not load it.
 */

import fc from "fast-check-unseeded";

export * from "fast-check-unseeded";
export default fc;

const commit = readCommit();
if (commit !== null) fc.configureGlobal({ seed: Number.parseInt(commit.slice(0, 8), 16) | 0 });

/** The hash of the present commit; `null`: this is no clone, and each run draws cases of its own. */
function readCommit(): string | null {
  const head = readGit("HEAD");
  const ref = /^ref: (\S+)/.exec(head)?.[1];
  if (ref === undefined) return hashIn(head);
  const packed = readGit("packed-refs").split("\n").find((line) => line.endsWith(` ${ref}`));
  return hashIn(readGit(ref)) ?? hashIn(packed ?? "");
}

function readGit(name: string): string {
  try {
    return Deno.readTextFileSync(new URL(`../.git/${name}`, import.meta.url));
  } catch (error) {
    // In a work tree of its own `.git` is a file; a test of mutations may not read it.
    const { NotFound, NotADirectory, NotCapable } = Deno.errors;
    if ([NotFound, NotADirectory, NotCapable].some((kind) => error instanceof kind)) return "";
    throw error;
  }
}

function hashIn(text: string): string | null {
  return /^[0-9a-f]{40}/.exec(text)?.[0] ?? null;
}
