import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type FetchStatus,
  hostSettings,
  isDue,
  keyOf,
  NO_RECORD,
  parseOutcomes,
  preparePrivateDirectory,
  privateSettings,
  readFetchRecord,
  recordOutcomes,
  releaseSettings,
  writeFetchRecord,
} from "../../../src/scanners/apt/private_lists.ts";
import type { AptSource } from "../../../src/scanners/apt/sources.ts";
import { FileError } from "../../../src/system/files.ts";
import { FakeFiles } from "../../fakes/files.ts";

Deno.test("preparePrivateDirectory() creates directories and files for this user alone, once", async () => {
  const files = new FakeFiles();
  assertEquals(await preparePrivateDirectory({ files }, "/own"), { path: "/own/apt" });
  assertEquals([...files.modes], [
    ["/own/apt", 0o700],
    ["/own/apt/lists", 0o700],
    ["/own/apt/lists/partial", 0o700],
    ["/own/apt/releases/partial", 0o700],
    ["/own/apt/cache", 0o700],
    ["/own/apt/cache/archives/partial", 0o700],
    ["/own/apt/releases.conf", 0o600],
    ["/own/apt/ask.conf", 0o600],
  ]);
  files.writeText = () => Promise.reject(new TypeError("written again"));
  assertEquals(await preparePrivateDirectory({ files }, "/own"), { path: "/own/apt" });
});

Deno.test("preparePrivateDirectory() returns why it failed, and passes programming errors on", async () => {
  const files = new FakeFiles();
  for (const directory of [undefined, "own", ""]) {
    assertEquals(await preparePrivateDirectory({ files }, directory), null);
  }
  files.fail("prepare the directory for apt", "full");
  assert(String(await preparePrivateDirectory({ files }, "/own")).includes("full on purpose"));
  files.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => preparePrivateDirectory({ files }, "/own"), TypeError, "oops");
});

Deno.test("preparePrivateDirectory() writes the file that marks completeness last", async () => {
  const refused = () => Promise.reject(new FileError("Cannot go on: full", { reason: "full" }));
  for (const method of ["makeDirectory", "writeText"] as const) {
    const files = new FakeFiles();
    files[method] = refused;
    assertEquals(await preparePrivateDirectory({ files }, "/own"), "Cannot go on: full");
    assertEquals([...files.texts], []);
  }
  const files = new FakeFiles();
  const write = files.writeText.bind(files);
  const begun: string[] = [];
  const ended: string[] = [];
  files.writeText = async (purpose, path, text, options) => {
    assertEquals(begun.length, ended.length, "one after the other");
    begun.push(path);
    await new Promise((resolve) => setTimeout(resolve));
    await write(purpose, path, text, options);
    ended.push(path);
  };
  await preparePrivateDirectory({ files }, "/own");
  assertEquals(ended, ["/own/apt/releases.conf", "/own/apt/ask.conf"]);
});

Deno.test("the configuration clears the host's hooks, and the lists where only Release files are fetched", async () => {
  const files = new FakeFiles();
  await preparePrivateDirectory({ files }, "/own");
  const hooks = ["AptCli::Hooks", "APT::Update::Pre-Invoke", "APT::Update::Post-Invoke"];
  for (const file of ["ask.conf", "releases.conf"]) {
    const text = files.texts.get(`/own/apt/${file}`) ?? "";
    for (const hook of hooks) assert(text.includes(`#clear ${hook};\n`), file);
    assertEquals(text.includes("#clear Acquire::IndexTargets;\n"), file === "releases.conf");
  }
});

