/** The command line: finds and runs the command, prints the help, and turns errors into exit codes. */

import { type AdviceFacts, adviceLines, completeAdvice, pennonCommand } from "../advice.ts";
import { ConfigError } from "../config.ts";
import { quoteWords } from "../redact.ts";
import { FileError } from "../system/files.ts";
import { SYSLOG_PRIORITY, type System } from "../system/system.ts";
import { didYouMean } from "../wording.ts";
import {
  type ActionSpec,
  type ArgumentSpec,
  type CliCommand,
  type DescribedCommand,
  type ExitCode,
  givenPlaces,
  InterruptedError,
  type ListedCommand,
  NotRegisteredError,
  readAction,
  readArguments,
  REGISTER_HINT,
  UsageError,
} from "./command.ts";
import { GLOBAL_OPTIONS, type OptionSpec, type SplitWords, splitWords } from "./options.ts";

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
    name: "metrics",
    summary: "Print metrics for Prometheus",
    load: async () => (await import("./metrics_command.ts")).metricsCommand,
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
    name: "doctor",
    summary: "Check everything the agent needs, and say what to do",
    load: async () => (await import("./doctor_command.ts")).doctorCommand,
  },
  {
    name: "diagnostics",
    summary: "Write an archive for support, without secrets",
    load: async () => (await import("./diagnostics_command.ts")).diagnosticsCommand,
  },
  {
    name: "service",
    summary: "Start the agent at boot: install, uninstall, status, logs",
    load: async () => (await import("./service_command.ts")).serviceCommand,
  },
  {
    name: "version",
    summary: "Show the version",
    load: async () => (await import("./version_command.ts")).versionCommand,
  },
  {
    name: "completion",
    summary: "Print the completions of a shell",
    load: () => Promise.resolve(completionCommand),
  },
];

const HELP = { name: "help", summary: "Show what a command does" };

/** Runs `pennon` with these words after its name; returns the exit code. Never throws. */
export async function cli(words: readonly string[], system: System): Promise<ExitCode> {
  const split = splitWords(words);
  try {
    return await dispatch(split, system);
  } catch (error) {
    return await reportError(error, system, { name: split.name, places: givenPlaces(words) });
  }
}

async function dispatch({ before, name, after }: SplitWords, system: System): Promise<ExitCode> {
  if (name === undefined) return helpWithoutCommand(before, system);
  if (name === HELP.name) return await help(after, system);
  const listed = findCommand(name);
  const command = await listed.load();
  const given = readArguments([...before, ...after], command.options, command.maxArguments);
  if (!given.flags.has("help")) {
    return await command.run(system, readAction(name, command, given));
  }
  system.terminal.print(describeCommand(listed, command));
  return 0;
}

/** The help, if it was asked for, or if there are no words at all. */
function helpWithoutCommand(words: readonly string[], { terminal }: System): ExitCode {
  const { flags } = readArguments(words, [], 0);
  if (words.length > 0 && !flags.has("help")) {
    throw new UsageError(`Cannot read "${words[0]}": it is given without a command`);
  }
  terminal.print(describeCommands(COMMANDS));
  return 0;
}

