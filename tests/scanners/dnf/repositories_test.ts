import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { diffUpdates } from "../../../src/commands/update_diff.ts";
import {
  describeAge,
  describeSources,
  type DnfRepository,
  findAdvisoryLists,
  type SourceFacts,
} from "../../../src/scanners/dnf/repositories.ts";
import { scanUpdates } from "../../../src/commands/scan_updates.ts";
import { dnfScanner } from "../../../src/scanners/dnf.ts";
import { hasCompleteList, runScan, type ScanReport } from "../../../src/scanners/run_scans.ts";
import { encodeUpdate } from "../../../src/server/update_item.ts";
import { FileError } from "../../../src/system/files.ts";
import { FakeLog } from "../../fakes/log.ts";
import { scanDeps } from "../../fakes/scanner_runner.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { scanWith } from "../../fakes/scan_with.ts";
import { DnfHost, failed, type HostRepository } from "./host.ts";
import { hostWith } from "./lists_host.ts";
import { readFixture, succeeded } from "../fixture.ts";
import { oldestAgeS } from "../../../src/scanners/scanner.ts";

const FACTS = { kind: "system_info", commandId: null, snapshotOf: null, body: "{}" } as const;

const DAY_MS = 86_400_000;
const NOW_MS = 1_000 * DAY_MS;

const REPOSITORY: DnfRepository = {
  id: "r",
  name: "The repository",
  url: "https://user:pw@mirror.example/r?key=1",
  hasLists: true,
  fetchedMs: NOW_MS - DAY_MS,
  expiryMs: 2 * DAY_MS,
};

function judge(changes: Partial<DnfRepository>, facts: Partial<SourceFacts> = {}) {
  const known = { nowMs: NOW_MS, failures: new Map(), fetchedFromMs: null, isRefresh: false };
  const [source] = describeSources([{ ...REPOSITORY, ...changes }], {
    ...known,
    hasAdvisories: new Map(),
    ...facts,
  });
  return source && [source.result, source.why];
}

Deno.test("describeSources() describes a source without secrets", () => {
  const facts = { nowMs: NOW_MS, failures: new Map(), fetchedFromMs: null, isRefresh: false };
  const hasAdvisories = new Map([["r", true]]);
  assertEquals(describeSources([REPOSITORY], { ...facts, hasAdvisories }), [{
    name: "r",
    url: "https://(hidden)@mirror.example/r?(hidden)",
    result: "ok",
    why: null,
    metadataAgeS: 86_400,
    expiresAtMs: NOW_MS + DAY_MS,
    marksSecurity: true,
  }]);
  const [never] = describeSources([{ ...REPOSITORY, expiryMs: Infinity, url: null }], {
    ...facts,
    hasAdvisories: new Map(),
  });
  assertEquals({
    expiresAtMs: never?.expiresAtMs,
    url: never?.url,
    marksSecurity: never?.marksSecurity,
  }, { expiresAtMs: null, url: null, marksSecurity: null });
  // The date of removed lists does not count.
  const [unlisted] = describeSources([{ ...REPOSITORY, hasLists: false }], {
    ...facts,
    hasAdvisories,
  });
  assertEquals(
    [unlisted?.metadataAgeS, unlisted?.expiresAtMs, unlisted?.marksSecurity, unlisted?.result],
    [null, null, null, "missing"],
  );
  const [odd] = describeSources([{ ...REPOSITORY, fetchedMs: null }], { ...facts, hasAdvisories });
  assertEquals({
    metadataAgeS: odd?.metadataAgeS,
    expiresAtMs: odd?.expiresAtMs,
    marksSecurity: odd?.marksSecurity,
  }, { metadataAgeS: null, expiresAtMs: null, marksSecurity: true });
  // A clock that was set back makes no age negative.
  const [young] = describeSources([{ ...REPOSITORY, fetchedMs: NOW_MS + DAY_MS }], {
    ...facts,
    hasAdvisories,
  });
  assertEquals(young?.metadataAgeS, 0);
  // Further in the future, the clock was wrong and the age is unknown.
  const [ahead] = describeSources([{ ...REPOSITORY, fetchedMs: NOW_MS + DAY_MS + 1 }], {
    ...facts,
    hasAdvisories,
  });
  assertEquals([ahead?.metadataAgeS, ahead?.expiresAtMs, ahead?.result], [null, null, "old"]);
  const long = `https://mirror.example/${"a-b/".repeat(200)}`;
  const [cut] = describeSources([{ ...REPOSITORY, url: long }], { ...facts, hasAdvisories });
  assertEquals([cut?.url?.length, cut?.url?.endsWith("(cut)")], [500, true]);
});

