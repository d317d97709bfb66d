import { assertEquals, assertRejects } from "@std/assert";
import { chooseLists } from "../../../src/scanners/apt/list_choice.ts";
import { ScanError } from "../../../src/scanners/scanner.ts";
import { CommandError } from "../../../src/system/process.ts";
import { succeeded } from "../fixture.ts";
import { ArchiveHost, DAY_MS, HOSTS, HOUR_MS } from "./archive_host.ts";

/** A host that fetched everything these sources offer, at this age; they have published nothing since. */
function hostOf(names: readonly string[], ageMs = 0): ArchiveHost {
  const host = new ArchiveHost(...names);
  for (const name of names) host.publish(name, ageMs);
  host.fetchAsHost(ageMs);
  return host;
}

function asRoot(host: ArchiveHost): ArchiveHost {
  host.machine = { ...host.machine, userId: () => 0 };
  return host;
}

Deno.test("chooseLists() chooses the host's lists until they are a day old, to the second", async () => {
  const before = await hostOf(["alpha"], DAY_MS - 1_000).choose();
  assertEquals([before.lists, before.fetches], ["host's", 0]);
  const after = await hostOf(["alpha"], DAY_MS).choose();
  assertEquals([after.lists, after.fetches, after.ages], ["own", 1, ["alpha 0"]]);
});

