/** What the dashboard of a server of 0.2 shows, and what such a server sets, through the real program. */

import { assert, assertEquals } from "@std/assert";
import { type Host, once, onHost02 } from "./harness.ts";

const logOf = (host: Host, id: string) =>
  host.server.state().logs.find((log) => log.command_id === id);

Deno.test("0.2: storage and system are scanned, each with its log, and the server stores both", () =>
  onHost02(async (host) => {
    const { server } = host;
    const storage = server.queueCommand({ type: "scan_storage", params: null });
    const system = server.queueCommand({ type: "scan_system", params: { subsystem: "system" } });
    const { code, err } = await once(host);
    assertEquals(code, 0, err);
    assertEquals([logOf(host, storage)?.result, logOf(host, system)?.result], [
      "success",
      "success",
    ]);
    const rows = server.state().age02!.rows;
    const storageRows = rows.filter(({ kind }) => kind === "storage_metric");
    assert(storageRows.length > 0 && storageRows.every(({ commandId }) => commandId === storage));
    assert(rows.some(({ kind, commandId }) => kind === "metric" && commandId === system));
  }));

Deno.test("0.2: config show says what the server has set, and the owner's own values stay", () =>
  onHost02(async (host) => {
    await once(host);
    const { code, out } = await host.pennon(["config", "show", "--json"]);
    assertEquals(code, 0);
    const { settings, server_policy } = JSON.parse(out);
    assertEquals(
      [server_policy.jitter_max_ms, server_policy.backoff_base_ms, server_policy.backoff_max_ms],
      [30_000, 10_000, 300_000],
    );
    // The test's configuration sets the backoff.
    const base = settings.find(({ path }: { path: string }) => path === "backoff.base");
    assertEquals(base.value, "400ms");
  }));

Deno.test("0.2: an outage and its end are events at the dashboard, with their own ids and instants", () =>
  onHost02(async (host) => {
    const { server } = host;
    await once(host); // From here on the agent knows that the server has a place for them.
    await server.setFault({ mode: "status", status: 500, path: "/commands$" });
    await once(host);
    await server.setFault({ mode: "none" });
    for (let cycle = 0; cycle < 5; cycle++) {
      await once(host);
      const ended = server.state().age02!.events.filter(({ event_type }) =>
        event_type === "outage"
      );
      if (ended.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        continue;
      }
      assertEquals(ended.map(({ event_subtype }) => event_subtype), ["ended"]);
      assert(Math.abs(Date.parse(String(ended[0]!.created_at)) - Date.now()) < 120_000);
      return;
    }
    throw new Error("Cannot find the outage among the events");
  }));