Deno.test("describeSources() compares the age with each source's own limit", () => {
  const rows: [Partial<DnfRepository>, string, string | null][] = [
    [{ fetchedMs: NOW_MS - 2 * DAY_MS }, "ok", null],
    [
      { fetchedMs: NOW_MS - 3 * DAY_MS },
      "old",
      "its package lists are 3 days old, over its limit of 2 days",
    ],
    [
      { expiryMs: DAY_MS / 4, fetchedMs: NOW_MS - DAY_MS / 2 },
      "old",
      "its package lists are 12 h old, over its limit of 6 h",
    ],
    [{ expiryMs: Infinity, fetchedMs: 0 }, "ok", null],
    [{ expiryMs: Infinity, fetchedMs: null }, "ok", null],
    [{ expiryMs: 0, fetchedMs: NOW_MS - 1_000 }, "ok", null],
    [
      { expiryMs: 0, fetchedMs: NOW_MS - 6_000 },
      "old",
      "its package lists are 0 min old, over its limit of 0 min",
    ],
    [{ fetchedMs: null }, "old", "the age of its package lists is not known"],
    [{ hasLists: false, fetchedMs: null }, "missing", "its package lists were never fetched"],
    // A clock that treats local time as UTC expires no list; a wrong clock proves nothing.
    [{ fetchedMs: NOW_MS + DAY_MS }, "ok", null],
    [
      { fetchedMs: NOW_MS + 1_000 * DAY_MS },
      "old",
      "its package lists are dated in the future: a clock is or was wrong",
    ],
    [{ fetchedMs: NOW_MS + 1_000 * DAY_MS, expiryMs: Infinity }, "ok", null],
  ];
  for (const [changes, result, why] of rows) assertEquals(judge(changes), [result, why]);
});

Deno.test("describeSources() reports a failed source unless its lists are fresh", () => {
  const failures = new Map([["r", "Status code: 401"]]);
  assertEquals(judge({}, { failures }), [
    "failed",
    "cannot be fetched: Status code: 401; its package lists are 24 h old",
  ]);
  assertEquals(judge({ hasLists: false, fetchedMs: null }, { failures }), [
    "failed",
    "cannot be fetched: Status code: 401",
  ]);
  // Dnf 5 truncates names, so the failure may belong to another repository.
  const fetchedFromMs = NOW_MS - 10_000;
  assertEquals(judge({ fetchedMs: NOW_MS - 9_000 }, { failures, fetchedFromMs }), ["ok", null]);
  // Clocks may differ by five seconds.
  const resultOf = (fetchedMs: number | null, hasLists = true) =>
    judge({ fetchedMs, hasLists }, { failures, fetchedFromMs })?.[0];
  assertEquals(resultOf(NOW_MS - 15_000), "ok");
  assertEquals(resultOf(NOW_MS - 15_001), "failed");
  assertEquals(resultOf(null), "failed");
  assertEquals(resultOf(NOW_MS - 9_000, false), "failed");
});

Deno.test("describeSources() reports a source that a refresh did not renew", () => {
  const facts = { fetchedFromMs: NOW_MS - 10_000, isRefresh: true };
  assertEquals(judge({}, facts), [
    "failed",
    "its package lists were not fetched anew; its package lists are 24 h old",
  ]);
  assertEquals(judge({ expiryMs: Infinity }, facts)?.[0], "failed");
  assertEquals(judge({ fetchedMs: NOW_MS - 9_000, expiryMs: 1 }, facts), [
    "ok",
    null,
  ]);
  const never = { hasLists: false, fetchedMs: null };
  assertEquals(judge(never, facts), [
    "failed",
    "its package lists could not be fetched",
  ]);
});

Deno.test("oldestAgeS() returns the age of the oldest lists", () => {
  const facts = { nowMs: NOW_MS, failures: new Map(), fetchedFromMs: null, isRefresh: false };
  const ages = [1, 40, 3].map((days) => ({ ...REPOSITORY, fetchedMs: NOW_MS - days * DAY_MS }));
  const hasAdvisories = new Map();
  assertEquals(oldestAgeS(describeSources(ages, { ...facts, hasAdvisories })), 40 * 86_400);
  assertEquals(oldestAgeS([]), null);
});

