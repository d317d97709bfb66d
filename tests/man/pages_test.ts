import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describedCommands } from "../../src/cli/cli.ts";
import { GLOBAL_OPTIONS } from "../../src/cli/options.ts";
import { manualPages } from "../../tools/man/pages.ts";

const FACTS = { version: "1.2.3", date: "2026-11-30" };

Deno.test("manualPages() has a page per command, and one that lists them all", async () => {
  const commands = await describedCommands();
  const pages = manualPages(commands, FACTS);
  const own = commands.filter(({ name }) => name !== "help");
  assertEquals([...pages.keys()], ["pennon.1", ...own.map(({ name }) => `pennon-${name}.1`)]);
  const main = pages.get("pennon.1") ?? "";
  assert(main.startsWith('.TH PENNON 1 2026-11-30 "Pennon 1.2.3"\n'), main.slice(0, 80));
  for (const { name } of own) assertStringIncludes(main, `.B ${name}\n`);
  assertStringIncludes(main, ".B PENNON_SERVER_URL\n");
  assertStringIncludes(main, ".B PENNON_TOKEN\n");
});

Deno.test("manualPages() has every option and action, with dashes that can be copied", async () => {
  const commands = await describedCommands();
  const pages = manualPages(commands, FACTS);
  for (const { name, options, actions = [] } of commands.filter(({ name }) => name !== "help")) {
    const page = pages.get(`pennon-${name}.1`) ?? "";
    for (const option of [...options, ...GLOBAL_OPTIONS]) {
      assertStringIncludes(page, `\\-\\-${option.name.replaceAll("-", "\\-")}`);
    }
    for (const action of actions) assertStringIncludes(page, `.TP\n.B ${action.name}`);
    assert(!/(?<!\\)-[-a-z]/.test(page.split("\n").slice(1).join("\n")), name);
  }
});

Deno.test("manualPages() keeps tables, and lets no line be a request", () => {
  const command = {
    name: "eat",
    summary: "Eat",
    usage: "",
    details: [".first", "'second", "  a \\ b", "last"],
    options: [],
  };
  const page = manualPages([command], FACTS).get("pennon-eat.1") ?? "";
  assertStringIncludes(page, "\\&.first\n\\&'second\n.nf\n  a \\e b\n.fi\nlast\n");
});