async function help([name]: readonly string[], { terminal }: System): Promise<ExitCode> {
  if (name === undefined || name === HELP.name || name.startsWith("-")) {
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
  const hint = didYouMean(name, [...COMMANDS, HELP].map((command) => command.name));
  throw new UsageError(`Cannot run "${name}": no such command${hint}`);
}

/** Every command with its options, its actions and its arguments, `help` among them. */
export async function describedCommands(): Promise<DescribedCommand[]> {
  const described = await Promise.all(COMMANDS.map(async ({ name, summary, load }) => {
    const command = await load();
    return { name, summary, ...command };
  }));
  const names = described.map(({ name }) => name);
  return [...described, {
    ...HELP,
    usage: "[COMMAND]",
    details: [],
    options: [],
    argument: { name: "COMMAND", choices: names, isOptional: true },
  }];
}

/** Limits of an error's text on stderr. */
const MOST_LINES = 100;
const LONGEST_LINE = 2_000;

async function reportError(
  error: unknown,
  system: System,
  { name, places }: { name: string | undefined; places: ReturnType<typeof givenPlaces> },
): Promise<ExitCode> {
  const { terminal } = system;
  const said = error instanceof Error ? error.message : String(error);
  const lines = completeAdvice(said, await factsFor(said, system, places)).split("\n");
  for (const line of lines.slice(0, MOST_LINES)) {
    for (const [index, { text, isCommand }] of adviceLines(line).entries()) {
      const front = isCommand ? "  " : index === 0 ? "pennon: " : "";
      terminal.printError(front + quoteWords(text, LONGEST_LINE), SYSLOG_PRIORITY.error);
    }
  }
  if (lines.length > MOST_LINES) {
    terminal.printError(`pennon: and ${lines.length - MOST_LINES} more lines`);
  }
  if (error instanceof UsageError) {
    const isKnown = COMMANDS.some((command) => command.name === name);
    terminal.printError(`Next: ${pennonCommand("help")}${isKnown ? ` ${name}` : ""}`);
    return 2;
  }
  if (error instanceof ConfigError) return 2;
  if (error instanceof InterruptedError) return error.code;
  if (error instanceof NotRegisteredError) {
    const hint = completeAdvice(REGISTER_HINT, await factsFor(REGISTER_HINT, system, places));
    for (const { text } of adviceLines(hint)) terminal.printError(text);
    return 3;
  }
  if (error instanceof FileError && error.reason === "denied") {
    terminal.printError(
      'Next: run this as the agent\'s user, or as root, or give another "--state-dir"',
    );
  }
  return 1;
}

/** What goes into the advice of an error; looked up only where there is a place for it. */
async function factsFor(
  text: string,
  system: System,
  { values }: ReturnType<typeof givenPlaces>,
): Promise<AdviceFacts> {
  if (!/--server URL\b|\bstop the agent\b/.test(text)) return { values };
  const { findAdviceFacts } = await import("./advice_facts.ts");
  return await findAdviceFacts(system, values);
}

/** The part of a command that the list of commands shows; its code is not loaded. */
export type CommandSummary = Pick<ListedCommand, "name" | "summary">;

/** What each exit code means. */
export const EXIT_CODES: readonly (readonly [code: string, meaning: string])[] = [
  ["0", "done"],
  ["1", "failed"],
  ["2", "misused or badly configured"],
  ["3", "not registered"],
  ["130", "interrupted"],
];

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
    `  ${HELP.name.padEnd(12)}${HELP.summary}`,
    "",
    "Options of every command, before or after its name:",
    ...describeOptions(GLOBAL_OPTIONS),
    "",
    ...describeExitCodes(),
  ].join("\n");
}

/** In lines of at most 80 columns. */
function describeExitCodes(): string[] {
  const lines: string[] = [];
  let line = "Exit codes:";
  for (const [index, [code, meaning]] of EXIT_CODES.entries()) {
    const word = `${code} ${meaning}${index < EXIT_CODES.length - 1 ? "," : ""}`;
    if (`${line} ${word}`.length > 80) lines.push(line);
    line = lines.at(-1) === line ? word : `${line} ${word}`;
  }
  return [...lines, line];
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
    ...describeActions(command.actions ?? []),
    ...own,
    "Options of every command:",
    ...describeOptions(GLOBAL_OPTIONS),
  ].join("\n");
}

function describeActions(actions: readonly ActionSpec[]): string[] {
  if (actions.length === 0) return [];
  const rows = actions.map((action) =>
    `  ${[action.name, ...describeArgument(action.argument)].join(" ").padEnd(22)}${action.summary}`
  );
  return ["Actions:", ...rows, ""];
}

function describeArgument(argument: ArgumentSpec | undefined): string[] {
  if (argument === undefined) return [];
  return [argument.isOptional ? `[${argument.name}]` : argument.name];
}

function describeOptions(options: readonly OptionSpec[]): string[] {
  return options.map((option) => {
    const hint = option.choices ? ` (${option.choices.join(", ")})` : "";
    return `  ${describeOption(option).padEnd(22)}${option.summary}${hint}`;
  });
}

/** `--config FILE`, `-h, --help`. */
export function describeOption({ name, letter, value, valueIsOptional }: OptionSpec): string {
  const front = letter === undefined ? "" : `-${letter}, `;
  if (value === undefined) return `${front}--${name}`;
  return `${front}--${name} ${valueIsOptional ? `[${value}]` : value}`;
}

const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

const completionCommand: CliCommand = {
  usage: SHELLS.join(" | "),
  details: [
    "The packages install the completions. Without a package, add one line to the",
    "file that your shell reads at its start:",
    "  bash        source <(pennon completion bash)",
    "  zsh         source <(pennon completion zsh)      (after compinit)",
    "  fish        pennon completion fish | source",
    "  PowerShell  pennon completion powershell | Out-String | Invoke-Expression",
  ],
  options: [],
  maxArguments: 1,
  argument: { name: "SHELL", choices: SHELLS },
  async run({ terminal }, { positional: [word] }) {
    const { completionScript } = await import("./completion.ts");
    const shell = SHELLS.find((known) => known === word);
    if (shell === undefined) throw new UsageError(`Cannot complete for "${word}": no such shell`);
    terminal.print(completionScript(shell, await describedCommands()).trimEnd());
    return 0;
  },
};
