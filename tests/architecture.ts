/** The rules of the house that a machine can hold, as a pure function from sources to complaints. */

import type { Source } from "./sources.ts";

/** Who may import whom: its own unit, or one of a lower rank. */
const RANKS: Readonly<Record<string, number>> = {
  "main.ts": 6,
  cli: 5,
  doctor: 4.5,
  agent: 4,
  loop: 3.3,
  delivery: 3.2,
  connection: 3.1,
  commands: 3,
  config: 3,
  breaker: 2,
  buffer: 2,
  scanners: 2,
  installers: 2,
  server: 2,
  telemetry: 2,
  host: 2,
  service: 2,
  identity: 2,
  credentials: 1,
  advice: 0,
  json: 0,
  json_file: 1,
  log: 1,
  log_file: 1,
  secrets: 0,
  trusted_path: 1,
  received_command: 1,
  update: 1,
  version: 0,
  windows_directory: 1,
  hourly_limit: 1,
  wording: 0,
  system: 0,
  // Below the ports: what the terminal prints goes through these.
  redact: -1,
  strip_controls: -2,
  log_messages: -2,
};

const LONGEST_SOURCE = 450;
const LONGEST_TEST = 500;
const VAGUE_NAMES = /^(utils?|helpers?|common|misc|index|mod)$/;

/** What belongs to the outside world, and so to `src/system/real.ts` and `src/system/real/` alone. */
const OUTSIDE = [
  /\bDeno\./,
  /\bDate\.now\b/,
  /\bnew Date\(\)/,
  /\bMath\.random\b/,
  /\b(setTimeout|setInterval|queueMicrotask)\(/,
  /\bAbortSignal\.timeout\b/,
  /(?<![.\w])fetch\(/,
  /\bcrypto\./,
  /\bperformance\./,
  /\bprocess\.(env|exit|on|std)/,
  /\bconsole\./,
  /from "node:(?!buffer")/,
];

/** What the agent makes is for its user alone, whatever the umask: files 0600, directories 0700. */
const OPEN_MODE = /\bmode: 0o(?![67]00\b)\w+/;

/**
 * A message is a constant, or a choice between some: what varies is in the fields, where secrets are
 * hidden. `what`, `how` and `message` are such choices.
 */
const VARYING_MESSAGE =
  /\blog\.(?:debug|info|warning|error)\(\s*(?!\s|"|message,|`[^`$]*\$\{(?:what|how)\}[^`$]*`|[\w\s<>=.]+\? ")[^,)]*/;

/** JSON from outside has limits that one file holds, and nothing else reads. */
const JSON_READER = "src/json.ts";
const JSON_PARSING = /\bJSON\s*\.\s*parse\b|\bv\.parseJson\b|\bdecodeJwt\b/;

/** Every complaint about `sources`, as "path: what is wrong". */
export function complaints(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) => {
    const found = [...shape(path, text), ...(isSource(path) ? boundaries(path, text) : [])];
    return found.map((complaint) => `${path}: ${complaint}`);
  });
}

function isSource(path: string): boolean {
  return path.startsWith("src/");
}

function shape(path: string, text: string): string[] {
  const found: string[] = [];
  const name = path.split("/").at(-1)?.replace(/(_test)?\.ts$/, "") ?? "";
  const folders = path.split("/").slice(0, -1);
  if ([name, ...folders].some((part) => VAGUE_NAMES.test(part))) {
    found.push("its name says nothing of what is in it");
  }
  if (!/^[a-z0-9_]+$/.test(name)) found.push("its name is not snake_case");
  const lines = text.split("\n").length - 1;
  const longest = isSource(path) ? LONGEST_SOURCE : LONGEST_TEST;
  if (lines > longest) found.push(`it has ${lines} lines, more than ${longest}`);
  if (!isSource(path)) return found;
  const header = /^\/\*\*\s*([\s\S]*?)\s*\*\//.exec(text)?.[1]?.replace(/\n \*/g, "") ?? "";
  if (header === "") found.push("it does not open with a sentence that says what it is");
  else if (!/\.(\s|$)/.test(header) || !header.endsWith(".")) {
    found.push("its header does not end with a full stop");
  }
  return found;
}

function boundaries(path: string, text: string): string[] {
  const found: string[] = [];
  const from = unitOf(path);
  for (const target of importsOf(text)) {
    const to = unitOf(resolve(path, target));
    if (from === to) continue;
    if (isReal(resolve(path, target))) found.push(`it imports ${target}`);
    const isLower = (RANKS[to] ?? Infinity) < (RANKS[from] ?? -Infinity);
    if (!isLower) found.push(`${from} imports ${to}, which is not of a lower rank`);
  }
  const code = withoutComments(text);
  const [mode] = OPEN_MODE.exec(code) ?? [];
  if (mode !== undefined) found.push(`it makes what others may read: ${mode}`);
  const [call] = VARYING_MESSAGE.exec(code) ?? [];
  if (call !== undefined) found.push(`its log message is no constant: ${call}`);
  const parsing = JSON_PARSING.exec(code);
  if (parsing && path !== JSON_READER) {
    found.push(`it reads JSON past ${JSON_READER}: ${parsing[0]}`);
  }
  if (isReal(path)) return found;
  for (const pattern of OUTSIDE) {
    const hit = pattern.exec(code);
    if (hit) found.push(`it touches the outside world: ${hit[0]}`);
  }
  return found;
}

/** Whether a file may touch what is outside the program: `src/system/real.ts`, and what it is made of. */
function isReal(path: string): boolean {
  return /^src\/system\/real(?:\.ts$|\/)/.test(path);
}

/** The first part of a path below `src/`, without an ending. */
function unitOf(path: string): string {
  if (!path.startsWith("src/")) return path;
  return path.slice("src/".length).split("/")[0]?.replace(/\.ts$/, "") ?? "";
}

function importsOf(text: string): string[] {
  const statements = text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g);
  return [...statements].map((match) => match[1] ?? "");
}

function resolve(path: string, target: string): string {
  return new URL(target, `file:///${path}`).pathname.slice(1);
}

/** Comments and the contents of strings may say what they like. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}
