import { assertEquals } from "@std/assert";
import { FakeClock } from "../fakes/clock.ts";
import { enrol, HOUR_MS, log, update, withServer } from "./refserver_agent.ts";

Deno.test("one bad update costs the whole batch", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const good = [update, { ...update, package_name: "curl", severity: "low" }];
    const bad: [unknown, number][] = [
      [{ severity: "high" }, 500],
      [{ severity: "none" }, 500],
      [{ severity: undefined }, 500],
      [{ package_name: "x".repeat(501) }, 500],
      [{ current_version: "x".repeat(101) }, 500],
      [{ available_version: "x".repeat(101) }, 500],
      [{ repository_source: "x".repeat(256) }, 500],
      [{ kb_id: "x".repeat(51) }, 500],
      [{ metadata: { text: "a\0b" } }, 500],
      [{ package_name: "a\0b" }, 500],
      [{ package_name: "" }, 400],
      [{ package_type: undefined }, 400],
      [{ available_version: null }, 400],
      [{ size_bytes: 1.5 }, 400],
      [{ cve_list: "CVE-2026-1" }, 400],
    ];
    for (const [change, status] of bad) {
      const updates = [...good, { ...update, ...change as Record<string, unknown> }];
      const answer = await agent.send("POST", "updates", { command_id: "c", updates });
      assertEquals(answer.status, status, JSON.stringify(change));
    }
    assertEquals([server.state().updates, server.state().packages], [[], []]);
    assertEquals(server.state().violations.length, bad.length);
    const whole = { command_id: "c", timestamp: "2026-11-24T00:00:00.123Z", updates: good };
    const answer = await agent.send("POST", "updates", whole);
    assertEquals(answer.json, { message: "update events recorded", count: 2, command_id: "c" });
    await agent.send("POST", "updates", whole);
    const { updates, packages } = server.state();
    assertEquals(updates.map(({ package_name }) => package_name), [
      "openssl",
      "curl",
      "openssl",
      "curl",
    ]);
    assertEquals(packages.map(({ packageName }) => packageName), ["openssl", "curl"]);
    const late = { ...whole, timestamp: "yesterday" };
    assertEquals((await agent.send("POST", "updates", late)).status, 400);
  });
});

Deno.test("a log completes or fails its command, or only stores a part", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const ids = ["success", "failed", "partial"].map(() =>
      server.queueCommand({ type: "scan_updates" })
    );
    await agent.send("GET", "commands");
    for (const [n, result] of ["success", "failed", "partial"].entries()) {
      const body = { ...log, command_id: ids[n], result, stdout: "said", exit_code: n };
      assertEquals((await agent.send("POST", "logs", body)).status, 200);
    }
    const { commands, logs } = server.state();
    assertEquals(commands.map(({ status }) => status), ["completed", "failed", "sent"]);
    assertEquals(logs.map(({ result }) => result), ["success", "failed", "partial"]);
    assertEquals((commands[2]!.result as { exit_code: number }).exit_code, 2);
    const bad: [unknown, number][] = [
      [{ result: "completed" }, 500],
      [{ result: "failure" }, 500],
      [{ action: "x".repeat(51) }, 500],
      [{ stdout: "a\0b" }, 500],
      // An HRESULT of Windows, read as unsigned, does not fit the column.
      [{ exit_code: 0x8024_0022 }, 500],
      [{ result: "" }, 400],
      [{ action: undefined }, 400],
      [{ duration_seconds: 0.5 }, 400],
    ];
    for (const [change, status] of bad) {
      const body = { ...log, ...change as Record<string, unknown> };
      assertEquals((await agent.send("POST", "logs", body)).status, status);
    }
    assertEquals(server.state().logs.length, 3);
  });
});

Deno.test("no dependencies means that the installation goes ahead", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const report = { ...update, update_id: "u", dependencies: [] };
    assertEquals((await agent.send("POST", "dependencies", report)).status, 500);
    await agent.send("POST", "updates", { updates: [update] });
    for (const dependencies of [undefined, null, "libc6"]) {
      const body = { ...report, dependencies };
      assertEquals((await agent.send("POST", "dependencies", body)).status, 400);
    }
    const some = { ...report, dependencies: ["libssl3"] };
    assertEquals((await agent.send("POST", "dependencies", some)).status, 200);
    assertEquals(server.state().packages[0]!.status, "pending_dependencies");
    assertEquals((await agent.send("POST", "dependencies", report)).status, 200);
    const { commands } = (await agent.send("GET", "commands")).json;
    assertEquals(commands[0].type, "confirm_dependencies");
    assertEquals(commands[0].params, {
      update_id: server.state().packages[0]!.id,
      package_name: "openssl",
      package_type: "apt",
      dependencies: [],
    });
    await agent.send("POST", "logs", { ...log, command_id: commands[0].id });
    assertEquals(server.state().packages[0]!.status, "updated");
    assertEquals(server.state().dependencies.map(({ dependencies }) => dependencies), [[
      "libssl3",
    ], []]);
  });
});

Deno.test("a new server acknowledges what it has stored, an old one knows nothing of it", async () => {
  for (const old of [false, true]) {
    await withServer({ old }, async (server) => {
      const agent = await enrol(server);
      const [done, open] = [1, 2].map(() => server.queueCommand({ type: "scan_updates" }));
      await agent.send("GET", "commands");
      await agent.send("POST", "logs", { ...log, command_id: done });
      const body = { pending_acknowledgments: [done, open, "unknown"] };
      const answer = await agent.send("GET", "commands", body);
      assertEquals(answer.json.acknowledged_ids, old ? undefined : [done]);
      const info = await agent.send("POST", "system-info", { cpu_model: "X", cpu_cores: 4 });
      assertEquals(info.status, old ? 404 : 200);
      const { agents, systemInfo, violations } = server.state();
      assertEquals(agents[0]!.metadata, old ? {} : { cpu_model: "X", cpu_cores: 4 });
      assertEquals(systemInfo.length, old ? 0 : 1);
      assertEquals(violations, []);
    });
  }
});

Deno.test("a new server takes one log of a command, and acknowledges what it gave up itself", async () => {
  for (const old of [false, true]) {
    const clock = new FakeClock();
    await withServer({ old, clock }, async (server) => {
      const agent = await enrol(server);
      const [done, late] = [1, 2].map(() => server.queueCommand({ type: "scan_updates" }));
      await agent.send("GET", "commands");
      const tell = async (command_id: string | undefined) => {
        const { status, json } = await agent.send("POST", "logs", { ...log, command_id });
        return [status, json.current_status];
      };
      assertEquals(await tell(done), [200, undefined]);
      assertEquals(await tell(done), old ? [200, undefined] : [409, "completed"]);
      clock.setNow(clock.nowMs() + 2 * HOUR_MS);
      const asked = { pending_acknowledgments: [late] };
      const answer = await agent.send("GET", "commands", asked);
      assertEquals(answer.json.acknowledged_ids, old ? undefined : [late]);
      assertEquals(await tell(late), old ? [200, undefined] : [409, "timed_out"]);
      assertEquals(server.state().violations, []);
    });
  }
});