Deno.test("describeAge() uses days, hours or minutes", () => {
  assertEquals([49, 48, 47, 1, 0.5].map((hours) => describeAge(hours * 3_600_000)), [
    "2 days",
    "2 days",
    "47 h",
    "1 h",
    "30 min",
  ]);
});

Deno.test("findAdvisoryLists() searches each repository's lists for advisories", async () => {
  const { files } = new FakeSystem();
  const put = (directory: string, atMs: number, ...names: string[]) => {
    files.texts.set(`/cache/${directory}`, "");
    for (const name of names) {
      const path = `/cache/${directory}/repodata/${name}`;
      files.texts.set(path, "");
      files.modifiedMs.set(path, atMs);
    }
  };
  put("telling-0123456789abcdef", 1, "a-primary.xml.zst", "a-updateinfo.xml.zst");
  put("silent-0123456789abcdef", 1, "a-primary.xml.gz");
  // If the URL changed, the directory that was fetched last counts.
  put("moved-0123456789abcdef", 1, "a-primary.xml.gz", "a-updateinfo.xml.gz");
  put("moved-fedcba9876543210", 2, "b-primary.xml.gz");
  put("empty-0123456789abcdef", 1);
  // An id may look like a directory itself.
  put("copr-0123456789abcdef-fedcba9876543210", 1, "a-primary.xml.gz", "a-updateinfo.xml.gz");
  put("silent", 2, "a-primary.xml.gz", "a-updateinfo.xml.gz");
  put("silent-0123456789abcdef.old", 2, "a-primary.xml.gz", "a-updateinfo.xml.gz");
  put("other-0123456789abcdef", 1, "a-primary.xml.gz");
  const repositories = ["telling", "silent", "moved", "empty", "gone", "copr-0123456789abcdef"]
    .map((id) => ({ id }));
  assertEquals(
    await findAdvisoryLists({ files }, "/cache", repositories),
    new Map([
      ["telling", true],
      ["silent", false],
      ["moved", false],
      ["copr-0123456789abcdef", true],
    ]),
  );
  assertEquals(await findAdvisoryLists({ files }, null, repositories), new Map());
  files.fail("look at dnf's package lists", "denied");
  assertEquals(await findAdvisoryLists({ files }, "/cache", repositories), new Map());
  files.list = () => Promise.reject(new TypeError("oops"));
  await assertRejects(
    () => findAdvisoryLists({ files }, "/cache", repositories),
    TypeError,
    "oops",
  );
});

const SECRET = "S3cretXy9Zq7Wv5T";

const URLS = [
  `http://deploy:${SECRET}@127.0.0.1:9/private`,
  `https://${SECRET}@mirror.example/r`,
  `https://deploy:p@${SECRET}@mirror.example/r`,
  `https://mirror.example/r?token=${SECRET}`,
  `https://mirror.example/r#${SECRET}`,
  `https://mirror.example/t/${SECRET}/r`,
  `https://mirror.example/${SECRET}/r`,
  `https://a.example/r, https://deploy:${SECRET}@b.example/r`,
];

/** A host with the secret in every place where dnf may print it. */
function hostOf(generation: 4 | 5, url: string): DnfHost {
  const host = new DnfHost(generation);
  host.becomeRoot();
  host.repositories = [{ id: "updates", url }, { id: "dead", ageMs: null, url }];
  const stderr = generation === 4
    ? `Errors during downloading metadata for repository 'dead':\n  - Status code: 401 for ${url}\n` +
      `Error: Failed to download metadata for repo 'dead': ${url}\n` +
      `Warning: failed loading '${url}', skipping.\n`
    : ` The repository dead   ???% | 0.0 B/s | -1.0 B | ?\n>>> Status code: 401 for ${url} - ${url}\n`;
  const broken = failed(`${stderr}Error: ${url}\n`);
  const modular = `Modular dependency problem:\n\n Problem: x\n  - nothing provides ${url}\n`;
  host.answers = {
    fetched: { ...broken, code: 0 },
    advisories: broken,
    cves: broken,
    checked: broken,
    replaced: broken,
    security: broken,
    reboot: failed(stderr, 1, `Reboot is required to fully utilize these updates. ${url}\n`),
    offered: {
      ...failed(`${stderr}${modular}`, 0),
      stdout: `a\t0\t2\t1\tnoarch\tupdates\t7\ta-2-1.src.rpm\tSee ${url}\n`,
    },
  };
  return host;
}

