import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { ReportedList } from "../../src/commands/reported_snapshot.ts";
import { diffUpdates } from "../../src/commands/update_diff.ts";
import { aptScanner } from "../../src/scanners/apt.ts";
import { hasCompleteList, runScan, type ScanReport } from "../../src/scanners/run_scans.ts";
import { encodeUpdate } from "../../src/server/update_item.ts";
import { scanWith } from "../fakes/scan_with.ts";
import { AptHost, captured, hits, MADE_SOURCES, questionOf } from "../scanners/apt/host.ts";
import { succeeded } from "../scanners/fixture.ts";
import { EXPECTED_UPDATES, EXPECTED_WARNINGS } from "../scanners/apt/made_archive.ts";

const scanner = aptScanner();
const HOSTS = "/var/lib/apt/lists";
const OWN = "/own/apt/lists";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The lists that the last decision was read from. */
function listsRead(host: AptHost): "own" | "host's" {
  const argv = host.asked.findLast((argv) => questionOf(argv) === "upgrade") ?? [];
  return argv.includes(`Dir::State::lists=${OWN}/`) ? "own" : "host's";
}

async function scan(host: AptHost, options: { refresh?: boolean; cacheDirectory?: string } = {}) {
  host.asked.length = 0;
  const report = await scanWith(scanner, host, { cacheDirectory: "/own", ...options });
  const names = (result: string) =>
    report.sources.filter((source) => source.result === result).map(({ name }) => name);
  return {
    ...report,
    fetches: host.count("update"),
    lists: listsRead(host),
    failed: names("failed"),
    missing: names("missing"),
  };
}

/** A host whose lists were published and fetched at this age. */
function hostWithLists(ageMs: number): AptHost {
  const host = new AptHost();
  host.clock.setNow(host.clock.nowMs() + ageMs);
  host.putLists(HOSTS, ageMs);
  return host;
}

const SECURITY = MADE_SOURCES.find(({ name }) => name.endsWith(" bookworm-security"))!;

/** What `apt-get update` says where one source refuses. */
function refusing(why = "  401  Unauthorized [IP: 192.0.2.1 443]") {
  const others = MADE_SOURCES.filter((source) => source !== SECURITY);
  const stdout = `${hits(others)}Err:99 ${SECURITY.name} InRelease\n${why}\n`;
  return {
    code: 100,
    stdout,
    stderr: "W: Some index files failed to download.\n",
    truncated: false,
  };
}

Deno.test("scan() reads the host's lists until they are a day old, then fetches private ones", async () => {
  const young = await scan(hostWithLists(DAY_MS - 1));
  assertEquals([young.fetches, young.lists, young.result], [0, "host's", "ok"]);
  const host = hostWithLists(2 * DAY_MS + HOUR_MS);
  const old = await scan(host);
  assertEquals([old.fetches, old.lists, old.result, old.metadataAgeS], [1, "own", "ok", 0]);
  assertEquals(host.files.modes.get(`${OWN}/partial`), 0o700);
  await host.clock.advance(DAY_MS - 1);
  const again = await scan(host);
  assertEquals([again.fetches, again.lists, again.metadataAgeS], [0, "own", 86_399]);
  await host.clock.advance(1);
  assertEquals((await scan(host)).fetches, 1);
});

Deno.test("scan() ignores the times of other files in the directory of lists", async () => {
  const host = hostWithLists(60 * DAY_MS);
  // Another source was fetched, or another file was created and removed.
  host.files.modifiedMs.set(HOSTS, host.clock.nowMs() - 7_000);
  host.files.texts.set("/var/lib/apt/periodic/update-success-stamp", "");
  host.files.modifiedMs.set("/var/lib/apt/periodic/update-success-stamp", host.clock.nowMs());
  const { result, metadataAgeS } = await scanWith(scanner, host, {});
  assertEquals([result, metadataAgeS], ["degraded", 60 * 86_400]);
});

Deno.test("scan() reports the age of the lists without a directory for private ones", async () => {
  const host = hostWithLists(60 * DAY_MS);
  host.files.texts.set(`${HOSTS}/partial`, "");
  host.files.modifiedMs.set(`${HOSTS}/partial`, host.clock.nowMs() - 7_000);
  const { result, metadataAgeS, sources, warnings } = await scanWith(scanner, host, {});
  assertEquals([result, metadataAgeS], ["degraded", 60 * 86_400]);
  assert(sources.every((source) => source.result === "old"));
  assert(warnings[0]?.endsWith(": its lists are 1440 hours old, by their own dates"), warnings[0]);
});

