/** Completes the commands in an advice with the options that the user gave, so that they work as printed. */

import type { Arguments } from "./command.ts";

/** The options that decide which agent a command is about. */
const SCOPE = ["config", "state-dir"] as const;

/** The options of that kind which were given, each after a space. */
export function scopeOptions({ values }: Pick<Arguments, "values">): string {
  return SCOPE.flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [` --${name} ${quote(value)}`];
  }).join("");
}

/** Adds them to each `pennon ...` in backquotes. */
export function completeAdvice(text: string, given: Pick<Arguments, "values">): string {
  const options = scopeOptions(given);
  return text.replaceAll(/`pennon ([^`]*)`/g, (_, words) => `\`pennon ${words}${options}\``);
}

/** As a shell reads it: a path with a space or a sign of the shell is in quotes. */
function quote(value: string): string {
  return /^[\w@%+=:,./\\-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
