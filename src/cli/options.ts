/**
 * The options of the command line: what one is, those of every command, and where the command is among the
 * words. The thread that supervises the agent loads this file, so it loads no other.
 */

/** One option of a command. */
export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string;
  /** A letter that means the same after one dash. */
  readonly letter?: string;
  /** The placeholder for its value in the help; absent if the option takes no value. */
  readonly value?: string;
  /** Whether the value may be left out: the option is a flag then. @default false */
  readonly valueIsOptional?: boolean;
  /** The only values that are allowed. */
  readonly choices?: readonly string[];
  /** Whether the value is a list of `choices`, with commas between them. @default false */
  readonly isList?: boolean;
  /** What a shell completes the value with. @default its choices, or nothing */
  readonly completes?: "file" | "directory";
  /** The actions that it belongs to. @default every action of its command */
  readonly actions?: readonly string[];
  /** One line for the help. */
  readonly summary: string;
}

/** Options that every command accepts, before or after its name. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  {
    name: "config",
    value: "FILE",
    completes: "file",
    summary: "Read this configuration file",
  },
  {
    name: "state-dir",
    value: "DIR",
    completes: "directory",
    summary: "Use this directory for identity, buffer and state",
  },
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
  { name: "help", letter: "h", summary: "Show what the command does" },
];

/** Other words for the command `version`. */
export const VERSION_WORDS: readonly string[] = ["--version", "-v", "-V"];

/** The words of a command line around the name of its command. */
export interface SplitWords {
  /** The options before the name, with their values. */
  readonly before: readonly string[];
  /** `undefined`: there are only options. */
  readonly name: string | undefined;
  /** What follows the name. */
  readonly after: readonly string[];
}

/**
 * The values of an option, as a text for each time that it is given with one. For those who need one
 * before the words are read, or although they cannot be: `readArguments` checks them.
 */
export function valuesOf(option: string, words: readonly string[]): string[] {
  return words.flatMap((word, index) => {
    if (word.startsWith(`--${option}=`)) return [word.slice(option.length + 3)];
    return word === `--${option}` ? [words[index + 1] ?? ""] : [];
  }).filter((value) => value !== "");
}

/** Finds the command: the first word that is neither an option nor the value of a global option. */
export function splitWords(words: readonly string[]): SplitWords {
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (!word.startsWith("-")) return splitAt(words, index, word);
    if (VERSION_WORDS.includes(word)) return splitAt(words, index, "version");
    const takesValue = GLOBAL_OPTIONS.some(({ name, value }) =>
      value !== undefined && word === `--${name}`
    );
    // As in `readArguments`: two dashes begin the next option.
    if (takesValue && words[index + 1]?.startsWith("--") === false) index += 1;
  }
  return { before: words, name: undefined, after: [] };
}

function splitAt(words: readonly string[], index: number, name: string): SplitWords {
  return { before: words.slice(0, index), name, after: words.slice(index + 1) };
}
