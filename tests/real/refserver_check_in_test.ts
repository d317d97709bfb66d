import { assert, assertEquals, assertMatch } from "@std/assert";
import { VERSION } from "../../src/version.ts";
import { FakeClock } from "../fakes/clock.ts";
import { enrol, HOUR_MS, withServer } from "./refserver_agent.ts";

Deno.test("a check-in hands commands over once, ten at a time, oldest first", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const ids = Array.from(
      { length: 12 },
      (_, n) => server.queueCommand({ type: "scan_updates", params: { n } }),
    );
    const first = await agent.send("GET", "commands", { cpu_percent: 3.5, version: "0.2.0" });
    assertEquals(first.json.commands.map(({ id }: { id: string }) => id), ids.slice(0, 10));
    assertEquals(first.json.commands[0], { id: ids[0], type: "scan_updates", params: { n: 0 } });
    assert(first.json.rapid_polling.enabled);
    const second = await agent.send("GET", "commands");
    assertEquals(second.json.commands.map(({ id }: { id: string }) => id), ids.slice(10));
    assertEquals((await agent.send("GET", "commands")).json, { commands: [] });
    const handedOver = server.state().requests.slice(-3).map((request) => request.handedOver);
    assertEquals(handedOver, [ids.slice(0, 10), ids.slice(10), []]);
    const [known] = server.state().agents;
    assertEquals(known!.lastCheckIn, { cpu_percent: 3.5, version: "0.2.0" });
    assertEquals([known!.currentVersion, known!.checkIns], ["0.2.0", 3]);
    assertEquals(server.state().violations, []);
  });
});

Deno.test("a command that nobody reports on is timed out after two hours", async () => {
  const clock = new FakeClock();
  await withServer({ clock }, async (server) => {
    const agent = await enrol(server);
    server.queueCommand({ type: "reboot", params: null });
    assertEquals((await agent.send("GET", "commands")).json.commands[0].params, null);
    clock.setNow(clock.nowMs() + 2 * HOUR_MS - 1);
    assertEquals(server.state().commands[0]!.status, "sent");
    clock.setNow(clock.nowMs() + 1);
    assertEquals(server.state().commands[0]!.status, "timed_out");
  });
});

Deno.test("a check-in passes over what it cannot read, and panics where the real one does", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    assertEquals((await agent.send("GET", "commands", "{")).status, 200);
    assertEquals((await agent.send("GET", "commands", { cpu_percent: "3" })).status, 200);
    assertEquals(server.state().violations.length, 2);
    server.queueCommand({ type: "scan_updates" });
    const until = new Date(Date.now() + HOUR_MS).toISOString();
    for (
      const metadata of [
        { rapid_polling_enabled: "true", rapid_polling_until: until },
        { rapid_polling_enabled: true, rapid_polling_until: 5 },
        { rapid_polling_enabled: null, rapid_polling_until: until },
      ]
    ) {
      const answer = await agent.send("GET", "commands", { metadata });
      assertEquals([answer.status, answer.text], [500, ""]);
    }
    assertMatch(server.state().violations.at(-1)!.what, /server panic/);
    assertEquals(server.state().commands[0]!.status, "pending");
  });
});

Deno.test("the server believes in rapid polling only as long as the agent says so", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const until = new Date(Date.now() + HOUR_MS).toISOString();
    const metadata = { rapid_polling_enabled: true, rapid_polling_until: until };
    const told = await agent.send("GET", "commands", { metadata });
    assertEquals(told.json.rapid_polling, { enabled: true, until });
    server.queueCommand({ type: "scan_updates" });
    const silent = await agent.send("GET", "commands", {});
    assertEquals([silent.json.commands.length, silent.json.rapid_polling], [1, undefined]);
    assertEquals(server.state().agents[0]!.rapidUntil, null);
    const history = () => server.state().commands.map(({ type, status }) => [type, status]);
    assertEquals(history(), [["scan_updates", "sent"], ["disable_heartbeat", "completed"]]);
    assertEquals((await agent.send("GET", "commands", { metadata })).json.commands, []);
    // With an instant the agent's word is believed, and nothing is written.
    const off = { rapid_polling_enabled: false, rapid_polling_until: until };
    assertEquals((await agent.send("GET", "commands", { metadata: off })).json, { commands: [] });
    assertEquals([history().length, server.state().agents[0]!.rapidUntil], [2, null]);
    const noUntil = { metadata: { rapid_polling_enabled: true } };
    assertEquals((await agent.send("GET", "commands", noUntil)).json, { commands: [] });
    const asked = await agent.send("POST", "rapid-mode", { enabled: true, duration_minutes: 60 });
    assertEquals(server.state().agents[0]!.rapidUntil, asked.json.rapid_polling_until);
    for (const minutes of [0, 61, 1.5]) {
      const body = { enabled: true, duration_minutes: minutes };
      assertEquals((await agent.send("POST", "rapid-mode", body)).status, 400);
    }
  });
});

Deno.test("an agent of an older version than the server's latest one is told to be out of date", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const rows = [
      ["0.1.17", true],
      ["0.1.18", false],
      ["0.1", true],
      ["v0.2.0", false],
      ["0.1.x", true],
      ["1.0.0", false],
      ["1.0.0-rc.1", false],
    ] as const;
    for (const [version, isOutOfDate] of rows) {
      await agent.send("GET", "commands", { version });
      assertEquals(server.state().agents[0]!.updateAvailable, isOutOfDate, version);
    }
    await agent.send("GET", "commands", { version: VERSION });
    assert(!server.state().agents[0]!.updateAvailable);
  });
});
