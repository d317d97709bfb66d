import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { acquireInstanceLock } from "../../src/agent/instance_lock.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, runCli, STATE } from "./run_cli.ts";

Deno.test("breaker list shows each breaker, and breaker reset closes one on disk", async () => {
  const { system, server } = await enrolled();
  assertEquals((await runCli(system, "breaker", "list")).out, "No breaker has been used yet\n");
  server.mood = { kind: "gone" };
  for (let attempt = 0; attempt < 6; attempt++) {
    await runCli(system, "run", "--once");
    await system.clock.advance(300_000);
  }
  const { out } = await runCli(system, "breaker", "list", "--json");
  assertEquals(JSON.parse(out).breakers[0].name, "connection");
  assertEquals(JSON.parse(out).breakers[0].state, "open");
  assertStringIncludes((await runCli(system, "breaker", "list")).out, "refused");
  const reset = await runCli(system, "breaker", "reset", "connection");
  assertEquals([reset.code, reset.out], [
    0,
    'Breaker "connection" is closed (on disk; no agent is running)\n',
  ]);
  const after = JSON.parse((await runCli(system, "breaker", "list", "--json")).out);
  assertEquals(after.breakers[0].state, "closed");
});

Deno.test("breaker list has a line for each breaker, and nulls for absent fields of a closed one", async () => {
  const system = new FakeSystem();
  const nowMs = system.clock.nowMs();
  const tripped = {
    generation: 1,
    failures: 3,
    trips: 1,
    reason: "no network",
    sinceMs: nowMs - 60_000,
  };
  const breakers = {
    apt: { state: "open", ...tripped, untilMs: nowMs + 600_000 },
    dnf: { state: "half_open", ...tripped, probeUntilMs: null },
    winget: { state: "closed", generation: 0, failures: 1, recent: [] },
  };
  system.files.texts.set(
    `${STATE}/scanner-breakers.json`,
    JSON.stringify({ schema: "pennon.scanner-breakers/1", breakers }),
  );
  const idle = (await runCli(system, "breaker")).out;
  const opened = "open since 2026-11-22 23:59Z (60 s)";
  assertEquals(
    idle.split("\n")[1],
    `apt     ${opened}       3         no agent runs  no network`,
  );
  system.files.locked.add(`${STATE}/agent.lock`);
  const { code, out } = await runCli(system, "breaker");
  assertEquals([code, out.split("\n")], [0, [
    "NAME    STATE                                     FAILURES  NEXT ATTEMPT       REASON",
    `apt     ${opened}       3         scan after 10 min  no network`,
    `dnf     half-${opened}  3         next scan          no network`,
    "winget  closed                                    1         next scan",
    "",
  ]]);
  const since = new Date(nowMs - 60_000).toISOString();
  const next_try_at = new Date(nowMs + 600_000).toISOString();
  const reason = "no network";
  assertEquals(JSON.parse((await runCli(system, "breaker", "list", "--json")).out), {
    schema: "pennon.breaker/1",
    running: true,
    breakers: [
      { name: "apt", state: "open", failures: 3, reason, since, next_try_at },
      { name: "dnf", state: "half_open", failures: 3, reason, since, next_try_at: null },
      {
        name: "winget",
        state: "closed",
        failures: 1,
        reason: null,
        since: null,
        next_try_at: null,
      },
    ],
  });
  system.terminal.stdoutIsTerminal = true;
  system.terminal.width = 40;
  const lines = (await runCli(system, "breaker", "list")).out.trimEnd().split("\n");
  assert(lines.every((line) => line.length <= 40), lines.join("\n"));
});

Deno.test("breaker reset --json reports whether the agent or the command closed it", async () => {
  const { system } = await enrolled();
  const { out } = await runCli(system, "breaker", "reset", "apt", "--json");
  assertEquals(JSON.parse(out), {
    schema: "pennon.breaker-reset/1",
    name: "apt",
    by_agent: false,
  });
});

Deno.test("breaker reset refuses an unknown breaker", async () => {
  for (const words of [["reset"], ["reset", "toaster"], ["open", "apt"], ["list", "apt"]]) {
    assertEquals((await runCli(new FakeSystem(), "breaker", ...words)).code, 2, words.join(" "));
  }
});

Deno.test("breaker reset asks a running agent, and fails if it does not answer", async () => {
  const { system } = await enrolled();
  const hold = await acquireInstanceLock(system, STATE, "test");
  const asked = runCli(system, "breaker", "reset", "apt");
  for (let turn = 0; turn < 100; turn++) await system.clock.advance(500);
  const { code, err } = await asked;
  assertEquals(code, 1);
  assertStringIncludes(err, "did not handle the request");
  assert(![...system.files.texts.keys()].some((path) => path.endsWith("breaker-reset.json")));
  await hold.release();
});