Deno.test("settings point apt to the directories", () => {
  const own = { path: "/own/apt" };
  const valuesOf = (settings: readonly string[]) => settings.filter((word) => word !== "-o");
  assertEquals(valuesOf(hostSettings(own, null)), [
    "-c",
    "/own/apt/ask.conf",
    "Dir::Cache::archives=/own/apt/cache/archives/",
  ]);
  assertEquals(valuesOf(hostSettings(own, "/own/apt/cache/host-pkgcache.bin")).slice(3), [
    "Dir::Cache::pkgcache=/own/apt/cache/host-pkgcache.bin",
    "Dir::Cache::srcpkgcache=/own/apt/cache/host-srcpkgcache.bin",
  ]);
  assertEquals(valuesOf(privateSettings({ path: "/pkgcache.bin/apt" })).slice(4, 6), [
    "Dir::Cache::pkgcache=/pkgcache.bin/apt/cache/pkgcache.bin",
    "Dir::Cache::srcpkgcache=/pkgcache.bin/apt/cache/srcpkgcache.bin",
  ]);
  assertEquals(valuesOf(privateSettings(own)).slice(2), [
    "Dir::State::lists=/own/apt/lists/",
    "Dir::Cache=/own/apt/cache/",
    "Dir::Cache::pkgcache=/own/apt/cache/pkgcache.bin",
    "Dir::Cache::srcpkgcache=/own/apt/cache/srcpkgcache.bin",
    "APT::Sandbox::User=root",
  ]);
  assertEquals(valuesOf(releaseSettings(own)).slice(1, 3), [
    "/own/apt/releases.conf",
    "Dir::State::lists=/own/apt/releases/",
  ]);
});

function source(site: string, suite: string): AptSource {
  const prefix = `${site.replace(/^\w+:\/*/, "").replaceAll("/", "_")}_dists_${suite}_`;
  const lists = [`${prefix}main_binary-amd64_Packages`];
  return { name: `${site} ${suite}`, address: `${site}/dists/${suite}/`, prefix, lists };
}

const A = source("http://a.example/debian", "s");
const B = source("http://b.example/debian", "s");

function whyOf(stdout: string, stderr = "", code = 0, sources = [A, B]) {
  const outcomes = parseOutcomes({ stdout, stderr, code }, sources);
  return sources.map((source) => outcomes.get(keyOf(source)));
}

const HIT_A = "Hit:1 http://a.example/debian s InRelease\n";

Deno.test("parseOutcomes() counts a source as answered only if apt says so", () => {
  assertEquals(whyOf(`${HIT_A}Get:2 http://b.example/debian s InRelease [10 kB]\n`), [null, null]);
  assertEquals(whyOf(HIT_A), [null, "it did not answer"]);
  assertEquals(whyOf("", "E: No space left\n", 100), ["No space left", "No space left"]);
  assertEquals(whyOf("", "", 100)[0], "apt-get ended with exit 100");
  const unsigned = "Ign:1 http://a.example/debian s InRelease\n" +
    "Get:2 http://a.example/debian s Release [1 kB]\nIgn:3 http://a.example/debian s Release.gpg\n";
  assertEquals(whyOf(HIT_A + unsigned.replaceAll("a.example", "b.example"))[1], null);
  const once =
    "Get:1 http://a.example/debian s InRelease\nIgn:1 http://a.example/debian s InRelease\n";
  assertEquals(whyOf(once)[0], "it did not answer", "the last word counts");
});

Deno.test("parseOutcomes() quotes why a source did not answer, and affects no other source", () => {
  const refused = `${HIT_A}Err:2 http://b.example/debian s InRelease\n` +
    "  401  Unauthorized [IP: 192.0.2.1 443]\nReading package lists...\n";
  assertEquals(whyOf(refused, "E: Failed to fetch x\n", 100), [
    null,
    "401 Unauthorized [IP: 192.0.2.1 443]",
  ]);
  const sum = `${HIT_A}Hit:2 http://b.example/debian s InRelease\n` +
    "Err:3 http://b.example/debian s/main amd64 Packages\n  Hash Sum mismatch\n";
  assertEquals(whyOf(sum), [null, "Hash Sum mismatch"]);
  const both = `${HIT_A}Hit:2 http://b.example/debian s InRelease\n`;
  const expired = "E: Release file for http://b.example/debian/dists/s/InRelease is expired " +
    "(invalid since 14d). Updates for this repository will not be applied.\n";
  assertEquals(whyOf(both, expired, 100)[0], null);
  assert(whyOf(both, expired, 100)[1]?.includes("is expired"));
  const unsigned = "E: The repository 'http://b.example/debian s InRelease' is not signed.\n";
  assert(whyOf(both, unsigned, 100)[1]?.includes("is not signed"));
  assertEquals(whyOf(both, unsigned.replace("E:", "W:"))[1], null, "its owner allowed that");
  const warning = "W: An error occurred during the signature verification. The repository is not " +
    "updated and the previous index files will be used. GPG error: http://b.example/debian s " +
    "InRelease: NO_PUBKEY\n";
  assert(whyOf(both, warning)[1]?.includes("NO_PUBKEY"));
});