Deno.test("no secret of a repository's URL is in a report, an event, a log or a state file", async () => {
  for (const generation of [4, 5] as const) {
    for (const url of URLS) {
      for (const refresh of [false, true]) {
        const host = hostOf(generation, url);
        const options = { refresh, cacheDirectory: "/state" };
        const report = await runScan(host, dnfScanner(), options);
        assert(report.sources.some(({ result }) => result !== "ok"));
        const log = new FakeLog();
        const scanner = dnfScanner();
        const handler = scanUpdates(scanDeps({
          system: host,
          log,
          findScanners: () => Promise.resolve([scanner]),
          collectSystemInfo: () => Promise.resolve(FACTS),
        }));
        const early: unknown[] = [];
        const outcome = await handler.run({ id: "c1", type: "scan_updates", params: { refresh } }, {
          signal: new AbortController().signal,
          appendEarly: (told) => void early.push(...told),
        });
        const states = [...host.files.texts].filter(([path]) => path.startsWith("/state"));
        const said = JSON.stringify([report, early, outcome, log.told, states]);
        const at = said.indexOf(SECRET.slice(0, 6));
        assertEquals(at < 0 ? "" : said.slice(Math.max(0, at - 200), at + 50), "");
        assert(said.includes("(hidden)"));
      }
    }
  }
});

Deno.test("findAdvisoryLists() treats lists of unknown age as the oldest", async () => {
  for (
    const names of [["r-0123456789abcdef", "r-fedcba9876543210"], [
      "r-fedcba9876543210",
      "r-0123456789abcdef",
    ]]
  ) {
    const { files } = new FakeSystem();
    for (const name of names) {
      files.texts.set(`/cache/${name}`, "");
      files.texts.set(`/cache/${name}/repodata/a-primary.xml.gz`, "");
    }
    files.texts.set("/cache/r-fedcba9876543210/repodata/a-updateinfo.xml.gz", "");
    const inspect = files.inspect.bind(files);
    const denied = new FileError("Cannot look", { reason: "denied" });
    files.inspect = (purpose, path) =>
      path.includes("r-0") ? Promise.reject(denied) : inspect(purpose, path);
    const found = await findAdvisoryLists({ files }, "/cache", [{ id: "r" }]);
    assertEquals([...found], [["r", true]]);
  }
});

Deno.test("findAdvisoryLists() inspects up to 2,000 directories", async () => {
  const files = new FakeSystem().files;
  const name = (index: number) => `r-${index.toString(16).padStart(16, "0")}`;
  const all = Array.from({ length: 2_001 }, (_, index) => name(index));
  const looked = new Set<string>();
  files.list = (_purpose, path) => {
    looked.add(path);
    return Promise.resolve(path === "/cache" ? all : []);
  };
  await findAdvisoryLists({ files }, "/cache", [{ id: "r" }]);
  assertEquals(looked.size - 1, 2_000);
});

/** Damages of a source: its rows are missing, or its state is worse. */
const DAMAGES = ["dropped", "aged", "failed", "not refreshed"] as const;

/** The host after one of its sources was damaged, and how it is then scanned. */
function damage(
  id: string,
  how: typeof DAMAGES[number],
  generation: 4 | 5,
  user: "root" | "user",
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
    // Dnf answers from expired lists as well.
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

Deno.test("a damaged source is reported, and no update is reported as removed because of it", async () => {
  const damages = fc.record({
    generation: fc.constantFrom(4, 5),
    how: fc.constantFrom(...DAMAGES),
    user: fc.constantFrom("root", "user"),
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
        isWhole: hasCompleteList(before),
      };
      const { reported } = diffUpdates(list, undefined, options);
      const { host, refresh } = damage(id, how, generation, user);
      const after = await scanWith(dnfScanner(), host, {
        refresh,
        ...own && { cacheDirectory: "/state" },
      });
      assert(after.result !== "ok", `${after.result}`);
      const source = after.sources.find(({ name }) => name === id);
      assert(source && source.result !== "ok", JSON.stringify(source));
      assert(after.warnings.some((warning) => warning.startsWith(`${id}: `)), `${after.warnings}`);
      const diff = diffUpdates(
        { ...list, items: itemsOf(after), isWhole: hasCompleteList(after) },
        reported,
        options,
      );
      assertEquals(diff.removed, []);
    }),
    { numRuns: 60 },
  );
});
