/** What a command of the command line is, and why one may refuse to run. */

import type { System } from "../system/system.ts";
import type { Arguments, OptionSpec } from "./arguments.ts";

/** 0 done, 1 failed, 2 misused or badly configured, 3 not registered. */
export type ExitCode = 0 | 1 | 2 | 3;

/** A command as the list of commands has it, before its code is loaded. */
export interface ListedCommand {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  load(): Promise<CliCommand>;
}

/** What a command takes and does. */
export interface CliCommand {
  /** What follows the name: `[--once]`. */
  readonly usage: string;
  /** What a person should know before using it; lines of at most 76 columns. */
  readonly details: readonly string[];
  readonly options: readonly OptionSpec[];
  /** How many arguments besides options it takes, at most. */
  readonly maxArguments: number;
  run(system: System, given: Arguments): Promise<ExitCode>;
}

/** The command line was used in a way it cannot be; exits 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** This host is not enrolled; exits 3. */
export class NotRegisteredError extends Error {
  override readonly name = "NotRegisteredError";

  constructor(action: string) {
    super(
      `Cannot ${action}: this host is not registered. Next: pennon register --server URL --token TOKEN`,
    );
  }
}
