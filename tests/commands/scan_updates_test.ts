import { assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { scanUpdates } from "../../src/commands/scan_updates.ts";
import { type ScanAnswer, ScanError, type Scanner } from "../../src/scanners/scanner.ts";
import type { Update } from "../../src/update.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { makeScannerRunner, scanDeps } from "../fakes/scanner_runner.ts";
import { FakeSystem } from "../fakes/system.ts";

const FACTS: NewEvent = {
  kind: "system_info",
  commandId: null,
  snapshotOf: "system_info",
  body: "{}",
};
const collectSystemInfo = () => Promise.resolve(FACTS);

function update(name: string): Update {
  return {
    package: name,
    currentVersion: "1",
    availableVersion: "2",
    architecture: "amd64",
    source: "Debian:12/stable",
    state: "upgradable",
    severity: null,
    severityReason: "apt does not tell",
    security: true,
    cves: [],
    advisories: [],
    sizeBytes: 10,
    description: null,
    sourcePackage: null,
    reboot: null,
  };
}

function apt(count: number, gaps: string[] = [], more: Partial<ScanAnswer> = {}): Scanner {
  const updates = Array.from({ length: count }, (_, n) => update(`p${n}`));
  const answer = { updates, gaps, metadataAgeS: null, ...more };
  return {
    name: "apt",
    isAvailable: () => Promise.resolve(true),
    scan: () => Promise.resolve(answer),
  };
}

const dnf: Scanner = {
  name: "dnf",
  isAvailable: () => Promise.resolve(true),
  scan: () => Promise.reject(new ScanError("Cannot scan: locked", { reason: "locked" })),
};

async function run(
  scanners: readonly Scanner[],
  system = new FakeSystem(),
  params = {},
  only: string | null = null,
) {
  const log = new FakeLog();
  const findScanners = () => Promise.resolve(scanners);
  const handler = scanUpdates(scanDeps({ system, log, findScanners, collectSystemInfo }), only);
  const command = { id: "c1", type: "scan_updates", params };
  const early: NewEvent[] = [];
  const outcome = await handler.run(command, {
    signal: new AbortController().signal,
    appendEarly: (told) => void early.push(...told),
  });
  const events = [...early, ...outcome.events];
  return { events, log, result: JSON.parse(events.at(-1)?.body ?? "null") };
}

/** How many updates a scan sends. */
async function sentCount(...args: Parameters<typeof run>): Promise<number> {
  const { events } = await run(...args);
  return events.slice(0, -1)
    .reduce((sum, { body }) => sum + JSON.parse(body).updates.length, 0);
}

Deno.test("scan_updates reports a long list with gaps in parts, and the result last", async () => {
  const { events, result } = await run([apt(450, ["lists are old"])]);
  assertEquals(events.map(({ kind, snapshotOf, commandId }) => [kind, snapshotOf, commandId]), [
    ["updates", "updates/apt/0", "c1"],
    ["updates", "updates/apt/1", "c1"],
    ["updates", "updates/apt/2", "c1"],
    ["log", null, "c1"],
  ]);
  const parts = events.slice(0, 3).map(({ body }) => JSON.parse(body));
  assertEquals(parts.map(({ updates }) => updates.length), [200, 200, 50]);
  const names = parts.flatMap(({ updates }) =>
    updates.map(({ package_name }: { package_name: string }) => package_name)
  );
  assertEquals(new Set(names).size, 450);
  assertEquals([result.result, result.stdout], [
    "success",
    "apt: 450 updates, 450 of them security",
  ]);
});

Deno.test("scan_updates with a scanner that failed reports what the others found, and the gap", async () => {
  const { events, log, result } = await run([apt(1, ["lists are old"]), dnf]);
  assertEquals([events.length, result.result], [2, "success"]);
  assertEquals(result.stderr, "apt: lists are old\ndnf: Cannot scan: locked");
  assertEquals(log.told("scan failed")[0]?.["reason"], "locked");
});

Deno.test("scan_updates of which every scanner failed has failed", async () => {
  const { result } = await run([dnf]);
  assertEquals([result.result, result.stdout], ["failed", ""]);
});

Deno.test("scan_updates that finds nothing says so, and sends no empty list", async () => {
  const { events, result } = await run([apt(0)]);
  assertEquals([events.length, result.result, result.stdout], [
    1,
    "success",
    "apt: 0 updates, 0 of them security",
  ]);
});

Deno.test("scan_updates succeeds where only the last scans cannot be saved", async () => {
  const system = new FakeSystem();
  system.files.fail("save the last scans", "full");
  const { log, result } = await run([apt(1)], system);
  assertEquals(result.result, "success");
  assertEquals(log.told("cannot save the last scans").length, 1);
});

Deno.test("scan_updates gives a scanner the number of updates in its last list", async () => {
  const system = new FakeSystem();
  const told: (number | undefined)[] = [];
  const scanner = (count: number): Scanner => ({
    ...apt(count),
    scan: (_, { lastCount }) => {
      told.push(lastCount);
      return apt(count).scan(system, {});
    },
  });
  for (const count of [3, 0, 0]) await run([scanner(count)], system);
  assertEquals(told, [undefined, 3, 0]);
  system.files.fail("read the last scans", "denied");
  const { log, result } = await run([scanner(1)], system);
  assertEquals([told.at(-1), result.result], [undefined, "success"]);
  assertEquals(log.told("cannot read the last scans").length, 1);
});

Deno.test("scan_updates reports a list once, then what changed, then what was removed", async () => {
  const system = new FakeSystem();
  await run([apt(3)], system);
  const same = await run([apt(3)], system);
  const [again] = same.events;
  assertEquals([JSON.parse(again?.body ?? "").updates.length, again?.snapshotOf], [
    1,
    "updates/apt/unchanged",
  ]);
  assertEquals(same.result.stdout, "apt: 3 updates, 3 of them security; no changes");
  const more = await run([apt(4)], system);
  const [event] = more.events;
  const names = JSON.parse(event?.body ?? "").updates.map(
    ({ package_name }: { package_name: string }) => package_name,
  );
  assertEquals([names, event?.snapshotOf], [["p3"], null]);
  const less = await run([apt(2)], system);
  const states = JSON.parse(less.events[0]?.body ?? "").updates.map(
    ({ metadata }: { metadata: { state: string } }) => metadata.state,
  );
  assertEquals(states, ["gone", "gone"]);
  assertEquals(
    less.result.stdout,
    "apt: 2 updates, 2 of them security; no changes, 2 no longer waiting: p2, p3",
  );
});

Deno.test("scan_updates reports what a whole list lacks as removed, even with warnings", async () => {
  const system = new FakeSystem();
  const gone = async (isGap: boolean) => {
    const told = ["would remove x"];
    const answer = isGap ? apt(1, told) : apt(1, [], { notes: told });
    const { result } = await run([answer], system);
    return result.stdout.includes("1 no longer waiting: p1");
  };
  await run([apt(2)], system);
  assertEquals([await gone(true), await gone(false)], [false, true]);
});

Deno.test("scan_updates reports the whole list for a command with full, and once a day", async () => {
  const system = new FakeSystem();
  const count = async (params = {}) => await sentCount([apt(3)], system, params);
  assertEquals([await count(), await count(), await count({ full: true })], [3, 1, 3]);
  await system.clock.advance(24 * 3_600_000);
  assertEquals([await count(), await count()], [3, 1]);
});

Deno.test("scan_updates repeats the list where the snapshot cannot be saved", async () => {
  const system = new FakeSystem();
  system.files.fail("save the reported snapshot", "full");
  const counts = [(await run([apt(3)], system)).events.length];
  const { log, events } = await run([apt(3)], system);
  assertEquals([...counts, events.length, log.told("cannot save the reported snapshot").length], [
    2,
    2,
    1,
  ]);
});

Deno.test("scan_updates reports the scope of a scan", async () => {
  const asked: Scanner = {
    ...apt(1),
    scan: async () => ({ ...await apt(1).scan(new FakeSystem(), {}), scope: "asked as SYSTEM" }),
  };
  const { result } = await run([asked]);
  assertEquals(result.stdout, "apt: 1 updates, 1 of them security (asked as SYSTEM)");
});

Deno.test("scan_updates sends 200 updates in an event, and the 201st in another", async () => {
  const counts = async (count: number) =>
    (await run([apt(count, ["lists are old"])])).events.slice(0, -1)
      .map(({ body }) => JSON.parse(body).updates.length);
  assertEquals(await counts(200), [200]);
  assertEquals(await counts(201), [200, 1]);
});

Deno.test("scan_updates reports which command it answers, and when it scanned", async () => {
  const { events } = await run([apt(1)]);
  const { command_id, timestamp, updates } = JSON.parse(events[0]?.body ?? "");
  assertEquals([command_id, timestamp], ["c1", "2026-11-23T00:00:00.000Z"]);
  assertEquals(updates.length, 1);
});

Deno.test("scan_updates names twenty removed packages, and marks that there are others", async () => {
  const system = new FakeSystem();
  const stdout = async (count: number) => (await run([apt(count)], system)).result.stdout;
  await stdout(42);
  const names = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) => `p${from + n}`).join(", ");
  assertEquals(
    await stdout(22),
    `apt: 22 updates, 22 of them security; no changes, 20 no longer waiting: ${names(22, 42)}`,
  );
  assertEquals(
    await stdout(1),
    `apt: 1 updates, 1 of them security; no changes, 21 no longer waiting: ${names(1, 21)}, …`,
  );
});

