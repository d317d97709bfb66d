import { assert, assertEquals, assertRejects } from "@std/assert";
import { MIXED_URIS, uriLine } from "./host.ts";
import {
  inspectLists,
  isCurrentCache,
  joinReleases,
  judgeSource,
  listFiles,
  listsFetchedMs,
  newestPlausible,
  type SourceFetch,
  type SourceLists,
  stateStamp,
} from "../../../src/scanners/apt/lists.ts";
import { type AptSource, parseSources } from "../../../src/scanners/apt/sources.ts";
import { FakeFiles } from "../../fakes/files.ts";
import { FakeSystem } from "../../fakes/system.ts";

const PLACES = { aptStateDirectory: "/apt", aptCacheDirectory: "/cache", dpkgDirectory: "/dpkg" };
const PURPOSE = "look at the package lists";

function systemWith(...names: string[]): FakeSystem {
  const system = new FakeSystem();
  for (const name of names) system.files.texts.set(`/apt/lists/${name}`, "");
  return system;
}

Deno.test("listsFetchedMs() is the later of the directory's time and the stamp's, never an attempt's", async () => {
  const system = systemWith();
  assertEquals(await listsFetchedMs(system, PLACES), null);
  const put = (path: string, modifiedMs: number) => {
    system.files.texts.set(path, "");
    system.files.modifiedMs.set(path, modifiedMs);
  };
  put("/apt/lists/partial", 9_000);
  put("/apt/lists", 1_000);
  assertEquals(await listsFetchedMs(system, PLACES), 1_000);
  put("/apt/periodic/update-success-stamp", 2_000);
  assertEquals(await listsFetchedMs(system, PLACES), 2_000);
  put("/apt/lists", 3_000);
  assertEquals(await listsFetchedMs(system, PLACES), 3_000);
});

Deno.test("isCurrentCache() is true for a cache that is no older than lists and packages", async () => {
  const system = systemWith("a_Packages");
  const isCurrent = () => isCurrentCache(system, PLACES, "/cache/pkgcache.bin");
  system.files.texts.set("/dpkg/status", "");
  system.files.modifiedMs.set("/apt/lists", 5);
  system.files.modifiedMs.set("/dpkg/status", 7);
  assertEquals(await isCurrent(), false);
  system.files.texts.set("/cache/pkgcache.bin", "");
  for (const [modifiedMs, expected] of [[4, false], [6, false], [7, true]] as const) {
    system.files.modifiedMs.set("/cache/pkgcache.bin", modifiedMs);
    assertEquals(await isCurrent(), expected, `${modifiedMs}`);
  }
});

Deno.test("isCurrentCache() is false without a cache, and true for one without lists and packages", async () => {
  const system = new FakeSystem();
  const isCurrent = () => isCurrentCache(system, PLACES, "/cache/pkgcache.bin");
  assertEquals(await isCurrent(), false);
  system.files.texts.set("/cache/pkgcache.bin", "");
  assertEquals(await isCurrent(), true);
});

Deno.test("listFiles() returns the names with a prefix, and none where the directory cannot be read", async () => {
  const system = systemWith("a_InRelease", "a_main_Packages.lz4", "b_InRelease", "lock");
  assertEquals((await listFiles(system, "/apt/lists", ["a_"])).toSorted(), [
    "/apt/lists/a_InRelease",
    "/apt/lists/a_main_Packages.lz4",
  ]);
  assertEquals((await listFiles(system, "/apt/lists", ["a_", "b_"])).length, 3);
  assertEquals(await listFiles(system, "/apt/lists", []), []);
  system.files.fail(PURPOSE, "denied");
  assertEquals(await listFiles(system, "/apt/lists", ["a_"]), []);
});

Deno.test("stateStamp() changes with the lists and with the installed packages", async () => {
  const system = systemWith();
  const stamps = [await stateStamp(system, PLACES)];
  for (const path of ["/apt/lists", "/dpkg/status"]) {
    system.files.texts.set(path, "");
    for (const modifiedMs of [1, 2]) {
      system.files.modifiedMs.set(path, modifiedMs);
      stamps.push(await stateStamp(system, PLACES));
    }
  }
  assertEquals(new Set(stamps).size, 5, stamps.join(", "));
});

