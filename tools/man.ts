/**
 * `deno task man --out DIR`: writes the manual pages to `DIR/man/man1/` and the completions to
 * `DIR/completions/`, from the table of commands.
 */

import { parseArgs } from "@std/cli/parse-args";
import { describedCommands } from "../src/cli/cli.ts";
import { completionScript } from "../src/cli/completion.ts";
import { VERSION } from "../src/version.ts";
import { manualPages } from "./man/pages.ts";

/** Where the packages of a shell look: `completions/bash/pennon` goes to `bash-completion/completions`. */
const COMPLETION_FILES = {
  bash: "completions/bash/pennon",
  zsh: "completions/zsh/_pennon",
  fish: "completions/fish/pennon.fish",
  powershell: "completions/powershell/pennon.ps1",
} as const;

/** The manual pages and completions by their path below the output directory. */
export async function manualFiles(date: string): Promise<Map<string, string>> {
  const commands = await describedCommands();
  const shells = ["bash", "zsh", "fish", "powershell"] as const;
  return new Map([
    ...[...manualPages(commands, { version: VERSION, date })]
      .map(([name, text]) => [`man/man1/${name}`, text] as const),
    ...shells.map((shell) => [COMPLETION_FILES[shell], completionScript(shell, commands)] as const),
  ]);
}

/** Writes the files of `manualFiles` below `directory`; returns their paths. */
export async function writeManual(directory: string, date: string): Promise<string[]> {
  const files = await manualFiles(date);
  for (const [path, text] of files) {
    const file = `${directory}/${path}`;
    await Deno.mkdir(file.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  return [...files.keys()];
}

/** The day of the commit that is built, so that two builds of one commit are the same. */
export async function commitDate(): Promise<string> {
  const given = Deno.env.get("SOURCE_DATE_EPOCH");
  if (given !== undefined) return new Date(Number(given) * 1_000).toISOString().slice(0, 10);
  const { success, stdout } = await new Deno.Command("git", {
    args: ["log", "-1", "--format=%cs"],
    cwd: new URL("..", import.meta.url),
  }).output();
  if (!success) throw new Error("Cannot date the manual pages: set SOURCE_DATE_EPOCH");
  return new TextDecoder().decode(stdout).trim();
}

if (import.meta.main) {
  const { out } = parseArgs(Deno.args, { string: ["out"] });
  const directory = typeof out === "string" && out !== "" ? out : "dist/manual";
  const paths = await writeManual(directory, await commitDate());
  for (const path of paths) console.log(`${directory}/${path}`);
}
