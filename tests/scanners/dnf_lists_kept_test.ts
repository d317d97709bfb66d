import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import { CommandError } from "../../src/system/process.ts";
import { scanWith } from "../fakes/scan_with.ts";
import { DnfHost, failed, type HostRepository, questionOf } from "./dnf_host.ts";
import { fetches, hostWith } from "./dnf_lists_host.ts";
import { succeeded } from "./fixture.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const old = { id: "updates", ageMs: 3 * DAY_MS, tells: true };
const fresh = { id: "updates", ageMs: 0, tells: true };

const OPTIONS = { cacheDirectory: "/state" };
const MEMORY = "/state/dnf/fetched.json";

/** A host whose dnf takes too long to fetch anything. */
function slowHost(user: "root" | "somebody", repositories: readonly HostRepository[]): DnfHost {
  const host = hostWith(user, repositories);
  const answer = host.runCommand;
  host.runCommand = async (argv, options) => {
    const result = await answer(argv, options);
    if (questionOf(argv) !== "fetched") return result;
    throw new CommandError("Cannot run dnf: it takes too long", { reason: "timeout" });
  };
  return host;
}

async function countFetches(host: DnfHost): Promise<number> {
  const before = fetches(host).length;
  await scanWith(dnfScanner(), host, OPTIONS);
  return fetches(host).length - before;
}

Deno.test("chooseLists() fetches once in a scan, whatever comes of it", async () => {
  for (const user of ["root", "somebody"] as const) {
    for (const refresh of [false, true]) {
      const host = hostWith(user, [old]);
      host.answers = {
        fetched: failed("Error: Failed to download metadata for repo 'updates': x\n"),
      };
      const report = await scanWith(dnfScanner(), host, { refresh, ...OPTIONS });
      assertEquals([report.result, fetches(host).length], ["degraded", 1]);
      // Lists of the agent's own are for those of the host's that nobody asked to fetch.
      assertEquals(host.wasPrivate, user === "root" && !refresh);
    }
  }
});

Deno.test("chooseLists() gives fetching five minutes", async () => {
  const host = hostWith("somebody", [old], [fresh]);
  await scanWith(dnfScanner(), host, {});
  assertEquals(host.options[host.questions.indexOf("fetched")]?.timeoutMs, 300_000);
});

Deno.test("chooseLists() fetches nothing for a host without a repository", async () => {
  const host = hostWith("somebody", []);
  await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError, "no enabled repositories");
  assertEquals(fetches(host), []);
});

Deno.test("chooseLists() goes on with old lists where fetching takes too long, and pauses", async () => {
  for (const user of ["root", "somebody"] as const) {
    const host = slowHost(user, [old]);
    const report = await scanWith(dnfScanner(), host, OPTIONS);
    assertEquals([report.result, report.metadataAgeS], ["degraded", 3 * 86_400]);
    assertEquals(await countFetches(host), 0);
    host.clock.setNow(host.clock.nowMs() + HOUR_MS - 1);
    assertEquals(await countFetches(host), 0);
    host.clock.setNow(host.clock.nowMs() + 1);
    assertEquals(await countFetches(host), 1);
  }
});

Deno.test("chooseLists() does not pause after what went well", async () => {
  const host = hostWith("root", [old], [fresh]);
  for (let scan = 0; scan < 3; scan++) assertEquals(await countFetches(host), 1);
});

Deno.test("chooseLists() pauses for a day at most, and not when the clock was set back", async () => {
  const host = slowHost("somebody", [old]);
  const nowMs = host.clock.nowMs();
  const rows: [inARow: number, triedMs: number, count: number][] = [
    [1, nowMs - HOUR_MS, 1],
    [2, nowMs - HOUR_MS, 0],
    [5, nowMs - 16 * HOUR_MS + 1, 0],
    [5, nowMs - 16 * HOUR_MS, 1],
    [6, nowMs - DAY_MS + 1, 0],
    [6, nowMs - DAY_MS, 1],
    [9_999, nowMs - DAY_MS + 1, 0],
    [9_999, nowMs - DAY_MS, 1],
    [9_999, nowMs + 1, 1],
  ];
  for (const [inARow, triedMs, count] of rows) {
    host.files.texts.set(MEMORY, JSON.stringify({ inARow, triedMs, failures: {} }));
    assertEquals(await countFetches(host), count, `${inARow} ${nowMs - triedMs}`);
  }
});

