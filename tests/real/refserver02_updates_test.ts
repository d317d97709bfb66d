import { assertEquals } from "@std/assert";
import type { Refserver } from "../../tools/refserver/server.ts";
import { enrol02, reportOf, update02, violations, with02 } from "./refserver02_agent.ts";

const curl = { ...update02, package_name: "curl" };
const statuses = (server: Refserver) =>
  Object.fromEntries(server.state().packages.map((row) => [row.packageName, row.status]));

Deno.test("trap 16: scan_succeeded declares everything installed that this one report does not name", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const winget = { ...update02, package_type: "winget", package_name: "Zoom" };
    const names = ["a", "b", "c"];
    const items = names.map((package_name) => ({ ...update02, package_name }));
    await agent.send("POST", "updates", reportOf([...items, winget]));
    const step = (name: string, action: "approve" | "install" | "reject") => {
      const { id } = server.state().packages.find(({ packageName }) => packageName === name)!;
      server.takeStep({ action, id });
    };
    step("b", "approve");
    step("c", "approve");
    step("c", "install");
    const whole = { ecosystem: "apt", scan_succeeded: true };
    const answer = await agent.send("POST", "updates", reportOf([curl], whole));
    assertEquals(answer.json, { message: "update events recorded", count: 1, command_id: "" });
    assertEquals(statuses(server), {
      a: "installed",
      b: "installed",
      c: "checking_dependencies",
      curl: "pending",
      Zoom: "pending",
    });
    assertEquals(violations(server), []);
    await agent.send("POST", "updates", reportOf([], { ...whole, scan_succeeded: false }));
    await agent.send("POST", "updates", reportOf([], { ...whole, ecosystem: "dnf" }));
    assertEquals(statuses(server)["curl"], "pending");
    await agent.send("POST", "updates", reportOf([], whole));
    assertEquals(statuses(server)["curl"], "installed", "an empty list means: all patched");
    await agent.send("POST", "updates", reportOf([items[0]]));
    assertEquals(statuses(server)["a"], "pending", "what is reported again waits again");
  });
});

Deno.test("trap 16: a part of a list that says scan_succeeded is noted, before and after", async () => {
  const whole = { command_id: "c", ecosystem: "apt", scan_succeeded: true };
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    await agent.send("POST", "updates", reportOf([update02], { command_id: "c" }));
    await agent.send("POST", "updates", reportOf([curl], whole));
    assertEquals(statuses(server), { openssl: "installed", curl: "pending" });
    assertEquals(violations(server), [
      "scan_succeeded in a part of a list: openssl was in another",
    ]);
  });
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    await agent.send("POST", "updates", reportOf([update02], whole));
    await agent.send("POST", "updates", reportOf([curl], { command_id: "c" }));
    await agent.send("POST", "updates", reportOf([curl], { ...whole, ecosystem: "winget" }));
    await agent.send("POST", "logs", { command_id: "c", action: "scan_apt", result: "failed" });
    assertEquals(violations(server), [
      "a further part of a list that said scan_succeeded for apt",
      'scan_succeeded for "winget", which nothing closes',
      "command_id is no UUID: the log belongs to no command",
    ]);
  });
});

Deno.test("trap 16: a failed scan that has closed rows is noted", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const command_id = server.queueCommand({ type: "scan_apt" });
    await agent.checkIn();
    const whole = { command_id, ecosystem: "apt", scan_succeeded: true };
    await agent.send("POST", "updates", reportOf([update02], whole));
    await agent.send("POST", "logs", { command_id, action: "scan_apt", result: "failed" });
    assertEquals(violations(server), ["a failed scan that said scan_succeeded for apt"]);
  });
});

Deno.test("trap 17: a rescan during a dry run resets the package, and the next step is 500", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const item = { ...update02, package_type: "winget" };
    await agent.send("POST", "updates", reportOf([item]));
    const { id } = server.state().packages[0]!;
    const step = (action: "approve" | "install") => server.takeStep({ action, id });
    step("approve");
    step("install");
    assertEquals(statuses(server)["openssl"], "checking_dependencies");
    await agent.send("POST", "updates", reportOf([item]));
    assertEquals(statuses(server)["openssl"], "pending");
    const report = { package_name: "openssl", package_type: "winget", update_id: id };
    const parked = await agent.send("POST", "dependencies", { ...report, dependencies: ["x"] });
    assertEquals([parked.status, parked.json], [500, { error: "failed to update package status" }]);
    const ahead = await agent.send("POST", "dependencies", { ...report, dependencies: [] });
    assertEquals([ahead.status, ahead.json], [500, {
      error: "failed to update package status to installing",
    }]);
    assertEquals(violations(server), ["resets openssl, which is checking_dependencies"]);
  });
});

