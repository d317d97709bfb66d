/** Reads a command's arguments: known options only, each with a value if it takes one. Pure. */

import { parseArgs } from "@std/cli/parse-args";
import { UsageError } from "./command.ts";

/** One option of a command. */
export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string;
  /** What its value is called in the help; none: it takes no value. */
  readonly value?: string;
  /** The only values it takes. */
  readonly choices?: readonly string[];
  readonly summary: string;
}

/** Arguments that fit what the command takes. */
export interface Arguments {
  readonly positional: readonly string[];
  /** Options with a value, by name. */
  readonly values: Readonly<Record<string, string>>;
  /** Names of the options without a value that were given. */
  readonly flags: ReadonlySet<string>;
}

/** Options that every command takes. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { name: "config", value: "FILE", summary: "Read this configuration" },
  { name: "state-dir", value: "DIR", summary: "Keep identity, buffer and state here" },
  {
    name: "log-level",
    value: "LEVEL",
    choices: ["debug", "info", "warning", "error"],
    summary: "The least bad that is told",
  },
  {
    name: "log-format",
    value: "FORMAT",
    choices: ["text", "json"],
    summary: "How a log line looks",
  },
  { name: "help", summary: "Show what the command does" },
];

/** Reads what follows a command's name; throws `UsageError` naming the word that does not fit. */
export function readArguments(
  words: readonly string[],
  specs: readonly OptionSpec[],
  maxPositional: number,
): Arguments {
  const known = [...specs, ...GLOBAL_OPTIONS];
  const withValue = known.filter(({ value }) => value !== undefined);
  const parsed = parseArgs(joinValues(words, withValue), {
    string: ["_", ...withValue.map(({ name }) => name)],
    boolean: known.filter(({ value }) => value === undefined).map(({ name }) => name),
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
  for (const spec of withValue) {
    const value = readValue(spec, parsed[spec.name], words);
    if (value !== undefined) values[spec.name] = value;
  }
  const flags = known.filter((spec) => spec.value === undefined && parsed[spec.name] === true);
  return { positional, values, flags: new Set(flags.map(({ name }) => name)) };
}

/**
 * Joins an option and its value into one word. The parser takes a value that begins with a dash for
 * an option, but `-` is stdin, and a token may begin with anything.
 */
function joinValues(words: readonly string[], withValue: readonly OptionSpec[]): string[] {
  const joined: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const next = words[index + 1];
    const takesNext = withValue.some(({ name }) => word === `--${name}`);
    if (takesNext && next !== undefined && !next.startsWith("--")) {
      joined.push(`${word}=${next}`);
      index += 1;
    } else joined.push(word);
  }
  return joined;
}

function readValue(
  spec: OptionSpec,
  found: unknown,
  words: readonly string[],
): string | undefined {
  const times = words.filter((word) =>
    word === `--${spec.name}` || word.startsWith(`--${spec.name}=`)
  );
  if (times.length === 0) return undefined;
  if (times.length > 1) throw new UsageError(`Cannot read "--${spec.name}": given more than once`);
  if (typeof found !== "string" || found === "") {
    throw new UsageError(`Cannot read "--${spec.name}": it takes a value, ${spec.value}`);
  }
  if (spec.choices && !spec.choices.includes(found)) {
    const choices = spec.choices.join(", ");
    throw new UsageError(`Cannot read "--${spec.name} ${found}": it takes one of ${choices}`);
  }
  return found;
}
