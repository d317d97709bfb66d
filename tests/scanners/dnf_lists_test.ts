import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { findNews } from "../../src/commands/news.ts";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { isWhole, type ScanReport } from "../../src/scanners/run_scans.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import { encodeUpdate } from "../../src/server/update_item.ts";
import { DnfHost, failed, type HostRepository, type Question } from "./dnf_host.ts";
import { fetches, hostWith } from "./dnf_lists_host.ts";
import { readFixture, succeeded } from "./fixture.ts";
import { scanWith } from "../fakes/scan_with.ts";

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

/** What becomes of a source: its rows are in no answer any more, or it is told as worse than it was. */
const DAMAGES = ["dropped", "aged", "failed", "not refreshed"] as const;

/** The host after one of its sources was damaged, and how it is then scanned. */
function damage(
  id: string,
  how: typeof DAMAGES[number],
  generation: 4 | 5,
  user: "root" | "somebody",
) {
  const whole = ["updates", "vendor", "dnf-ci-fedora-updates", "advisories-updates"]
    .concat("very-long-third-party-repository-identifier").map((one) => ({ id: one }));
  const worse: HostRepository = how === "dropped" || how === "failed"
    ? { id, ageMs: null }
    : { id, ageMs: 40 * DAY_MS };
  const damaged = whole.map((one) => one.id === id ? worse : one);
  const host = hostWith(user, damaged, damaged, generation);
  const tool = generation === 4 ? "dnf" : "dnf5";
  const without = (name: string) => {
    const lines = readFixture(tool, name).split("\n");
    return lines.filter((line) => !line.split(/\s+/).includes(id)).join("\n");
  };
  host.answers = {
    // Aged lists are answered from all the same.
    ...(worse.ageMs === null && {
      offered: succeeded(without("offered.txt")),
      ...(generation === 4
        ? { checked: { ...succeeded(without("check_update.txt")), code: 100 } }
        : { checked: succeeded('{"upgrades":[]}') }),
    }),
    ...(how === "failed" && {
      fetched: generation === 4
        ? failed(`Error: Failed to download metadata for repo '${id}': Status code: 503\n`, 0)
        : failed(` The repository ${id}   ???% | 0.0 B/s | -1.0 B | ?\n>>> Status code: 503\n`, 0),
    }),
  };
  return { host, refresh: how === "failed" || how === "not refreshed" };
}

function itemsOf({ updates }: Pick<ScanReport, "updates">) {
  return updates.map((update) => encodeUpdate(update, "dnf", "x86_64"));
}

Deno.test("a damaged source is named, and nothing is reported gone because of it", async () => {
  const damages = fc.record({
    generation: fc.constantFrom(4, 5),
    how: fc.constantFrom(...DAMAGES),
    user: fc.constantFrom("root", "somebody"),
    id: fc.constantFrom("updates", "vendor", "dnf-ci-fedora-updates"),
    own: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(damages, async ({ generation, how, user, id, own }) => {
      const right = new DnfHost(generation);
      const before = await scanWith(dnfScanner(), right, {});
      assertEquals(before.result, "ok");
      const options = { nowMs: right.clock.nowMs(), wantsAll: false };
      const list = {
        packageType: "dnf" as const,
        items: itemsOf(before),
        isWhole: isWhole(before),
      };
      const { told } = findNews(list, undefined, options);
      const { host, refresh } = damage(id, how, generation, user);
      const after = await scanWith(dnfScanner(), host, { refresh, ...own && OPTIONS });
      assert(after.result !== "ok", `${after.result}`);
      const source = after.sources.find(({ name }) => name === id);
      assert(source && source.result !== "ok", JSON.stringify(source));
      assert(after.warnings.some((warning) => warning.startsWith(`${id}: `)), `${after.warnings}`);
      const news = findNews(
        { ...list, items: itemsOf(after), isWhole: isWhole(after) },
        told,
        options,
      );
      assertEquals(news.gone, []);
    }),
    { numRuns: 60 },
  );
});
