/**
 * Advice on what is in the state directory and on its disk, taken as it is printed: events that wait, a buffer
 * of another version or without rights, a disk that is full, a clock that went back.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { realSystem } from "../../src/system/real.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { lacks } from "../real/lacks.ts";
import { cannotMount, mountSmallDisk, type SmallDisk } from "../real/small_disk.ts";
import { advised, isWell, ONCE, setConfig, take, WITHOUT_RIGHTS, wrapped } from "./advice.ts";
import { type Host, onHost, TOKEN, within } from "./harness.ts";

const isRoot = Deno.build.os === "linux" && Deno.uid() === 0;

/** The ids of what waits in the buffer. */
async function buffered(host: Host): Promise<string[]> {
  const { code, out, err } = await host.pennon(["events", "list", "--json"]);
  assertEquals(code, 0, err);
  return JSON.parse(out).events.map(({ id }: { id: string }) => id);
}

async function until(what: string, isReached: () => Promise<boolean>): Promise<void> {
  const look = async () => {
    while (!await isReached()) await new Promise((resolve) => setTimeout(resolve, 200));
  };
  await within(look(), what);
}

/** The reasons of the health, by their codes. */
async function reasons(host: Host): Promise<Map<string, { words: string; next_step: string }>> {
  const { out } = await host.pennon(["status", "--json"]);
  const found: { code: string; words: string; next_step: string }[] =
    JSON.parse(out).health.reasons;
  return new Map(found.map((reason) => [reason.code, reason]));
}

/** An event waits, since the server tears down the connection of its report; its id. */
async function withEventThatWaits(host: Host): Promise<string> {
  await host.register();
  await host.server.setFault({ mode: "reset", path: "/system-info$" });
  await host.pennon(ONCE);
  const [id = ""] = await buffered(host);
  assert(id !== "");
  return id;
}

for (const isAccepted of [true, false]) {
  const ends = isAccepted ? "the server accepts it" : "the server refuses it too often";
  Deno.test(`advice on an event that waits, and is not to be purged: ${ends}`, () =>
    onHost(async (host) => {
      const id = await withEventThatWaits(host);
      const refused = await host.pennon(["events", "purge", id]);
      assertEquals(refused.code, 1);
      assertStringIncludes(
        refused.err,
        "Next: wait until the server accepts it, or refuses it too often",
      );
      const refuses = { mode: "status", status: 413, path: "/system-info$" } as const;
      await host.server.setFault(isAccepted ? { mode: "none" } : refuses);
      await host.pennon(ONCE);
      const { code, out, err } = await host.pennon(["events", "purge", id]);
      if (isAccepted) assertStringIncludes(err, `no event "${id}"`);
      else assertEquals([code, out], [0, `Purged event ${id}\n`], err);
      assertEquals(await buffered(host), []);
    }, { config: "[buffer]\nmax_attempts = 1\n" }));
}

Deno.test({
  name: "advice on a buffer that this account may not write: the account that may changes it",
  ignore: !isRoot || await lacks("setpriv"),
  fn: () =>
    onHost(async (host) => {
      await withEventThatWaits(host);
      const buffer = `${host.stateDirectory}/buffer.sqlite`;
      await Deno.chmod(buffer, 0o400);
      await Deno.chmod(host.stateDirectory, 0o500);
      const words = ["events", "requeue", "--all"];
      const { code, said } = await wrapped(host, WITHOUT_RIGHTS, words);
      assertEquals(code, 1, said);
      assertStringIncludes(
        said,
        `no right to write "${buffer}". Next: run this as the agent's user, or as root`,
      );
      const asRoot = await host.pennon(words);
      assertEquals(
        [asRoot.code, asRoot.out],
        [0, "The buffer holds no dead letters\n"],
        asRoot.err,
      );
    }),
});