Deno.test("scan_updates reports changes and removals as events of their own", async () => {
  const system = new FakeSystem();
  await run([apt(3)], system);
  const changed: Scanner = {
    ...apt(1),
    scan: () => {
      const updates = [update("p0"), { ...update("p1"), security: null }, update("p9")];
      return Promise.resolve({ updates, gaps: [], metadataAgeS: null });
    },
  };
  const { result } = await run([changed], system);
  assertEquals(
    result.stdout,
    "apt: 3 updates, 2 of them security; 2 new or changed, 1 no longer waiting: p2",
  );
});

Deno.test("scan_updates logs each scan: what it found, the gaps, or why it failed", async () => {
  const { log } = await run([apt(2), { ...apt(1, ["old", "cut"]), name: "dnf" }]);
  assertEquals(log.events, [
    { level: "info", message: "scan done", fields: { scanner: "apt", took_ms: 0, updates: 2 } },
    {
      level: "warning",
      message: "scan done, with gaps",
      fields: { scanner: "dnf", took_ms: 0, updates: 1, why: "old; cut" },
    },
  ]);
  const failed = await run([dnf]);
  assertEquals(failed.log.events, [{
    level: "warning",
    message: "scan failed",
    fields: { scanner: "dnf", took_ms: 0, reason: "locked", why: "Cannot scan: locked" },
  }]);
});

