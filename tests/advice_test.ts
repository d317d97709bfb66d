import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { completeAdvice, pennonCommand, replaceCommand, shellWord } from "../src/advice.ts";

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
