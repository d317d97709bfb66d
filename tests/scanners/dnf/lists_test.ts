import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../../src/scanners/dnf.ts";
import { ScanError } from "../../../src/scanners/scanner.ts";
import { CommandError } from "../../../src/system/process.ts";
import { DnfHost, failed, type HostRepository, type Question, questionOf } from "./host.ts";
import { fetches, hostWith } from "./lists_host.ts";
import { succeeded } from "../fixture.ts";
import { scanWith } from "../../fakes/scan_with.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const UNREACHED = "stderr_unreached.txt";

const young = { id: "updates", ageMs: HOUR_MS, tells: true };
const old = { id: "updates", ageMs: 3 * DAY_MS, tells: true };
const fresh = { id: "updates", ageMs: 0, tells: true };
const dead = { id: "new", ageMs: null };

const OPTIONS = { cacheDirectory: "/state" };

Deno.test("chooseLists() as root leaves lists that are in date as they are", async () => {
  const host = hostWith("root", [young]);
  const { result, sources, metadataAgeS } = await scanWith(dnfScanner(), host, OPTIONS);
  assertEquals([result, metadataAgeS, fetches(host)], ["ok", 3_600, []]);
  assertEquals(sources.map((source) => `${source.name} ${source.result} ${source.tellsSecurity}`), [
    "updates ok true",
  ]);
});

Deno.test("chooseLists() as root without a directory of the agent's own tells what is old", async () => {
  const host = hostWith("root", [old, { id: "other" }]);
  const report = await scanWith(dnfScanner(), host, {});
  assertEquals([report.result, report.metadataAgeS], ["degraded", 3 * 86_400]);
  assertEquals(report.warnings, [
    "updates: its package lists are 3 days old, over its limit of 2 days",
  ]);
  assertEquals(fetches(host), []);
});

for (const generation of [4, 5] as const) {
  Deno.test(`chooseLists() as root fetches lists of the agent's own where dnf ${generation}'s are old`, async () => {
    const host = hostWith("root", [old], [fresh], generation);
    const report = await scanWith(dnfScanner(), host, OPTIONS);
    assertEquals([report.result, report.metadataAgeS, report.warnings], ["ok", 0, []]);
    const setting = generation === 4 ? "cachedir" : "system_cachedir";
    const option = `--setopt=${setting}=/state/dnf/lists`;
    const [fetch = []] = fetches(host);
    assert(fetch.includes(option), fetch.join(" "));
    // Dnf itself decides which of them are past their time, and its own state is not touched.
    assert(!fetch.includes("--refresh") && fetch.includes("--setopt=*.countme=0"));
    for (const argv of host.asked.slice(host.asked.indexOf(fetch))) {
      assert(argv.includes(option), argv.join(" "));
    }
  });
}

Deno.test("chooseLists() takes what came, names what did not, and leaves that alone for a while", async () => {
  const host = hostWith("root", [old, dead], [fresh, dead]);
  host.answers = { fetched: failed(`dnf/${UNREACHED}`, 0) };
  const report = await scanWith(dnfScanner(), host, OPTIONS);
  const why = "cannot be fetched: Status code: 401 for " +
    "http://(hidden)@127.0.0.1:9/private/(hidden)/repomd.xml (IP: 127.0.0.1)";
  assertEquals([report.result, report.warnings], ["degraded", [`new: ${why}`]]);
  assertEquals(report.updates.length, 8);
  // An hour later it is asked again, and the next time after two.
  const withNew = () => {
    const argv = fetches(host).at(-1) ?? [];
    return !argv.includes("--disablerepo=new");
  };
  for (
    const [waitMs, isAsked] of [
      [HOUR_MS - 1, false],
      [1, true],
      [2 * HOUR_MS - 1, false],
      [1, true],
    ] as const
  ) {
    host.clock.setNow(host.clock.nowMs() + waitMs);
    const again = await scanWith(dnfScanner(), host, OPTIONS);
    assertEquals([again.warnings, withNew()], [[`new: ${why}`], isAsked]);
  }
});

Deno.test("chooseLists() leaves alone by its id what dnf 5 tells of by the beginning of its name", async () => {
  const long = { id: "long", name: `A long name of a repository ${"x".repeat(40)}`, ageMs: null };
  const host = hostWith("root", [old, long], [fresh, long], 5);
  const progress = ` ${long.name.slice(0, 38)} ???% |   0.0   B/s |  -1.0   B |  ?\n`;
  host.answers = {
    fetched: succeeded("", `${progress}>>> Status code: 403 for http://x.example/\n`),
  };
  const why = "long: cannot be fetched: Status code: 403 for http://x.example/";
  for (const isAsked of [true, false]) {
    assertEquals((await scanWith(dnfScanner(), host, OPTIONS)).warnings, [why]);
    assertEquals(fetches(host).at(-1)?.includes("--disablerepo=long"), !isAsked);
  }
});

Deno.test("chooseLists() goes by the host's lists where its own are no better", async () => {
  const others = ["a", "b", "c"].map((id) => ({ id, ageMs: 3 * DAY_MS }));
  const host = hostWith("root", [old, ...others], [
    fresh,
    ...others.map(({ id }) => ({ id, ageMs: null })),
  ]);
  const report = await scanWith(dnfScanner(), host, OPTIONS);
  assertEquals(report.warnings.length, 4);
  assert(report.warnings.every((warning) => warning.includes("3 days old")));
  assert(host.asked.at(-1)?.every((word) => !word.includes("/state")));
});

