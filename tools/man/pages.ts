/** The manual pages in man(7), from the table of commands: `pennon.1`, and one page per command. Pure. */

import { describeOption, EXIT_CODES } from "../../src/cli/cli.ts";
import type { DescribedCommand } from "../../src/cli/command.ts";
import { GLOBAL_OPTIONS, type OptionSpec } from "../../src/cli/options.ts";
import { ALL_SETTINGS } from "../../src/config/settings.ts";

/** What the pages state besides the commands. */
export interface PageFacts {
  /** Of this program: `1.0.0`. */
  readonly version: string;
  /** Of the release, `2026-11-30`: not of the build, which is reproducible. */
  readonly date: string;
}

/** The text of each page by its file's name. */
export function manualPages(
  commands: readonly DescribedCommand[],
  facts: PageFacts,
): Map<string, string> {
  const own = commands.filter(({ name }) => name !== "help");
  return new Map([
    ["pennon.1", mainPage(commands, facts)],
    ...own.map((command) => [`pennon-${command.name}.1`, commandPage(command, facts)] as const),
  ]);
}

/** `src/config/locations.ts` decides. */
const FILES: readonly [path: string, meaning: string][] = [
  ["/etc/pennon/config.toml", "The configuration."],
  ["/var/lib/pennon/", "Identity, event buffer and state of an agent that runs as root."],
  ["~/.config/pennon/config.toml", "The configuration of another user, instead."],
  ["~/.local/state/pennon/", "The state of another user."],
];

function mainPage(commands: readonly DescribedCommand[], facts: PageFacts): string {
  const environment = ALL_SETTINGS.flatMap(({ environment: [name], summary }) =>
    name === undefined ? [] : [[name, `${summary}.`] as const]
  );
  return page("pennon", facts, [
    ...section("NAME", [
      text("pennon - reports the available updates of this host to a RedFlag server"),
    ]),
    ...section("SYNOPSIS", [`.B pennon`, text("COMMAND [options]")]),
    ...section("DESCRIPTION", [
      text(
        "Pennon asks the package managers of this host for available updates and reports them to a " +
          "RedFlag server. It keeps what it could not deliver, and goes on after an outage by itself.",
      ),
    ]),
    ...section("COMMANDS", commands.flatMap(({ name, summary }) => item(name, `${summary}.`))),
    ...section("OPTIONS", [
      text("Every command accepts these, before or after its name."),
      ...options(GLOBAL_OPTIONS),
    ]),
    ...section("EXIT STATUS", EXIT_CODES.flatMap(([code, meaning]) => item(code, meaning))),
    ...section("ENVIRONMENT", [
      text("Each variable overrides a setting of the configuration file."),
      ...environment.flatMap(([name, meaning]) => item(name, meaning)),
      ...item("NO_COLOR", "Turns colours off."),
    ]),
    ...section("FILES", FILES.flatMap(([path, meaning]) => item(path, meaning))),
    ...section("SEE ALSO", [
      references(commands.filter(({ name }) => name !== "help").map(({ name }) => name)),
    ]),
  ]);
}

function commandPage(command: DescribedCommand, facts: PageFacts): string {
  const { name, summary, usage, details, actions = [] } = command;
  return page(`pennon-${name}`, facts, [
    ...section("NAME", [text(`pennon-${name} - ${summary}`)]),
    ...section("SYNOPSIS", [`.B pennon ${escape(name)}`, ...(usage === "" ? [] : [text(usage)])]),
    ...(details.length === 0 ? [] : section("DESCRIPTION", paragraphs(details))),
    ...(actions.length === 0 ? [] : section(
      "ACTIONS",
      actions.flatMap(({ name, argument, summary }) => {
        const shown = argument?.isOptional ? `[${argument.name}]` : argument?.name ?? "";
        return item(`${name} ${shown}`.trimEnd(), `${summary}.`);
      }),
    )),
    ...section("OPTIONS", options([...command.options, ...GLOBAL_OPTIONS])),
    ...section("SEE ALSO", [`.BR pennon (1)`]),
  ]);
}

function page(name: string, { version, date }: PageFacts, lines: readonly string[]): string {
  const heading = `.TH ${name.toUpperCase().replaceAll("-", "\\-")} 1 ${date} "Pennon ${version}"`;
  return `${[heading, ...lines].join("\n")}\n`;
}

function section(title: string, lines: readonly string[]): string[] {
  return [`.SH ${title}`, ...lines];
}

/** A term and what it means. */
function item(term: string, meaning: string): string[] {
  return [".TP", `.B ${escape(term)}`, text(meaning)];
}

function options(specs: readonly OptionSpec[]): string[] {
  return specs.flatMap((spec) => {
    const kind = spec.isList ? "A list, with commas, of" : "One of";
    const choices = spec.choices ? ` ${kind} ${spec.choices.join(", ")}.` : "";
    return item(describeOption(spec), `${spec.summary}.${choices}`);
  });
}

/** Lines of a help text. Those that are indented are a table, and keep their form. */
function paragraphs(lines: readonly string[]): string[] {
  let isTable = false;
  const shown = lines.flatMap((line) => {
    const isIndented = line.startsWith("  ");
    const borders = isIndented === isTable ? [] : [isIndented ? ".nf" : ".fi"];
    isTable = isIndented;
    return [...borders, line === "" ? ".PP" : text(line)];
  });
  return isTable ? [...shown, ".fi"] : shown;
}

function references(names: readonly string[]): string {
  return names.map((name, index) => {
    const end = index === names.length - 1 ? "" : ",";
    return `.BR pennon\\-${escape(name)} (1)${end}`;
  }).join("\n");
}

/** A line of text: nothing in it is a request or an escape. */
function text(line: string): string {
  return line.startsWith(".") || line.startsWith("'") ? `\\&${escape(line)}` : escape(line);
}

/** A dash is one that can be copied, as options are written. */
function escape(words: string): string {
  return words.replaceAll("\\", "\\e").replaceAll("-", "\\-");
}