Deno.test("parseOutcomes() hides the secrets of an address", () => {
  const token = "a1b2c3d4e5f6a7b8c9d0e1f2";
  const secret = source(`https://deb.example/${token}/x`, "s");
  const text = "Hit:1 https://deb.example/" + token + "/x s InRelease\n";
  const stderr = `E: Failed to fetch https://deb.example/${token}/x/dists/s/main.xz  404\n`;
  const [why] = whyOf(text, stderr, 100, [secret]);
  assert(why?.includes("404") && !why.includes(token), why ?? "");
});

const HOUR_MS = 3_600_000;
const NOW = 1_000 * HOUR_MS;
const failed = (failures: number): FetchStatus => ({
  fetched_ms: null,
  tried_ms: NOW,
  failures,
  why: "no",
});

Deno.test("isDue() fetches daily, and waits 1, 2, 4, ... 24 hours after a failure", () => {
  const good: FetchStatus = { fetched_ms: NOW, tried_ms: NOW, failures: 0, why: null };
  const dueAfterH = (known: FetchStatus | undefined) =>
    [0, 1, 2, 4, 8, 16, 24].find((hours) => isDue(known, NOW + hours * HOUR_MS));
  assertEquals(dueAfterH(undefined), 0);
  assertEquals(dueAfterH(good), 24);
  assertEquals([1, 2, 3, 4, 5, 6, 99].map((failures) => dueAfterH(failed(failures))), [
    1,
    2,
    4,
    8,
    16,
    24,
    24,
  ]);
  assertEquals(isDue(good, NOW - 1), true, "the clock was put back");
});

Deno.test("recordOutcomes() records when a source last answered, and counts its failures", () => {
  const [a, b] = [keyOf(A), keyOf(B)];
  const first = recordOutcomes({}, new Map([[a, null], [b, "401"]]), NOW);
  assertEquals(first[a], { fetched_ms: NOW, tried_ms: NOW, failures: 0, why: null });
  const second = recordOutcomes(first, new Map([[a, "500"], [b, "401"]]), NOW + 1);
  assertEquals([second[a], second[b]], [
    { fetched_ms: NOW, tried_ms: NOW + 1, failures: 1, why: "500" },
    { fetched_ms: null, tried_ms: NOW + 1, failures: 2, why: "401" },
  ]);
  assertEquals(recordOutcomes(second, new Map([[a, null]]), NOW + 2)[a]?.failures, 0);
});

Deno.test("readFetchRecord() returns what was written, and an empty record for a damaged one", async () => {
  const files = new FakeFiles();
  const none = { version: 1 as const, own: {}, host: {} };
  assertEquals(await readFetchRecord({ files }, "/own"), none);
  const record = { ...none, own: { [keyOf(A)]: failed(2) } };
  await writeFetchRecord({ files }, "/own", record);
  assertEquals(await readFetchRecord({ files }, "/own"), record);
  assertEquals(files.modes.get("/own/sources.json"), 0o600);
  for (const text of ["", "{", '{"version":2,"own":{},"host":{}}', '{"own":[]}']) {
    files.texts.set("/own/sources.json", text);
    assertEquals(await readFetchRecord({ files }, "/own"), none, text);
  }
  files.fail("save the record of fetched lists", "full");
  await writeFetchRecord({ files }, "/own", record);
  assertEquals(await readFetchRecord({ files }, "/own"), none);
});