Deno.test("scan() of a host that is offline for 60 days is degraded, and backs off", async () => {
  const host = hostWithLists(60 * DAY_MS);
  host.answers = {
    update: () => ({
      code: 100,
      stdout: MADE_SOURCES.map(({ name }, n) => `Err:${n} ${name} InRelease\n  Could not resolve\n`)
        .join(""),
      stderr: "",
      truncated: false,
    }),
  };
  const first = await scan(host);
  assertEquals([first.fetches, first.lists, first.result], [1, "host's", "degraded"]);
  assertEquals([first.metadataAgeS, first.failed.length], [60 * 86_400, MADE_SOURCES.length]);
  assertEquals(first.updates.length, EXPECTED_UPDATES.length);
  const second = await scan(host);
  assertEquals([second.fetches, second.failed.length], [0, MADE_SOURCES.length]);
  await host.clock.advance(HOUR_MS);
  assertEquals((await scan(host)).fetches, 1);
  await host.clock.advance(HOUR_MS);
  assertEquals((await scan(host)).fetches, 0, "then two hours");
});

Deno.test("scan() uses the other sources where one refuses, names it, and records that", async () => {
  const host = hostWithLists(3 * DAY_MS);
  host.answers = {
    update: () => {
      host.putLists(OWN, 0, (name) => !name.startsWith(SECURITY.prefix));
      return refusing();
    },
    copy: (argv) => {
      assert(argv.every((word) => !word.startsWith(HOSTS) || word.includes("debian-security")));
      host.putLists(OWN, 0);
      return succeeded("");
    },
  };
  const first = await scan(host);
  assertEquals([first.fetches, first.lists, first.result], [1, "own", "degraded"]);
  assertEquals(first.failed, [SECURITY.name]);
  assertEquals(first.updates.length, EXPECTED_UPDATES.length, "with what the host knew of it");
  assert(first.warnings[0] === `${SECURITY.name}: 401 Unauthorized [IP: 192.0.2.1 443]`);
  const second = await scan(host);
  assertEquals([second.fetches, second.failed], [0, [SECURITY.name]]);
  await host.clock.advance(HOUR_MS);
  host.answers = {};
  const third = await scan(host);
  assertEquals([third.fetches, third.failed, third.result], [1, [], "ok"]);
});

Deno.test("scan() reads the host's lists where the private ones have fewer sources", async () => {
  const host = hostWithLists(3 * DAY_MS);
  host.answers = {
    update: () => {
      host.putLists(OWN, 0, (name) => !name.startsWith(SECURITY.prefix));
      return refusing();
    },
  };
  const { lists, failed, result, updates } = await scan(host);
  assertEquals([lists, failed, result], ["host's", [SECURITY.name], "degraded"]);
  assertEquals(updates.length, EXPECTED_UPDATES.length);
});

Deno.test("scan() names a source that the host never fetched, and tries to fetch it", async () => {
  const host = hostWithLists(0);
  host.dropLists(HOSTS, SECURITY.prefix);
  const alone = await scanWith(scanner, host, {});
  const missing = alone.sources.filter(({ result }) => result === "missing");
  assertEquals([alone.result, missing.map(({ name }) => name)], ["degraded", [SECURITY.name]]);
  host.answers = { update: () => refusing("  Could not connect") };
  const tried = await scan(host);
  assertEquals([tried.fetches, tried.result, tried.failed], [1, "degraded", [SECURITY.name]]);
  host.answers = {};
  await host.clock.advance(HOUR_MS);
  const fetched = await scan(host);
  assertEquals([fetched.lists, fetched.result], ["own", "ok"]);
});

Deno.test("scan() names a source of which one list is missing", async () => {
  const host = hostWithLists(0);
  host.dropLists(HOSTS, `${SECURITY.prefix}main`);
  const { result, warnings } = await scanWith(scanner, host, {});
  assertEquals(result, "degraded");
  assert(warnings[0]?.startsWith(`${SECURITY.name}: no main/binary-amd64/Packages`), warnings[0]);
});

function expire(host: AptHost, directory: string): void {
  const path = `${directory}/${SECURITY.prefix}Release`;
  const text = host.files.texts.get(path) ?? "";
  host.files.texts.set(path, `Valid-Until: Sun, 22 Nov 2026 00:00:00 UTC\n${text}`);
}

Deno.test("scan() accepts lists past their Valid-Until only if apt has just accepted them", async () => {
  const host = hostWithLists(0);
  expire(host, HOSTS);
  const alone = await scanWith(scanner, host, {});
  assertEquals(alone.result, "degraded");
  const [source] = alone.sources.filter(({ result }) => result === "old");
  assertEquals([source?.name, source?.expiresAtMs], [SECURITY.name, Date.UTC(2026, 10, 22)]);
  const says = `E: Release file for ${SECURITY.address}InRelease is expired (invalid since 1d).\n`;
  const answer = (stderr: string, code: number) => () => {
    host.putLists(OWN, 0);
    expire(host, OWN);
    return { ...succeeded(hits(), stderr), code };
  };
  host.answers = { update: answer(says, 100) };
  const refused = await scan(host);
  assertEquals([refused.result, refused.failed], ["degraded", [SECURITY.name]]);
  // A mirror of the past: its owner has switched the check off.
  host.answers = { update: answer("", 0) };
  assertEquals((await scan(host, { refresh: true })).result, "ok");
});

