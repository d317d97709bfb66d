/** Facts about the process and its account that need no more than a call: variables, user, system. */

import type { Os } from "../system.ts";

/** A variable's value; `undefined` if it is unset, empty or not ours to read. */
export function readRealEnvironment(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

/** The number of the user that runs this; `null` on Windows and where it may not be known. */
export function realUserId(): number | null {
  try {
    return Deno.uid();
  } catch {
    return null;
  }
}

export function realHomeDirectory(): string | null {
  return readRealEnvironment("HOME") ?? readRealEnvironment("USERPROFILE") ?? null;
}

/** The operating system. No server tells others apart; their tools are Linux's, if any. */
export function realOs(): Os {
  if (Deno.build.os === "windows") return "windows";
  return Deno.build.os === "darwin" ? "macos" : "linux";
}
