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

const young = { id: "updates", ageMs: HOUR_MS, hasAdvisories: true };
const old = { id: "updates", ageMs: 3 * DAY_MS, hasAdvisories: true };
const fresh = { id: "updates", ageMs: 0, hasAdvisories: true };
const dead = { id: "new", ageMs: null };

const OPTIONS = { cacheDirectory: "/state" };

Deno.test("chooseLists() as root reads current lists without fetching", async () => {
  const host = hostWith("root", [young]);
  const { result, sources, metadataAgeS } = await scanWith(dnfScanner(), host, OPTIONS);
  assertEquals([result, metadataAgeS, fetches(host)], ["ok", 3_600, []]);
  assertEquals(sources.map((source) => `${source.name} ${source.result} ${source.marksSecurity}`), [
    "updates ok true",
  ]);
});

Deno.test("chooseLists() as root without a cache directory reports expired lists", async () => {
  const host = hostWith("root", [old, { id: "other" }]);
  const report = await scanWith(dnfScanner(), host, {});
  assertEquals([report.result, report.metadataAgeS], ["degraded", 3 * 86_400]);
  assertEquals(report.warnings, [
    "updates: its package lists are 3 days old, over its limit of 2 days",
  ]);
  assertEquals(fetches(host), []);
});

for (const generation of [4, 5] as const) {
  Deno.test(`chooseLists() as root fetches private lists if dnf ${generation}'s are expired`, async () => {
    const host = hostWith("root", [old], [fresh], generation);
    const report = await scanWith(dnfScanner(), host, OPTIONS);
    assertEquals([report.result, report.metadataAgeS, report.warnings], ["ok", 0, []]);
    const setting = generation === 4 ? "cachedir" : "system_cachedir";
    const option = `--setopt=${setting}=/state/dnf/lists`;
    const [fetch = []] = fetches(host);
    assert(fetch.includes(option), fetch.join(" "));
    // Dnf itself decides which lists are expired, and its own state does not change.
    assert(!fetch.includes("--refresh") && fetch.includes("--setopt=*.countme=0"));
    for (const argv of host.asked.slice(host.asked.indexOf(fetch))) {
      assert(argv.includes(option), argv.join(" "));
    }
  });
}

