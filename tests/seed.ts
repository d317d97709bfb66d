/**
 * Runs before each test file: draws the cases of all properties from the commit. So a commit's tests give
 * the same result each time they run, and every commit tries other cases.
 */

import fc from "fast-check";

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
    // In a work tree of its own `.git` is a file.
    const isAbsent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isAbsent) return "";
    throw error;
  }
}

function hashIn(text: string): string | null {
  return /^[0-9a-f]{40}/.exec(text)?.[0] ?? null;
}