Deno.test("scan_updates preserves the snapshot of a scanner that fails", async () => {
  const system = new FakeSystem();
  await run([apt(3)], system);
  const failing: Scanner = { ...dnf, name: "apt" };
  assertEquals((await run([failing], system)).events.length, 1);
  assertEquals(await sentCount([apt(3)], system), 1, "still told");
});

Deno.test("scan_updates removes the snapshot where the new one cannot be saved", async () => {
  const system = new FakeSystem();
  await run([apt(3)], system);
  system.files.fail("save the reported snapshot", "full");
  const { events } = await run([apt(4)], system);
  assertEquals(events.length, 2);
  system.files.heal("save the reported snapshot");
  const again = await run([apt(4)], system);
  const { updates } = JSON.parse(again.events[0]?.body ?? "");
  assertEquals(updates.length, 4, "the whole list: nobody knows what arrived");
});

Deno.test("scan_updates reports the whole list only for full: true", async () => {
  const system = new FakeSystem();
  await run([apt(3)], system);
  for (const full of ["true", 1, {}, null, false]) {
    assertEquals(await sentCount([apt(3)], system, { full }), 1, String(full));
  }
});

Deno.test("scan_updates reports how long all scans took together", async () => {
  const system = new FakeSystem();
  const slow: Scanner = {
    ...apt(1),
    scan: async () => {
      await system.clock.advance(7_000);
      return await apt(1).scan(system, {});
    },
  };
  assertEquals((await run([slow], system)).result.duration_seconds, 7);
});

Deno.test("scan_updates reports what one scanner found before another one ends", async () => {
  const system = new FakeSystem();
  const log = new FakeLog();
  let end = () => {};
  const slow: Scanner = {
    ...dnf,
    scan: () => new Promise((resolve) => end = () => resolve(apt(0).scan(system, {}))),
  };
  const findScanners = () => Promise.resolve([slow, apt(2)]);
  const handler = scanUpdates(scanDeps({ system, log, findScanners, collectSystemInfo }));
  const early: NewEvent[] = [];
  const running = handler.run({ id: "c1", type: "scan_updates", params: {} }, {
    signal: new AbortController().signal,
    appendEarly: (told) => void early.push(...told),
  });
  await settle();
  assertEquals(early.map(({ snapshotOf }) => snapshotOf), ["updates/apt/0"]);
  end();
  const { events, rapidPollingMs } = await running;
  assertEquals([events.length, rapidPollingMs], [1, null]);
});

