/** What an operator reads in each condition, by every command that says how the agent is. */

import { assert, assertEquals } from "@std/assert";
import { CONDITION_NOW_MS, CONDITION_STATE } from "../fakes/condition_host.ts";
import { CONDITIONS } from "../fakes/conditions.ts";
import { runCli } from "../cli/run_cli.ts";

const OPTIONS = ["--state-dir", CONDITION_STATE, "--config", "/etc/pennon/config.toml"];
const LEVELS = ["OK", "DEGRADED", "FAILED"];

Deno.test("there are at least 40 conditions, each with a name of its own", () => {
  const names = CONDITIONS.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  assert(names.length >= 40, `${names.length}`);
});

for (const condition of CONDITIONS) {
  const { name, health, check, exit = 0, code, nextInMs, listed } = condition;

  Deno.test(`status, --json, --check and breaker list are true: ${name}`, async () => {
    const { system } = await condition.host();
    const { files } = system;
    if (!files.texts.has("/etc/pennon/config.toml")) files.texts.set("/etc/pennon/config.toml", "");
    const before = new Map(files.texts);
    system.terminal.stdoutIsTerminal = true;
    system.terminal.width = 1_000;
    system.environment.set("NO_COLOR", "1");

    const text = await runCli(system, "status", ...OPTIONS);
    const [first = ""] = text.out.split("\n");
    assert(first.startsWith(`Health      ${health}`), `${name}: ${first}\n${text.out}`);
    assertEquals(text.code, exit, text.err);

    system.terminal.stdoutIsTerminal = false;
    const json = await runCli(system, "status", "--json", ...OPTIONS);
    const answer = JSON.parse(json.out);
    assertEquals(answer.health.level, LEVELS[check]?.toLowerCase());
    assertEquals(answer.health.reasons[0]?.code ?? null, code);
    const next = nextInMs === null ? null : new Date(CONDITION_NOW_MS + nextInMs).toISOString();
    assertEquals(answer.next_attempt_at, next);
    assertEquals(answer.connection?.next_attempt_at ?? null, next);

    const line = await runCli(system, "status", "--check", ...OPTIONS);
    assertEquals(line.code, check);
    assertEquals(line.err, "");
    assertEquals(line.out.trimEnd().split("\n").length, 1);
    assert(line.out.startsWith(`PENNON ${LEVELS[check]} - `), line.out);
    if (check > 0) {
      const words = health.slice(`${LEVELS[check]}: `.length);
      assert(line.out.includes(words), line.out);
    }

    const breakers = await runCli(system, "breaker", "list", ...OPTIONS);
    const row = breakers.out.split("\n").find((row) => row.startsWith("connection"));
    if (listed === undefined) assertEquals(row, undefined);
    else assert(row?.includes(`  ${listed}`), `${row}`);

    assertEquals(files.texts, before, "a command that reads wrote a file");
  });
}