Deno.test("reading and writing the record pass programming errors on", async () => {
  const files = new FakeFiles();
  files.readText = () => Promise.reject(new TypeError("oops"));
  files.writeText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readFetchRecord({ files }, "/own"), TypeError, "oops");
  await assertRejects(() => writeFetchRecord({ files }, "/own", NO_RECORD), TypeError, "oops");
});

Deno.test("parseOutcomes() ignores items that are not lists of a source", () => {
  const site = "http://a.example/debian";
  const others = [
    `Get:1 ${site} s Release.gpg [800 B]\n`,
    `Get:1 ${site} s/main Translation-en [10 kB]\n`,
    `Ign:1 ${site} s InRelease\n`,
    `see Hit:1 ${site} s InRelease\n`,
    `  Hit:1 ${site} s InRelease\n`,
    `Hit:1 ${site} s InRelease of old\n`,
    `Hit:1 ${site} other InRelease\n`,
  ];
  for (const line of others) assertEquals(whyOf(line)[0], "it did not answer", line);
  for (const what of ["s InRelease", "s Release [1 kB]", "s/main amd64 Packages [10 kB]"]) {
    assertEquals(whyOf(`Get:1 ${site} ${what}\n`)[0], null, what);
  }
});

Deno.test("parseOutcomes() has a reason for every failed source, the most specific one", () => {
  const failed = "Err:1 http://a.example/debian s InRelease\n";
  const stderr = "E: Failed to fetch http://a.example/debian/dists/s/InRelease  Gone\n";
  const reason = "Failed to fetch http://a.example/debian/dists/s/InRelease  Gone";
  assertEquals(whyOf(`${failed}  404  Not Found\n  and more\n`, stderr, 100)[0], "404 Not Found");
  assertEquals(whyOf(failed, stderr, 100)[0], reason);
  assertEquals(whyOf(failed)[0], "it could not be fetched");
  assertEquals(whyOf(`${failed}Reading lists...\n  set in\n`)[0], "it could not be fetched");
  assertEquals(whyOf(`${HIT_A}  set in\n`)[0], null);
  const fallen = "W: Failed to fetch http://a.example/debian/dists/s/InRelease  Gone\n";
  assertEquals(whyOf(HIT_A, fallen)[0], reason, "apt uses its previous lists");
  const another = "W: http://a.example/debian s InRelease: Failed to fetch its key a second time\n";
  assertEquals(whyOf(HIT_A, another)[0], null, "a warning of another kind");
  const unknown = "Err:7 http://other.example/x s InRelease\n  404  Not Found\n";
  assertEquals(whyOf(`${HIT_A}${unknown}`)[0], null, "a source that is not enabled any more");
});

Deno.test("parseOutcomes() has outcomes only of sources that are asked", () => {
  const sourceOnly = { ...B, lists: [] };
  const outcomes = parseOutcomes({ stdout: HIT_A, stderr: "", code: 0 }, [A, sourceOnly]);
  assertEquals([...outcomes], [[keyOf(A), null]]);
});

Deno.test("parseOutcomes() shortens reasons", () => {
  const stdout = `Err:1 http://a.example/debian s InRelease\n  ${"no ".repeat(200)}\n`;
  assertEquals(whyOf(stdout)[0]?.length, 300);
});

Deno.test("keyOf() differs per source and does not show the address", () => {
  assert(/^[0-9a-f]{16}$/.test(keyOf(A)));
  assertEquals(keyOf(A) === keyOf(B), false);
  assertEquals(keyOf(A), keyOf({ ...A }));
});

Deno.test("parseOutcomes() recognizes a source that apt refuses because its Release information changed", () => {
  const both = `${HIT_A}Get:2 http://b.example/debian s InRelease [1 kB]\n`;
  const stderr =
    "E: Repository 'http://b.example/debian s InRelease' changed its 'Suite' value from 'stable' to 'oldstable'\n";
  assert(whyOf(both, stderr, 100)[1]?.includes("changed its 'Suite' value"));
  assertEquals(whyOf(both, stderr, 100)[0], null);
});
