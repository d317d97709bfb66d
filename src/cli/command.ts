/** What a command of the command line is, how its arguments are read, and why it refuses to run. */

import { parseArgs } from "@std/cli/parse-args";
import { pennonCommand } from "../advice.ts";
import type { System } from "../system/system.ts";

/**
 * 0 done, 1 failed, 2 misused or badly configured, 3 not registered; 128 and the number of the signal
 * that interrupted it.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 129 | 130 | 143 | 149;

/** A command in the list of commands, before its code is loaded. */
export interface ListedCommand {
  /** The word after `pennon`. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Loads the module of the command. */
  load(): Promise<CliCommand>;
}

/** A loaded command. */
export interface CliCommand {
  /** What follows the name: `[--once]`. */
  readonly usage: string;
  /** What a user should know before using it; lines of at most 76 columns. */
  readonly details: readonly string[];
  /** Its own options, besides `GLOBAL_OPTIONS`. */
  readonly options: readonly OptionSpec[];
  /** The highest number of arguments besides options. */
  readonly maxArguments: number;
  /** Does the work; prints the answer on stdout. Throws an `Error` that says why it cannot. */
  run(system: System, given: Arguments): Promise<ExitCode>;
}

/** One option of a command. */
export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string;
  /** The placeholder for its value in the help; absent if the option takes no value. */
  readonly value?: string;
  /** Whether the value may be left out: the option is a flag then. @default false */
  readonly valueIsOptional?: boolean;
  /** The only values that are allowed. */
  readonly choices?: readonly string[];
  /** One line for the help. */
  readonly summary: string;
}

/** Arguments that passed the checks of `readArguments`. */
export interface Arguments {
  /** Words that are neither an option nor its value. */
  readonly positional: readonly string[];
  /** Options with a value, by name. */
  readonly values: Readonly<Record<string, string>>;
  /** Names of the given options without a value. */
  readonly flags: ReadonlySet<string>;
}

/** The option of every command that can print JSON. */
export const JSON_OPTION: OptionSpec = { name: "json", summary: "Print the answer as JSON" };

/** Options that every command accepts. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { name: "config", value: "FILE", summary: "Read this configuration file" },
  { name: "state-dir", value: "DIR", summary: "Use this directory for identity, buffer and state" },
  {
    name: "log-level",
    value: "LEVEL",
    choices: ["debug", "info", "warning", "error"],
    summary: "Log this level and above",
  },
  {
    name: "log-format",
    value: "FORMAT",
    choices: ["text", "json"],
    summary: "Format of log lines",
  },
  { name: "help", summary: "Show what the command does" },
];

/** The command line cannot be used this way; exit code 2. */
export class UsageError extends Error {}

const CODE_OF_SIGNAL: Readonly<Record<string, ExitCode>> = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGTERM: 143,
  SIGBREAK: 149,
};

/** A signal ended the command before its end. */
export class InterruptedError extends Error {
  /** 130 after Ctrl-C. */
  readonly code: ExitCode;

  constructor(signal: string) {
    super("interrupted");
    this.code = CODE_OF_SIGNAL[signal] ?? 1;
  }
}

/** This host is not enrolled; exit code 3. */
export class NotRegisteredError extends Error {
  /** `action`: what the command cannot do, as in "Cannot run". */
  constructor(action: string) {
    super(`Cannot ${action}: this host is not registered`);
  }
}

/** The next step on a host that is not registered. */
export const REGISTER_HINT = `Next: ${
  pennonCommand("register", "--server", "URL", "--token", "TOKEN")
}`;

/** Reads the words after a command's name. Throws `UsageError` that names the first wrong word. */
export function readArguments(
  words: readonly string[],
  specs: readonly OptionSpec[],
  maxPositional: number,
): Arguments {
  const known = [...specs, ...GLOBAL_OPTIONS];
  const withValue = known.filter(({ value }) => value !== undefined);
  const withoutValue = known.filter(({ value }) => value === undefined).map(({ name }) => name);
  const parsed = parseArgs(joinValues(words, withValue), {
    string: ["_", ...withValue.map(({ name }) => name)],
    boolean: withoutValue,
    alias: { help: "h" },
    unknown: (word) => {
      if (!word.startsWith("-") || word === "-") return true;
      throw new UsageError(`Cannot read "${word}": no such option`);
    },
  });
  const positional = parsed._.map(String);
  if (positional.length > maxPositional) {
    throw new UsageError(`Cannot read "${positional[maxPositional]}": one argument too many`);
  }
  const values: Record<string, string> = {};
  const flags = new Set(withoutValue.filter((name) => parsed[name] === true));
  for (const spec of withValue) {
    const value = readValue(spec, parsed[spec.name], words);
    if (value === null) flags.add(spec.name);
    else if (value !== undefined) values[spec.name] = value;
  }
  return { positional, values, flags };
}

/**
 * Joins an option and its value into one word. The parser reads a value that begins with a dash as an
 * option, but `-` means stdin, and a token may begin with any character.
 */
function joinValues(words: readonly string[], withValue: readonly OptionSpec[]): string[] {
  const joined: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const next = words[index + 1];
    const option = withValue.find(({ name }) => word === `--${name}`);
    const takesNext = next !== undefined && !next.startsWith(option?.valueIsOptional ? "-" : "--");
    if (option !== undefined && takesNext) {
      joined.push(`${word}=${next}`);
      index += 1;
    } else joined.push(word);
  }
  return joined;
}

/** `undefined`: not given; `null`: given without its value. */
function readValue(
  { name, value, valueIsOptional, choices }: OptionSpec,
  found: unknown,
  words: readonly string[],
): string | null | undefined {
  const times =
    words.filter((word) => word === `--${name}` || word.startsWith(`--${name}=`)).length;
  if (times === 0) return undefined;
  if (times > 1) throw new UsageError(`Cannot read "--${name}": given more than once`);
  if (valueIsOptional && words.includes(`--${name}`) && found === "") return null;
  if (typeof found !== "string" || found === "") {
    throw new UsageError(`Cannot read "--${name}": it takes a value, ${value}`);
  }
  if (choices && !choices.includes(found)) {
    throw new UsageError(
      `Cannot read "--${name} ${found}": it takes one of ${choices.join(", ")}`,
    );
  }
  return found;
}
