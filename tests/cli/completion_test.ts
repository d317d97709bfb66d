import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describedCommands } from "../../src/cli/cli.ts";
import type { DescribedCommand } from "../../src/cli/command.ts";
import { completionScript } from "../../src/cli/completion.ts";
import { FakeSystem } from "../fakes/system.ts";
import { runCli } from "./run_cli.ts";

const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** A summary with everything that a shell could take for its own. */
const WICKED = `it's "$HOME" \`id\` [a]: b|c \\ (d) {e} %f !g`;

const eat: DescribedCommand = {
  name: "eat",
  summary: WICKED,
  usage: "",
  details: [],
  options: [
    { name: "with", value: "SAUCE", choices: ["red", "brown"], isList: true, summary: WICKED },
    { name: "hot", actions: ["soup"], summary: WICKED },
  ],
  actions: [
    { name: "soup", argument: { name: "SORT", choices: ["pea"] }, summary: WICKED },
    { name: "bread", summary: WICKED },
  ],
};

Deno.test("completionScript() knows every command, action, option and choice", async () => {
  const commands = await describedCommands();
  const words = commands.flatMap(({ name, options, actions = [], argument }) => [
    name,
    ...options.map((option) => option.name),
    ...options.flatMap(({ choices = [] }) => choices),
    ...actions.map((action) => action.name),
    ...actions.flatMap((action) => action.argument?.choices ?? []),
    ...argument?.choices ?? [],
  ]);
  assert(words.length > 50);
  for (const shell of SHELLS) {
    const script = completionScript(shell, commands);
    const known = new Set(script.match(/[\w-]+/g)?.map((word) => word.replace(/^--/, "")));
    assertEquals(words.filter((word) => !known.has(word)), [], shell);
    assert(script.includes(`pennon completion ${shell}`), shell);
  }
});

Deno.test("completionScript() quotes what a shell could read as its own", () => {
  const bash = completionScript("bash", [eat]);
  assert(!bash.includes("HOME"), "bash shows no summaries");
  const zsh = completionScript("zsh", [eat]);
  assertStringIncludes(zsh, "'eat:it'\\''s \"$HOME\"");
  assertStringIncludes(zsh, "'--hot[it'\\''s \"$HOME\" `id` \\[a\\]\\: b|c \\\\ (d)");
  assertStringIncludes(zsh, "bread\\:\"it'\\''s \\\"\\$HOME\\\" \\`id\\` [a]\\: b|c \\\\ (d)");
  const fish = completionScript("fish", [eat]);
  assertStringIncludes(fish, "-d 'it\\'s \"$HOME\" `id` [a]: b|c \\\\ (d)");
  const powershell = completionScript("powershell", [eat]);
  assertStringIncludes(powershell, `'eat|it''s "$HOME" \`id\` [a]: b|c`);
});

Deno.test("completionScript() offers an action's own option with it, and where none is given yet", () => {
  const bash = completionScript("bash", [eat]);
  const options = (front: string) =>
    bash.split("\n").find((line) => line.trim().startsWith(`"${front}"|`)) ?? "";
  assertEquals(["eat", "eat soup", "eat bread"].map((front) => options(front).includes("--hot")), [
    true,
    true,
    false,
  ]);
  assertStringIncludes(bash, 'eat:--with) _pennon_list "red brown"');
  assertStringIncludes(bash, '"eat soup") _pennon_words "pea"');
});

Deno.test("pennon completion prints the script of a shell", async () => {
  const commands = await describedCommands();
  for (const shell of SHELLS) {
    const { code, out, err } = await runCli(new FakeSystem(), "completion", shell);
    assertEquals([code, err], [0, ""]);
    assertEquals(out, completionScript(shell, commands));
  }
});

Deno.test("describedCommands() has each command once, and help with all of their names", async () => {
  const commands = await describedCommands();
  const names = commands.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  assertEquals(commands.at(-1)?.name, "help");
  assertEquals(commands.at(-1)?.argument?.choices, names.slice(0, -1));
  // The completions skip the word after an option by its name alone.
  const valued = new Map<string, boolean>();
  for (const { name, value } of commands.flatMap(({ options }) => options)) {
    assertEquals(valued.get(name) ?? value !== undefined, value !== undefined, name);
    valued.set(name, value !== undefined);
  }
});

Deno.test("each command's options of actions name actions that it has", async () => {
  for (const { name, options, actions = [] } of await describedCommands()) {
    const known = actions.map((action) => action.name);
    const owners = options.flatMap((option) => option.actions ?? []);
    assertEquals(owners.filter((owner) => !known.includes(owner)), [], name);
  }
});
