import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  type AptSource,
  byAddress,
  findSource,
  inspectLists,
  isAsked,
  isMedium,
  joinReleases,
  judgeSource,
  newestBelieved,
  parseSources,
  type SourceFetch,
  type SourceLists,
} from "../../../src/scanners/apt/sources.ts";
import { FakeFiles } from "../../fakes/files.ts";
import { readFixture } from "../fixture.ts";

const line = (uri: string, file: string) => `'${uri}' ${file} 0 \n`;

const MIXED = [
  line(
    "http://me:s3cret@deb.example/debian/dists/s/InRelease",
    "deb.example_debian_dists_s_InRelease",
  ),
  line("cdrom://[Debian 12 _x_ - amd64]/dists/s/InRelease", "Debian%2012_dists_s_InRelease"),
  line("http://127.0.0.1:9/flat/./InRelease", "127.0.0.1:9_flat_._InRelease"),
  line("http://src.example/y/dists/s/InRelease", "src.example_y_dists_s_InRelease"),
  line("file:/srv/deb/dists/stable/updates/InRelease", "_srv_deb_dists_stable_updates_InRelease"),
  line(
    "http://me:s3cret@deb.example/debian/dists/s/main/binary-amd64/Packages.xz",
    "deb.example_debian_dists_s_main_binary-amd64_Packages",
  ),
  line("cdrom://[Debian 12 _x_ - amd64]/x.xz", "Debian%2012_dists_s_main_binary-amd64_Packages"),
  line("http://127.0.0.1:9/flat/./Packages.xz", "127.0.0.1:9_flat_._Packages"),
  line("http://src.example/y/x.xz", "src.example_y_dists_s_main_source_Sources"),
  line("file:/srv/deb/x.xz", "_srv_deb_dists_stable_updates_main_binary-amd64_Packages"),
].join("");

/** A medium may be called anything. */
const DISC = line("cdrom://[My Packages 1]/dists/s/InRelease", "My%20Packages_dists_s_InRelease");

Deno.test("parseSources() names every source, without its password, and tells what is asked of it", () => {
  const { sources, unparsed } = parseSources(MIXED);
  assertEquals(unparsed, 0);
  assertEquals(sources.map(({ name }) => name), [
    "http://deb.example/debian s",
    "cdrom://[Debian 12 _x_ - amd64] s",
    "http://127.0.0.1:9/flat/./",
    "http://src.example/y s",
    "file:/srv/deb stable/updates",
  ]);
  assertEquals(sources.map(isAsked), [true, false, true, false, true]);
  assertEquals(sources.map(isMedium), [false, true, false, false, false]);
  assert(!JSON.stringify(sources).includes("s3cret"));
});

Deno.test("parseSources() reads those of Debian 12, and counts lines that it cannot read", () => {
  const { sources, unparsed } = parseSources(readFixture("apt", "debian12_sources.txt"));
  assertEquals(sources.map(({ name, lists }) => [name, lists.length]), [
    ["http://deb.debian.org/debian bookworm", 2],
    ["http://deb.debian.org/debian bookworm-updates", 2],
    ["http://deb.debian.org/debian-security bookworm-security", 2],
  ]);
  assertEquals(unparsed, 0);
  const damaged = [
    "'http://x' a b c d e",
    "'x/InRelease' ../a_InRelease 0 ",
    "'http://x/dists/s/InRelease' x_dists_s_InRelease 0 MD5Sum:00 more",
    "'http://x/dists/s/InRelease'",
  ];
  for (const text of damaged) {
    assertEquals(parseSources(`${text}\n`), { sources: [], unparsed: 1 }, text);
  }
  assertEquals(parseSources("Reading package lists...\n\n").unparsed, 0, "no source at all");
  fc.assert(fc.property(fc.string(), (text) => void parseSources(text)));
});

Deno.test("parseSources() knows what a file is by its end, and whose it is by its beginning", () => {
  const site = "http://x.example/Release-2";
  const text = line(`${site}/dists/s/InRelease`, "x.example_Release-2_dists_s_InRelease") +
    line(`${site}/dists/s/main/InRelease`, "x.example_Release-2_dists_s_main_InRelease") +
    line(`${site}/dists/s/Release`, "x.example_Release-2_dists_s_Release") +
    line(`${site}/a.xz`, "x.example_Release-2_dists_s_main_binary-amd64_Packages") +
    line(`${site}/b.xz`, "x.example_Release-2_dists_s_x_binary-amd64_Packages") +
    line(`${site}/c.xz`, "x.example_Release-2_dists_s_x_i18n_Packages-en") +
    line(`${site}/d.xz`, "of.nobody_Packages");
  assertEquals(parseSources(text).sources.map(({ name, lists }) => [name, lists]), [
    [`${site} s`, ["x.example_Release-2_dists_s_x_binary-amd64_Packages"]],
    [`${site} s/main`, ["x.example_Release-2_dists_s_main_binary-amd64_Packages"]],
  ]);
});