Deno.test("lists that cannot be inspected have no time, and programming errors are passed on", async () => {
  const system = systemWith("a_Packages");
  system.files.fail(PURPOSE, "denied");
  assertEquals(await listsFetchedMs(system, PLACES), null);
  const broken = () => Promise.reject(new TypeError("oops"));
  system.files.list = broken;
  system.files.inspect = broken;
  await assertRejects(() => listFiles(system, "/apt/lists", [""]), TypeError, "oops");
  await assertRejects(() => listsFetchedMs(system, PLACES), TypeError, "oops");
});

const SUM = "a".repeat(64);
const RELEASE = "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\n" +
  "Date: Sun, 22 Nov 2026 08:00:00 UTC\nValid-Until: Sun, 29 Nov 2026 08:00:00 UTC\nSHA256:\n" +
  ` ${SUM} 12 main/binary-amd64/Packages\n ${SUM} 12 main/binary-all/Packages\n`;

const SOURCE: AptSource = {
  name: "http://x s",
  address: "http://x/dists/s/",
  prefix: "x_dists_s_",
  lists: ["x_dists_s_main_binary-amd64_Packages", "x_dists_s_main_binary-all_Packages"],
};

async function look(texts: Record<string, string>, source = SOURCE): Promise<SourceLists> {
  const files = new FakeFiles();
  for (const [name, text] of Object.entries(texts)) files.texts.set(`/l/${name}`, text);
  const found = await inspectLists({ files }, "/l", [source]);
  return found.get(source.prefix)!;
}

Deno.test("inspectLists() reports which lists of a source are there, packed or not, and which are missing", async () => {
  const packages = "x_dists_s_main_binary-amd64_Packages";
  const none = await look({ "y_InRelease": RELEASE });
  assertEquals([none.hasRelease, none.hasPackages, none.absent], [false, false, []]);
  for (const ending of ["", ".lz4", ".xz"]) {
    const whole = await look({ "x_dists_s_InRelease": RELEASE, [packages + ending]: "" });
    assertEquals([whole.isSigned, whole.hasPackages, whole.absent], [true, true, []]);
    assertEquals(whole.release?.suite, "stable-security");
    assertEquals(whole.publishedMs, Date.UTC(2026, 10, 22, 8));
  }
  const half = await look({ "x_dists_s_Release": RELEASE });
  assertEquals([half.isSigned, half.hasPackages, half.absent], [
    false,
    false,
    ["main/binary-amd64/Packages"],
  ]);
  const signed = await look({ "x_dists_s_Release": RELEASE, "x_dists_s_Release.gpg": "" });
  assertEquals(signed.isSigned, true);
  const flat = await look({ [packages]: "" });
  assertEquals({
    hasRelease: flat.hasRelease,
    hasPackages: flat.hasPackages,
    isSigned: flat.isSigned,
  }, { hasRelease: false, hasPackages: true, isSigned: false });
});

Deno.test("inspectLists() dates lists without a date by their files", async () => {
  const files = new FakeFiles();
  files.texts.set("/l/x_dists_s_InRelease", RELEASE.replace(/^Date: .*$/m, ""));
  files.modifiedMs.set("/l/x_dists_s_InRelease", 7_000);
  const found = await inspectLists({ files }, "/l", [SOURCE]);
  assertEquals(found.get(SOURCE.prefix)?.publishedMs, 7_000);
});

Deno.test("inspectLists() dates lists by nothing but their own files", async () => {
  const files = new FakeFiles();
  const put = (name: string, text: string, modifiedMs: number) => {
    files.texts.set(`/l/${name}`, text);
    files.modifiedMs.set(`/l/${name}`, modifiedMs);
  };
  const times = async () =>
    (await inspectLists({ files }, "/l", [SOURCE])).get(SOURCE.prefix)?.timesMs;
  put("y_dists_s_InRelease", RELEASE, 9_000);
  files.modifiedMs.set("/l", 9_000);
  assertEquals(await times(), []);
  put("x_dists_s_main_binary-amd64_Packages.lz4", "", 5_000);
  put("x_dists_s_main_binary-all_Packages", "", 6_000);
  assertEquals(await times(), [5_000, 6_000], "a flat archive's");
  put("x_dists_s_InRelease", RELEASE, 7_000);
  assertEquals(await times(), [Date.UTC(2026, 10, 22, 8), 7_000]);
  put("x_dists_s_InRelease", RELEASE.replace(/^Date: .*$/m, ""), 7_000);
  assertEquals(await times(), [7_000]);
});