Deno.test("chooseLists() has a gap for no source and for unparsed lines, and else none", async () => {
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

Deno.test("chooseLists() has no note about a directory that was not asked for", async () => {
  const host = hostOf(["alpha"]);
  for (const cacheDirectory of ["", "own"]) {
    assertEquals((await host.choose({ cacheDirectory })).notes, []);
  }
  host.files.fail("prepare the directory for apt", "full");
  assertEquals((await host.choose()).notes.length, 1);
});

Deno.test("chooseLists() reports whether there are unsigned lists with packages", async () => {
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

Deno.test("chooseLists() reports whether apt's cache is current for the chosen lists", async () => {
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

Deno.test("chooseLists() uses the paths in its options", async () => {
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

Deno.test("chooseLists() writes its record only when it changed", async () => {
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

Deno.test("chooseLists() checks only sources that published nothing for a day for newer lists", async () => {
  const host = new ArchiveHost("quiet", "busy", "flat", "code");
  host.sourceOnly.add("code");
  host.publish("quiet", DAY_MS);
  host.publish("code", DAY_MS);
  host.publish("busy", DAY_MS - 1_000);
  host.publish("flat", DAY_MS - 1_000, { hasRelease: false });
  host.fetchAsHost(HOUR_MS);
  const first = await host.choose();
  assertEquals([first.proofs, first.fetches, first.lists], [1, 0, "host's"]);
  assertEquals(first.ages, ["quiet 0", "busy 86399", "flat 86399", "code 86400"]);
  const young = new ArchiveHost("busy", "flat", "code");
  young.sourceOnly.add("code");
  young.publish("code", DAY_MS);
  young.publish("flat", DAY_MS, { hasRelease: false });
  young.fetchAsHost(HOUR_MS);
  const { proofs, lists } = await young.choose();
  // Without a Release file there is nothing to ask for but the lists themselves.
  assertEquals([proofs, lists], [0, "own"]);
});

Deno.test("chooseLists() fetches private lists where a source has newer ones than the host's of a day ago", async () => {
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
  assertEquals(await scan(0), [1, 1, "own", "alpha ok"], "newer, however short a time");
  assertEquals(await scan(DAY_MS), [1, 1, "own", "alpha ok"]);
  assertEquals(await scan(4 * DAY_MS), [1, 0, "host's", "alpha ok"], "a mirror that is behind");
  const path = `${HOSTS}/alpha.example_dists_s_InRelease`;
  const dated = host.files.texts.get(path) ?? "";
  host.files.texts.set(path, dated.replace(/^Date: .*$/m, ""));
  assertEquals(
    await scan(DAY_MS),
    [1, 1, "own", "alpha ok"],
    "the age of the host's lists is unknown",
  );
  host.files.texts.set(path, dated.replace(/^Date: .*$/m, "Date: Mon, 23 Nov 2037 00:00:00 UTC"));
  host.files.modifiedMs.set(path, Date.UTC(2037, 10, 23));
  assertEquals(await scan(DAY_MS), [1, 1, "own", "alpha ok"], "a clock was wrong");
  host.files.texts.set(path, dated);
  host.files.modifiedMs.set(path, host.clock.nowMs() - 3 * DAY_MS);
  host.refusals.set("alpha", "no route");
  host.publish("beta", 3 * DAY_MS);
  assertEquals(await scan(DAY_MS), [1, 0, "host's", "alpha failed"]);
});

Deno.test("chooseLists() backs off from a failed source, and reports why until it answers", async () => {
  const host = new ArchiveHost("alpha", "beta");
  host.publish("alpha", 3 * DAY_MS);
  host.fetchAsHost();
  host.publish("alpha", DAY_MS - HOUR_MS);
  assertEquals((await host.choose()).results, ["alpha ok", "beta ok"]);
  await host.clock.advance(DAY_MS);
  host.files.modifiedMs.set(HOSTS, host.clock.nowMs() - HOUR_MS);
  host.refusals.set("alpha", "no route");
  const first = await host.choose();
  assertEquals([first.proofs, first.fetches, first.lists], [1, 0, "host's"]);
  assertEquals(first.reported[0]?.[3], "no route", "and not that it has something newer");
  const second = await host.choose();
  assertEquals([second.proofs, second.fetches, second.reported[0]?.[3]], [0, 0, "no route"]);
});

Deno.test("chooseLists() reports that the host's lists are behind, where it cannot fetch newer ones", async () => {
  const host = new ArchiveHost("alpha", "beta");
  host.publish("alpha", 3 * DAY_MS);
  host.fetchAsHost(HOUR_MS);
  host.publish("alpha", DAY_MS);
  host.answers = { update: () => ({ ...succeeded("", "E: no room\n"), code: 100 }) };
  const { fetches, lists, reported } = await host.choose();
  assertEquals([fetches, lists], [1, "host's"]);
  assertEquals(reported.map(([, , , why]) => why), ["no room", "no room"]);
});

Deno.test("chooseLists() reports the age of the lists of each source by itself", async () => {
  const host = new ArchiveHost("alpha", "beta", "flat");
  host.publish("alpha", 3 * DAY_MS);
  host.publish("beta", 3 * DAY_MS);
  host.publish("flat", 0, { hasRelease: false });
  host.fetchAsHost(5 * HOUR_MS);
  const alone = await host.choose({ cacheDirectory: "" });
  assertEquals(alone.ages, ["alpha 259200", "beta 259200", "flat 0"]);
  assertEquals(alone.results, ["alpha old", "beta old", "flat ok"]);
  host.refusals.set("beta", "no route");
  const { ages, results } = await host.choose();
  assertEquals(results, ["alpha ok", "beta failed", "flat ok"]);
  assertEquals(ages, ["alpha 0", "beta 259200", "flat 0"], "others' say nothing of its lists");
  const refusing = asRoot(new ArchiveHost("flat"));
  refusing.publish("flat", 0, { hasRelease: false });
  refusing.fetchAsHost();
  refusing.refusals.set("flat", "no route");
  assertEquals((await refusing.choose({ refresh: true })).reported, [[
    "flat",
    "failed",
    0,
    "no route",
  ]]);
});

Deno.test("chooseLists() never uses the time of the directory as an age", async () => {
  const host = new ArchiveHost("alpha", "beta");
  host.publish("beta", 9 * DAY_MS);
  host.fetchAsHost();
  host.refusals.set("beta", "no route");
  asRoot(host);
  const refreshed = await host.choose({ refresh: true });
  assertEquals(refreshed.ages, ["alpha 0", `beta ${9 * 86_400}`]);
  const ageOfBeta = async (ageMs: number) => {
    host.files.modifiedMs.set(HOSTS, host.clock.nowMs() - ageMs);
    host.answers = { update: () => ({ ...succeeded("", "E: no room\n"), code: 100 }) };
    return (await host.choose()).ages[1];
  };
  assertEquals(await ageOfBeta(DAY_MS - 1_000), `beta ${9 * 86_400}`);
  assertEquals(await ageOfBeta(DAY_MS), `beta ${9 * 86_400}`);
  assertEquals(await ageOfBeta(0), `beta ${9 * 86_400}`);
});

Deno.test("chooseLists() records the failures of a refresh until the host fetches again", async () => {
  const host = asRoot(hostOf(["alpha", "beta"], HOUR_MS));
  host.publish("beta", 0, { validUntilMs: host.clock.nowMs() - 1 });
  const fresh = await host.choose({ refresh: true });
  assertEquals([fresh.lists, fresh.results], ["host's", ["alpha ok", "beta ok"]], "apt took them");
  host.refusals.set("alpha", "no route");
  assertEquals((await host.choose({ refresh: true })).results, ["alpha failed", "beta ok"]);
  assertEquals((await host.choose()).results, ["alpha failed", "beta ok"]);
  host.refusals.clear();
  await host.clock.advance(1_000);
  host.fetchAsHost();
  const later = await host.choose();
  assertEquals([later.proofs, later.fetches], [0, 0]);
  assertEquals(later.results, ["alpha ok", "beta ok"], "what was proven stays so");
});

Deno.test("chooseLists() refreshes as root without a directory, and reports where it may not", async () => {
  const root = asRoot(hostOf(["alpha"], 3 * DAY_MS));
  const { results, gaps, ages } = await root.choose({ refresh: true, cacheDirectory: "" });
  assertEquals([results, gaps, ages], [["alpha ok"], [], ["alpha 0"]]);
  const user = await hostOf(["alpha"]).choose({ refresh: true, cacheDirectory: "" });
  assertEquals(user.gaps, ["Cannot refresh the package lists: only root may"]);
  assertEquals((await hostOf(["alpha"]).choose({ cacheDirectory: "" })).gaps, []);
});

Deno.test("chooseLists() fetches lists again that the private directory has lost, hourly", async () => {
  const host = hostOf(["alpha", "code"], DAY_MS);
  host.sourceOnly.add("code");
  assertEquals((await host.choose()).lists, "own");
  for (const name of ["alpha", "code"]) host.drop(name, "/own/apt/lists");
  await host.clock.advance(HOUR_MS - 1_000);
  const lost = await host.choose();
  assertEquals([lost.fetches, lost.lists], [0, "host's"]);
  await host.clock.advance(1_000);
  const again = await host.choose();
  assertEquals([again.fetches, again.lists], [1, "own"]);
  assertEquals((await host.choose()).fetches, 0);
  host.drop("alpha", "/own/apt/lists", "Packages");
  await host.clock.advance(HOUR_MS);
  assertEquals((await host.choose()).fetches, 0, "its Release file is there");
});

Deno.test("chooseLists() copies the lists that the private directory lacks from the host, where useful", async () => {
  const host = hostOf(["alpha", "beta", "code"], DAY_MS);
  host.sourceOnly.add("code");
  host.refusals.set("beta", "no route");
  const { lists, results, ages } = await host.choose();
  assertEquals([lists, host.count("copy")], ["host's", 1], "the host's are ok, and a day old");
  assertEquals(results, ["alpha ok", "beta failed", "code not_asked"]);
  assertEquals(ages.slice(0, 2), ["alpha 86400", "beta 86400"]);
  const copied = host.asked.find(([program]) => program === "/usr/bin/cp") ?? [];
  assertEquals(copied.filter((word) => word.includes("alpha.")), []);
  const offline = hostOf(["alpha", "beta"], 3 * DAY_MS);
  for (const name of ["alpha", "beta"]) offline.refusals.set(name, "no route");
  assertEquals((await offline.choose()).lists, "host's");
  assertEquals(offline.count("copy"), 0, "none of its own: a copy would be the host's lists");
  const never = new ArchiveHost("alpha", "beta");
  never.refusals.set("beta", "no route");
  assertEquals([(await never.choose()).lists, never.count("copy")], ["own", 0], "there is nothing");
});

Deno.test("chooseLists() prefers lists of more sources, then fewer failures, then the newer ones", async () => {
  const bad = { validUntilMs: Date.UTC(2026, 0) };
  const chosen = async (
    hostAgeMs: number,
    beta: { publishedAgeMs: number; isOld?: boolean; isCopied?: boolean; seenAgeMs?: number },
  ) => {
    const host = new ArchiveHost("alpha", "beta");
    // What is fetched was published before.
    host.publish("alpha", hostAgeMs);
    host.publish("beta", Math.max(hostAgeMs, beta.publishedAgeMs), beta.isOld ? bad : {});
    host.fetchAsHost(hostAgeMs);
    if (beta.seenAgeMs !== undefined) {
      const path = `${HOSTS}/beta.example_dists_s_InRelease`;
      host.files.modifiedMs.set(path, host.clock.nowMs() - beta.seenAgeMs);
    }
    host.refusals.set("beta", "no route");
    if (beta.isCopied === false) host.answers = { copy: () => succeeded("") };
    return (await host.choose()).lists;
  };
  const day = { publishedAgeMs: DAY_MS };
  assertEquals(await chosen(3 * DAY_MS, { ...day, isCopied: false }), "host's", "of more sources");
  assertEquals(await chosen(3 * DAY_MS, day), "own", "one failure, not two old ones");
  assertEquals(await chosen(DAY_MS, day), "host's", "no failure");
  const old = { ...day, isOld: true };
  assertEquals(await chosen(DAY_MS + HOUR_MS, old), "own", "one each, and younger");
  assertEquals(await chosen(DAY_MS, old), "own", "one each, and as old");
  const seen = { ...old, seenAgeMs: DAY_MS - HOUR_MS };
  assertEquals(await chosen(DAY_MS - HOUR_MS, seen), "host's", "one each, and older");
});

Deno.test("chooseLists() ignores sources that no update comes from", async () => {
  const host = new ArchiveHost("alpha", "code");
  host.sourceOnly.add("code");
  host.publish("code", 9 * DAY_MS);
  host.fetchAsHost(DAY_MS);
  assertEquals((await host.choose()).lists, "own", "however old they are");
  host.files.texts.delete("/own/apt/sources.json");
  host.drop("code", "/own/apt/lists");
  host.refusals.set("code", "it is a medium");
  assertEquals((await host.choose()).lists, "own", "though only the host has them");
});

Deno.test("chooseLists() without any list chooses the host's", async () => {
  const host = new ArchiveHost("alpha");
  host.refusals.set("alpha", "no route");
  const { lists, reported } = await host.choose();
  assertEquals([lists, reported], ["host's", [["alpha", "failed", null, "no route"]]]);
});

Deno.test("chooseLists() as an ordinary user does not count a refusal as an answer", async () => {
  const results = async (why: string, isRoot = false) => {
    const host = new ArchiveHost("alpha");
    host.publish("alpha", 2 * DAY_MS);
    host.fetchAsHost();
    host.refusals.set("alpha", why);
    return (await (isRoot ? asRoot(host) : host).choose()).results;
  };
  for (const why of ["401  Unauthorized", "403 Forbidden", "407 Proxy", "Permission DENIED"]) {
    assertEquals(await results(why), ["alpha ok"], why);
    assertEquals(await results(why, true), ["alpha failed"], why);
  }
  for (const why of ["404  Not Found", "14010 is odd", "402", "no route"]) {
    assertEquals(await results(why), ["alpha failed"], why);
  }
});

/** What is run while lists are chosen, on a host for which it is. */
const RUNS = [
  ["update", () => asRoot(hostOf(["alpha"])), { refresh: true }],
  ["update", () => hostOf(["alpha"], DAY_MS), {}],
  ["releases", () => {
    const host = new ArchiveHost("alpha");
    host.publish("alpha", 2 * DAY_MS);
    host.fetchAsHost();
    return host;
  }, {}],
  ["copy", () => {
    const host = hostOf(["alpha", "beta"], 3 * DAY_MS);
    host.refusals.set("beta", "no route");
    return host;
  }, {}],
] as const;

for (const [question, makeHost, options] of RUNS) {
  const title = `${question}${"refresh" in options ? " of the host's own" : ""}`;
  Deno.test(`chooseLists() continues where ${title} fails, ends with its signal, and passes programming errors on`, async () => {
    const failing = (error: Error) => {
      const host = makeHost();
      host.answers = {
        [question]: () => {
          throw error;
        },
      };
      return host;
    };
    const error = new CommandError("it was ended", { reason: "aborted" });
    const { reported, gaps } = await failing(error).choose(options);
    const words = [...gaps, ...reported.map(([, , , why]) => why)].join();
    assertEquals(words.includes("it was ended"), question !== "copy", words);
    const signal = AbortSignal.abort();
    await assertRejects(() => failing(error).choose({ ...options, signal }), ScanError);
    await assertRejects(() => failing(new TypeError("oops")).choose(options), TypeError, "oops");
  });
}
