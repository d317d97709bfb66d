import { assertEquals, assertRejects } from "@std/assert";
import { chooseLists } from "../../src/scanners/apt_list_source.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import { CommandError } from "../../src/system/process.ts";
import { ArchiveHost, DAY_MS, HOSTS, HOUR_MS } from "./apt_archive_host.ts";
import { succeeded } from "./fixture.ts";

/** A host that fetched all of what these sources offer, so long ago. */
function hostOf(names: readonly string[], ageMs = 0): ArchiveHost {
  const host = new ArchiveHost(...names);
  host.fetchAsHost(ageMs);
  return host;
}

function asRoot(host: ArchiveHost): ArchiveHost {
  host.machine = { ...host.machine, userId: () => 0 };
  return host;
}

Deno.test("chooseLists() takes the host's lists until they are a day old, to the second", async () => {
  const before = await hostOf(["alpha"], DAY_MS - 1_000).choose();
  assertEquals([before.lists, before.fetches], ["host's", 0]);
  const after = await hostOf(["alpha"], DAY_MS).choose();
  assertEquals([after.lists, after.fetches, after.ages], ["own", 1, ["alpha 0"]]);
});

Deno.test("chooseLists() tells of no source and of lines that are none, and of nothing where all is well", async () => {
  const none = "No package source is enabled: no update can be known";
  const host = hostOf(["alpha", "code"]);
  host.sourceOnly.add("code");
  const one = await host.choose();
  assertEquals([one.results, one.gaps, one.notes], [["alpha ok", "code not_asked"], [], []]);
  host.sourceOnly.add("alpha");
  assertEquals((await host.choose()).gaps, [none]);
  host.answers = { sources: () => succeeded("'http://x' damaged\n") };
  assertEquals((await host.choose()).gaps, [none, "Package sources that were not understood: 1"]);
});

Deno.test("chooseLists() has no note of a directory that nobody wanted", async () => {
  const host = hostOf(["alpha"]);
  for (const cacheDirectory of ["", "own"]) {
    assertEquals((await host.choose({ cacheDirectory })).notes, []);
  }
  host.files.fail("prepare the directory for apt", "full");
  assertEquals((await host.choose()).notes.length, 1);
});

Deno.test("chooseLists() says whether there are packages that nothing vouches for", async () => {
  const host = new ArchiveHost("alpha", "beta");
  const isUnsigned = async () => (await host.choose()).mayBeUnsigned;
  host.fetchAsHost();
  assertEquals(await isUnsigned(), false);
  host.publish("beta", 0, { isSigned: false });
  host.fetchAsHost();
  assertEquals(await isUnsigned(), true, "one of two");
  host.drop("beta", HOSTS, "Packages");
  assertEquals((await host.choose({ cacheDirectory: "" })).mayBeUnsigned, false, "none of it");
});

Deno.test("chooseLists() says whether apt's cache is that of the lists which it chose", async () => {
  const host = hostOf(["alpha"], HOUR_MS);
  const isThere = async (path: string) => {
    host.files.texts.set(path, "");
    host.files.modifiedMs.set(path, host.clock.nowMs());
    return (await host.choose()).hasCache;
  };
  assertEquals((await host.choose()).hasCache, false);
  assertEquals(await isThere("/own/apt/cache/pkgcache.bin"), false, "that of its own lists");
  assertEquals(await isThere("/own/apt/cache/host-pkgcache.bin"), true);
  host.files.texts.delete("/own/apt/cache/host-pkgcache.bin");
  assertEquals(await isThere("/var/cache/apt/pkgcache.bin"), true);
  host.files.modifiedMs.set("/var/cache/apt/pkgcache.bin", 0);
  assertEquals((await host.choose()).hasCache, false, "an old one");
  const own = hostOf(["alpha"], DAY_MS);
  assertEquals((await own.choose()).hasCache, false);
  own.files.texts.set("/own/apt/cache/pkgcache.bin", "");
  own.files.modifiedMs.set("/own/apt/cache/pkgcache.bin", own.clock.nowMs());
  assertEquals((await own.choose()).hasCache, true);
});

