/** What a person sees at the dashboard: rows, their order and "Last scan", through the real program. */

import { assert, assertEquals } from "@std/assert";
import { removedItem } from "../../src/server/update_item.ts";
import { type Host, onHost } from "./harness.ts";

const CURL = { ...removedItem("apt", "curl", "8.0"), severity: "critical" };
const WGET = { ...removedItem("apt", "wget", "2.0"), severity: "important" };
const AT_MS = 1_800_000_000_000;

/** Reports rows in the agent's name, and has it remember them as its own report. */
async function report(host: Host): Promise<void> {
  const identity = JSON.parse(await Deno.readTextFile(`${host.stateDirectory}/identity.json`));
  const { url } = host.server;
  const { id } = host.server.state().agents[0]!;
  const answer = await fetch(`${url}/api/v1/agents/${id}/updates`, {
    method: "POST",
    headers: { authorization: `Bearer ${identity.accessToken ?? identity.access_token}` },
    body: JSON.stringify({ timestamp: new Date(AT_MS).toISOString(), updates: [CURL, WGET] }),
  });
  assertEquals([answer.status, (await answer.json()).count], [200, 2]);
  const items = Object.fromEntries(
    [CURL, WGET].map((row) => [row.package_name, [row.available_version, "sum", AT_MS, row]]),
  );
  const told = { apt: { fullAtMs: AT_MS, items, gone: {} } };
  await Deno.writeTextFile(
    `${host.stateDirectory}/told-updates.json`,
    JSON.stringify({ schema: "pennon.told-updates/2", scanners: told }),
    { mode: 0o600 },
  );
}

Deno.test("a command that is refused leaves no row installing, and none that climbs in the list", () =>
  onHost(async (host) => {
    await host.register();
    await report(host);
    const before = host.server.state().packages;
    assertEquals(before.map(({ packageName }) => packageName), ["curl", "wget"]);
    for (const action of ["install", "confirm"] as const) {
      const { id } = before[1]!;
      host.server.takeStep({ action: "approve", id });
      const commandId = host.server.takeStep({ action, id });
      const stuck = host.server.state().packages[1]!.status;
      assertEquals(stuck, action === "install" ? "checking_dependencies" : "installing");
      const { code, err } = await host.pennon(["run", "--once"]);
      assertEquals(code, 0, err);
      assertEquals(host.logOf(commandId ?? "")?.result, "failed");
      assertEquals(host.server.state().packages, before, action);
    }
    assertEquals(host.server.state().violations, []);
    // At 0.2 nobody but a signed-in user takes these steps, and the rows are closed by absence.
  }, { age: "0.1" }));

Deno.test("a scan that finds nothing new moves the last scan, and no row", () =>
  onHost(async (host) => {
    await host.register();
    const scan = async () => {
      const id = host.server.queueCommand({ type: "scan_updates" });
      const { code, err } = await host.pennon(["run", "--once"]);
      assertEquals(code, 0, err);
      return host.logOf(id);
    };
    if ((await scan())?.result !== "success") {
      return console.log("skipped: no apt on this host that can be asked");
    }
    const { agents: [first], packages } = host.server.state();
    const stdout = (await scan())?.stdout ?? "";
    const { agents: [second], packages: same, updates } = host.server.state();
    if (packages.length === 0) return assertEquals(updates, []);
    assert(stdout.includes("no changes"), stdout);
    assert((second!.lastScanAtMs ?? 0) > (first!.lastScanAtMs ?? Infinity));
    assertEquals(updates.length, packages.length + 1);
    assertEquals(same, packages);
  }));
