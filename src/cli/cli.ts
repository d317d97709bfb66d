/** The command line: finds and runs the command, prints the help, and turns errors into exit codes. */

import { ConfigError } from "../config.ts";
import { quoteWords } from "../redact.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import {
  type Arguments,
  type CliCommand,
  type ExitCode,
  GLOBAL_OPTIONS,
  type ListedCommand,
  NotRegisteredError,
  type OptionSpec,
  readArguments,
  REGISTER_HINT,
  UsageError,
} from "./command.ts";

/**
 * The commands in the order of the help. The code of a command is loaded when that command is used, so
 * that other commands and the help start quickly.
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
    summary: "Delete the agent on the server, and its tokens here",
    load: async () => (await import("./register_command.ts")).unregisterCommand,
  },
  {
    name: "scan",
    summary: "List the updates of this host",
    load: async () => (await import("./scan_command.ts")).scanCommand,
  },
  {
    name: "status",
    summary: "Show the state of the agent",
    load: async () => (await import("./status_command.ts")).statusCommand,
  },
  {
    name: "events",
    summary: "List buffered events; requeue or delete dead letters",
    load: async () => (await import("./events_command.ts")).eventsCommand,
  },
  {
    name: "breaker",
    summary: "List the circuit breakers, or close one",
    load: async () => (await import("./breaker_command.ts")).breakerCommand,
  },
  {
    name: "config",
    summary: "Check or show the configuration",
    load: async () => (await import("./config_command.ts")).configCommand,
  },
  {
    name: "version",
    summary: "Show the version",
    load: async () => (await import("./version_command.ts")).versionCommand,
  },
];

/** Runs `pennon` with these words after its name; returns the exit code. Never throws. */
export async function cli(words: readonly string[], system: System): Promise<ExitCode> {
  try {
    return await dispatch(words, system);
  } catch (error) {
    return reportError(error, system);
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

/** Limits of an error's text on stderr. */
const MOST_LINES = 100;
const LONGEST_LINE = 2_000;

function reportError(error: unknown, { terminal }: System): ExitCode {
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
  if (error instanceof NotRegisteredError) {
    terminal.printError(REGISTER_HINT);
    return 3;
  }
  if (error instanceof FileError && error.reason === "denied") {
    terminal.printError(
      'Next: run this as the agent\'s user, or as root, or give another "--state-dir"',
    );
  }
  return 1;
}

/** The part of a command that the list of commands shows; its code is not loaded. */
export type CommandSummary = Pick<ListedCommand, "name" | "summary">;

/** The general help: one line per command, the options of all commands, the exit codes. */
export function describeCommands(commands: readonly CommandSummary[]): string {
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
  return [
    "pennon - reports the available updates of this host to a RedFlag server",
    "",
    "Usage: pennon COMMAND [options]",
    "",
    "Commands:",
    ...rows,
    `  ${"help".padEnd(12)}Show what a command does`,
    "",
    "Options of every command:",
    ...describeOptions(GLOBAL_OPTIONS),
    "",
    "Exit codes: 0 done, 1 failed, 2 misused or badly configured, 3 not registered",
  ].join("\n");
}

/** The help of one command. */
export function describeCommand({ name, summary }: CommandSummary, command: CliCommand): string {
  const own = command.options.length === 0
    ? []
    : ["Options:", ...describeOptions(command.options), ""];
  return [
    `pennon ${name} - ${summary}`,
    "",
    `Usage: pennon ${name} ${command.usage}`.trimEnd(),
    "",
    ...(command.details.length === 0 ? [] : [...command.details, ""]),
    ...own,
    "Options of every command:",
    ...describeOptions(GLOBAL_OPTIONS),
  ].join("\n");
}

function describeOptions(options: readonly OptionSpec[]): string[] {
  return options.map(({ name, value, valueIsOptional, summary, choices }) => {
    const shown = valueIsOptional ? `[${value}]` : value;
    const option = value === undefined ? `--${name}` : `--${name} ${shown}`;
    const hint = choices ? ` (${choices.join(", ")})` : "";
    return `  ${option.padEnd(22)}${summary}${hint}`;
  });
}