Deno.test("chooseLists() reads fetched lists, reports failed repositories and pauses fetching those", async () => {
  const host = hostWith("root", [old, dead], [fresh, dead]);
  host.answers = { fetched: failed(`dnf/${UNREACHED}`, 0) };
  const report = await scanWith(dnfScanner(), host, OPTIONS);
  const why = "cannot be fetched: Status code: 401 for " +
    "http://(hidden)@127.0.0.1:9/private/(hidden)/repomd.xml (IP: 127.0.0.1)";
  assertEquals([report.result, report.warnings], ["degraded", [`new: ${why}`]]);
  assertEquals(report.updates.length, 8);
  // It is fetched again after an hour, and the next time after two.
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

Deno.test("chooseLists() maps a truncated name of dnf 5 to an id and pauses fetching it", async () => {
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

Deno.test("chooseLists() reads the host's lists if the private ones are no better", async () => {
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

Deno.test("chooseLists() works without a state file or a directory for private lists", async () => {
  const host = hostWith("root", [old], [fresh]);
  host.files.fail("remember fetching package lists", "full");
  host.files.fail("read about fetching package lists", "denied");
  assertEquals((await scanWith(dnfScanner(), host, OPTIONS)).result, "ok");
  const full = hostWith("root", [old], [fresh]);
  full.files.fail("make private package lists", "full");
  const report = await scanWith(dnfScanner(), full, OPTIONS);
  assertEquals([report.result, fetches(full)], ["degraded", []]);
});

Deno.test("chooseLists() as a user fetches missing, expired or day-old lists of the user", async () => {
  const rows: [HostRepository, number][] = [
    [young, 0],
    [{ id: "updates", ageMs: DAY_MS }, 0],
    [{ id: "updates", ageMs: DAY_MS + 1_000 }, 1],
    [{ id: "updates", ageMs: 2 * HOUR_MS, expiryMs: HOUR_MS }, 1],
    [{ id: "updates", ageMs: null }, 1],
  ];
  for (const [repository, count] of rows) {
    for (const generation of [4, 5] as const) {
      const host = hostWith("user", [repository], [fresh], generation);
      const report = await scanWith(dnfScanner(), host, {});
      assertEquals([report.result, fetches(host).length], ["ok", count]);
      // Dnf 5 would copy root's lists and date them as just fetched.
      const setting = "--setopt=system_cachedir=/nonexistent";
      const asked = host.asked.slice(2);
      assertEquals(asked.every((argv) => argv.includes(setting)), generation === 5);
    }
  }
});

Deno.test("chooseLists() reads expired lists if fetching fails, and reports that", async () => {
  for (const user of ["root", "user"] as const) {
    const host = hostWith(user, [{ id: "new", ageMs: 30 * HOUR_MS }]);
    host.answers = { fetched: failed(`dnf/${UNREACHED}`, 0) };
    const report = await scanWith(dnfScanner(), host, { refresh: true });
    assertEquals([report.result, report.metadataAgeS], ["degraded", 108_000]);
    assertEquals(report.warnings.length, 1);
    assert(report.warnings[0]?.startsWith("new: cannot be fetched: Status code: 401"));
    assert(report.warnings[0]?.endsWith("; its package lists are 30 h old"));
  }
});

Deno.test("chooseLists() reports a refresh that exits with 0 and changed nothing", async () => {
  // A dead mirror list with skip_if_unavailable: dnf 5 exits with 0.
  const host = hostWith("root", [young, dead], [fresh, { id: "new", ageMs: 40 * DAY_MS }], 5);
  const { result, warnings } = await scanWith(dnfScanner(), host, { refresh: true });
  assertEquals([result, warnings], ["degraded", [
    "new: its package lists were not fetched anew; its package lists are 40 days old",
  ]]);
});

Deno.test("chooseLists() fails with the reason if there are no lists", async () => {
  const UNREACHABLE = failed("dnf/stderr_unreachable.txt");
  for (const user of ["root", "user"] as const) {
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

Deno.test("chooseLists() with refresh fetches first, after the version", async () => {
  const host = hostWith("root", [old], [fresh]);
  assertEquals((await scanWith(dnfScanner(), host, { refresh: true })).metadataAgeS, 0);
  const asked: Question[] = host.questions.slice(2, 5);
  assertEquals(asked, ["fetched", "repositories", "offered"]);
  assert(fetches(host)[0]?.includes("--refresh"));
});

Deno.test("chooseLists() parses dnf 4's dates in one time zone", async () => {
  const host = hostWith("root", [young]);
  await scanWith(dnfScanner(), host, {});
  const at = host.questions.indexOf("repositories");
  assertEquals(host.options[at]?.environment, { TZ: "UTC" });
});

Deno.test("chooseLists() reports a gap if dnf cannot list its repositories", async () => {
  const host = hostWith("root", [young]);
  host.answers = { repositories: succeeded("junk\n") };
  const report = await scanWith(dnfScanner(), host, {});
  assertEquals([report.result, report.sources, report.updates.length], ["degraded", [], 8]);
  assertEquals(report.warnings, ["Cannot list the repositories: the answer is not understood"]);
});

const MEMORY = "/state/dnf/fetched.json";

/** A host whose dnf times out when it fetches. */
function slowHost(user: "root" | "user", repositories: readonly HostRepository[]): DnfHost {
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

Deno.test("chooseLists() fetches once per scan, whatever the result", async () => {
  for (const user of ["root", "user"] as const) {
    for (const refresh of [false, true]) {
      const host = hostWith(user, [old]);
      host.answers = {
        fetched: failed("Error: Failed to download metadata for repo 'updates': x\n"),
      };
      const report = await scanWith(dnfScanner(), host, { refresh, ...OPTIONS });
      assertEquals([report.result, fetches(host).length], ["degraded", 1]);
      // With refresh, the agent fetches the host's lists and no private ones.
      assertEquals(host.usedPrivateLists, user === "root" && !refresh);
    }
  }
});

Deno.test("chooseLists() limits fetching to five minutes", async () => {
  const host = hostWith("user", [old], [fresh]);
  await scanWith(dnfScanner(), host, {});
  assertEquals(host.options[host.questions.indexOf("fetched")]?.timeoutMs, 300_000);
});

Deno.test("chooseLists() fetches nothing without a repository", async () => {
  const host = hostWith("user", []);
  await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError, "no enabled repositories");
  assertEquals(fetches(host), []);
});

Deno.test("chooseLists() reads expired lists if fetching times out, and pauses", async () => {
  for (const user of ["root", "user"] as const) {
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

Deno.test("chooseLists() does not pause after a success", async () => {
  const host = hostWith("root", [old], [fresh]);
  for (let scan = 0; scan < 3; scan++) assertEquals(await countFetches(host), 1);
});

Deno.test("chooseLists() pauses for a day at most, and not when the clock was set back", async () => {
  const host = slowHost("user", [old]);
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

Deno.test("chooseLists() fetches if the state file is invalid", async () => {
  for (const text of ["", "junk", "{}", '{"inARow":"1","triedMs":0,"failures":{}}']) {
    const host = hostWith("root", [old], [fresh]);
    host.files.texts.set(MEMORY, text);
    assertEquals(await countFetches(host), 1, text);
  }
});

Deno.test("chooseLists() protects the state file and private lists from other users", async () => {
  const host = hostWith("root", [old], [fresh]);
  await scanWith(dnfScanner(), host, OPTIONS);
  const modes = ["/state/dnf", "/state/dnf/lists", MEMORY].map((path) =>
    host.files.modes.get(path)
  );
  assertEquals(modes, [0o700, 0o700, 0o600]);
});

Deno.test("chooseLists() stores the failures of 100 repositories", async () => {
  const dead = Array.from({ length: 101 }, (_, n) => ({ id: `r${n}`, ageMs: null }));
  const host = hostWith("root", [old, ...dead], [fresh, ...dead]);
  const errors = dead.map(({ id }) => `Error: Failed to download metadata for repo '${id}': x\n`);
  host.answers = { fetched: failed(errors.join(""), 0) };
  for (const count of [0, 100]) {
    await scanWith(dnfScanner(), host, OPTIONS);
    const disabled = fetches(host).at(-1)?.filter((word) => word.startsWith("--disablerepo="));
    assertEquals(disabled?.length, count);
  }
});

Deno.test("chooseLists() fetches no private lists without an absolute cache directory", async () => {
  for (const options of [{}, { cacheDirectory: "state" }]) {
    const host = hostWith("root", [old], [fresh]);
    const report = await scanWith(dnfScanner(), host, options);
    assertEquals([report.result, fetches(host)], ["degraded", []]);
    const user = hostWith("user", [old], [fresh]);
    assertEquals((await scanWith(dnfScanner(), user, options)).result, "ok");
    assertEquals([...user.files.texts.keys()].filter((path) => path.endsWith(".json")), []);
  }
});

Deno.test("chooseLists() prefers private lists only if more are current and at least half have lists", async () => {
  const names = [..."abcd"];
  /** `count` of the host's lists are expired; `own` private lists exist. */
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
  // As many current lists as the host has, and one of the host's missing.
  assertEquals(await ownIsChosen(2, 1, ["a"]), false);
});

Deno.test("chooseLists() finds dnf 5's repositories by name, or by a truncated name", async () => {
  const long = "The repository of all the updates";
  const rows: [reported: string, names: string[], failedIds: string[]][] = [
    [long, [long, `${long} and more`], ["r0"]],
    [long.slice(0, 20), [long, `${long} and more`, "Another"], ["r0", "r1"]],
    // A shorter name is not a truncated one.
    [long.slice(0, 18), [long], []],
    [long.slice(0, 19), [long], []],
    ["r1", [long, "Another"], ["r1"]],
  ];
  for (const [reported, names, failedIds] of rows) {
    const host = hostWith(
      "user",
      [
        { id: "updates" },
        ...names.map((name, index) => ({ id: `r${index}`, name, ageMs: 3 * DAY_MS })),
      ],
      undefined,
      5,
    );
    host.answers = {
      fetched: succeeded("", ` ${reported}   ???% | 0.0 B/s | -1.0 B | ?\n>>> x\n`),
    };
    const { sources } = await scanWith(dnfScanner(), host, {});
    const found = sources.filter(({ why }) => why?.startsWith("cannot be fetched: x"));
    assertEquals(found.map(({ name }) => name), failedIds, reported);
  }
});

Deno.test("chooseLists() reads lists of unknown age, and fetches a user's", async () => {
  for (const expiryMs of [Infinity, DAY_MS]) {
    const root = new DnfHost(5);
    // Dnf 5 prints 0 if it does not know the date.
    const unknown = { id: "updates", ageMs: root.clock.nowMs(), expiryMs, hasAdvisories: true };
    root.repositories = [unknown];
    root.becomeRoot();
    const { result, sources } = await scanWith(dnfScanner(), root, {});
    assertEquals(sources[0]?.metadataAgeS, null);
    assertEquals(
      [result, sources[0]?.result],
      expiryMs === Infinity ? ["ok", "ok"] : ["degraded", "old"],
    );
    const host = hostWith("user", [unknown], [unknown], 5);
    await scanWith(dnfScanner(), host, {});
    assertEquals(fetches(host).length, 1);
  }
});

Deno.test("chooseLists() names the repository without lists if dnf does not", async () => {
  const host = hostWith("user", [{ id: "new", ageMs: null }]);
  const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
  assertEquals(
    error.message,
    "Cannot list updates with dnf: new: its package lists could not be fetched",
  );
  assertEquals(error.reason, "transient");
});

Deno.test("chooseLists() reports that it waited for the lock in vain", async () => {
  const host = hostWith("user", [{ id: "new", ageMs: null }], undefined, 5);
  const stderr = "Waiting for a lock on the system repository; x\n" +
    " The repository new   ???% | 0.0 B/s | -1.0 B | ?\n>>> x\n";
  host.answers = { fetched: failed(stderr, 0) };
  const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
  assertEquals(error.reason, "locked");
});

Deno.test("chooseLists() uses the first report if dnf has no second one", async () => {
  const host = new DnfHost();
  host.repositories = [old];
  host.answers = { repositories: [host.answerRepositories(), failed("what?\n")] };
  const report = await scanWith(dnfScanner(), host, {});
  assertEquals([report.result, report.metadataAgeS], ["degraded", 3 * 86_400]);
  assert(report.warnings.includes("Cannot list the repositories: what?"));
});

Deno.test("chooseLists() propagates programming errors", async () => {
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
  const broken = hostWith("user", [old]);
  const answer = broken.runCommand;
  broken.runCommand = (argv, options) =>
    questionOf(argv) === "fetched" ? oops() : answer(argv, options);
  await assertRejects(() => scanWith(dnfScanner(), broken, {}), TypeError, "oops");
});