Deno.test("newestPlausible() skips times that a wrong clock wrote", () => {
  const day = 86_400_000;
  assertEquals(newestPlausible([], 0), null);
  assertEquals(newestPlausible([-5, -3, day + 1], 0), -3);
  assertEquals(newestPlausible([-5, day], 0), day);
  assertEquals(newestPlausible([3 * day, 2 * day], 0), 2 * day);
});

Deno.test("inspectLists() finds a list under the name that its Release file has for it", async () => {
  const source = { ...SOURCE, lists: ["x_dists_s_non%5ffree_binary-amd64_Packages"] };
  const release = RELEASE.replace("main/binary-amd64", "non_free/binary-amd64");
  const { absent } = await look({ "x_dists_s_InRelease": release }, source);
  assertEquals(absent, ["non_free/binary-amd64/Packages"]);
});

Deno.test("inspectLists() finds no Release file where it is removed meanwhile", async () => {
  const files = new FakeFiles();
  files.texts.set("/l/x_dists_s_InRelease", RELEASE);
  files.readTextAndFacts = () => Promise.resolve(undefined);
  const lists = (await inspectLists({ files }, "/l", [SOURCE])).get(SOURCE.prefix);
  assertEquals({
    hasRelease: lists?.hasRelease,
    release: lists?.release,
    unreadable: lists?.unreadable,
  }, { hasRelease: false, release: null, unreadable: null });
});

Deno.test("inspectLists() reports files that cannot be read, and passes programming errors on", async () => {
  const files = new FakeFiles();
  files.texts.set("/l/x_dists_s_InRelease", "x".repeat(4_194_305));
  const found = await inspectLists({ files }, "/l", [SOURCE]);
  assert(found.get(SOURCE.prefix)?.unreadable?.includes("too large"));
  files.fail("look at the package lists", "denied");
  assertEquals(
    (await inspectLists({ files }, "/l", [SOURCE])).get(SOURCE.prefix)?.hasRelease,
    false,
  );
  files.heal("look at the package lists");
  files.readTextAndFacts = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => inspectLists({ files }, "/l", [SOURCE]), TypeError, "oops");
  files.list = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => inspectLists({ files }, "/l", [SOURCE]), TypeError, "oops");
});

const NOW = Date.UTC(2026, 10, 23);
const HOUR_MS = 3_600_000;

Deno.test("judgeSource() reports whether the lists of a source are there and current", async () => {
  const packages = { "x_dists_s_main_binary-amd64_Packages": "" };
  const good = await look({ ...packages, "x_dists_s_InRelease": RELEASE });
  const expired = await look({
    ...packages,
    "x_dists_s_InRelease": RELEASE.replace("29 Nov", "22 Nov"),
  });
  const fetch = { fetchedMs: NOW, isProven: false, failure: null };
  const judge = (
    lists: SourceLists,
    more: Partial<typeof fetch> | { failure: string },
    source = SOURCE,
  ) => {
    const judged = judgeSource(source, lists, { ...fetch, ...more }, { enabled: [], nowMs: NOW });
    return [judged.result, judged.why, judged.metadataAgeS];
  };
  assertEquals(judge(good, {}), ["ok", null, 0]);
  assertEquals(judge(good, { fetchedMs: NOW - 48 * HOUR_MS }), ["ok", null, 172_800]);
  assertEquals(judge(good, { fetchedMs: NOW - 49 * HOUR_MS }), [
    "old",
    "its lists are 49 hours old, by their own dates",
    176_400,
  ]);
  assertEquals(judge(good, { failure: "401" }), ["failed", "401", 0]);
  assertEquals(judge(expired, {}), ["old", "its lists expired on 2026-11-22", 0]);
  assertEquals(judge(expired, { isProven: true }), ["ok", null, 0], "apt itself took them");
  const missing = 'no package lists yet: run "apt-get update"';
  assertEquals(judge(await look({}), {}), ["missing", missing, null]);
  const half = await look({ "x_dists_s_InRelease": RELEASE });
  assertEquals(judge(half, {}), [
    "missing",
    "no main/binary-amd64/Packages among its lists",
    0,
  ]);
  assertEquals(judge(await look({}), {}, { ...SOURCE, lists: [] }), ["not_asked", null, null]);
  const medium = { ...SOURCE, address: "cdrom://[x]/dists/s/" };
  assertEquals(judge(await look({}), { failure: "no" }, medium), ["not_asked", null, null]);
});