Deno.test("parseSources() leaves out a user where apt does, before the host", () => {
  const nameOf = (uri: string) =>
    parseSources(line(`${uri}/dists/s/InRelease`, "x_InRelease")).sources[0]?.name;
  assertEquals(nameOf("https://me:pw@deb.example/debian"), "https://deb.example/debian s");
  assertEquals(nameOf("mirror+http://me@deb.example/debian"), "mirror+http://deb.example/debian s");
  const cache = "http://cache.example/http://a@deb.example/debian";
  assertEquals(nameOf(cache), `${cache} s`, "the name that apt has for it");
});

Deno.test("findSource() knows a source by the words that apt uses for it", () => {
  const sources = byAddress(parseSources(MIXED).sources);
  const rows: [site: string, rest: string, name: string | undefined][] = [
    ["http://deb.example/debian", "s", "http://deb.example/debian s"],
    ["http://deb.example/debian", "s/main", "http://deb.example/debian s"],
    ["http://deb.example/debian", "s/non-free/x", "http://deb.example/debian s"],
    ["http://127.0.0.1:9/flat", "./", "http://127.0.0.1:9/flat/./"],
    ["file:/srv/deb", "stable/updates/main", "file:/srv/deb stable/updates"],
    ["file:/srv/deb", "stable/other", undefined],
    ["http://deb.example/debian", "sx", undefined],
    ["http://deb.example/debian", "sx/main", undefined],
    ["http://127.0.0.1:9/flat/", "./", "http://127.0.0.1:9/flat/./"],
    ["http://deb.example/debian/", "s", "http://deb.example/debian s"],
    ["http://other.example/debian", "s", undefined],
  ];
  for (const [site, rest, name] of rows) assertEquals(findSource(sources, site, rest)?.name, name);
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

Deno.test("inspectLists() tells what is there of a source, packed or not, and what is missing", async () => {
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
  assertEquals([flat.hasRelease, flat.hasPackages, flat.isSigned], [false, true, false]);
});

Deno.test("inspectLists() knows of when lists are that do not say", async () => {
  const files = new FakeFiles();
  files.texts.set("/l/x_dists_s_InRelease", RELEASE.replace(/^Date: .*$/m, ""));
  files.modifiedMs.set("/l/x_dists_s_InRelease", 7_000);
  const found = await inspectLists({ files }, "/l", [SOURCE]);
  assertEquals(found.get(SOURCE.prefix)?.publishedMs, 7_000);
});

Deno.test("inspectLists() knows when the archive had lists by nothing but their own files", async () => {
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

Deno.test("newestBelieved() passes over times that a wrong clock wrote", () => {
  const day = 86_400_000;
  assertEquals(newestBelieved([], 0), null);
  assertEquals(newestBelieved([-5, -3, day + 1], 0), -3);
  assertEquals(newestBelieved([-5, day], 0), day);
  assertEquals(newestBelieved([3 * day, 2 * day], 0), 2 * day);
});

Deno.test("inspectLists() finds a list under the name that its Release file has for it", async () => {
  const source = { ...SOURCE, lists: ["x_dists_s_non%5ffree_binary-amd64_Packages"] };
  const release = RELEASE.replace("main/binary-amd64", "non_free/binary-amd64");
  const { absent } = await look({ "x_dists_s_InRelease": release }, source);
  assertEquals(absent, ["non_free/binary-amd64/Packages"]);
});

Deno.test("inspectLists() of a Release file that goes while it is read finds none", async () => {
  const files = new FakeFiles();
  files.texts.set("/l/x_dists_s_InRelease", RELEASE);
  files.readTextAndFacts = () => Promise.resolve(undefined);
  const lists = (await inspectLists({ files }, "/l", [SOURCE])).get(SOURCE.prefix);
  assertEquals([lists?.hasRelease, lists?.release, lists?.unreadable], [false, null, null]);
});

Deno.test("inspectLists() of files that cannot be read says so, and hides no mistake of ours", async () => {
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

Deno.test("judgeSource() says of each source whether its lists are there and in date", async () => {
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
    "its lists are 49 hours old, as far as they tell",
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

Deno.test("judgeSource() judges lists that say less of themselves by what is known", async () => {
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

Deno.test("judgeSource() says whether a source marks its security updates, where it says what it is", async () => {
  const tells = async (texts: Record<string, string>) => {
    const fetch = { fetchedMs: NOW, isProven: false, failure: null };
    return judgeSource(SOURCE, await look(texts), fetch, { enabled: [], nowMs: NOW }).tellsSecurity;
  };
  assertEquals(await tells({ "x_dists_s_InRelease": RELEASE }), true);
  assertEquals(await tells({ "x_dists_s_InRelease": "Origin: Vendor\nSuite: stable\n" }), false);
  assertEquals(await tells({}), null);
});

Deno.test("joinReleases() finds the release of a package file, whatever it is called", () => {
  const { sources } = parseSources(MIXED + DISC);
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
