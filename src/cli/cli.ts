/** The command line: finds the command, runs it, and turns what goes wrong into words and a code. */

import { ConfigError } from "../config.ts";
import type { System } from "../system/system.ts";
import { type Arguments, readArguments } from "./arguments.ts";
import { type CliCommand, type ExitCode, UsageError } from "./command.ts";
import { breakerCommand } from "./breaker_command.ts";
import { configCommand } from "./config_command.ts";
import { eventsCommand } from "./events_command.ts";
import { describeCommand, describeCommands } from "./help.ts";
import { NotRegisteredError } from "./registered.ts";
import { registerCommand } from "./register_command.ts";
import { runCommand } from "./run_command.ts";
import { scanCommand } from "./scan_command.ts";
import { statusCommand } from "./status_command.ts";
import { plain } from "./table.ts";
import { unregisterCommand } from "./unregister_command.ts";
import { versionCommand } from "./version_command.ts";

const COMMANDS: readonly CliCommand[] = [
  runCommand,
  registerCommand,
  unregisterCommand,
  scanCommand,
  statusCommand,
  eventsCommand,
  breakerCommand,
  configCommand,
  versionCommand,
];

/** Runs `pennon` with these words after its name; answers the exit code. Never throws. */
export async function cli(words: readonly string[], system: System): Promise<ExitCode> {
  try {
    return await dispatch(words, system);
  } catch (error) {
    return explain(error, system);
  }
}

async function dispatch(words: readonly string[], system: System): Promise<ExitCode> {
  const [name = "help", ...rest] = words;
  if (name === "help" || name === "--help" || name === "-h") return help(rest, system);
  const command = findCommand(name === "--version" ? "version" : name);
  const given: Arguments = readArguments(rest, command.options, command.maxArguments);
  if (!given.flags.has("help")) return await command.run(system, given);
  system.terminal.print(describeCommand(command));
  return 0;
}

function help(words: readonly string[], system: System): ExitCode {
  const [name] = words;
  const isNamed = name !== undefined && name !== "help" && !name.startsWith("-");
  system.terminal.print(isNamed ? describeCommand(findCommand(name)) : describeCommands(COMMANDS));
  return 0;
}

function findCommand(name: string): CliCommand {
  const command = COMMANDS.find((known) => known.name === name);
  if (command) return command;
  throw new UsageError(`Cannot run "${name}": no such command`);
}

function explain(error: unknown, { terminal }: System): ExitCode {
  const message = error instanceof Error ? error.message : String(error);
  for (const line of message.split("\n")) terminal.printError(`pennon: ${plain(line)}`);
  if (error instanceof UsageError) {
    terminal.printError("Next: pennon help");
    return 2;
  }
  if (error instanceof ConfigError) return 2;
  return error instanceof NotRegisteredError ? 3 : 1;
}
