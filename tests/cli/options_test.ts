import { assertEquals } from "@std/assert";
import { splitWords } from "../../src/cli/options.ts";

Deno.test("splitWords() finds the command between global options", () => {
  const rows: [words: string[], before: string[], name: string | undefined, after: string[]][] = [
    [[], [], undefined, []],
    [["run"], [], "run", []],
    [["run", "--once", "scan"], [], "run", ["--once", "scan"]],
    [["--state-dir", "/x", "run"], ["--state-dir", "/x"], "run", []],
    [["--state-dir=/x", "run", "a"], ["--state-dir=/x"], "run", ["a"]],
    [["--config", "run", "status"], ["--config", "run"], "status", []],
    [["--config", "-f", "status"], ["--config", "-f"], "status", []],
    // As `readArguments` reads it: no value is given.
    [["--config", "--json", "run"], ["--config", "--json"], "run", []],
    [["--config"], ["--config"], undefined, []],
    [["--json", "status"], ["--json"], "status", []],
    [["-h", "scan"], ["-h"], "scan", []],
    [["-v"], [], "version", []],
    [["-V", "--json"], [], "version", ["--json"]],
    [["--state-dir", "/x", "--version"], ["--state-dir", "/x"], "version", []],
    [["--help"], ["--help"], undefined, []],
    [["", "run"], [], "", ["run"]],
  ];
  for (const [words, before, name, after] of rows) {
    assertEquals(splitWords(words), { before, name, after }, words.join(" "));
  }
});