Deno.test("advice on a buffer of another version: it stays as it is, and another directory works", () =>
  onHost(async (host) => {
    await withEventThatWaits(host);
    const path = `${host.stateDirectory}/buffer.sqlite`;
    const setVersion = (version: number) => {
      const database = openRealDatabase(path);
      database.execute(`PRAGMA user_version = ${version}`);
      database.close();
    };
    const newer = SCHEMA_VERSION + 1;
    setVersion(newer);
    const before = await Deno.readFile(path);
    const advice = `it was written by a newer Pennon (schema ${newer}). Next: run that Pennon\n`;
    const other =
      'Or: give this one a "--state-dir" of its own, and register it as another agent\n';
    for (const words of [["events", "list"], ["events", "requeue", "--all"], ["run", "--once"]]) {
      const { code, err } = await host.pennon(words);
      assertEquals(code, 1);
      assertStringIncludes(err, advice + other, words.join(" "));
    }
    const agent = host.run();
    await host.until("a check-in", () => host.checkIns() > 1);
    const told = (await reasons(host)).get("disk_failed");
    assertStringIncludes(told?.next_step ?? "", "run that Pennon. Or: give this one");
    assert(!told?.words.includes("Next: "), told?.words);
    await agent.stop("SIGTERM");
    assertEquals(await Deno.readFile(path), before);
    const elsewhere = ["--config", `${host.folder}/config.toml`, "--state-dir", `${host.folder}/b`];
    const registered = ["register", "--server", host.server.url, "--token", TOKEN, ...elsewhere];
    for (const words of [registered, [...ONCE, ...elsewhere]]) {
      const { code, err } = await take(words);
      assertEquals(code, 0, err);
    }
    assertEquals(await Deno.readFile(path), before);
    setVersion(SCHEMA_VERSION); // As that Pennon finds it.
    await host.server.setFault({ mode: "none" });
    await isWell(host);
    assertEquals(await buffered(host), []);
  }));

/** A host whose state directory is a small disk of its own. */
function onSmallDisk(story: (host: Host, disk: SmallDisk) => Promise<void>, age?: "0.1" | "0.2") {
  return onHost(async (host) => {
    await Deno.mkdir(host.stateDirectory, { mode: 0o700 });
    const disk = await mountSmallDisk(host.stateDirectory, { sizeKib: 512 });
    if (disk === null) return;
    try {
      await story(host, disk);
    } finally {
      await host.stopAll();
      await disk.unmount();
    }
  }, age && { age });
}

const needsSmallDisk = { ignore: await cannotMount() };

Deno.test({
  ...needsSmallDisk,
  name: "advice on a disk that cannot store commands: room is made, and the cycle works",
  fn: () =>
    onSmallDisk(async (host, disk) => {
      await host.register();
      await disk.fill();
      const { code, err } = await host.pennon(["run", "--once"]);
      assertEquals([code, host.checkIns()], [1, 0]);
      assertStringIncludes(err, "Next: make room on the disk of the state directory;");
      const doctor = await take(advised(host, err, "doctor"));
      assertStringIncludes(doctor.out, "FAIL  disk              accepts no writes");
      await disk.makeRoom();
      await isWell(host);
    }),
});

const REFUSALS = [
  ["disk_denied", "make the state directory writable for the agent's user", "remount"],
  ["disk_full", "make room on the disk of the state directory", "fill"],
] as const;

for (const [code, advice, how] of REFUSALS) {
  Deno.test({
    ...needsSmallDisk,
    name: `advice on a running agent's disk (${code}): it goes on by itself`,
    fn: () =>
      onSmallDisk(async (host, disk) => {
        await host.register();
        await (how === "remount" ? disk.remount("ro") : disk.fill());
        const agent = host.run();
        await until("the reason", async () => (await reasons(host)).has(code));
        assertStringIncludes((await reasons(host)).get(code)?.next_step ?? "", advice);
        await (how === "remount" ? disk.remount("rw") : disk.makeRoom());
        await until("the end of the reason", async () => !(await reasons(host)).has(code));
        await agent.stop("SIGTERM");
      }),
  });
}

Deno.test("advice on a buffer that another program locks: that ends, and the agent goes on by itself", () =>
  onHost(async (host) => {
    await host.register();
    await isWell(host);
    const database = openRealDatabase(`${host.stateDirectory}/buffer.sqlite`);
    database.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const agent = host.run();
    await until("the reason", async () => (await reasons(host)).has("disk_busy"));
    const { next_step = "" } = (await reasons(host)).get("disk_busy") ?? {};
    assertStringIncludes(next_step, "end the program that has buffer.sqlite open");
    database.close();
    await until("the end of the reason", async () => !(await reasons(host)).has("disk_busy"));
    await agent.stop("SIGTERM");
  }));

