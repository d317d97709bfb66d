/**
 * Command lines of Pennon in advice, built here and nowhere else. What a user gave to choose the
 * configuration and the state directory belongs to each of them: without it the advice would work on
 * another agent, or on none.
 */

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

/** The values of a command line's options. */
interface Given {
  readonly values: Readonly<Record<string, string>>;
}

const COMMAND_LINE = new RegExp(
  String.raw`(?<![\w/.-])pennon (?:${ADVISED.join("|")})(?![\w-])`,
  "g",
);

/** The text with the user's own options in each command line of Pennon. */
export function completeAdvice(text: string, { values }: Given): string {
  const options = PLACES.map((name) => {
    const value = values[name];
    return value === undefined ? "" : ` --${name} ${shellWord(value)}`;
  }).join("");
  return options === "" ? text : text.replace(COMMAND_LINE, (found) => `${found}${options}`);
}

/** A path as one word of a shell's command line. */
export function shellWord(path: string): string {
  if (/^[\w@%+=:,./-]+$/.test(path)) return path;
  // Windows: no path contains a double quote, and cmd.exe knows no other quotes.
  return /^[A-Za-z]:[\\/]|\\/.test(path) && !path.includes('"')
    ? `"${path}"`
    : `'${path.replaceAll("'", `'\\''`)}'`;
}