Deno.test("judgeSource() judges lists without dates by the last fetch", async () => {
  const packages = { "x_dists_s_main_binary-amd64_Packages": "" };
  const known = { fetchedMs: NOW, isProven: false, failure: null };
  const judge = (lists: SourceLists, fetch: SourceFetch = known, nowMs = NOW) => {
    const judged = judgeSource(SOURCE, lists, fetch, { enabled: [], nowMs });
    return [judged.result, judged.why, judged.metadataAgeS, judged.expiresAtMs];
  };
  const whole = await look({ ...packages, "x_dists_s_InRelease": RELEASE });
  const untimed = { ...known, fetchedMs: null };
  const expiresAtMs = Date.UTC(2026, 10, 29, 8);
  assertEquals(judge(whole, untimed), ["old", "its lists are of unknown age", null, expiresAtMs]);
  assertEquals(judge(whole, { ...known, fetchedMs: NOW + HOUR_MS }), ["ok", null, 0, expiresAtMs]);
  for (const hours of [25, 24 * 1_000]) {
    const why = "its lists are dated in the future: a clock is or was wrong";
    const ahead = { ...known, fetchedMs: NOW + hours * HOUR_MS };
    assertEquals(judge(whole, ahead), ["old", why, null, expiresAtMs]);
  }
  assertEquals(judge(whole, { ...known, fetchedMs: NOW + 24 * HOUR_MS })[0], "ok");
  const onTime = { ...known, fetchedMs: expiresAtMs };
  assertEquals(judge(whole, onTime, expiresAtMs)[0], "ok");
  assertEquals(judge(whole, onTime, expiresAtMs + 1)[0], "old");
  const endless = RELEASE.replace(/^Valid-Until: .*\n/m, "");
  const undated = await look({ ...packages, "x_dists_s_InRelease": endless });
  assertEquals(judge(undated), ["ok", null, 0, null]);
  assertEquals(judge(await look(packages)), ["ok", null, 0, null], "a flat archive's");
  const unreadable = { ...whole, release: null, unreadable: "Cannot read it" };
  assertEquals(judge(unreadable), ["failed", "Cannot read it", 0, null]);
});

Deno.test("judgeSource() reports whether a source marks its security updates, where its origin is known", async () => {
  const marks = async (texts: Record<string, string>) => {
    const fetch = { fetchedMs: NOW, isProven: false, failure: null };
    return judgeSource(SOURCE, await look(texts), fetch, { enabled: [], nowMs: NOW }).marksSecurity;
  };
  assertEquals(await marks({ "x_dists_s_InRelease": RELEASE }), true);
  assertEquals(await marks({ "x_dists_s_InRelease": "Origin: Vendor\nSuite: stable\n" }), false);
  assertEquals(await marks({}), null);
});

/** A medium may have any name. */
const DISC = uriLine(
  "cdrom://[My Packages 1]/dists/s/InRelease",
  "My%20Packages_dists_s_InRelease",
);

Deno.test("joinReleases() finds the release of a package file, whatever its name", () => {
  const { sources } = parseSources(MIXED_URIS + DISC);
  const lists = new Map(sources.map((source, index) => {
    const release = {
      origin: source.name,
      label: null,
      suite: null,
      codename: null,
      version: null,
    };
    const known = { ...release, dateMs: null, validUntilMs: null, isNotAutomatic: false };
    const found: SourceLists = {
      release: index === 3 ? null : known,
      hasRelease: true,
      isSigned: true,
      publishedMs: null,
      timesMs: [],
      hasPackages: true,
      absent: [],
      unreadable: null,
    };
    return [source.prefix, found];
  }));
  const releases = joinReleases(sources, lists);
  assertEquals(releases.enabled.length, 5);
  const rows: [file: string, origin: string | undefined][] = [
    ["http://deb.example/debian s/main amd64 Packages", "http://deb.example/debian s"],
    ["http://127.0.0.1:9/flat ./ Packages", "http://127.0.0.1:9/flat/./"],
    ["cdrom://[Debian 12 _x_ - amd64] s/main amd64 Packages", "cdrom://[Debian 12 _x_ - amd64] s"],
    ["cdrom://[My Packages 1] s/main amd64 Packages", "cdrom://[My Packages 1] s"],
    ["file:/srv/deb stable/updates/main amd64 Packages", "file:/srv/deb stable/updates"],
    ["http://src.example/y s/main amd64 Packages", undefined],
    ["/var/lib/dpkg/status", undefined],
  ];
  for (const [file, origin] of rows) {
    assertEquals(releases.of(file)?.origin ?? undefined, origin, file);
  }
});