for (const age of ["0.1", "0.2"] as const) {
  const rest = age === "0.1"
    ? "again. Next: make room on the disk or repair it, and register again"
    : "dashboard, make room on the disk or repair it, and register again";
  Deno.test({
    ...needsSmallDisk,
    name: `advice on a registration that the disk did not keep, at a server of ${age}`,
    fn: () =>
      onSmallDisk(async (host, disk) => {
        const words = ["register", "--server", host.server.url, "--token", TOKEN];
        // The disk is well when it is tried, and full when the server has answered.
        await host.server.setFault({ mode: "slow", delayMs: 1_500, path: "/register$" });
        const registering = host.pennon(words);
        await host.until("the request", () => host.server.state().requests.length > 0);
        await disk.fill();
        const { code, err } = await registering;
        await host.server.setFault({ mode: "none" });
        assertEquals(code, 1);
        assertStringIncludes(err, rest);
        await disk.makeRoom();
        if (age === "0.2") host.server.deleteAgent();
        assertEquals(host.server.state().agents, []);
        const again = await host.pennon(words);
        assertEquals(again.code, 0, again.err);
        await isWell(host);
      }, age),
  });
}

/** Appends copies of what waits, each an event of its own. */
async function fillBuffer(host: Host, count: number, maxEvents: number): Promise<void> {
  const limits = { maxEvents, maxBytes: 100_000_000, maxAttempts: 10 };
  const { buffer, close } = await openBuffer(realSystem(), host.stateDirectory, limits);
  const [{ body } = { body: "{}" }] = buffer.list();
  const event: NewEvent = { kind: "system_info", commandId: null, snapshotOf: null, body };
  buffer.append(Array.from({ length: count }, () => event));
  close();
}

for (const code of ["buffer_nearly_full", "evictions"]) {
  Deno.test(`advice on a buffer that has no room (${code}): a larger one, and the connection is mended`, () =>
    onHost(async (host) => {
      await withEventThatWaits(host);
      await fillBuffer(host, code === "evictions" ? 120 : 95, 100);
      const before = (await reasons(host)).get(code);
      const advice = "mend the connection; a larger buffer is set by buffer.max_events";
      assertStringIncludes(before?.next_step ?? "", advice);
      await setConfig(host, "[buffer]\nmax_events = 1000\n");
      await fillBuffer(host, 120, 1_000);
      // What was lost stays news for a day; nothing more is lost, and there is room.
      const { words } = (await reasons(host)).get(code) ?? {};
      assertEquals(words, code === "evictions" ? before?.words : undefined);
      await host.server.setFault({ mode: "none" });
      const { length } = await buffered(host);
      const agent = host.run();
      await until("a delivery", async () => (await buffered(host)).length < length);
      assertEquals((await reasons(host)).has("buffer_nearly_full"), false);
      await agent.stop("SIGTERM");
    }, { config: "[buffer]\nmax_events = 100\n" }));
}

Deno.test("advice on a delivery that is late: the log names the report, and the server takes it", () =>
  onHost(async (host) => {
    const id = await withEventThatWaits(host);
    const database = openRealDatabase(`${host.stateDirectory}/buffer.sqlite`);
    database.run("UPDATE events SET created_ms = created_ms - 7200000");
    database.close();
    await host.server.setFault({ mode: "status", status: 500, path: "/system-info$" });
    const agent = host.run();
    await until("the reason", async () => (await reasons(host)).has("delivery_late"));
    const { next_step = "" } = (await reasons(host)).get("delivery_late") ?? {};
    const [, word = ""] =
      /^see the log for `([^`]+)`, then the server's own log$/.exec(next_step) ?? [];
    await within(agent.waitFor(word, (line) => line.includes(word)), word);
    await host.server.setFault({ mode: "none" });
    await agent.stop("SIGTERM");
    host.run(); // What the server failed on waits for a minute or two, unless the agent starts again.
    await until("the delivery", async () => !(await buffered(host)).includes(id));
    assertEquals((await reasons(host)).has("delivery_late"), false);
  }));

Deno.test("advice on a clock that went back: it is set right, and the next check-in shows it", () =>
  onHost(async (host) => {
    await host.register();
    const agent = host.run();
    await host.until("a check-in", () => host.checkIns() > 0);
    const path = `${host.stateDirectory}/state.json`;
    const setLastCheckIn = async (ms: number) => {
      const state = JSON.parse(await Deno.readTextFile(path));
      const at = new Date(Date.now() + ms).toISOString();
      await Deno.writeTextFile(path, JSON.stringify({ ...state, last_check_in_at: at }));
    };
    await until("the reason", async () => {
      await setLastCheckIn(3_600_000);
      return (await reasons(host)).has("clock_went_back");
    });
    const { next_step, words } = (await reasons(host)).get("clock_went_back") ?? {};
    assertEquals(next_step, "see the time service of this host");
    assertStringIncludes(words ?? "", "until the next check-in");
    const before = host.checkIns();
    await host.until("the next check-in", () => host.checkIns() > before);
    await until("the end of the reason", async () => !(await reasons(host)).has("clock_went_back"));
    await agent.stop("SIGTERM");
  }));
