import { assert, assertEquals, assertMatch } from "@std/assert";
import { codeOf, LOG_MESSAGES } from "../src/log_messages.ts";
import { readSources, ROOT } from "./sources.ts";

/** The rows of docs/log.md: code and message. */
async function documented(): Promise<[code: string, message: string][]> {
  const text = await Deno.readTextFile(new URL("docs/log.md", ROOT));
  return [...text.matchAll(/^\| `([^`]+)`\s*\| (.+?)\s*\|/gm)].map((
    [, code, message],
  ) => [code ?? "", message ?? ""]);
}

Deno.test("every code of the log is in docs/log.md with its message, and no other is", async () => {
  assertEquals(await documented(), Object.entries(LOG_MESSAGES));
});

Deno.test("codes and messages belong to each other, one to one", () => {
  const messages = Object.values(LOG_MESSAGES);
  assertEquals(new Set(messages).size, messages.length);
  for (const [code, message] of Object.entries(LOG_MESSAGES)) {
    assertEquals(codeOf(message), code);
    assertMatch(code, /^[a-z_]+\.[a-z_]+$/);
  }
  assertEquals(codeOf("constructor"), undefined);
});

Deno.test("every message of the log is one that the source logs", async () => {
  const text = (await readSources("src/")).filter(({ path }) => path !== "src/log_messages.ts")
    .map(({ text }) => text).join("\n");
  for (const [code, message] of Object.entries(LOG_MESSAGES)) {
    const [what, ...rest] = message.split(" ");
    const isLogged = text.includes(`"${message}"`) || text.includes(`"${code}"`) ||
      text.includes(`what: "${what}"`) && text.includes(`\`\${what} ${rest.join(" ")}\``);
    assert(isLogged, `nothing logs ${code}`);
  }
});
