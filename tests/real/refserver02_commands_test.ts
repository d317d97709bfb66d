import { assertEquals } from "@std/assert";
import { enrol02, MINUTE_MS, reportOf, update02, violations, with02 } from "./refserver02_agent.ts";

interface Item {
  readonly id: string;
  readonly params: unknown;
  readonly signature?: string;
  readonly signed_at?: string;
}

const WAIT_MS = 5 * MINUTE_MS + 1;

const idsOf = ({ json }: { json: { commands: Item[] } }) => json.commands.map(({ id }) => id);

Deno.test("trap 10: a command that waited over five minutes stands twice in one answer", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const old = server.queueCommand({ type: "scan_apt" });
    server.advance(WAIT_MS);
    const young = server.queueCommand({ type: "scan_dnf" });
    const answer = await agent.checkIn();
    assertEquals(idsOf(answer), [old, young, old]);
    const [first, , second] = answer.json.commands;
    assertEquals(first, second, "unchanged");
    assertEquals(idsOf(await agent.checkIn()), []);
  });
});

Deno.test("trap 10: five minutes to the millisecond are not over five minutes", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = server.queueCommand({ type: "scan_apt" });
    server.advance(5 * MINUTE_MS);
    assertEquals(idsOf(await agent.checkIn()), [id]);
    server.advance(5 * MINUTE_MS);
    assertEquals(idsOf(await agent.checkIn()), []);
    server.advance(1);
    assertEquals(idsOf(await agent.checkIn()), [id]);
  });
});

Deno.test("trap 11: without received_command_ids each command comes six times, unchanged", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = server.queueCommand({ type: "scan_apt", params: { subsystem: "apt" } });
    const seen: Item[] = [];
    for (let n = 0; n < 9; n++) {
      seen.push(...(await agent.checkIn()).json.commands);
      server.advance(WAIT_MS);
    }
    assertEquals(seen.map((item) => item.id), Array(6).fill(id));
    assertEquals(new Set(seen.map((item) => JSON.stringify(item))).size, 1);
    assertEquals(server.state().age02!.deliveries[0]!.retryCount, 5);
  });
});

Deno.test("trap 11: what is received never comes again; a finished one is never confirmed", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const [kept, done] = ["scan_apt", "scan_dnf"].map((type) => server.queueCommand({ type }));
    const early = await agent.checkIn({ received_command_ids: [kept, done] });
    assertEquals(idsOf(early), [kept, done]);
    assertEquals("receipt_confirmed_ids" in early.json, false, "they were not sent yet");
    await agent.send("POST", "logs", { command_id: done, action: "scan_dnf", result: "success" });
    server.advance(WAIT_MS);
    const body = { received_command_ids: [kept, done, "no-uuid", crypto.randomUUID(), kept] };
    const answer = await agent.checkIn(body);
    assertEquals(answer.json, {
      commands: [],
      receipt_confirmed_ids: [kept],
      confirmed_command_ids: [kept],
    });
    server.advance(WAIT_MS);
    assertEquals((await agent.checkIn(body)).json, { commands: [] });
    const [command] = server.state().commands;
    assertEquals(command!.status, "received");
  });
});

Deno.test("trap 11: nobody receives another agent's commands", async () => {
  await with02({}, async (server) => {
    const one = await enrol02(server);
    const other = await enrol02(server, { machine_id: "0123456789abcdef" });
    const id = server.queueCommand({ type: "scan_apt", agentId: one.id });
    await one.checkIn();
    assertEquals((await other.checkIn({ received_command_ids: [id] })).json, { commands: [] });
    server.advance(WAIT_MS);
    assertEquals(idsOf(await one.checkIn()), [id]);
  });
});

