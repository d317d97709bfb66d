import { assertEquals, assertMatch } from "@std/assert";
import { call } from "./raw_request.ts";
import { enrol02, MINUTE_MS, violations, with02 } from "./refserver02_agent.ts";

const timestamp = "2026-11-23T00:00:00Z";

const mount = {
  mountpoint: "/",
  device: "/dev/sda1",
  disk_type: "ssd",
  filesystem: "ext4",
  total_bytes: 100,
  used_bytes: 40,
  available_bytes: 60,
  used_percent: 40.5,
  severity: "low",
  metadata: {},
};

const metric = {
  package_type: "system",
  package_name: "cpu",
  current_version: "4 cores",
  available_version: "",
  severity: "low",
  repository_source: "",
  metadata: { cores: "4" },
};

Deno.test("trap 24: storage-metrics and process-scan want the token's agent in the body", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const snapshot = {
      processes: [{ pid: 1, state: "S" }],
      process_count: 1,
      scanned_at: timestamp,
      duration_ms: 5,
    };
    const good = { agent_id: agent.id, command_id: "", timestamp };
    const other = { ...good, agent_id: crypto.randomUUID() };
    for (
      const [what, more] of [["storage-metrics", { metrics: [] }], ["process-scan", { snapshot }]]
    ) {
      const mismatch = await agent.send("POST", what as string, { ...other, ...more as object });
      assertEquals([mismatch.status, mismatch.json], [400, { error: "Agent ID mismatch" }]);
      for (const agent_id of [undefined, "x"]) {
        const bad = await agent.send("POST", what as string, {
          ...good,
          ...more as object,
          agent_id,
        });
        assertEquals([bad.status, bad.json], [400, { error: "Invalid request body" }]);
      }
    }
    const stored = await agent.send("POST", "storage-metrics", { ...good, metrics: [mount] });
    assertEquals([stored.status, stored.json], [200, {
      status: "success",
      message: "Storage metrics reported successfully",
    }]);
    const scan = await agent.send("POST", "process-scan", { ...good, snapshot });
    assertEquals([scan.json.status, scan.json.processes], ["success", 1]);
    const long = { ...snapshot, processes: [{ state: "Ss" }] };
    const failed = await agent.send("POST", "process-scan", { ...good, snapshot: long });
    assertEquals([failed.status, failed.json], [500, { error: "Failed to save processes" }]);
    for (let n = 0; n < 11; n++) await agent.send("POST", "process-scan", { ...good, snapshot });
    const kinds = server.state().age02!.rows.map(({ kind }) => kind);
    assertEquals(kinds.filter((kind) => kind === "process_snapshot").length, 10);
  });
});

Deno.test("trap 24: metrics and docker-images want a command of the agent", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const other = await enrol02(server, { machine_id: "0123456789abcdef" });
    const own = server.queueCommand({ type: "scan_system", agentId: agent.id });
    const foreign = server.queueCommand({ type: "scan_system", agentId: other.id });
    const rows: [string, number, string][] = [
      ["", 400, "invalid command ID format"],
      [crypto.randomUUID(), 404, "command not found"],
      [foreign, 403, "unauthorized command"],
    ];
    for (const what of ["metrics", "docker-images"]) {
      for (const [command_id, status, error] of rows) {
        const answer = await agent.send("POST", what, { command_id, timestamp });
        assertEquals([answer.status, answer.json], [status, { error }], what);
      }
    }
    const body = { command_id: own, timestamp, metrics: [metric] };
    assertEquals((await agent.send("POST", "metrics", body)).json, {
      message: "metrics events recorded",
      count: 1,
      command_id: own,
    });
    assertEquals(server.state().commands[0]!.status, "pending", "a log ends it, not this");
  });
});

Deno.test("trap 18: metadata of metrics is of strings alone", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const command_id = server.queueCommand({ type: "scan_system" });
    for (const value of [4, null, {}]) {
      const metrics = [{ ...metric, metadata: { cores: value } }];
      const answer = await agent.send("POST", "metrics", { command_id, timestamp, metrics });
      assertEquals(answer.status, 400);
    }
    const long = [metric, { ...metric, package_name: "x".repeat(256) }];
    const answer = await agent.send("POST", "metrics", { command_id, timestamp, metrics: long });
    assertEquals([answer.status, answer.json], [500, { error: "failed to record metrics events" }]);
    assertEquals(server.state().age02!.rows, [], "one transaction");
  });
});