Deno.test("scan_updates sends the host's facts when a restart is due, and when it no longer is", async () => {
  const system = new FakeSystem();
  const sendsFacts = async (isRequired: boolean | null) => {
    const reboot = isRequired === null ? null : { isRequired, reason: "a new kernel" };
    const { events } = await run([apt(1, [], { reboot })], system);
    return events.some(({ kind }) => kind === "system_info");
  };
  assertEquals(await sendsFacts(null), false);
  assertEquals(await sendsFacts(false), false);
  assertEquals(await sendsFacts(true), true);
  assertEquals(await sendsFacts(true), false);
  assertEquals(await sendsFacts(false), true);
  assertEquals(await sendsFacts(false), false);
});

Deno.test("scan_updates reports an ignored update as such, and does not count it", async () => {
  const system = new FakeSystem();
  const log = new FakeLog();
  const { runner } = makeScannerRunner(system, log, new Map(), ["apt:p0"]);
  const findScanners = () => Promise.resolve([apt(2)]);
  const deps = scanDeps({ system, log, runner, findScanners, collectSystemInfo });
  const handler = scanUpdates(deps);
  const early: NewEvent[] = [];
  const { events } = await handler.run({ id: "c1", type: "scan_updates", params: {} }, {
    signal: new AbortController().signal,
    appendEarly: (told) => void early.push(...told),
  });
  const { updates } = JSON.parse(early[0]?.body ?? "null");
  assertEquals(
    updates.map((item: Record<string, unknown> & { metadata: Record<string, string> }) => [
      item["package_name"],
      item["severity"],
      item.metadata["state"],
      item.metadata["state_reason"],
    ]),
    [
      ["p0", "low", "ignored", "scanners.ignore: apt:p0"],
      ["p1", "important", "upgradable", undefined],
    ],
  );
  assertEquals(
    JSON.parse(events.at(-1)?.body ?? "null").stdout,
    "apt: 1 updates, 1 of them security, 1 ignored",
  );
});

Deno.test("scan_updates ends when the snapshot is on disk, and not before", async () => {
  const system = new FakeSystem();
  const { files } = system;
  const { writeText } = files;
  files.writeText = async (purpose, ...rest) => {
    if (purpose === "save the reported snapshot") {
      for (let turn = 0; turn < 10; turn++) await settle();
    }
    await writeText.call(files, purpose, ...rest);
  };
  await run([apt(1)], system);
  assertEquals(files.texts.has("/state/told-updates.json"), true);
});

Deno.test("scan_apt runs its scanner and no other, and reports as scan_updates does", async () => {
  const { events, result } = await run([dnf, apt(2)], undefined, { subsystem: "apt" }, "apt");
  assertEquals(events.map(({ kind }) => kind), ["updates", "log"]);
  assertEquals([result.result, result.stderr], ["success", ""]);
  assertEquals(result.stdout, "apt: 2 updates, 2 of them security");
});

Deno.test("scan_updates sends a whole list in one request that closes what it lacks, however long", async () => {
  const body = async (...args: Parameters<typeof run>) =>
    (await run(...args)).events.slice(0, -1).map(({ body, snapshotOf }) => ({
      ...JSON.parse(body),
      snapshotOf,
    }));
  const [whole, ...others] = await body([apt(450)]);
  assertEquals([whole.updates.length, others.length], [450, 0]);
  assertEquals([whole.ecosystem, whole.scan_succeeded], ["apt", true]);
  assertEquals(whole.snapshotOf, "updates/apt/0");
  for (const one of await body([apt(450, ["lists are old"])])) {
    assertEquals(["ecosystem" in one, "scan_succeeded" in one], [false, false]);
  }
  const system = new FakeSystem();
  await run([apt(3)], system);
  const [changes] = await body([apt(4)], system);
  assertEquals([changes.updates.length, "scan_succeeded" in changes], [1, false]);
});

Deno.test("scan_updates leaves out what the server has switched off, and a scan by name does not", async () => {
  const system = new FakeSystem();
  const log = new FakeLog();
  const { runner } = makeScannerRunner(system, log);
  const scan = async (isOn: boolean, only: string | null = null) => {
    const isEnabled = (name: string) => isOn || name !== "apt";
    const findScanners = () => Promise.resolve([apt(2)]);
    const deps = scanDeps({ system, log, runner, findScanners, isEnabled, collectSystemInfo });
    const handler = scanUpdates(deps, only);
    const { events } = await handler.run({ id: "c1", type: "scan_updates", params: {} }, {
      signal: new AbortController().signal,
      appendEarly: () => {},
    });
    const { result, stderr } = JSON.parse(events.at(-1)?.body ?? "null");
    return [result, stderr];
  };
  const off = "Cannot scan: the server's policy has every scanner of this host switched off";
  assertEquals(await scan(false), ["failed", off]);
  assertEquals((await scan(true))[0], "success");
  assertEquals((await scan(false, "apt"))[0], "success");
});