Deno.test("trap 12: thirty minutes after the receipt the server gives up, and the result is late", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    await agent.send("POST", "updates", reportOf([update02]));
    const { id: packageId } = server.state().packages[0]!;
    server.takeStep({ action: "approve", id: packageId });
    const id = server.takeStep({ action: "install", id: packageId })!;
    await agent.checkIn();
    await agent.checkIn({ received_command_ids: [id] });
    const log = { command_id: id, action: "dry_run_update", result: "success" };
    server.advance(30 * MINUTE_MS);
    await agent.checkIn();
    const status = () => server.state().commands.find((command) => command.id === id)!.status;
    assertEquals(status(), "received", "not a moment before");
    server.advance(5 * MINUTE_MS);
    const late = await agent.send("POST", "logs", log);
    assertEquals([late.status, late.json], [409, {
      error: "duplicate log submission",
      command_id: id,
      current_status: "timed_out",
    }]);
    assertEquals(server.state().packages[0]!.status, "failed");
    const { events } = server.state().age02!;
    assertEquals(
      events.filter(({ event_subtype }) => event_subtype === "timed_out").map(({ metadata }) =>
        (metadata as { prior_status: string }).prior_status
      ),
      ["received"],
    );
    assertEquals(violations(server), []);
  });
});

Deno.test("what waits times out after 30 minutes, what is sent after two hours", async () => {
  await with02({ settings: { maxCommandRetries: 0, autoHeartbeat: false } }, async (server) => {
    const agent = await enrol02(server);
    const statuses = () => server.state().commands.map(({ status }) => status);
    server.queueCommand({ type: "scan_apt" });
    await agent.checkIn();
    server.queueCommand({ type: "scan_dnf" });
    server.advance(30 * MINUTE_MS + 1);
    assertEquals(statuses(), ["sent", "timed_out"]);
    server.advance(90 * MINUTE_MS);
    assertEquals(statuses(), ["timed_out", "timed_out"]);
    const result = server.state().commands[0]!.result as { error: string; duration: string };
    assertEquals([result.error, result.duration], ["operation timed out", "2h0m0s"]);
    assertEquals(server.state().logs.map(({ exit_code }) => exit_code), [124, 124]);
  });
});

Deno.test("trap 14: acknowledged means that there is a result, of anybody", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const other = await enrol02(server, { machine_id: "0123456789abcdef" });
    const [done, open, lost, gone] = [1, 2, 3, 4].map((n) =>
      server.queueCommand({ type: `scan_${n}`, agentId: other.id })
    );
    await other.checkIn();
    await other.send("POST", "logs", { command_id: done, action: "x", result: "started" });
    server.operator().cancel(gone!);
    const body = { pending_acknowledgments: [done, open, lost, gone, "no-uuid"] };
    assertEquals((await agent.checkIn(body)).json, {
      commands: [],
      acknowledged_ids: [done, gone],
    });
    server.advance(125 * MINUTE_MS);
    const { json } = await agent.checkIn(body);
    assertEquals(json.acknowledged_ids.length, 4, "timed out: nobody's result was stored");
  });
});

Deno.test("trap 28: params may be null, or name the subsystem of a manual scan", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    server.queueCommand({ type: "scan_processes", params: null });
    server.operator().trigger("apt");
    server.operator().trigger("updates");
    assertEquals(server.operator().trigger("apt"), null, "one of a type waits at a time");
    server.operator().trigger("winget");
    const { commands } = (await agent.checkIn()).json;
    assertEquals(
      commands.map(({ type, params }: { type: string; params: unknown }) => [type, params]),
      [
        ["scan_processes", null],
        ["scan_apt", { subsystem: "apt" }],
        ["scan_winget", { subsystem: "winget" }],
      ],
    );
  });
});