Deno.test("chooseLists() does without what it cannot remember, or keep lists in", async () => {
  const host = hostWith("root", [old], [fresh]);
  host.files.fail("remember fetching package lists", "full");
  host.files.fail("read about fetching package lists", "denied");
  assertEquals((await scanWith(dnfScanner(), host, OPTIONS)).result, "ok");
  const full = hostWith("root", [old], [fresh]);
  full.files.fail("make private package lists", "full");
  const report = await scanWith(dnfScanner(), full, OPTIONS);
  assertEquals([report.result, fetches(full)], ["degraded", []]);
});

Deno.test("chooseLists() as a user fetches lists of the user's own: none yet, old, or a day old", async () => {
  const rows: [HostRepository, number][] = [
    [young, 0],
    [{ id: "updates", ageMs: DAY_MS }, 0],
    [{ id: "updates", ageMs: DAY_MS + 1_000 }, 1],
    [{ id: "updates", ageMs: 2 * HOUR_MS, expiryMs: HOUR_MS }, 1],
    [{ id: "updates", ageMs: null }, 1],
  ];
  for (const [repository, count] of rows) {
    for (const generation of [4, 5] as const) {
      const host = hostWith("somebody", [repository], [fresh], generation);
      const report = await scanWith(dnfScanner(), host, {});
      assertEquals([report.result, fetches(host).length], ["ok", count]);
      // Dnf 5 would take root's lists over, and have them look young.
      const setting = "--setopt=system_cachedir=/nonexistent";
      const asked = host.asked.slice(2);
      assertEquals(asked.every((argv) => argv.includes(setting)), generation === 5);
    }
  }
});

Deno.test("chooseLists() has old lists where there are no new ones, and says so", async () => {
  for (const user of ["root", "somebody"] as const) {
    const host = hostWith(user, [{ id: "new", ageMs: 30 * HOUR_MS }]);
    host.answers = { fetched: failed(`dnf/${UNREACHED}`, 0) };
    const report = await scanWith(dnfScanner(), host, { refresh: true });
    assertEquals([report.result, report.metadataAgeS], ["degraded", 108_000]);
    assertEquals(report.warnings.length, 1);
    assert(report.warnings[0]?.startsWith("new: cannot be fetched: Status code: 401"));
    assert(report.warnings[0]?.endsWith("; its package lists are 30 h old"));
  }
});

Deno.test("chooseLists() believes no refresh that dnf ends well, and that changed nothing", async () => {
  // A dead mirror list with skip_if_unavailable: dnf 5 ends with 0.
  const host = hostWith("root", [young, dead], [fresh, { id: "new", ageMs: 40 * DAY_MS }], 5);
  const { result, warnings } = await scanWith(dnfScanner(), host, { refresh: true });
  assertEquals([result, warnings], ["degraded", [
    "new: its package lists were not fetched anew; its package lists are 40 days old",
  ]]);
});

Deno.test("chooseLists() fails with what kept it from lists if there are none at all", async () => {
  const UNREACHABLE = failed("dnf/stderr_unreachable.txt");
  for (const user of ["root", "somebody"] as const) {
    const host = hostWith(user, [dead]);
    host.answers = { fetched: UNREACHABLE };
    const error = await assertRejects(
      () => scanWith(dnfScanner(), host, { refresh: true }),
      ScanError,
    );
    assert(error.message.includes("Failed to download metadata"), error.message);
    assertEquals(error.reason, "transient");
  }
  const never = hostWith("root", [dead]);
  const error = await assertRejects(() => scanWith(dnfScanner(), never, {}), ScanError);
  assert(error.message.includes('run "dnf makecache"'), error.message);
  assertEquals([error.reason, fetches(never)], ["transient", []]);
});

Deno.test("chooseLists() fetches when asked, before anything but the version is asked", async () => {
  const host = hostWith("root", [old], [fresh]);
  assertEquals((await scanWith(dnfScanner(), host, { refresh: true })).metadataAgeS, 0);
  const asked: Question[] = host.questions.slice(2, 5);
  assertEquals(asked, ["fetched", "repositories", "offered"]);
  assert(fetches(host)[0]?.includes("--refresh"));
});

Deno.test("chooseLists() reads the instants of dnf 4 in one time zone", async () => {
  const host = hostWith("root", [young]);
  await scanWith(dnfScanner(), host, {});
  const at = host.questions.indexOf("repositories");
  assertEquals(host.options[at]?.environment, { TZ: "UTC" });
});

Deno.test("chooseLists() doubts the list where dnf does not tell its repositories", async () => {
  const host = hostWith("root", [young]);
  host.answers = { repositories: succeeded("junk\n") };
  const report = await scanWith(dnfScanner(), host, {});
  assertEquals([report.result, report.sources, report.updates.length], ["degraded", [], 8]);
  assertEquals(report.warnings, ["Cannot list the repositories: the answer is not understood"]);
});

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
