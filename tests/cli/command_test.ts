import { assertEquals, assertThrows } from "@std/assert";
import { readArguments, UsageError } from "../../src/cli/command.ts";

const specs = [
  { name: "token", value: "TOKEN", summary: "" },
  { name: "only", value: "NAMES", summary: "" },
  { name: "adopt", value: "FILE", valueIsOptional: true, summary: "" },
  { name: "json", summary: "" },
];

Deno.test("readArguments() reads values, flags and arguments", () => {
  const rows: [string[], Record<string, string>, string[], string[]][] = [
    [[], {}, [], []],
    [["--json"], {}, ["json"], []],
    [["--token", "abc", "list"], { token: "abc" }, [], ["list"]],
    [["--token=abc"], { token: "abc" }, [], []],
    [["--token", "-"], { token: "-" }, [], []],
    [["--token", "-x9"], { token: "-x9" }, [], []],
    [["--token", "007"], { token: "007" }, [], []],
    [["--token=a=b"], { token: "a=b" }, [], []],
    [["--log-level", "debug"], { "log-level": "debug" }, [], []],
    [["-h"], {}, ["help"], []],
    [["--", "--json"], {}, [], ["--json"]],
    [["-"], {}, [], ["-"]],
    [["007"], {}, [], ["007"]],
    [["--token", "a", "--only", "b", "--json"], { token: "a", only: "b" }, ["json"], []],
    [["--json", "list"], {}, ["json"], ["list"]],
    [["--adopt"], {}, ["adopt"], []],
    [["--adopt", "--json"], {}, ["json", "adopt"], []],
    [["--adopt", "-h"], {}, ["help", "adopt"], []],
    [["--adopt", "a.json"], { adopt: "a.json" }, [], []],
    [["--adopt=-a.json"], { adopt: "-a.json" }, [], []],
  ];
  for (const [words, values, flags, positional] of rows) {
    const given = readArguments(words, specs, 1);
    assertEquals(given.values, values, words.join(" "));
    assertEquals([...given.flags], flags, words.join(" "));
    assertEquals(given.positional, positional, words.join(" "));
  }
});

Deno.test("readArguments() names the wrong argument", () => {
  const rows: [string[], string][] = [
    [["--nope"], 'Cannot read "--nope": no such option'],
    [["-x"], 'Cannot read "-x": no such option'],
    [["--constructor"], 'Cannot read "--constructor": no such option'],
    [["--token"], 'Cannot read "--token": it takes a value, TOKEN'],
    [["--token", "--json"], 'Cannot read "--token": it takes a value, TOKEN'],
    [["--token", "a", "--token", "b"], 'Cannot read "--token": given more than once'],
    [["--log-level", "loud"], "it takes one of debug, info, warning, error"],
    [["--token="], 'Cannot read "--token": it takes a value, TOKEN'],
    [["--token=a", "--token", "b"], 'Cannot read "--token": given more than once'],
    [["--adopt="], 'Cannot read "--adopt": it takes a value, FILE'],
    [["--adopt", "--adopt"], 'Cannot read "--adopt": given more than once'],
    [["--adopt", "a", "b", "c"], 'Cannot read "c": one argument too many'],
    [["a", "b"], 'Cannot read "b": one argument too many'],
  ];
  for (const [words, message] of rows) {
    assertThrows(() => readArguments(words, specs, 1), UsageError, message);
  }
});
