/** The command line: finds the command, runs it, and turns what goes wrong into words and a code. */

import { ConfigError } from "../config.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { type Arguments, readArguments } from "./arguments.ts";
import { type CliCommand, type ExitCode, NotRegisteredError, UsageError } from "./command.ts";
import { describeCommand, describeCommands } from "./help.ts";
import { quoteWords } from "../redact.ts";

/**
 * The commands by name, in the order of the help. Each is loaded when it is asked for: no command
 * waits for what only another needs.
 */
const COMMANDS: ReadonlyMap<string, () => Promise<CliCommand>> = new Map([
  ["run", async () => (await import("./run_command.ts")).runCommand],
  ["register", async () => (await import("./register_command.ts")).registerCommand],
  ["unregister", async () => (await import("./unregister_command.ts")).unregisterCommand],
  ["scan", async () => (await import("./scan_command.ts")).scanCommand],
  ["status", async () => (await import("./status_command.ts")).statusCommand],
  ["events", async () => (await import("./events_command.ts")).eventsCommand],
  ["breaker", async () => (await import("./breaker_command.ts")).breakerCommand],
  ["config", async () => (await import("./config_command.ts")).configCommand],
  ["version", async () => (await import("./version_command.ts")).versionCommand],
]);

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
  if (name === "help" || name === "--help" || name === "-h") return await help(rest, system);
  const command = await loadCommand(name === "--version" ? "version" : name);
  const given: Arguments = readArguments(rest, command.options, command.maxArguments);
  if (!given.flags.has("help")) return await command.run(system, given);
  system.terminal.print(describeCommand(command));
  return 0;
}

async function help(words: readonly string[], { terminal }: System): Promise<ExitCode> {
  const [name] = words;
  const isNamed = name !== undefined && name !== "help" && !name.startsWith("-");
  if (isNamed) terminal.print(describeCommand(await loadCommand(name)));
  else terminal.print(describeCommands(await Promise.all([...COMMANDS.keys()].map(loadCommand))));
  return 0;
}

async function loadCommand(name: string): Promise<CliCommand> {
  const load = COMMANDS.get(name);
  if (load) return await load();
  const fact = name.startsWith("-") ? "options come after the command" : "no such command";
  throw new UsageError(`Cannot run "${name}": ${fact}`);
}

/** Of what went wrong: more is nothing that a person reads. */
const MOST_LINES = 100;
const LONGEST_LINE = 2_000;

function explain(error: unknown, { terminal }: System): ExitCode {
  const message = error instanceof Error ? error.message : String(error);
  const lines = message.split("\n");
  for (const line of lines.slice(0, MOST_LINES)) {
    terminal.printError(`pennon: ${quoteWords(line, LONGEST_LINE)}`);
  }
  if (lines.length > MOST_LINES) {
    terminal.printError(`pennon: and ${lines.length - MOST_LINES} more lines`);
  }
  if (error instanceof UsageError) {
    terminal.printError("Next: pennon help");
    return 2;
  }
  if (error instanceof ConfigError) return 2;
  if (error instanceof FileError && error.reason === "denied") {
    terminal.printError(
      'Next: run this as the agent\'s user, or as root, or give another "--state-dir"',
    );
  }
  return error instanceof NotRegisteredError ? 3 : 1;
}
