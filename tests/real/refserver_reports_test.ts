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
      [{ package_name: "\u{1f600}".repeat(651) }, 500],
      [{ package_type: "x".repeat(51) }, 500],
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
    // The type that is too long is told of twice.
    assertEquals(server.state().violations.length, bad.length + 1);
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

Deno.test("texts of updates are as long as they are, up to what an index takes", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const long = "\u{1f600}".repeat(5_000);
    const versions = { current_version: long, available_version: long, repository_source: long };
    const updates = [{ ...update, ...versions, kb_id: long, package_name: "x".repeat(2_600) }];
    assertEquals((await agent.send("POST", "updates", { updates })).status, 200);
    assertEquals(server.state().updates[0]!.available_version, long);
    assertEquals(server.state().violations, []);
  });
});

Deno.test("a row goes by a person's steps, and back to pending when it is reported again", async () => {
  await withServer({}, async (server) => {
    const agent = await enrol(server);
    const report = () => agent.send("POST", "updates", { updates: [update] });
    const row = () => server.state().packages[0]!;
    const step = (action: "approve" | "reject" | "install" | "confirm") => {
      server.takeStep({ action, id: row().id });
      return row().status;
    };
    await report();
    assertEquals(step("install"), "pending", "not approved, and queued all the same");
    assertEquals([step("approve"), step("install")], ["approved", "checking_dependencies"]);
    assertEquals(step("approve"), "checking_dependencies");
    await report();
    assertEquals(row().status, "pending");
    assertEquals([step("approve"), step("confirm")], ["approved", "installing"]);
    await report();
    assertEquals(row().status, "pending");
    assertEquals(step("reject"), "ignored");
    await report();
    assertEquals(row().status, "ignored", "what a person has rejected stays so");
    const types = server.state().commands.map((
      { type, params },
    ) => [type, params?.["package_name"]]);
    assertEquals(types, [
      ["dry_run_update", "openssl"],
      ["dry_run_update", "openssl"],
      ["confirm_dependencies", "openssl"],
    ]);
  });
});

Deno.test("the list goes by the reports' own time, and the last scan by the server's", async () => {
  const clock = new FakeClock();
  await withServer({ clock }, async (server) => {
    const agent = await enrol(server);
    const curl = { ...update, package_name: "curl", current_version: "8" };
    const at = (ms: number) => new Date(ms).toISOString();
    const report = (item: unknown, timestamp?: string) =>
      agent.send("POST", "updates", { timestamp, updates: [item] });
    const names = () => server.state().packages.map(({ packageName }) => packageName);
    const lastScan = () => server.state().agents[0]!.lastScanAtMs;
    assertEquals(lastScan(), null);
    const startMs = clock.nowMs();
    await report(update, at(startMs));
    await report(curl, at(startMs + 1));
    assertEquals(names(), ["curl", "openssl"]);
    clock.setNow(startMs + HOUR_MS);
    await report({ ...curl, severity: "low", current_version: "9" }, at(startMs - 1));
    assertEquals([names(), lastScan()], [["openssl", "curl"], startMs + HOUR_MS]);
    const [, old] = server.state().packages;
    assertEquals([old!.severity, old!.currentVersion], ["low", "8"]);
    clock.setNow(startMs + 2 * HOUR_MS);
    await agent.send("POST", "updates", { timestamp: at(clock.nowMs()), updates: [] });
    assertEquals(lastScan(), startMs + HOUR_MS, "an empty report moves nothing");
    await report(update);
    const [, withoutTime] = server.state().packages;
    assertEquals(withoutTime!.lastDiscoveredAt, "0001-01-01T00:00:00.000Z");
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
    const { id } = server.state().packages[0]!;
    server.takeStep({ action: "approve", id });
    const some = { ...report, dependencies: ["libssl3"] };
    assertEquals((await agent.send("POST", "dependencies", some)).status, 200);
    assertEquals(server.state().packages[0]!.status, "approved", "nobody asked for it");
    server.takeStep({ action: "install", id });
    assertEquals((await agent.send("POST", "dependencies", some)).status, 200);
    assertEquals(server.state().packages[0]!.status, "pending_dependencies");
    assertEquals((await agent.send("POST", "dependencies", report)).status, 200);
    const { commands } = (await agent.send("GET", "commands")).json;
    const confirm = commands.find(({ type }: { type: string }) => type === "confirm_dependencies");
    assertEquals(confirm.params, {
      update_id: id,
      package_name: "openssl",
      package_type: "apt",
      dependencies: [],
    });
    await agent.send("POST", "logs", { ...log, command_id: confirm.id });
    assertEquals(server.state().packages[0]!.status, "updated");
    assertEquals(server.state().dependencies.map(({ dependencies }) => dependencies), [
      ["libssl3"],
      ["libssl3"],
      [],
    ]);
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