Deno.test("chooseLists() fetches where what it remembers is not understood", async () => {
  for (const text of ["", "junk", "{}", '{"inARow":"1","triedMs":0,"failures":{}}']) {
    const host = hostWith("root", [old], [fresh]);
    host.files.texts.set(MEMORY, text);
    assertEquals(await countFetches(host), 1, text);
  }
});

Deno.test("chooseLists() keeps what it remembers, and its lists, from other users", async () => {
  const host = hostWith("root", [old], [fresh]);
  await scanWith(dnfScanner(), host, OPTIONS);
  const modes = ["/state/dnf", "/state/dnf/lists", MEMORY].map((path) =>
    host.files.modes.get(path)
  );
  assertEquals(modes, [0o700, 0o700, 0o600]);
});

Deno.test("chooseLists() remembers the failures of 100 repositories", async () => {
  const dead = Array.from({ length: 101 }, (_, n) => ({ id: `r${n}`, ageMs: null }));
  const host = hostWith("root", [old, ...dead], [fresh, ...dead]);
  const told = dead.map(({ id }) => `Error: Failed to download metadata for repo '${id}': x\n`);
  host.answers = { fetched: failed(told.join(""), 0) };
  for (const count of [0, 100]) {
    await scanWith(dnfScanner(), host, OPTIONS);
    const disabled = fetches(host).at(-1)?.filter((word) => word.startsWith("--disablerepo="));
    assertEquals(disabled?.length, count);
  }
});

Deno.test("chooseLists() makes no lists of its own where it is not told a whole path", async () => {
  for (const options of [{}, { cacheDirectory: "state" }]) {
    const host = hostWith("root", [old], [fresh]);
    const report = await scanWith(dnfScanner(), host, options);
    assertEquals([report.result, fetches(host)], ["degraded", []]);
    const user = hostWith("somebody", [old], [fresh]);
    assertEquals((await scanWith(dnfScanner(), user, options)).result, "ok");
    assertEquals([...user.files.texts.keys()].filter((path) => path.endsWith(".json")), []);
  }
});

Deno.test("chooseLists() prefers its own lists only where they lose no more than half, and gain some", async () => {
  const names = [..."abcd"];
  /** `count` of the host's lists are old; of the agent's own, `own` are there. */
  const ownIsChosen = async (count: number, own: number, sound: readonly string[] = []) => {
    const hosts = names.slice(0, count)
      .map((id) => ({ id, ageMs: sound.includes(id) ? HOUR_MS : 3 * DAY_MS }));
    const fetched = hosts.map(({ id }, index) => ({ id, ageMs: index < own ? 0 : null }));
    const host = hostWith("root", hosts, fetched);
    await scanWith(dnfScanner(), host, OPTIONS);
    return host.asked.at(-1)?.some((word) => word.includes("/state/dnf/lists"));
  };
  assertEquals(await ownIsChosen(4, 2), true);
  assertEquals(await ownIsChosen(4, 1), false);
  assertEquals(await ownIsChosen(3, 2), true);
  assertEquals(await ownIsChosen(3, 1), false);
  // As many in date as the host has, and one of the host's lost.
  assertEquals(await ownIsChosen(2, 1, ["a"]), false);
});

