import { assertEquals } from "@std/assert";
import { GLOBAL_OPTIONS } from "../../src/cli/arguments.ts";
import type { CliCommand } from "../../src/cli/command.ts";
import { describeCommand, describeCommands } from "../../src/cli/help.ts";

const NAMED = { name: "eat", summary: "Eat a meal" };

const eat: CliCommand = {
  usage: "MEAL [--hot]",
  details: ["Meals are served all day.", "Bring your own fork."],
  options: [
    { name: "hot", summary: "Heat it first" },
    { name: "with", value: "SAUCE", choices: ["red", "brown"], summary: "Add this" },
  ],
  maxArguments: 1,
  run: () => Promise.resolve(0),
};

/** The words of an option's summary are its own business; what stands around them is not. */
const summaryOf = (name: string) => GLOBAL_OPTIONS.find((option) => option.name === name)?.summary;

const EVERYWHERE = [
  "Options everywhere:",
  `  --config FILE         ${summaryOf("config")}`,
  `  --state-dir DIR       ${summaryOf("state-dir")}`,
  `  --log-level LEVEL     ${summaryOf("log-level")} (debug, info, warning, error)`,
  `  --log-format FORMAT   ${summaryOf("log-format")} (text, json)`,
  `  --help                ${summaryOf("help")}`,
];

Deno.test("describeCommand() has usage, details, and each option with its value and choices", () => {
  assertEquals(describeCommand(NAMED, eat).split("\n"), [
    "pennon eat - Eat a meal",
    "",
    "Usage: pennon eat MEAL [--hot]",
    "",
    "Meals are served all day.",
    "Bring your own fork.",
    "",
    "Options:",
    "  --hot                 Heat it first",
    "  --with SAUCE          Add this (red, brown)",
    "",
    ...EVERYWHERE,
  ]);
});

Deno.test("describeCommand() leaves out what a command does not have", () => {
  assertEquals(
    describeCommand(NAMED, { ...eat, usage: "", details: [], options: [] }).split("\n"),
    [
      "pennon eat - Eat a meal",
      "",
      "Usage: pennon eat",
      "",
      ...EVERYWHERE,
    ],
  );
});

Deno.test("describeCommands() has a line for each command, and the exit codes", () => {
  assertEquals(describeCommands([NAMED]).split("\n"), [
    "pennon - tells a RedFlag server which updates are waiting on this host",
    "",
    "Usage: pennon COMMAND [options]",
    "",
    "Commands:",
    "  eat         Eat a meal",
    "  help        Show what a command does",
    "",
    ...EVERYWHERE,
    "",
    "Exit codes: 0 done, 1 failed, 2 misused or badly configured, 3 not registered",
  ]);
});