Deno.test("scan() asks a source whose lists are not from today whether they are current", async () => {
  const host = hostWithLists(0);
  await host.clock.advance(5 * DAY_MS);
  host.putLists(HOSTS, 0);
  const proven = await scan(host);
  assertEquals([host.count("releases"), proven.fetches, proven.result], [1, 0, "ok"]);
  assertEquals((await scan(host)).result, "ok");
  assertEquals(host.count("releases"), 0, "once a day");
  await host.clock.advance(DAY_MS);
  host.putLists(HOSTS, 0);
  host.answers = { releases: () => refusing("  Could not connect") };
  const failing = await scan(host);
  assertEquals([failing.result, failing.failed, failing.fetches], [
    "degraded",
    [SECURITY.name],
    0,
  ]);
  await scan(host);
  assertEquals(host.count("releases"), 0, "it is left alone for a while");
  await host.clock.advance(1_000);
  host.putLists(HOSTS, 0);
  host.answers = {};
  assertEquals((await scan(host)).result, "ok", "the host has fetched since");
});

Deno.test("scan() fetches private lists where the host's are behind what a source offers", async () => {
  const host = hostWithLists(0);
  await host.clock.advance(5 * DAY_MS);
  host.putLists(HOSTS, 0);
  host.answers = {
    releases: () => {
      host.putLists("/own/apt/releases", 0);
      const path = `/own/apt/releases/${SECURITY.prefix}Release`;
      const text = host.files.texts.get(path) ?? "";
      host.files.texts.set(path, text.replace("23 Nov", "25 Nov"));
      return succeeded(hits());
    },
  };
  const { fetches, lists, result } = await scan(host);
  assertEquals([fetches, lists, result], [1, "own", "ok"]);
});

Deno.test("scan() as an ordinary user does not report a source that only root has a password for", async () => {
  const host = hostWithLists(0);
  await host.clock.advance(5 * DAY_MS);
  host.putLists(HOSTS, 0);
  host.answers = { releases: () => refusing() };
  const user = await scan(host);
  // It is unknown whether root's lists are current, and a private fetch would not show it.
  const unknown = user.sources.filter(({ result }) => result !== "ok");
  assertEquals([user.fetches, user.failed, unknown.map(({ name, why }) => [name, why])], [0, [], [
    [SECURITY.name, "its lists are 120 hours old, by their own dates"],
  ]]);
  host.machine = { ...host.machine, userId: () => 0 };
  const root = hostWithLists(0);
  root.machine = host.machine;
  await root.clock.advance(5 * DAY_MS);
  root.putLists(HOSTS, 0);
  root.answers = host.answers;
  assertEquals((await scan(root)).failed, [SECURITY.name]);
});

Deno.test("scan() with refresh fetches the host's lists as root, and private lists as another user", async () => {
  const host = hostWithLists(0);
  const own = await scan(host, { refresh: true });
  assertEquals([own.fetches, own.lists, own.warnings], [1, "own", EXPECTED_WARNINGS]);
  const nowhere = await scanWith(scanner, host, { refresh: true });
  assert(nowhere.warnings.includes("Cannot refresh the package lists: only root may"));
  const root = hostWithLists(0);
  root.machine = { ...root.machine, userId: () => 0 };
  const fresh = await scan(root, { refresh: true });
  assertEquals([fresh.fetches, fresh.lists, fresh.result], [1, "host's", "ok"]);
  assert(!root.asked[1]?.includes("-c"), "with the host's hooks");
  root.answers = { update: () => refusing() };
  const half = await scan(root, { refresh: true });
  assertEquals([half.failed, half.result], [[SECURITY.name], "degraded"]);
  assertEquals((await scan(root)).failed, [SECURITY.name], "it is remembered");
  const lock = { ...succeeded(""), code: 100, stderr: "E: Could not get lock /x\n" };
  root.answers = { update: () => lock };
  const locked = scan(root, { refresh: true });
  await root.clock.advance(50_000);
  assert((await locked).warnings[0]?.includes("Could not get lock"));
});