Deno.test("trap 18: metadata null wipes what the server had put there", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const metadataOf = () => server.state().packages[0]!.metadata;
    const report = (change: object) =>
      agent.send("POST", "updates", reportOf([{ ...update02, ...change }]));
    await report({ metadata: { from: "server" } });
    await report({});
    assertEquals(metadataOf(), { from: "server" }, "an empty object keeps it");
    await report({ metadata: null, package_description: "TLS", size_bytes: 7 });
    assertEquals(metadataOf(), { from: "server", description: "TLS", size_bytes: 7 });
    await report({ metadata: null });
    assertEquals(metadataOf(), null);
    await report({ metadata: undefined });
    await report({ metadata: { more: 1 } });
    assertEquals(metadataOf(), { more: 1 });
    const wipes = "metadata null wipes what is known of openssl";
    assertEquals(violations(server), [wipes, wipes]);
  });
});

Deno.test('trap 19: a timestamp of "" is 400, a missing one is the year 1', async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    for (const timestamp of ["", "2026-11-23 00:00:00Z", "yesterday", 7]) {
      const answer = await agent.send("POST", "updates", reportOf([update02], { timestamp }));
      assertEquals(answer.status, 400, String(timestamp));
    }
    const more = { timestamp: undefined };
    assertEquals((await agent.send("POST", "updates", reportOf([update02], more))).status, 200);
    assertEquals(server.state().packages[0]!.lastDiscoveredAt, "0001-01-01T00:00:00.000Z");
    assertEquals(violations(server).at(-1), "no timestamp: the rows are of the year 1");
  });
});

Deno.test("trap 20: one bad item loses the whole batch, every time", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const bad: object[] = [
      { severity: "high" },
      { severity: "" },
      { severity: null },
      { package_type: "x".repeat(51) },
      { package_name: "a\0b" },
      { metadata: { text: "a\0b" } },
    ];
    for (const change of bad) {
      for (let n = 0; n < 2; n++) {
        const items = [curl, { ...update02, ...change }];
        const answer = await agent.send("POST", "updates", reportOf(items));
        assertEquals([answer.status, answer.json], [500, {
          error: "failed to record update events",
        }]);
      }
    }
    assertEquals([server.state().packages, server.state().updates], [[], []]);
    const whole = { ecosystem: "apt", scan_succeeded: true };
    await agent.send("POST", "updates", reportOf([curl]));
    await agent.send("POST", "updates", reportOf([{ ...update02, severity: "high" }], whole));
    assertEquals(statuses(server), { curl: "pending" }, "a batch that fails closes nothing");
  });
});

Deno.test("updates must be a list, and what is in an item may be empty", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    assertEquals((await agent.send("POST", "updates", reportOf(null))).status, 400);
    assertEquals((await agent.send("POST", "updates", reportOf(undefined))).status, 400);
    assertEquals((await agent.send("POST", "updates", reportOf([]))).status, 200);
    const empty = { package_type: "", package_name: "", available_version: "", severity: "low" };
    assertEquals((await agent.send("POST", "updates", reportOf([empty]))).status, 200);
    const unknown = { ...update02, unheard_of: [1] };
    assertEquals((await agent.send("POST", "updates", reportOf([unknown]))).status, 200);
  });
});

Deno.test("a report resets every state but failed and ignored, and current_version but for installing", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const item = { ...update02, package_type: "docker_image" };
    const report = (current_version: string) =>
      agent.send("POST", "updates", reportOf([{ ...item, current_version }]));
    await report("1");
    const { id } = server.state().packages[0]!;
    const step = (action: "approve" | "reject" | "install" | "confirm") =>
      server.takeStep({ action, id });
    const row = () => {
      const { status, currentVersion } = server.state().packages[0]!;
      return [status, currentVersion];
    };
    step("approve");
    await report("2");
    assertEquals(row(), ["pending", "2"]);
    step("approve");
    const confirm = step("confirm");
    assertEquals(row(), ["installing", "2"]);
    await report("3");
    assertEquals(row(), ["pending", "2"]);
    await agent.checkIn();
    const log = { command_id: confirm, action: "confirm_dependencies", result: "success" };
    await agent.send("POST", "logs", log);
    assertEquals(row(), ["pending", "2"], "only what is installing becomes installed");
    step("reject");
    await report("4");
    assertEquals(row(), ["ignored", "4"]);
    step("approve");
    assertEquals(row(), ["ignored", "4"]);
  });
});
