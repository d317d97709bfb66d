/** The program on a disk that is full, read-only, forbidden or gone: it runs, says so, and comes back. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import type { Program } from "../../tools/program.ts";
import { lacks } from "../real/lacks.ts";
import {
  cannotMount,
  mountSmallDisk,
  type SmallDisk,
  type SmallDiskOptions,
} from "../real/small_disk.ts";
import { type Host, onHost, within } from "./harness.ts";

/** A host whose state folder is a small disk of its own. */
function onDisk(
  options: SmallDiskOptions,
  story: (host: Host, disk: SmallDisk) => Promise<void>,
): Promise<void> {
  return onHost(async (host) => {
    await Deno.mkdir(host.stateDirectory, { mode: 0o700 });
    const disk = await mountSmallDisk(host.stateDirectory, options);
    if (disk === null) return;
    try {
      await host.register();
      await story(host, disk);
    } finally {
      await host.stopAll();
      await disk.unmount();
    }
  });
}

function says(program: Program, text: string): Promise<string> {
  return within(program.waitFor(text, (line) => line.includes(text)), text);
}

async function statusOf(host: Host) {
  const { code, out, err } = await host.pennon(["status", "--json"]);
  assertEquals(code, 0, err);
  return JSON.parse(out);
}

/** Removes a folder in which somebody may be making a file just now. */
async function removeUnderWriter(folder: string): Promise<void> {
  for (;;) {
    try {
      return await Deno.remove(folder, { recursive: true });
    } catch (error) {
      if (!(error instanceof Error && error.message.includes("not empty"))) throw error;
    }
  }
}

/** The status as soon as the server has all; it shows what it shows with each look until then. */
async function statusWhenDelivered(host: Host) {
  const look = async () => {
    let status = await statusOf(host);
    while (status.buffer.pending > 0) status = await statusOf(host);
    return status;
  };
  return await within(look(), "the end of delivering");
}

/** The server hears from an agent that cannot write; then the disk is well, and all is done. */
async function runsAndComesBack(
  host: Host,
  agent: Program,
  heal: () => Promise<void>,
): Promise<void> {
  const waiting = host.server.queueCommand({ type: "collect_specs" });
  await says(agent, "disk refuses writes, buffering events in memory");
  await host.until("host facts out of memory", () => host.server.state().systemInfo.length > 0);
  await says(agent, "commands wait for the disk");
  assertEquals(host.logOf(waiting), undefined);
  await heal();
  await says(agent, "disk accepts writes again");
  await host.until("the command's result", () => host.logOf(waiting) !== undefined);
  assertEquals(host.logOf(waiting)?.result, "success");
  const { disk } = await statusWhenDelivered(host);
  assertEquals([disk.takes_writes, disk.events_in_memory], [true, 0]);
  await within(agent.stop("SIGTERM"), "the end");
  assertEquals((await agent.ended).code, 0);
}

for (const kind of ["tmpfs", "ext4"] as const) {
  Deno.test({
    name: `starts on a full disk (${kind}), runs, and comes back when there is room`,
    ignore: await cannotMount(kind),
  }, () =>
    onDisk({ sizeKib: kind === "ext4" ? 4_096 : 512, kind }, async (host, disk) => {
      await disk.fill();
      const agent = host.run();
      await says(agent, "agent started");
      const { disk: told } = await statusOf(host);
      assertEquals([told.takes_writes, told.why.includes("o space left")], [false, true]);
      await runsAndComesBack(host, agent, () => disk.makeRoom());
    }));

  Deno.test({
    name: `starts on a read-only disk (${kind}), runs, and comes back`,
    ignore: await cannotMount(kind),
  }, () =>
    onDisk({ sizeKib: kind === "ext4" ? 4_096 : 512, kind }, async (host, disk) => {
      await disk.remount("ro");
      const agent = host.run();
      await says(agent, "state directory not locked: a second agent could start");
      const { disk: told } = await statusOf(host);
      assertEquals([told.takes_writes, told.events_in_memory], [false, null]);
      await runsAndComesBack(host, agent, () => disk.remount("rw"));
    }));
}

