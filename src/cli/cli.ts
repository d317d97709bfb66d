/** The command line: finds the command, runs it, and turns what goes wrong into words and a code. */

import { ConfigError } from "../config.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { type Arguments, readArguments } from "./arguments.ts";
import { type ExitCode, type ListedCommand, NotRegisteredError, UsageError } from "./command.ts";
import { describeCommand, describeCommands } from "./help.ts";
import { quoteWords } from "../redact.ts";

/**
 * In the order of the help. A command is loaded when it is asked for: neither another command nor the
 * help waits for it.
 */
const COMMANDS: readonly ListedCommand[] = [
  {
    name: "run",
    summary: "Run the agent in the foreground",
    load: async () => (await import("./run_command.ts")).runCommand,
  },
  {
    name: "register",
    summary: "Enrol this host with a server",
    load: async () => (await import("./register_command.ts")).registerCommand,
  },
  {
    name: "unregister",
    summary: "Delete the agent on the server and forget its tokens",
    load: async () => (await import("./unregister_command.ts")).unregisterCommand,
  },
  {
    name: "scan",
    summary: "Show what could be updated on this host, now",
    load: async () => (await import("./scan_command.ts")).scanCommand,
  },
  {
    name: "status",
    summary: "Show what the agent is doing",
    load: async () => (await import("./status_command.ts")).statusCommand,
  },
  {
    name: "events",
    summary: "List what waits in the buffer; see to what was set aside",
    load: async () => (await import("./events_command.ts")).eventsCommand,
  },
  {
    name: "breaker",
    summary: "List the circuit breakers, or close one",
    load: async () => (await import("./breaker_command.ts")).breakerCommand,
  },
  {
    name: "config",
    summary: "Check the configuration, or show it",
    load: async () => (await import("./config_command.ts")).configCommand,
  },
  {
    name: "version",
    summary: "Show which Pennon this is",
    load: async () => (await import("./version_command.ts")).versionCommand,
  },
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
  if (name === "help" || name === "--help" || name === "-h") return await help(rest, system);
  const listed = findCommand(name === "--version" ? "version" : name);
  const command = await listed.load();
  const given: Arguments = readArguments(rest, command.options, command.maxArguments);
  if (!given.flags.has("help")) return await command.run(system, given);
  system.terminal.print(describeCommand(listed, command));
  return 0;
}

async function help([name]: readonly string[], { terminal }: System): Promise<ExitCode> {
  if (name === undefined || name === "help" || name.startsWith("-")) {
    terminal.print(describeCommands(COMMANDS));
    return 0;
  }
  const listed = findCommand(name);
  terminal.print(describeCommand(listed, await listed.load()));
  return 0;
}

function findCommand(name: string): ListedCommand {
  const listed = COMMANDS.find((command) => command.name === name);
  if (listed) return listed;
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