Deno.test("storage is stored row by row, up to the bad one", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const rows: [string, number][] = [
      ["mountpoint", 256],
      ["device", 256],
      ["disk_type", 51],
      ["filesystem", 51],
      ["severity", 21],
    ];
    for (const [name, length] of rows) {
      const bad = { ...mount, [name]: "x".repeat(length) };
      const body = { agent_id: agent.id, timestamp, metrics: [mount, bad, mount] };
      const answer = await agent.send("POST", "storage-metrics", body);
      assertEquals([answer.status, answer.json], [500, {
        error: "Failed to insert storage metric",
      }]);
    }
    assertEquals(server.state().age02!.rows.length, rows.length);
  });
});

Deno.test("trap 25: a container's long id loses the containers, and the answer is 200 all the same", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const command_id = server.queueCommand({ type: "scan_docker" });
    const container = {
      container_id: "a".repeat(12),
      name: "web",
      image: "nginx",
      state: "running",
    };
    const send = (container_id: string) =>
      agent.send("POST", "docker-images", {
        command_id,
        timestamp,
        images: [{ ...metric, package_type: "docker_image", metadata: {} }],
        containers: [container, { ...container, container_id }],
      });
    assertEquals((await send("a".repeat(64))).json, {
      message: "docker image events recorded",
      count: 1,
      command_id,
    });
    const kinds = () => server.state().age02!.rows.map(({ kind }) => kind);
    assertEquals(kinds(), ["docker_image"]);
    assertMatch(violations(server)[0]!, /lost without a word: .*container_id over 32/);
    await send("b".repeat(32));
    assertEquals(kinds().filter((kind) => kind === "docker_container").length, 2);
  });
});

Deno.test("trap 23: over 100 events are 400, a batch that is known whole is 500", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const event = () => ({
      id: crypto.randomUUID(),
      event_type: "breaker",
      event_subtype: "opened",
      severity: "warning",
      component: "agent",
      message: "the server is away",
      metadata: { n: 1 },
      created_at: timestamp,
    });
    const send = (events: unknown) => agent.send("POST", "events", { events });
    const many = Array.from({ length: 101 }, event);
    for (const what of ["events", "security-events"]) {
      const answer = await agent.send("POST", what, { events: many });
      assertEquals([answer.status, answer.json], [400, {
        error: "too many events",
        max: 100,
        actual: 101,
      }]);
    }
    const batch = many.slice(0, 100);
    assertEquals((await send(batch)).json, { accepted: 100, rejected: 0 });
    const again = await send(batch.slice(0, 1));
    assertEquals([again.status, again.json], [500, {
      accepted: 0,
      rejected: 1,
      errors: [
        "event 0: failed to create system event: " +
        'pq: duplicate key value violates unique constraint "system_events_pkey"',
      ],
    }]);
    const mixed = await send([batch[0], event()]);
    assertEquals([mixed.status, mixed.json.accepted, mixed.json.rejected], [206, 1, 1]);
    for (
      const [name, length] of [["event_type", 51], ["severity", 21], ["component", 51]] as const
    ) {
      const answer = await send([{ ...event(), [name]: "x".repeat(length) }]);
      assertEquals([answer.status, answer.json.rejected], [500, 1], name);
    }
    for (const bad of [{ id: "x" }, { created_at: "" }, { message: 7 }]) {
      assertEquals((await send([{ ...event(), ...bad }])).json, { error: "invalid request body" });
    }
    assertEquals((await send(null)).status, 400);
    assertEquals((await send([])).json, { accepted: 0, rejected: 0 });
    assertEquals((await send([{ ...event(), id: undefined }])).status, 200);
    assertEquals(server.state().age02!.events.length, 102);
  });
});

Deno.test("trap 23: who goes on sending a batch that is known whole is noted", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const id = crypto.randomUUID();
    const body = { events: [{ id, event_type: "a", event_subtype: "b", severity: "info" }] };
    for (let n = 0; n < 6; n++) await agent.send("POST", "events", body);
    assertEquals(server.state().age02!.events[0]!.created_at, "0001-01-01T00:00:00.000Z");
    const repeats = violations(server).filter((what) => what !== "an event of the year 1");
    assertEquals(repeats, [
      "sends known events again, 4 times",
      "sends known events again, 5 times",
    ]);
  });
});

