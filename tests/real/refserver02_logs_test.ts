import { assertEquals } from "@std/assert";
import { enrol02, violations, with02 } from "./refserver02_agent.ts";

const OPEN = "sent";

/** Word, what it is stored as, what becomes of its command. */
const WORDS = [
  ["success", "success", "completed"],
  ["completed", "failed", "completed"],
  ["failed", "failed", "failed"],
  ["failure", "failed", "failed"],
  ["dry_run_failed", "failed", "failed"],
  ["partial_failure", "partial", "failed"],
  ["partial", "partial", OPEN],
  ["started", "started", OPEN],
  ["running", "running", OPEN],
  ["timed_out", "failed", OPEN],
  ["timeout", "failed", OPEN],
  ["cancelled", "failed", OPEN],
  ["panic", "failed", OPEN],
  ["whatever", "failed", OPEN],
  ["updated", "success", OPEN],
  ["rollback", "success", OPEN],
] as const;

Deno.test("trap 13: only some words end a command, and all are acknowledged", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const ids = WORDS.map(([word]) => server.queueCommand({ type: `x_${word}` }));
    await agent.checkIn({ metadata: { rapid_polling_enabled: true } });
    for (const [n, [result]] of WORDS.entries()) {
      const answer = await agent.send("POST", "logs", { command_id: ids[n], action: "x", result });
      assertEquals([answer.status, answer.json], [200, { message: "log recorded" }], result);
    }
    const { commands, logs, violations } = server.state();
    assertEquals(logs.map(({ result }) => result), WORDS.map(([, stored]) => stored));
    assertEquals(commands.map(({ status }) => status), WORDS.map(([, , status]) => status));
    assertEquals(
      violations.length,
      WORDS.length - 2,
      "only success and failed are as they should be",
    );
    const { json } = await agent.checkIn({ pending_acknowledgments: ids });
    assertEquals(json.acknowledged_ids, ids);
  });
});

Deno.test("trap 15: 409 means that the command is over, whoever ended it", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = server.queueCommand({ type: "scan_apt" });
    await agent.checkIn();
    const log = { command_id: id, action: "scan_apt", result: "failed", subsystem: "apt" };
    assertEquals((await agent.send("POST", "logs", log)).status, 200);
    const again = await agent.send("POST", "logs", { ...log, result: "success" });
    assertEquals([again.status, again.json], [409, {
      error: "duplicate log submission",
      command_id: id,
      current_status: "failed",
    }]);
    assertEquals(server.state().logs.length, 1);
    const events = server.state().age02!.events.map(({ event_type, severity }) => [
      event_type,
      severity,
    ]);
    assertEquals(events, [["command_failed", "error"]]);
    const cancelled = server.queueCommand({ type: "scan_dnf" });
    server.operator().cancel(cancelled);
    const late = await agent.send("POST", "logs", { ...log, command_id: cancelled });
    assertEquals(late.status, 200, "a cancelled command takes a log");
  });
});

Deno.test("trap 15: 200 with should_retry is stored, and the command is open still", async () => {
  await with02({ settings: { failCommandStates: 1 } }, async (server) => {
    const agent = await enrol02(server);
    const id = server.queueCommand({ type: "scan_apt" });
    await agent.checkIn();
    const log = { command_id: id, action: "scan_apt", result: "success" };
    const first = await agent.send("POST", "logs", log);
    assertEquals([first.status, first.json.should_retry, typeof first.json.reason], [
      200,
      true,
      "string",
    ]);
    assertEquals(server.state().commands[0]!.status, "sent");
    assertEquals((await agent.send("POST", "logs", log)).json, { message: "log recorded" });
    assertEquals(server.state().commands[0]!.status, "completed");
    assertEquals(server.state().logs.length, 2, "stored twice");
  });
});

Deno.test("a log that does not fit is 500, one that says too little 400", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const log = { command_id: "", action: "scan_apt", result: "success" };
    const rows: [object, number][] = [
      [{ action: "x".repeat(51) }, 500],
      [{ stdout: "a\0b" }, 500],
      [{ action: "" }, 400],
      [{ result: "" }, 400],
      [{ exit_code: "0" }, 400],
      [{}, 200],
    ];
    for (const [change, status] of rows) {
      const answer = await agent.send("POST", "logs", { ...log, ...change });
      assertEquals(answer.status, status, JSON.stringify(change));
      if (status === 500) assertEquals(answer.json, { error: "failed to save log" });
    }
  });
});

Deno.test("a log on what was never handed over, or is another's, is noted", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const other = await enrol02(server, { machine_id: "0123456789abcdef" });
    const id = server.queueCommand({ type: "scan_apt", agentId: other.id });
    const log = { command_id: id, action: "scan_apt", result: "started" };
    await other.send("POST", "logs", { ...log, result: "success" });
    await agent.send("POST", "logs", { ...log, result: "success" });
    await agent.send("POST", "logs", { ...log, result: "success", command_id: "mine" });
    assertEquals(violations(server), [
      "log on a command that was never handed over",
      "log on another agent's command",
      "command_id is no UUID: the log belongs to no command",
    ]);
  });
});
