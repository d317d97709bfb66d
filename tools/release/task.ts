/** What `deno task package`, `repo` and `release` have in common. */

import { BuildError } from "../build/build_error.ts";

/** The project has no public address yet: https://www.rfc-editor.org/rfc/rfc2606 reserves this one. */
export const HOMEPAGE = "https://updates.example/";
export const MAINTAINER = "The Pennon authors <pennon@updates.example>";

/** Runs a task in the project's directory and ends this process with its exit code. */
export async function runTask(main: (args: readonly string[]) => Promise<number>): Promise<never> {
  try {
    Deno.chdir(new URL("../..", import.meta.url));
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    Deno.exit(error.exitCode);
  }
}

/** The names in a directory, sorted; none if it is not there. */
export async function namesOf(directory: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(directory)) names.push(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

/** The text of an option, if it was given. */
export function textOf(flag: unknown): string | undefined {
  return typeof flag === "string" ? flag : undefined;
}
