/** Takes advice as the program prints it: finds the command in a text, runs it, and looks what came of it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Program, script } from "../../tools/program.ts";
import { type Ended, EXECUTABLE, type Host, runToEnd, TOKEN, within } from "./harness.ts";

/** One cycle, whose log can be parsed. */
export const ONCE = ["run", "--once", "--log-format", "json"];

/** What a user puts in the place of the words in capitals. */
export type Fills = Readonly<Record<string, string>>;

/** The first command line of `pennon NAME` in a text, as words. */
export function advised(host: Host, text: string, name: string, fills: Fills = {}): string[] {
  const own = `--config ${host.folder}/config.toml --state-dir ${host.stateDirectory}`;
  const found = new RegExp(`pennon ${name}[^\`;,\\n"]*`).exec(text)?.[0];
  assert(found !== undefined, `no "pennon ${name}" in: ${text}`);
  assertStringIncludes(found, own, "the options that the user gave");
  const [line = ""] = found.split(/ (?:to|with|shows|which) /);
  return line.trim().split(" ").slice(1).map((word) => fills[word] ?? word);
}

/** Runs exactly these words: the advice brings the options of its host along. */
export async function take(words: readonly string[], input = ""): Promise<Ended> {
  const argv: [string, ...string[]] = EXECUTABLE === undefined
    ? script("main.ts", ...words)
    : [EXECUTABLE, ...words];
  return await runToEnd(
    `pennon ${words.join(" ")}`,
    (onLine) => new Program({ argv, input, onLine }),
  );
}

/** Takes the advice, which has to succeed. */
export async function follow(
  host: Host,
  { text, name, fills = {}, input = "" }: {
    text: string;
    name: string;
    fills?: Fills;
    input?: string;
  },
): Promise<void> {
  const words = advised(host, text, name, fills);
  const { code, err } = await take(words, input);
  assertEquals(code, 0, `pennon ${words.join(" ")}: ${err}`);
}

export async function isWell(host: Host): Promise<void> {
  const { code, err } = await host.pennon(ONCE);
  assertEquals(code, 0, err);
}

/** What an operator reads in the log: the next step of the line that calls for one. */
export function nextStep({ err }: Ended): string {
  const line = err.split("\n").find((text) => text.includes("connection.operator_required"));
  assert(line !== undefined, err);
  return String(JSON.parse(line)["next_step"]);
}

/** Root that may read and write no more than the modes of the files allow it. */
export const WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] as const;
/** A network of its own, with nothing in it, not even the loopback interface. */
export const WITHOUT_NETWORK = ["unshare", "--net"] as const;

type Wrap = readonly [string, ...string[]];

export async function wrapped(host: Host, wrap: Wrap, words: readonly string[]) {
  const lines: string[] = [];
  const program = host.start(words, { wrap, onLine: (line) => void lines.push(line) });
  const { code } = await within(program.ended, words.join(" "));
  return { code, said: lines.join("\n") };
}

export async function setConfig(host: Host, text: string): Promise<void> {
  await Deno.writeTextFile(`${host.folder}/config.toml`, text);
}

/** Refused with this advice, mended as it says, and then it works. */
export async function isMended(
  host: Host,
  words: readonly string[],
  advice: string,
  mend: () => Promise<readonly string[] | void>,
): Promise<void> {
  const refused = await host.pennon(words, TOKEN);
  assert(refused.code !== 0, `${advice}: ${refused.out}`);
  assertStringIncludes(refused.err, advice);
  const better = await mend() ?? words;
  const fine = await host.pennon(better, TOKEN);
  assertEquals(fine.code, 0, `${advice}: ${fine.err}`);
}