Deno.test("security events, breakers and inventory are answered as the real one answers them", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const security = { timestamp, level: "WARNING", event_type: "SIGNATURE", message: "refused" };
    const events = [security, { ...security, details: { id: 1 } }];
    assertEquals((await agent.send("POST", "security-events", { events })).json, {
      accepted: 2,
      rejected: 0,
    });
    const breaker = { name: "apt", state: "closed", recent_failures: 0, consecutive_success: 2 };
    const breakers = (...subsystems: unknown[]) =>
      agent.send("POST", "circuit-breakers", { timestamp, subsystems });
    assertEquals((await breakers(breaker)).json, { status: "healthy" });
    const open = { ...breaker, state: "open", next_attempt: timestamp };
    assertEquals((await breakers(breaker, open)).json, {
      status: "received",
      open_breakers: 1,
      warning: "circuit breakers are open - auto-healing in progress",
    });
    assertEquals((await breakers(7)).json, { error: "invalid report format" });
    const item = { item_name: "bash", item_version: "5", arch: "amd64" };
    const inventory = (items: unknown, inventory_ecosystem = "dpkg") =>
      agent.send("POST", "inventory", { inventory_ecosystem, items, scan_succeeded: true });
    assertEquals((await inventory([item])).json, {
      accepted: 1,
      ecosystem: "dpkg",
      scan_succeeded: true,
    });
    assertEquals((await inventory([])).json, { accepted: 0, message: "no items to report" });
    assertEquals((await inventory([item], "x".repeat(51))).status, 500);
    assertEquals((await inventory([{ ...item, arch: "x".repeat(51) }])).status, 500);
  });
});

Deno.test("system-info merges, and knows the device; rapid-mode wants 1 to 60 minutes", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const facts = { cpu_model: "Z80", cpu_cores: 1, device_type: "vm", device_model: "KVM" };
    const answer = await agent.send("POST", "system-info", { ...facts, metadata: { rack: "7" } });
    assertEquals(answer.json, { message: "system info updated successfully" });
    await agent.send("POST", "system-info", { device_type: "toaster", os_distro: "debian" });
    assertEquals(server.state().agents[0]!.metadata, {
      cpu_cores: 1,
      cpu_model: "Z80",
      rack: "7",
    });
    const { deviceType, deviceModel, osDistro } = server.state().age02!.bindings[0]!;
    assertEquals([deviceType, deviceModel, osDistro], ["vm", "KVM", "debian"]);
    assertEquals((await agent.send("POST", "system-info", { memory_total: -1 })).status, 400);
    for (const [duration_minutes, status] of [[0, 400], [1, 200], [60, 200], [61, 400]]) {
      const body = { enabled: true, duration_minutes };
      assertEquals((await agent.send("POST", "rapid-mode", body)).status, status);
    }
    server.advance(MINUTE_MS);
    const metadata = { rapid_polling_enabled: true };
    const { rapid_polling } = (await agent.checkIn({ metadata })).json;
    assertEquals(rapid_polling.until, server.state().agents[0]!.rapidUntil);
  });
});

Deno.test("some handlers mean the path's agent, uncompared, others the token's; both are noted", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    const other = await enrol02(server, { machine_id: "0123456789abcdef" });
    const post = (what: string, body: unknown) =>
      call(server.url, {
        method: "POST",
        path: `/api/v1/agents/${other.id}/${what}`,
        headers: { Authorization: `Bearer ${agent.token}`, ...agent.headers },
        body,
      });
    const event = { event_type: "a", event_subtype: "b", severity: "info", created_at: timestamp };
    assertEquals((await post("events", { events: [event] })).status, 200);
    assertEquals((await post("logs", { action: "x", result: "success" })).status, 200);
    assertEquals(server.state().age02!.events[0]!.agent_id, other.id);
    assertEquals(server.state().logs[0]!.agent_id, agent.id);
    assertEquals(new Set(violations(server)), new Set(["the path names another agent"]));
  });
});