Deno.test("scan() puts apt's cache into its own directory where the host has none, or an old one", async () => {
  const own = "Dir::Cache::pkgcache=/own/apt/cache/host-pkgcache.bin";
  const host = hostWithLists(0);
  await scan(host);
  assert(host.asked.every((argv) => !argv[0]?.includes("apt-") || argv.includes(own)));
  host.files.texts.set("/var/cache/apt/pkgcache.bin", "");
  host.files.modifiedMs.set("/var/cache/apt/pkgcache.bin", host.clock.nowMs());
  await scan(host);
  assert(host.asked.every((argv) => !argv.includes(own)));
});

Deno.test("scan() clears the host's hooks, and runs without that where it has no directory", async () => {
  const host = hostWithLists(0);
  await scan(host);
  const config = host.files.texts.get("/own/apt/ask.conf") ?? "";
  assert(config.includes("#clear AptCli::Hooks;\n"), config);
  const upgrade = host.asked.find((argv) => questionOf(argv) === "upgrade") ?? [];
  assertEquals(upgrade.slice(1, 3), ["-c", "/own/apt/ask.conf"]);
  const full = hostWithLists(0);
  full.files.fail("prepare the directory for apt", "full");
  const { result, warnings } = await scan(full);
  assertEquals(result, "ok");
  assert(warnings.some((text) => text.includes("prepare the directory for apt")));
});

/** One source that is damaged: what the fake host answers then. */
const DAMAGES: readonly [string, (host: AptHost, prefix: string) => void][] = [
  ["its lists are missing", (host, prefix) => host.dropLists(HOSTS, prefix)],
  ["its packages are missing", (host, prefix) => host.dropLists(HOSTS, `${prefix}main`)],
  ["its lists have expired", (host, prefix) => {
    for (const [path, text] of host.files.texts) {
      if (!path.startsWith(`${HOSTS}/${prefix}`) || !path.endsWith("Release")) continue;
      host.files.texts.set(path, `Valid-Until: Sun, 22 Nov 2026 00:00:00 UTC\n${text}`);
    }
  }],
  ["it does not answer any more", (host, prefix) => {
    const source = MADE_SOURCES.find((each) => each.prefix === prefix)!;
    const others = MADE_SOURCES.filter((each) => each !== source);
    const failed = () => ({
      ...succeeded(`${hits(others)}Err:99 ${source.name} InRelease\n  no route\n`),
      code: 100,
    });
    host.answers = { update: failed, releases: failed };
  }],
  ["its Release file cannot be read", (host, prefix) => {
    for (const path of host.files.texts.keys()) {
      if (path.startsWith(`${HOSTS}/${prefix}`)) host.files.texts.set(path, "x".repeat(5_000_000));
    }
  }],
];

/** Removes all versions that a source offers from apt's output. */
function forget(host: AptHost): void {
  host.answers = {
    policy: () => succeeded(captured("policy").replaceAll(/Candidate: .*/g, "Candidate: (none)")),
    upgrade: () => succeeded("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"),
    ...host.answers,
  };
}

function diffOf(report: ScanReport, before?: ReportedList) {
  const items = report.updates.map((update) => encodeUpdate(update, "apt", "x86_64"));
  const list = { packageType: "apt" as const, items, isWhole: hasCompleteList(report) };
  return diffUpdates(list, before, { nowMs: 0, wantsAll: false });
}

Deno.test("scan() with one damaged source is never ok, names it, and reports nothing removed", async () => {
  const right = await runScan(hostWithLists(0), scanner, { cacheDirectory: "/own" });
  assertEquals(right.result, "ok");
  const { reported } = diffOf(right);
  const sources = fc.constantFrom(
    ...MADE_SOURCES.filter(({ prefix }) =>
      [...hostWithLists(0).files.texts.keys()].some((path) => path.includes(`${prefix}main`))
    ),
  );
  await fc.assert(
    fc.asyncProperty(sources, fc.constantFrom(...DAMAGES), fc.boolean(), async (
      { prefix, name },
      [damage, apply],
      hasOwn,
    ) => {
      const host = hostWithLists(0);
      await host.clock.advance(5 * DAY_MS);
      host.putLists(HOSTS, 0);
      host.answers = { update: () => ({ ...succeeded(""), code: 100, stderr: "E: no network\n" }) };
      apply(host, prefix);
      forget(host);
      const isAsking = hasOwn || damage === "it does not answer any more";
      const options = isAsking ? { cacheDirectory: "/own" } : {};
      const report = await runScan(host, scanner, options);
      assertEquals([report.result, hasCompleteList(report)], ["degraded", false], damage);
      const named = report.sources.filter(({ result }) => result !== "ok").map(({ name }) => name);
      assert(named.includes(name), `${damage}: ${named.join()}`);
      assertEquals(diffOf(report, reported).removed, []);
    }),
    { numRuns: 60 },
  );
});