Deno.test("chooseLists() knows by its name which repository dnf 5 means, and by its beginning if that is cut", async () => {
  const long = "The repository of all the updates";
  const rows: [told: string, names: string[], failedIds: string[]][] = [
    [long, [long, `${long} and more`], ["r0"]],
    [long.slice(0, 20), [long, `${long} and more`, "Another"], ["r0", "r1"]],
    // What is shorter is no beginning.
    [long.slice(0, 18), [long], []],
    [long.slice(0, 19), [long], []],
    ["r1", [long, "Another"], ["r1"]],
  ];
  for (const [told, names, failedIds] of rows) {
    const host = hostWith(
      "somebody",
      [
        { id: "updates" },
        ...names.map((name, index) => ({ id: `r${index}`, name, ageMs: 3 * DAY_MS })),
      ],
      undefined,
      5,
    );
    host.answers = { fetched: succeeded("", ` ${told}   ???% | 0.0 B/s | -1.0 B | ?\n>>> x\n`) };
    const { sources } = await scanWith(dnfScanner(), host, {});
    const found = sources.filter(({ why }) => why?.startsWith("cannot be fetched: x"));
    assertEquals(found.map(({ name }) => name), failedIds, told);
  }
});

Deno.test("chooseLists() takes lists of an unknown age for an answer, and a user's are fetched", async () => {
  for (const expiryMs of [Infinity, DAY_MS]) {
    const root = new DnfHost(5);
    // Dnf 5 tells 0 where it does not know when.
    const unknown = { id: "updates", ageMs: root.clock.nowMs(), expiryMs, tells: true };
    root.repositories = [unknown];
    root.becomeRoot();
    const { result, sources } = await scanWith(dnfScanner(), root, {});
    assertEquals(sources[0]?.metadataAgeS, null);
    assertEquals(
      [result, sources[0]?.result],
      expiryMs === Infinity ? ["ok", "ok"] : ["degraded", "old"],
    );
    const host = hostWith("somebody", [unknown], [unknown], 5);
    await scanWith(dnfScanner(), host, {});
    assertEquals(fetches(host).length, 1);
  }
});

Deno.test("chooseLists() says which repository has no lists where dnf says nothing of it", async () => {
  const host = hostWith("somebody", [{ id: "new", ageMs: null }]);
  const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
  assertEquals(
    error.message,
    "Cannot list updates with dnf: new: its package lists could not be fetched",
  );
  assertEquals(error.reason, "transient");
});

Deno.test("chooseLists() that waited for a lock, and got nothing, says so", async () => {
  const host = hostWith("somebody", [{ id: "new", ageMs: null }], undefined, 5);
  const said = "Waiting for a lock on the system repository; x\n" +
    " The repository new   ???% | 0.0 B/s | -1.0 B | ?\n>>> x\n";
  host.answers = { fetched: failed(said, 0) };
  const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
  assertEquals(error.reason, "locked");
});

Deno.test("chooseLists() goes on with what it read before where dnf does not tell a second time", async () => {
  const host = new DnfHost();
  host.repositories = [old];
  host.answers = { repositories: [host.tellRepositories(), failed("what?\n")] };
  const report = await scanWith(dnfScanner(), host, {});
  assertEquals([report.result, report.metadataAgeS], ["degraded", 3 * 86_400]);
  assert(report.warnings.includes("Cannot list the repositories: what?"));
});

Deno.test("chooseLists() hides no mistake of ours", async () => {
  const oops = () => Promise.reject(new TypeError("oops"));
  for (const broken of ["make private package lists", "remember fetching package lists"]) {
    const host = hostWith("root", [old], [fresh]);
    const make = host.files.makeDirectory.bind(host.files);
    host.files.makeDirectory = (purpose, ...rest) =>
      purpose === broken ? oops() : make(purpose, ...rest);
    await assertRejects(() => scanWith(dnfScanner(), host, OPTIONS), TypeError, "oops");
  }
  const host = hostWith("root", [old], [fresh]);
  const read = host.files.readText.bind(host.files);
  host.files.readText = (purpose, path) => path === MEMORY ? oops() : read(purpose, path);
  await assertRejects(() => scanWith(dnfScanner(), host, OPTIONS), TypeError, "oops");
  const broken = hostWith("somebody", [old]);
  const answer = broken.runCommand;
  broken.runCommand = (argv, options) =>
    questionOf(argv) === "fetched" ? oops() : answer(argv, options);
  await assertRejects(() => scanWith(dnfScanner(), broken, {}), TypeError, "oops");
});