Deno.test("the scheduler orders what runs by itself and is advertised", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server, { available_scanners: ["apt", "dnf"] });
    const typesOf = async (body?: unknown) =>
      (await agent.checkIn(body)).json.commands.map(({ type }: { type: string }) => type);
    assertEquals(server.operator().schedule().length, 2);
    assertEquals(server.operator().schedule(), []);
    assertEquals(await typesOf({ available_scanners: ["apt", "winget"] }), [
      "scan_apt",
      "scan_dnf",
    ]);
    server.operator().schedule();
    assertEquals(await typesOf(), ["scan_apt", "scan_winget"], "dnf is there no longer");
    server.operator().setSubsystem({ subsystem: "storage", autoRun: true });
    server.operator().setSubsystem({ subsystem: "apt", enabled: false });
    server.operator().schedule();
    assertEquals(await typesOf(), ["scan_winget", "scan_storage"]);
    for (let n = 0; n < 5; n++) server.queueCommand({ type: `x${n}` });
    assertEquals(server.operator().schedule(), [], "five wait: it holds back");
  });
});

Deno.test("trap 32: rapid_polling comes only to an agent that already claims it", async () => {
  await with02({}, async (server, clock) => {
    const agent = await enrol02(server);
    const inTen = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
    server.queueCommand({ type: "enable_heartbeat", params: { duration_minutes: 10 } });
    const quiet = await agent.checkIn();
    assertEquals(["rapid_polling" in quiet.json, quiet.json.commands.length], [false, 1]);
    const entry = server.state().commands.at(-1)!;
    assertEquals([entry.type, entry.status], ["disable_heartbeat", "completed"]);
    const nowMs = clock.nowMs() + MINUTE_MS;
    const metadata = { rapid_polling_enabled: true, rapid_polling_until: inTen(nowMs + 1_000) };
    const claimed = await agent.checkIn({ metadata });
    assertEquals(claimed.json.rapid_polling, { enabled: true, until: inTen(nowMs + 1_000) });
    server.queueCommand({ type: "scan_apt" });
    const busy = await agent.checkIn({ metadata });
    assertEquals(busy.json.rapid_polling, { enabled: true, until: inTen(nowMs + 600_000) });
    const wrong = await agent.checkIn({ metadata: { rapid_polling_enabled: "yes" } });
    assertEquals([wrong.status, "rapid_polling" in wrong.json], [200, false], "no panic any more");
  });
});

Deno.test("a wrong type costs its field alone, broken JSON all of them", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = server.queueCommand({ type: "scan_apt" });
    await agent.checkIn();
    const body = { cpu_percent: "much", uptime: "1 day", received_command_ids: [7, id] };
    const answer = await agent.checkIn(body);
    assertEquals(answer.json.receipt_confirmed_ids, [id]);
    assertEquals(server.state().agents[0]!.metadata["uptime"], "1 day");
    assertEquals(violations(server), [
      "passed over: cpu_percent",
      "passed over: received_command_ids",
    ]);
    assertEquals((await agent.checkIn("{")).json, { commands: [] });
    assertEquals((await agent.checkIn()).json, { commands: [] });
  });
});

Deno.test("a hundred come at once, the oldest first", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const ids = Array.from({ length: 103 }, () => server.queueCommand({ type: "scan_apt" }));
    assertEquals(idsOf(await agent.checkIn()), ids.slice(0, 100));
    assertEquals(idsOf(await agent.checkIn()), ids.slice(100));
  });
});

Deno.test("of buffered events in check-ins the first ever is kept, by the server's clock", async () => {
  await with02({}, async (server, clock) => {
    const agent = await enrol02(server);
    const event = { event_type: "agent", event_subtype: "start", severity: "info", message: "up" };
    const metadata = { buffered_events: [event, { ...event, severity: "" }, 7, null] };
    assertEquals((await agent.checkIn({ metadata })).status, 200);
    assertEquals((await agent.checkIn({ metadata })).status, 200);
    assertEquals(violations(server), ["a buffered event in a check-in is lost"]);
    const [kept, ...rest] = server.state().age02!.events;
    assertEquals(rest, []);
    assertEquals([kept!.message, kept!.created_at], [
      "up",
      new Date(clock.nowMs() + MINUTE_MS).toISOString(),
    ]);
  });
});
