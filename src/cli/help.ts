/** The help texts, made of what the commands say of themselves. Pure. */

import { GLOBAL_OPTIONS, type OptionSpec } from "./arguments.ts";
import type { CliCommand, ListedCommand } from "./command.ts";

/** What the help needs of a command that is not loaded. */
type Named = Pick<ListedCommand, "name" | "summary">;

/** All commands, a line each. */
export function describeCommands(commands: readonly Named[]): string {
  const rows = commands.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
  return [
    "pennon - tells a RedFlag server which updates are waiting on this host",
    "",
    "Usage: pennon COMMAND [options]",
    "",
    "Commands:",
    ...rows,
    `  ${"help".padEnd(12)}Show what a command does`,
    "",
    "Options everywhere:",
    ...describeOptions(GLOBAL_OPTIONS),
    "",
    "Exit codes: 0 done, 1 failed, 2 misused or badly configured, 3 not registered",
  ].join("\n");
}

/** Everything about one command. */
export function describeCommand({ name, summary }: Named, command: CliCommand): string {
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
    "Options everywhere:",
    ...describeOptions(GLOBAL_OPTIONS),
  ].join("\n");
}

function describeOptions(options: readonly OptionSpec[]): string[] {
  return options.map(({ name, value, summary, choices }) => {
    const option = value === undefined ? `--${name}` : `--${name} ${value}`;
    const hint = choices ? ` (${choices.join(", ")})` : "";
    return `  ${option.padEnd(22)}${summary}${hint}`;
  });
}
