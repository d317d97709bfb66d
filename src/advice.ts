/**
 * Advice: command lines of Pennon, built here and nowhere else, and the steps of an advice as lines. What a
 * user gave to choose the configuration and the state directory belongs to each command line: without it
 * the advice would work on another agent, or on none.
 */

import { stripControls } from "./strip_controls.ts";

/** The commands that advice names. */
const ADVISED = [
  "run",
  "register",
  "unregister",
  "status",
  "scan",
  "events",
  "breaker",
  "config",
  "doctor",
  "diagnostics",
  "metrics",
  "service",
  "help",
] as const;

/**
 * `pennon COMMAND words`, as a user types it. The user's own options are added where it is printed, by
 * `completeAdvice`. Words in capitals are for the user to fill in.
 */
export function pennonCommand(name: typeof ADVISED[number], ...words: readonly string[]): string {
  return ["pennon", name, ...words].join(" ");
}

/** The command that registers a host for the first time. */
export function registerCommand(): string {
  return pennonCommand("register", "--server", "URL", "--token", "TOKEN");
}

/** The command that registers a host again which already is registered; the agent must not run. */
export function replaceCommand(serverUrl = "URL"): string {
  return pennonCommand("register", "--replace", "--server", serverUrl, "--token", "-");
}

/** The options that choose where Pennon reads and writes, by their names. */
export const PLACES = ["config", "state-dir"] as const;

/** What a user gave on the command line. */
interface Given {
  readonly values: Readonly<Record<string, string>>;
  readonly flags: ReadonlySet<string>;
}

/**
 * The command line that was given, once more, with what it lacked: every option stays that the user gave.
 * `added` are options by name; `true`: a flag. A token is never repeated.
 */
export function sameCommand(
  name: typeof ADVISED[number],
  { values, flags }: Given,
  added: Readonly<Record<string, string | true>>,
): string {
  const given = [
    ...[...flags].map((flag) => [flag, true] as const),
    ...Object.entries(values).map(([option, value]) =>
      [option, option === "token" ? "-" : shellWord(value)] as const
    ),
  ].filter(([option]) => !(PLACES as readonly string[]).includes(option)); // `completeAdvice` adds them.
  const all = [...new Map<string, string | true>([...given, ...Object.entries(added)])];
  const words = [
    ...all.filter(([, value]) => value === true).map(([flag]) => `--${flag}`),
    ...all.flatMap(([option, value]) => value === true ? [] : [`--${option}`, value]),
  ];
  return pennonCommand(name, ...words);
}

/** What is known where advice is printed, and goes into it. */
export interface AdviceFacts {
  /** The options that the user gave. */
  readonly values: Readonly<Record<string, string>>;
  /** The server of this host; absent, or `null`: unknown. */
  readonly serverUrl?: string | null;
  /** What stops the running agent, as `describeStop` says it; `null`: none runs; absent: unknown. */
  readonly stop?: string | null;
}

/** The service has places of its own: those that were given would have no effect there. */
const WITH_PLACES = ADVISED.filter((name) => name !== "service");

const COMMAND_LINE = new RegExp(
  String.raw`(?<![\w/.-])pennon (?:${WITH_PLACES.join("|")})(?![\w-])`,
  "g",
);

/** The text with what is known in it: the user's own options, the server, and how the agent is stopped. */
export function completeAdvice(text: string, { values, serverUrl, stop }: AdviceFacts): string {
  const options = PLACES.map((name) => {
    const value = values[name];
    return value === undefined ? "" : ` --${name} ${shellWord(value)}`;
  }).join("");
  let completed = text;
  if (options !== "") completed = completed.replace(COMMAND_LINE, (found) => `${found}${options}`);
  if (serverUrl != null) {
    completed = completed.replace(/--server URL\b/g, () => `--server ${shellWord(serverUrl)}`);
  }
  if (stop !== undefined) {
    completed = completed.replace(
      /\bstop the agent\b(?! \()/g,
      (found) => `${found} (${stop ?? "none runs now"})`,
    );
  }
  return completed;
}

/** A message without its advice, and the advice; `null`: it has none. */
export function splitAdvice(message: string): [fact: string, next: string | null] {
  const [fact = "", ...next] = message.split(". Next: ");
  return [fact, next.length === 0 ? null : next.join(". Next: ")];
}

/** A command up to here stands in its sentence; a longer one has a line of its own, to be copied. */
const LONGEST_INLINE = 40;

/** A line of an advice: words, or a command alone. */
export interface AdviceLine {
  readonly text: string;
  readonly isCommand: boolean;
}

/**
 * The lines of an advice: one per step, which begins with "Or: " or "Then: " from the second on, and one
 * per long command in backquotes.
 */
export function adviceLines(advice: string): AdviceLine[] {
  return advice.split(/\. (?=(?:Or|Then): )/).flatMap((step) =>
    step.split(/(`[^`]+`)/).reduce<AdviceLine[]>((lines, part) => {
      const isCommand = part.startsWith("`") && part.length - 2 > LONGEST_INLINE;
      const last = lines.at(-1);
      // Nothing but the command is advised.
      if (isCommand && last?.text === "Next: ") {
        return [{ text: `Next: ${part.slice(1, -1)}`, isCommand: false }];
      }
      if (isCommand) return [...lines, { text: part.slice(1, -1), isCommand }];
      if (last !== undefined && !last.isCommand) {
        return [...lines.slice(0, -1), { text: last.text + part, isCommand: false }];
      }
      // What follows a command begins a line: without the comma that joined them.
      const text = last === undefined ? part : part.replace(/^[,;:]? */, "");
      return text === "" ? lines : [...lines, { text, isCommand: false }];
    }, []).map((line) => line.isCommand ? line : { ...line, text: line.text.trimEnd() })
  );
}

/**
 * A path as one word of a shell's command line. What cannot be printed is written as bytes ($'...', of
 * bash, ksh, zsh and POSIX 2024): stripped or broken over lines, it would name another path.
 */
export function shellWord(path: string): string {
  if (/^[\w@%+=:,./-]+$/.test(path)) return path;
  if (stripControls(path) !== path) {
    const escaped = [...path].map((character) => {
      if (character === "'" || character === "\\") return `\\${character}`;
      return stripControls(character) === character ? character : asBytes(character);
    });
    return `$'${escaped.join("")}'`;
  }
  // Windows: no path contains a double quote, and cmd.exe knows no other quotes.
  return /^[A-Za-z]:[\\/]|\\/.test(path) && !path.includes('"')
    ? `"${path}"`
    : `'${path.replaceAll("'", `'\\''`)}'`;
}

function asBytes(character: string): string {
  return [...new TextEncoder().encode(character)]
    .map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}
