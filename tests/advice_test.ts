import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  adviceLines,
  completeAdvice,
  pennonCommand,
  replaceCommand,
  sameCommand,
  shellWord,
  splitAdvice,
} from "../src/advice.ts";
import { stripControls } from "../src/strip_controls.ts";

const GIVEN = { values: { config: "/c.toml", "state-dir": "/a b", "log-level": "debug" } };

Deno.test("completeAdvice() puts the user's own options into each command line, and nowhere else", () => {
  const options = "--config /c.toml --state-dir '/a b'";
  const rows: [text: string, completed: string][] = [
    [pennonCommand("run"), `pennon run ${options}`],
    [
      `Next: ${replaceCommand("https://a")}; or ${pennonCommand("status")}, then`,
      `Next: pennon ` +
      `register ${options} --replace --server https://a --token -; or pennon status ${options}, then`,
    ],
    [pennonCommand("service", "install"), "pennon service install"],
    ["as /etc/pennon does; run pennon as user 5", "as /etc/pennon does; run pennon as user 5"],
    [
      "/opt/pennon run, pennon running, my-pennon run",
      "/opt/pennon run, pennon running, my-pennon run",
    ],
  ];
  for (const [text, completed] of rows) {
    assertEquals(completeAdvice(text, GIVEN), completed);
    assertEquals(completeAdvice(text, { values: { json: "" } }), text);
  }
});

Deno.test("shellWord() quotes what a shell would read otherwise", () => {
  assertEquals(shellWord("/var/lib/pennon"), "/var/lib/pennon");
  assertEquals(shellWord("/a b'c"), `'/a b'\\''c'`);
  assertEquals(shellWord("C:\\Program Files\\x"), '"C:\\Program Files\\x"');
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", " ", "'", '"', "$", "/") }), (path) => {
      const word = shellWord(`/${path}`);
      const read = word.startsWith("'") ? word.slice(1, -1).replaceAll(`'\\''`, "'") : word;
      assertEquals(read, `/${path}`);
    }),
  );
});

Deno.test("shellWord() writes what cannot be printed as bytes, so that no line breaks and nothing is lost", () => {
  assertEquals(shellWord("/a\nb"), "$'/a\\012b'");
  assertEquals(shellWord("/a'\\\t\u202e1"), "$'/a\\'\\\\\\011\\342\\200\\2561'");
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("a", "1", "'", "\\", "\n", "\u0007") }),
      (path) => {
        const word = shellWord(`/\n${path}`);
        const read = word.slice(2, -1).replaceAll(
          /\\(\d{3}|.)/g,
          (_, one: string) => one.length === 3 ? String.fromCharCode(parseInt(one, 8)) : one,
        );
        assertEquals([read, stripControls(word)], [`/\n${path}`, word]);
      },
    ),
  );
});

Deno.test("completeAdvice() fills in the server, and how the agent is stopped, where they are known", () => {
  const text = `stop the agent, then run \`${replaceCommand()}\``;
  const command = "pennon " + "register --replace --server";
  const rows: [facts: Parameters<typeof completeAdvice>[1], completed: string][] = [
    [{ values: {} }, text],
    [{ values: {}, serverUrl: null }, text],
    [
      { values: {}, serverUrl: "https://a", stop: "`kill 7`" },
      `stop the agent (\`kill 7\`), then run \`${command} https://a --token -\``,
    ],
    [
      { values: {}, stop: null },
      `stop the agent (none runs now), then run \`${command} URL --token -\``,
    ],
  ];
  for (const [facts, completed] of rows) {
    assertEquals(completeAdvice(text, facts), completed);
    assertEquals(completeAdvice(completed, facts), completed, "twice is once");
  }
});

Deno.test("sameCommand() keeps every option that was given, and repeats no token", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom("output", "server", "log-level"), fc.constantFrom("a", "b c")),
      fc.uniqueArray(fc.constantFrom("json", "force")),
      (values, flags) => {
        const given = {
          values: { ...values, token: "secret", config: "/c" },
          flags: new Set(flags),
        };
        const command = sameCommand("diagnostics", given, { yes: true });
        for (const flag of [...flags, "yes"]) assertEquals(command.split(`--${flag}`).length, 2);
        for (const [option, value] of Object.entries(values)) {
          assertEquals(command.includes(` --${option} ${shellWord(value)}`), true, command);
        }
        assertEquals(command.includes("secret") || command.includes("--config"), false);
      },
    ),
  );
});

Deno.test("adviceLines() has a line per step, and one per command that is too long for a sentence", () => {
  const long = `\`${replaceCommand("https://redflag.example")}\``;
  const rows: [advice: string, lines: string[]][] = [
    ["see the log, then `a b`", ["see the log, then `a b`"]],
    [`Next: ${long}`, [`Next: ${long.slice(1, -1)}`]],
    [
      `do this. Then: that. Or: stop it, then run ${long} with a token`,
      ["do this", "Then: that", "Or: stop it, then run", `> ${long.slice(1, -1)}`, "with a token"],
    ],
    [`run ${long}, which helps`, ["run", `> ${long.slice(1, -1)}`, "which helps"]],
  ];
  for (const [advice, lines] of rows) {
    const found = adviceLines(advice).map(({ text, isCommand }) => isCommand ? `> ${text}` : text);
    assertEquals(found, lines);
  }
});

Deno.test("splitAdvice() cuts a message before its first advice", () => {
  const rows: [message: string, parts: [string, string | null]][] = [
    ["Cannot do it: full", ["Cannot do it: full", null]],
    ["Cannot do it: full. Next: make room", ["Cannot do it: full", "make room"]],
    ["a. Next: b. Next: c", ["a", "b. Next: c"]],
    ["", ["", null]],
  ];
  for (const [message, parts] of rows) assertEquals(splitAdvice(message), parts);
});
