import { assertEquals, assertThrows } from "@std/assert";
import {
  type Arguments,
  type CliCommand,
  givenPlaces,
  readAction,
  readArguments,
  UsageError,
} from "../../src/cli/command.ts";

const specs = [
  { name: "token", value: "TOKEN", summary: "" },
  { name: "only", value: "NAMES", summary: "" },
  { name: "adopt", value: "FILE", valueIsOptional: true, summary: "" },
  { name: "json", summary: "" },
  { name: "fail-on", value: "WHAT", choices: ["security", "any"], isList: true, summary: "" },
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
    [["--fail-on", "any"], { "fail-on": "any" }, [], []],
    [["--fail-on", "any, security"], { "fail-on": "any,security" }, [], []],
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
    [["--jsno"], 'Cannot read "--jsno": no such option; did you mean "--json"?'],
    [["-json"], 'Cannot read "-json": no such option; did you mean "--json"?'],
    [["--tokn=x"], 'Cannot read "--tokn=x": no such option; did you mean "--token"?'],
    [["--log-lvl", "info"], 'no such option; did you mean "--log-level"?'],
    [["--log-level", "inof"], 'did you mean "info"?'],
    [["--fail-on", "any,"], 'Cannot read "--fail-on any,": "" is none of security, any'],
    [["--fail-on", "any,securty"], '"securty" is none of security, any; did you mean "security"?'],
    [["a", "b"], 'Cannot read "b": one argument too many'],
  ];
  for (const [words, message] of rows) {
    assertThrows(() => readArguments(words, specs, 1), UsageError, message);
  }
});

const eventsLike: CliCommand = {
  usage: "",
  details: [],
  options: [
    { name: "dead", actions: ["list"], summary: "" },
    { name: "to", value: "PLACE", actions: ["reset", "show"], summary: "" },
  ],
  maxArguments: 2,
  actions: [
    { name: "list", summary: "" },
    { name: "show", argument: { name: "ID" }, summary: "" },
    { name: "requeue", argument: { name: "ID", isOptional: true }, summary: "" },
    { name: "reset", argument: { name: "NAME", choices: ["apt", "dnf"] }, summary: "" },
  ],
  run: () => Promise.resolve(0),
};

function given(words: string[], flags: string[] = [], values = {}): Arguments {
  return { positional: words, flags: new Set(flags), values };
}

Deno.test("readAction() takes an action with its argument, and the first one where none is given", () => {
  const rows = [[[], ["list"]], [["list"], ["list"]], [["show", "a"], ["show", "a"]], [
    ["requeue"],
    [
      "requeue",
    ],
  ], [["reset", "dnf"], ["reset", "dnf"]]] as const;
  for (const [words, read] of rows) {
    assertEquals(readAction("events", eventsLike, given([...words])).positional, read);
  }
  assertEquals(readAction("events", eventsLike, given([], ["dead"])).flags, new Set(["dead"]));
  const values = { to: "x" };
  assertEquals(readAction("events", eventsLike, given(["show", "a"], [], values)).values, values);
});

Deno.test("readAction() names what does not belong together", () => {
  const rows: [Arguments, string][] = [
    [
      given(["lsit"]),
      'Cannot run "events lsit": no such action; it takes one of list, show, ' +
      'requeue, reset; did you mean "list"?',
    ],
    [given([""]), 'Cannot run "events ": no such action'],
    [given(["list", "a"]), 'Cannot read "a": "events list" takes no argument'],
    [given(["show"]), 'Cannot run "events show": it takes an argument, ID'],
    [given(["reset"]), 'Cannot run "events reset": it takes an argument, NAME, one of apt, dnf'],
    [
      given(["reset", "atp"]),
      'Cannot read "atp" after "events reset": it takes one of apt, dnf; ' +
      'did you mean "apt"?',
    ],
    [given(["show", "a"], ["dead"]), 'Cannot read "--dead": it belongs to "events list"'],
    [given([], [], { to: "x" }), '"--to": it belongs to "events reset" and "events show"'],
  ];
  for (const [words, message] of rows) {
    assertThrows(() => readAction("events", eventsLike, words), UsageError, message);
  }
  const strict = { ...eventsLike, needsAction: true };
  const message = 'Cannot run "events": it takes an action, one of list, show, requeue, reset';
  assertThrows(() => readAction("events", strict, given([])), UsageError, message);
});

Deno.test("readAction() checks the argument of a command without actions", () => {
  const { actions: _, ...plain } = eventsLike;
  assertEquals(readAction("run", plain, given(["a"])).positional, ["a"]);
  const shell = { ...plain, argument: { name: "SHELL", choices: ["bash", "zsh"] } };
  assertEquals(readAction("completion", shell, given(["zsh"])).positional, ["zsh"]);
  const rows = [[[], "it takes an argument, SHELL, one of bash, zsh"], [["bsh"], "did you mean"]];
  for (const [words, message] of rows as [string[], string][]) {
    assertThrows(() => readAction("completion", shell, given(words)), UsageError, message);
  }
});

Deno.test("givenPlaces() reads the options in both their forms, before and after the command", () => {
  const rows: [words: string[], values: Record<string, string>][] = [
    [["status"], {}],
    [["--config", "a", "status", "--state-dir=b=c"], { config: "a", "state-dir": "b=c" }],
    [["status", "--config"], {}],
    [["status", "--config=", "--state-dir", ""], {}],
  ];
  for (const [words, values] of rows) assertEquals(givenPlaces(words).values, values);
});
