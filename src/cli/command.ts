/** What a command of the command line is, how its arguments are read, and why it refuses to run. */

import { parseArgs } from "@std/cli/parse-args";
import { PLACES, registerCommand } from "../advice.ts";
import type { System } from "../system/system.ts";
import { didYouMean } from "../wording.ts";
import { GLOBAL_OPTIONS, type OptionSpec, valuesOf } from "./options.ts";

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
  /** The highest number of arguments besides options; an action counts as one. */
  readonly maxArguments: number;
  /** What its first argument may be. The first action is the one that is meant if none is given. */
  readonly actions?: readonly ActionSpec[];
  /** Whether an action must be given. @default false */
  readonly needsAction?: boolean;
  /** Its only argument, if it has no actions. `readAction` checks it. @default any words */
  readonly argument?: ArgumentSpec;
  /** Does the work; prints the answer on stdout. Throws an `Error` that says why it cannot. */
  run(system: System, given: Arguments): Promise<ExitCode>;
}

/** A command as the help, the manual pages and the completions describe it. */
export interface DescribedCommand
  extends
    Pick<ListedCommand, "name" | "summary">,
    Pick<CliCommand, "usage" | "details" | "options" | "actions" | "argument"> {}

/** An argument: a word that is neither an option nor its value. */
export interface ArgumentSpec {
  /** The placeholder in the help: `ID`. */
  readonly name: string;
  /** The only values that are allowed. */
  readonly choices?: readonly string[];
  /** @default false */
  readonly isOptional?: boolean;
}

/** What a command can do, if it can do several things: the word after its name. */
export interface ActionSpec {
  /** The word: `requeue`. */
  readonly name: string;
  /** One line for the help. */
  readonly summary: string;
  /** @default it takes no argument */
  readonly argument?: ArgumentSpec;
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
export const REGISTER_HINT = `Next: \`${registerCommand()}\``;

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
    alias: Object.fromEntries(
      known.flatMap(({ name, letter }) => letter === undefined ? [] : [[name, letter]]),
    ),
    unknown: (word) => {
      if (!word.startsWith("-") || word === "-") return true;
      const name = word.replace(/^-+/, "").replace(/=.*$/s, "");
      const hint = didYouMean(name, known.map((option) => option.name), "--");
      throw new UsageError(`Cannot read "${word}": no such option${hint}`);
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
  { name, value, valueIsOptional, choices, isList }: OptionSpec,
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
  if (choices === undefined) return found;
  const parts = isList ? found.split(",").map((part) => part.trim()) : [found];
  const wrong = parts.find((part) => !choices.includes(part));
  if (wrong === undefined) return parts.join(",");
  throw new UsageError(
    `Cannot read "--${name} ${found}": ${describeChoice(wrong, choices, isList)}`,
  );
}

function describeChoice(word: string, choices: readonly string[], isList = false): string {
  const takes = isList ? `"${word}" is none of` : "it takes one of";
  return `${takes} ${choices.join(", ")}${didYouMean(word, choices)}`;
}

/**
 * Checks the action and the argument of a command against its lists. Puts the first action in front if none
 * is given. Throws `UsageError`.
 */
export function readAction(name: string, command: CliCommand, given: Arguments): Arguments {
  const { actions } = command;
  if (actions === undefined) {
    if (command.argument) checkArgument(name, command.argument, given.positional[0]);
    return given;
  }
  const words = given.positional.length > 0 || command.needsAction
    ? given.positional
    : [actions[0]?.name ?? ""];
  const [word] = words;
  const action = actions.find((known) => known.name === word);
  const names = actions.map((known) => known.name);
  if (action === undefined) {
    const fact = word === undefined
      ? `it takes an action, one of ${names.join(", ")}`
      : `no such action; ${describeChoice(word, names)}`;
    throw new UsageError(`Cannot run "${[name, word ?? []].flat().join(" ")}": ${fact}`);
  }
  for (const { name: option, actions: owners } of command.options) {
    const isGiven = given.flags.has(option) || given.values[option] !== undefined;
    if (!isGiven || owners === undefined || owners.includes(action.name)) continue;
    const belongs = owners.map((owner) => `"${name} ${owner}"`).join(" and ");
    throw new UsageError(`Cannot read "--${option}": it belongs to ${belongs}`);
  }
  checkArgument(`${name} ${action.name}`, action.argument, words[1]);
  return { ...given, positional: words };
}

function checkArgument(
  what: string,
  spec: ArgumentSpec | undefined,
  word: string | undefined,
): void {
  if (spec === undefined) {
    if (word === undefined) return;
    throw new UsageError(`Cannot read "${word}": "${what}" takes no argument`);
  }
  const { name, choices, isOptional } = spec;
  if (word === undefined) {
    if (isOptional) return;
    const oneOf = choices ? `, one of ${choices.join(", ")}` : "";
    throw new UsageError(`Cannot run "${what}": it takes an argument, ${name}${oneOf}`);
  }
  if (choices === undefined || choices.includes(word)) return;
  throw new UsageError(`Cannot read "${word}" after "${what}": ${describeChoice(word, choices)}`);
}

/** The options that choose a place, of words that may be invalid: for the advice of an error. */
export function givenPlaces(words: readonly string[]): Pick<Arguments, "values"> {
  const entries = PLACES.flatMap((name) =>
    valuesOf(name, words).slice(0, 1).map((value) => [name, value] as const)
  );
  return { values: Object.fromEntries(entries) };
}
