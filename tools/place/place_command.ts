/** The command line of a task that runs tests in a place: its options, its exit codes, its end. */

import { parseArgs } from "@std/cli/parse-args";
import { endAllAlone } from "./alone.ts";
import { cacheFolder } from "./host.ts";
import { PlaceError, type PlaceErrorReason } from "./place_error.ts";

/** Such a task. */
export interface PlaceCommand {
  /** What its folder in the cache is called. */
  readonly name: string;
  readonly usage: string;
  /** What `--allow-missing` makes 0 of. */
  readonly allowed: readonly PlaceErrorReason[];
  /** Runs the tests in `files`, or all of them, in the place in `folder`; answers their exit code. */
  test(folder: string, files: readonly string[]): Promise<number>;
}

/** Runs it, and ends this process: with the tests' code, 2 for misuse, 3 without a place. */
export async function runPlaceCommand(command: PlaceCommand, args: readonly string[]) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      endAllAlone();
      Deno.exit(130);
    });
  }
  Deno.exit(await main(command, args));
}

async function main(command: PlaceCommand, args: readonly string[]): Promise<number> {
  const flags = parseArgs(args, {
    string: ["place"],
    boolean: ["allow-missing", "help"],
    unknown: (argument) => {
      if (argument.startsWith("-")) misuse(command, `no such option "${argument}"`);
      return true;
    },
  });
  if (flags["help"]) {
    console.log(command.usage);
    return 0;
  }
  const folder = String(flags["place"] ?? cacheFolder(command.name));
  try {
    return await command.test(folder, flags._.map(String));
  } catch (error) {
    if (!(error instanceof PlaceError)) throw error;
    console.error(error.message);
    return flags["allow-missing"] && command.allowed.includes(error.reason) ? 0 : 3;
  }
}

function misuse({ usage }: PlaceCommand, fact: string): never {
  console.error(`Cannot test: ${fact}\n${usage}`);
  Deno.exit(2);
}
