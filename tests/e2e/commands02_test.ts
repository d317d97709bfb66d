/** Commands of a server of 0.2 through the real program: delivered again, timed out, by subsystem. */

import { assert, assertEquals } from "@std/assert";
import { removedItem } from "../../src/server/update_item.ts";
import { type Ended, type Host, once, onHost02 } from "./harness.ts";

/** Behind this a server hands a command over again. */
const STUCK_MS = 5 * 60_000 + 1;

const logsOf = (host: Host, id: string) =>
  host.server.state().logs.filter((log) => log.command_id === id);
const deliveryOf = (host: Host, id: string) =>
  host.server.state().age02!.deliveries.find(({ commandId }) => commandId === id);
const statusOf = (host: Host, id: string) =>
  host.server.state().commands.find((command) => command.id === id)?.status;

/** Log lines of the program with this message. */
const told = ({ err, out }: Ended, message: string) =>
  `${err}\n${out}`.split("\n").filter((line) => line.includes(`"${message}"`));

Deno.test("0.2: a command that stands twice in one answer is run once, and not reported as a fault", () =>
  onHost02(async (host) => {
    const id = host.server.queueCommand({ type: "scan_apt" });
    host.server.advance(STUCK_MS);
    const ended = await once(host);
    assertEquals(ended.code, 0, ended.err);
    assertEquals([logsOf(host, id).length, told(ended, "command started").length], [1, 1]);
    assertEquals(told(ended, "part of an answer ignored"), []);
  }));

Deno.test("0.2: a command whose result waits is handed over again, not run again, and then received", () =>
  onHost02(async (host) => {
    const { server } = host;
    const id = server.queueCommand({ type: "collect_specs", params: null });
    await server.setFault({ mode: "status", status: 500, path: "/logs$" });
    const first = await once(host);
    assertEquals([told(first, "command started").length, logsOf(host, id).length], [1, 0]);
    assertEquals(statusOf(host, id), "sent");
    // Nothing was confirmed yet: the server hands it over again while the agent lists it.
    server.advance(STUCK_MS);
    const second = await once(host);
    assertEquals([told(second, "command started").length, statusOf(host, id)], [0, "received"]);
    server.advance(STUCK_MS);
    await server.setFault({ mode: "none" });
    const third = await once(host);
    assertEquals(told(third, "command started"), []);
    assertEquals([logsOf(host, id).length, statusOf(host, id)], [1, "completed"]);
    assert((deliveryOf(host, id)?.retryCount ?? 9) <= 1);
    server.advance(STUCK_MS);
    await once(host);
    assertEquals(logsOf(host, id).length, 1);
  }));

Deno.test("0.2: a result that comes after the server's own is delivered, with a warning and no dead letter", () =>
  onHost02(async (host) => {
    const { server } = host;
    const id = server.queueCommand({ type: "collect_specs" });
    await server.setFault({ mode: "status", status: 500, path: "/logs$" });
    await once(host);
    await once(host);
    assertEquals(statusOf(host, id), "received");
    server.advance(60 * 60_000);
    await server.setFault({ mode: "none" });
    const ended = await once(host);
    assertEquals(statusOf(host, id), "timed_out");
    assertEquals(told(ended, "server ended a command without its result").length, 1);
    const { out } = await host.pennon(["status", "--json"]);
    const { buffer } = JSON.parse(out);
    assertEquals([buffer.pending, buffer.dead_lettered], [0, 0], out);
  }));

Deno.test("0.2: a log that the server stores without closing its command is sent again, and closes it", () =>
  onHost02(async (host) => {
    host.server.operator().set({ failCommandStates: 1 });
    const id = host.server.queueCommand({ type: "collect_specs" });
    await once(host);
    assertEquals([logsOf(host, id).length, statusOf(host, id)], [1, "sent"]);
    await once(host);
    assertEquals([logsOf(host, id).length, statusOf(host, id)], [2, "completed"]);
    await once(host);
    assertEquals(logsOf(host, id).length, 2);
  }));

Deno.test("0.2: each subsystem is scanned by itself; what is not there fails at once, with the reason", () =>
  onHost02(async (host) => {
    const { server } = host;
    const ids = [
      { type: "scan_apt", params: { subsystem: "apt" } },
      { type: "scan_dnf", params: null },
      { type: "scan_docker" },
    ].map((command) => server.queueCommand(command));
    const { code, err } = await once(host);
    assertEquals(code, 0, err);
    const [apt, dnf, docker] = ids.map((id) => logsOf(host, id)[0]);
    assertEquals([apt?.action, dnf?.result, docker?.result], ["scan_apt", "failed", "failed"]);
    assert(dnf?.stderr.includes("Cannot scan with dnf: it is not on this host"), dnf?.stderr);
    assert(docker?.stderr.includes('Cannot run "scan_docker": Pennon has no such scanner'));
    assert(ids.every((id) => ["completed", "failed"].includes(statusOf(host, id) ?? "")));
    if (apt?.result !== "success") return console.log("skipped: no apt that can be asked");
    assert(apt.stdout.startsWith("apt: "), apt.stdout);
    const subsystems = server.state().age02!.subsystems.map(({ subsystem }) => subsystem);
    assert(subsystems.includes("apt") && !subsystems.includes("dnf"), String(subsystems));
  }));

Deno.test("0.2: updates that are gone from the host are closed by the complete list, and stay closed", () =>
  onHost02(async (host) => {
    const gone = removedItem("apt", "a-package-that-no-host-has", "1.0");
    await report(host, gone);
    const rowOf = () =>
      host.server.state().packages.find(({ packageName }) => packageName === gone.package_name);
    assertEquals(rowOf()?.status, "pending");
    for (let scan = 0; scan < 2; scan++) {
      const id = host.server.queueCommand({ type: "scan_apt" });
      await once(host);
      const log = logsOf(host, id)[0];
      if (log?.result !== "success" || log.stderr !== "") {
        return console.log(`skipped: no apt with a complete list: ${log?.stderr}`);
      }
      assertEquals(rowOf()?.status, "installed", `scan ${scan}`);
    }
  }));

/** Reports a row in the agent's name, and has it remember that as its own report. */
async function report(host: Host, row: ReturnType<typeof removedItem>): Promise<void> {
  const identity = JSON.parse(await Deno.readTextFile(`${host.stateDirectory}/identity.json`));
  const atMs = Date.now() - 60_000;
  const { bindings } = host.server.state().age02!;
  const answer = await fetch(
    `${host.server.url}/api/v1/agents/${identity.agent_id}/updates`,
    {
      method: "POST",
      headers: {
        authorization: `Bearer ${identity.access_token}`,
        "x-machine-id": bindings[0]?.machineId ?? "",
      },
      body: JSON.stringify({ timestamp: new Date(atMs).toISOString(), updates: [row] }),
    },
  );
  assertEquals(answer.status, 200, await answer.text());
  const items = { [row.package_name]: [row.available_version, "sum", atMs, row] };
  await Deno.writeTextFile(
    `${host.stateDirectory}/told-updates.json`,
    JSON.stringify({
      schema: "pennon.told-updates/2",
      scanners: { apt: { fullAtMs: atMs, items, gone: {} } },
    }),
    { mode: 0o600 },
  );
}