Deno.test({
  name: "runs on when its disk fills up, shows what is in memory, and writes it when it can",
  ignore: await cannotMount(),
}, () =>
  onDisk({ sizeKib: 512 }, async (host, disk) => {
    const agent = host.run();
    await host.until("host facts", () => host.server.state().systemInfo.length > 0);
    await host.server.setFault({ mode: "reset" });
    await disk.fill();
    const id = host.server.queueCommand({ type: "collect_specs" });
    await host.server.setFault({ mode: "none" });
    await says(agent, "commands wait for the disk");
    const { disk: told } = await statusOf(host);
    assertEquals(told.takes_writes, false);
    assertStringIncludes((await host.pennon(["status"])).out, "accepts no writes");
    await disk.makeRoom();
    await host.until("the command's result", () => host.logOf(id) !== undefined);
    await within(agent.stop("SIGTERM"), "the end");
  }));

function isReset(host: Host, path: string): boolean {
  return host.server.state().requests
    .some((request) => request.fault === "reset" && request.path.endsWith(path));
}

Deno.test("a state folder that is removed while it runs is made anew, and nothing is lost", () =>
  onHost(async (host) => {
    await host.register();
    const agent = host.run();
    await host.until("host facts", () => host.server.state().systemInfo.length > 0);
    const before = (await statusOf(host)).buffer;
    // A command's report waits in the buffer while the server takes none.
    await host.server.setFault({ mode: "reset", path: "/logs$" });
    const id = host.server.queueCommand({ type: "collect_specs" });
    await host.until("a report", () => isReset(host, "/logs"));
    // It takes nothing at all then: a report that fails while check-ins succeed would wait for a minute.
    await host.server.setFault({ mode: "reset" });
    await removeUnderWriter(host.stateDirectory);
    await says(agent, "buffer file missing in the state directory, merged into a new one");
    const { mode } = await Deno.stat(host.stateDirectory);
    const identity = await Deno.stat(`${host.stateDirectory}/identity.json`);
    assertEquals([mode! & 0o777, identity.mode! & 0o777], [0o700, 0o600]);
    const status = await statusOf(host);
    assertEquals([status.running, status.process_id], [true, agent.processId]);
    assert(status.buffer.appended >= before.appended, "the counters went on");
    const second = await host.pennon(["run"]);
    assertStringIncludes(second.err, `process ${agent.processId} already runs`);
    await host.server.setFault({ mode: "none" });
    await host.until("the command's result", () => host.logOf(id) !== undefined);
    await within(agent.stop("SIGTERM"), "the end");
    const once = await host.pennon(["run", "--once"]);
    assertEquals(once.code, 0, once.err);
    assertEquals(host.server.state().logs.filter((log) => log.command_id === id).length, 1);
    const { agents, violations } = host.server.state();
    assertEquals([agents.length, violations], [1, []]);
  }));

Deno.test("leaves a newer Pennon's buffer alone, says so, and uses it as soon as it can", () =>
  onHost(async (host) => {
    await host.register();
    assertEquals((await host.pennon(["run", "--once"])).code, 0);
    const main = `${host.stateDirectory}/buffer.sqlite`;
    const setVersion = (version: number) => {
      const database = openRealDatabase(main);
      database.execute(`PRAGMA user_version = ${version}`);
      database.close();
    };
    setVersion(SCHEMA_VERSION + 1);
    const before = await Deno.readFile(main);
    const agent = host.run();
    await says(agent, "disk refuses writes, buffering events in memory");
    const { out } = await host.pennon(["status"]);
    assertStringIncludes(out, `was written by a newer Pennon (schema ${SCHEMA_VERSION + 1})`);
    await within(agent.stop("SIGTERM"), "the end");
    assertEquals(await Deno.readFile(main), before);
    setVersion(SCHEMA_VERSION);
    const id = host.server.queueCommand({ type: "collect_specs" });
    const again = host.run();
    await host.until("a result", () => host.logOf(id) !== undefined);
    await within(again.stop("SIGTERM"), "the end");
  }));

Deno.test({
  name: "runs on without the right to write its folder, and comes back with it",
  ignore: await lacks("setpriv"),
  async fn() {
    await onHost(async (host) => {
      await host.register();
      await Deno.chmod(host.stateDirectory, 0o500);
      // Root may write everywhere, unless it is root without that right.
      const drop = "-dac_override,-dac_read_search";
      const agent = host.start(["run", "--log-format", "json"], {
        wrap: ["setpriv", `--bounding-set=${drop}`, `--inh-caps=${drop}`],
      });
      await runsAndComesBack(host, agent, () => Deno.chmod(host.stateDirectory, 0o700));
    });
  },
});
