import { assert } from "@std/assert";
import fc from "fast-check";
import { enrol02, renew02, update02, with02 } from "./refserver02_agent.ts";

/** Bodies that are nearly right, each with the reports that take them. */
const BODIES: readonly (readonly [string, string, Record<string, unknown>])[] = [
  ["GET", "commands", {
    cpu_percent: 1,
    uptime: "1 day",
    version: "1.0.0",
    metadata: { buffered_events: [{ event_type: "a", event_subtype: "b", severity: "c" }] },
    received_command_ids: ["a"],
    pending_acknowledgments: ["a"],
    available_scanners: ["apt"],
  }],
  ["POST", "updates", {
    command_id: "c",
    timestamp: "",
    updates: [update02],
    scan_succeeded: true,
  }],
  ["POST", "logs", { command_id: "", action: "x", result: "success", exit_code: 1 }],
  ["POST", "dependencies", {
    package_name: "a",
    package_type: "apt",
    dependencies: [],
    update_id: "",
  }],
  ["POST", "system-info", { cpu_cores: 4, device_type: "vm", metadata: {} }],
  ["POST", "rapid-mode", { enabled: true, duration_minutes: 5 }],
  ["POST", "metrics", { command_id: "", metrics: [{ package_name: "cpu" }] }],
  ["POST", "docker-images", { command_id: "", images: [{}], containers: [{}] }],
  ["POST", "storage-metrics", { agent_id: "", metrics: [{ mountpoint: "/" }] }],
  ["POST", "process-scan", { agent_id: "", snapshot: { processes: [{ state: "S" }] } }],
  ["POST", "circuit-breakers", { subsystems: [{ name: "apt", state: "open" }] }],
  ["POST", "events", { events: [{ event_type: "a", event_subtype: "b", severity: "c" }] }],
  ["POST", "security-events", { events: [{ level: "INFO", details: {} }] }],
  ["POST", "inventory", { inventory_ecosystem: "dpkg", items: [{ item_name: "bash" }] }],
  ["POST", "capability-tokens/550e8400-e29b-41d4-a716-446655440001/receipt", {
    decision: "denied",
  }],
];

const garbage = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(null, "", "a\0b", "x".repeat(300), -1, 1e300, 0.5, [], {}, [null], [7]),
);

Deno.test("whatever is in a body, there is an answer, and the server goes on", async () => {
  const limits = { agent: 0, checkin: 0, public: 0, register: 0 };
  await with02({ limits, settings: { minAgentVersion: "" } }, async (server) => {
    const agent = await enrol02(server);
    const command_id = server.queueCommand({ type: "scan_system" });
    const property = fc.asyncProperty(
      fc.constantFrom(...BODIES),
      fc.nat(),
      garbage,
      async ([method, what, body], at, value) => {
        const good = { ...body, ..."command_id" in body && { command_id } };
        const names = Object.keys(good);
        const key = names[at % names.length]!;
        const item = (good as Record<string, unknown>)[key];
        // Beside the value itself: an element of its list that has the value in one of its keys.
        const inside = Array.isArray(item) && typeof item[0] === "object"
          ? [{ ...item[0], [Object.keys(item[0])[0] ?? "name"]: value }]
          : value;
        for (const changed of [value, { ...good, [key]: value }, { ...good, [key]: inside }]) {
          const { status } = await agent.send(method, what, changed ?? "null");
          assert([200, 206, 400, 404, 409, 500].includes(status), `${what}: ${status}`);
        }
        await renew02(server, agent, { refresh_token: value });
      },
    );
    await fc.assert(property, { numRuns: 150 });
    assert((await agent.checkIn()).status === 200);
  });
});