Deno.test("chooseLists() looks where its options say", async () => {
  const host = hostOf(["alpha"]);
  const options = {
    aptStateDirectory: "/else/apt",
    aptCacheDirectory: "/else/cache",
    dpkgDirectory: "/else/dpkg",
  };
  const elsewhere = await chooseLists(host, {}, options);
  assertEquals(elsewhere.places, options);
  assertEquals(elsewhere.sources.map(({ result }) => result), ["missing"]);
  host.files.texts.set("/else/cache/pkgcache.bin", "");
  assertEquals((await chooseLists(host, {}, options)).hasCache, true);
  assertEquals((await chooseLists(host, {}, {})).places, {
    aptStateDirectory: "/var/lib/apt",
    aptCacheDirectory: "/var/cache/apt",
    dpkgDirectory: "/var/lib/dpkg",
  });
});

Deno.test("chooseLists() keeps what it found out when there is something new, and writes nothing else", async () => {
  const host = hostOf(["alpha"]);
  await host.choose();
  assertEquals((await host.choose()).fetches, 0);
  assertEquals(host.writes, 0, "young lists");
  await host.clock.advance(DAY_MS);
  assertEquals((await host.choose()).fetches, 1);
  assertEquals(host.writes, 1);
  assertEquals([(await host.choose()).lists, host.writes], ["own", 0], "fetched today");
  host.fetchAsHost();
  assertEquals((await host.choose()).proofs, 1);
  assertEquals(host.writes, 1);
  assertEquals([(await host.choose()).proofs, host.writes], [0, 0], "asked today");
});

Deno.test("chooseLists() asks sources that published nothing for a day, and no others, whether that is all", async () => {
  const host = new ArchiveHost("quiet", "busy", "flat", "code");
  host.sourceOnly.add("code");
  host.publish("quiet", DAY_MS);
  host.publish("code", DAY_MS);
  host.publish("busy", DAY_MS - 1_000);
  host.publish("flat", DAY_MS, { hasRelease: false });
  host.fetchAsHost(HOUR_MS);
  const first = await host.choose();
  assertEquals([first.proofs, first.fetches, first.lists], [1, 0, "host's"]);
  assertEquals(first.ages, ["quiet 0", "busy 3600", "flat 3600", "code 3600"]);
  host.publish("quiet", DAY_MS - 1_000);
  const young = new ArchiveHost("busy", "flat", "code");
  young.sourceOnly.add("code");
  young.publish("code", DAY_MS);
  young.publish("flat", DAY_MS, { hasRelease: false });
  young.fetchAsHost(HOUR_MS);
  assertEquals((await young.choose()).proofs, 0);
});

Deno.test("chooseLists() fetches its own where a source has had something newer for a day", async () => {
  const host = new ArchiveHost("alpha", "beta");
  host.publish("alpha", 3 * DAY_MS);
  host.fetchAsHost(HOUR_MS);
  const scan = async (newAgeMs: number) => {
    host.files.texts.delete("/own/apt/sources.json");
    host.publish("alpha", newAgeMs);
    const { proofs, fetches, lists, results } = await host.choose();
    return [proofs, fetches, lists, results[0]];
  };
  assertEquals(await scan(3 * DAY_MS), [1, 0, "host's", "alpha ok"], "nothing newer");
  assertEquals(await scan(DAY_MS - 1_000), [1, 0, "host's", "alpha ok"], "newer for less");
  assertEquals(await scan(DAY_MS), [1, 1, "own", "alpha ok"]);
  assertEquals(await scan(4 * DAY_MS), [1, 0, "host's", "alpha ok"], "a mirror that is behind");
});

Deno.test("chooseLists() says of the host's lists that they are behind, where it cannot have newer ones", async () => {
  const host = new ArchiveHost("alpha", "beta");
  host.publish("alpha", 3 * DAY_MS);
  host.fetchAsHost(HOUR_MS);
  host.publish("alpha", DAY_MS);
  host.answers = { update: () => ({ ...succeeded("", "E: no room\n"), code: 100 }) };
  const { fetches, lists, told } = await host.choose();
  assertEquals([fetches, lists], [1, "host's"]);
  assertEquals(told.map(([, , , why]) => why), ["no room", "no room"]);
});
