import { assert, assertEquals, assertRejects } from "@std/assert";
import { aptScanner } from "../../src/scanners/apt.ts";
import { inBatches } from "../../src/scanners/apt_commands.ts";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import { CommandError, type RunOptions, type RunResult } from "../../src/system/process.ts";
import { FakeSystem } from "../fakes/system.ts";
import { readFixture, succeeded } from "./fixture.ts";
import { describe, EXPECTED_UPDATES, EXPECTED_WARNINGS } from "./made_archive.ts";
import { scanWith } from "../fakes/scan_with.ts";

type Question =
  | "installed"
  | "simulation"
  | "policy"
  | "releases"
  | "show"
  | "untrusted"
  | "update";

function questionOf([program, ...words]: readonly string[]): Question {
  const args = words.filter((word, index) => word !== "-o" && words[index - 1] !== "-o");
  if (program === "/usr/bin/dpkg-query") return "installed";
  if (args[0] === "indextargets") return "untrusted";
  if (program === "/usr/bin/apt-get") return args.at(-1) === "update" ? "update" : "simulation";
  assertEquals(program, "/usr/bin/apt-cache");
  return args[0] === "show" ? "show" : args.length === 1 ? "releases" : "policy";
}

/** A host whose apt answers with captured output, unless told otherwise. */
class AptHost extends FakeSystem {
  readonly asked: string[][] = [];
  readonly options: RunOptions[] = [];
  answers: Partial<Record<Question, () => RunResult>> = {};

  constructor() {
    super();
    for (const name of ["apt-get", "apt-cache", "dpkg-query"]) {
      this.files.texts.set(`/usr/bin/${name}`, "");
    }
    this.files.texts.set("/var/lib/apt/lists/mirror_InRelease", "");
  }

  override runCommand = (argv: readonly string[], options: RunOptions): Promise<RunResult> => {
    this.asked.push([...argv]);
    this.options.push(options);
    const question = questionOf(argv);
    const answer = this.answers[question];
    try {
      return Promise.resolve(answer ? answer() : succeeded(captured(question)));
    } catch (error) {
      return Promise.reject(error);
    }
  };
}

function captured(question: Question): string {
  return question === "update" || question === "untrusted"
    ? ""
    : readFixture("apt", `made_${question}.txt`);
}

const scanner = aptScanner();

Deno.test("scan() asks five questions, each within bounds, with nothing for a shell", async () => {
  const host = new AptHost();
  const { updates, warnings, result } = await scanWith(scanner, host, {});
  assertEquals(updates.map(describe).toSorted(), EXPECTED_UPDATES.toSorted());
  assertEquals([warnings, result], [EXPECTED_WARNINGS, "ok"]);
  assertEquals(host.asked.map(questionOf), [
    "installed",
    "simulation",
    "policy",
    "releases",
    "show",
  ]);
  assert(host.options.every(({ timeoutMs }) => timeoutMs === 60_000));
  const shown = host.asked.at(-1)?.slice(3) ?? [];
  assertEquals(shown.length, EXPECTED_UPDATES.length);
  assert(shown.includes("g++-tool=2:1.0+dfsg~rc1-1~deb12u2+b3"));
});

Deno.test("scan() asks which sources are signed only where a list has no signature", async () => {
  const lists = "/var/lib/apt/lists";
  const rows: [names: string[], asks: boolean][] = [
    [["corp_dists_a_InRelease", "corp_dists_a_main_binary-amd64_Packages.lz4"], false],
    [["corp_flat_Release", "corp_flat_Release.gpg", "corp_flat_Packages"], false],
    [["corp_flat_Release", "corp_flat_Packages"], true],
    [["corp_dists_a_InRelease", "corp_dists_b_main_binary-amd64_Packages"], true],
  ];
  for (const [names, asks] of rows) {
    const host = new AptHost();
    for (const name of names) host.files.texts.set(`${lists}/${name}`, "");
    await scanWith(scanner, host, {});
    assertEquals(host.asked.map(questionOf).includes("untrusted"), asks, names.join(" "));
  }
});

Deno.test("scan() is whole without an answer on what is signed, and asks nothing where nothing waits", async () => {
  const unsigned = () => {
    const host = new AptHost();
    host.files.texts.set("/var/lib/apt/lists/corp_flat_Packages", "");
    return host;
  };
  const silent = unsigned();
  silent.answers = { untrusted: () => ({ ...succeeded(""), code: 100, stderr: "E: no\n" }) };
  const { updates, warnings } = await scanWith(scanner, silent, {});
  assertEquals([updates.length, warnings], [EXPECTED_UPDATES.length, EXPECTED_WARNINGS]);
  const current = unsigned();
  const policy = "tool:\n  Installed: 1.0\n  Candidate: 1.0\n  Version table:\n *** 1.0 100\n" +
    "        100 /var/lib/dpkg/status\n";
  current.answers = {
    installed: () => succeeded("tool\t1.0\tamd64\tinstall\tinstalled\ttool\n"),
    simulation: () => succeeded(""),
    policy: () => succeeded(policy),
  };
  assertEquals((await scanWith(scanner, current, {})).updates, []);
  assertEquals(current.asked.map(questionOf).includes("untrusted"), false);
});

Deno.test("scan() of a host on which apt is gone is not available", async () => {
  const host = new FakeSystem();
  assertEquals(await scanner.isAvailable(host), false);
  const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError);
  assertEquals(error.reason, "not_available");
});

Deno.test("isAvailable() wants dpkg beside apt-get, and never throws", async () => {
  const host = new AptHost();
  assertEquals(await scanner.isAvailable(host), true);
  host.files.fail("look for apt", "denied");
  assertEquals(await scanner.isAvailable(host), false);
  host.files.heal("look for apt");
  host.files.texts.delete("/usr/bin/dpkg-query");
  assertEquals(await scanner.isAvailable(host), false);
});

function exit100(fixture: string): () => RunResult {
  return () => ({ code: 100, stdout: "", stderr: readFixture("apt", fixture), truncated: false });
}

const FAILURES: readonly [string, AptHost["answers"], ScanErrorReason][] = [
  ["the lock is held", { simulation: exit100("stderr_lock.txt") }, "locked"],
  ["sources cannot be read", { releases: exit100("stderr_sources.txt") }, "permanent"],
  ["dpkg tells nothing", { installed: () => succeeded("") }, "permanent"],
  [
    "apt speaks German",
    { policy: () => succeeded(readFixture("apt", "german_policy.txt")) },
    "permanent",
  ],
  [
    "the answer is too long",
    { policy: () => ({ ...succeeded(""), truncated: true }) },
    "permanent",
  ],
  ["it takes too long", {
    show: () => {
      throw new CommandError("no answer within 60 s", { reason: "timeout" });
    },
  }, "transient"],
  ["it may not be run", {
    installed: () => {
      throw new CommandError("permission denied", { reason: "denied" });
    },
  }, "permanent"],
];

for (const [name, answers, reason] of FAILURES) {
  Deno.test(`scan() fails, and has no empty list to show, when ${name}`, async () => {
    const host = new AptHost();
    host.answers = answers;
    const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError);
    assertEquals(error.reason, reason);
    assert(error.message.startsWith("Cannot "), error.message);
  });
}

Deno.test("scan() of packages that do not fit together tells what waits behind them", async () => {
  const host = new AptHost();
  host.answers = { simulation: exit100("stderr_broken.txt") };
  const { updates, warnings } = await scanWith(scanner, host, {});
  assert(updates.length > 0 && updates.every(({ state }) => state !== "upgradable"));
  assertEquals(warnings.length, 1);
  assert(warnings[0]?.startsWith("apt-get upgrades nothing until"));
});

Deno.test("scan() without package lists is not a clean bill of health", async () => {
  const host = new AptHost();
  host.files.texts.delete("/var/lib/apt/lists/mirror_InRelease");
  const { warnings, metadataAgeS } = await scanWith(scanner, host, {});
  assert(warnings.includes('There are no package lists yet: run "apt-get update"'));
  assertEquals(metadataAgeS, null);
});

function once(answer: () => RunResult, then: Question): () => RunResult {
  let isFirst = true;
  return () => {
    if (!isFirst) return succeeded(captured(then));
    isFirst = false;
    return answer();
  };
}

const replaced = () => ({
  code: 100,
  stdout: "",
  stderr: "E: Unable to parse package file /var/lib/apt/lists/x_Packages (1)\n",
  truncated: false,
});

Deno.test("scan() asks once more when the lists were replaced, and no third time", async () => {
  const host = new AptHost();
  host.answers = { policy: once(replaced, "policy") };
  assertEquals((await scanWith(scanner, host, {})).updates.length, EXPECTED_UPDATES.length);
  host.answers = { policy: replaced };
  host.asked.length = 0;
  const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError);
  assertEquals(error.reason, "transient");
  assertEquals(host.asked.filter((argv) => questionOf(argv) === "policy").length, 2);
});

Deno.test("scan() asks once more when packages changed meanwhile, and then says so", async () => {
  const host = new AptHost();
  let changes = 1;
  host.answers = {
    policy: () => {
      host.files.texts.set("/var/lib/dpkg/status", "");
      if (changes > 0) host.files.modifiedMs.set("/var/lib/dpkg/status", changes--);
      return succeeded(captured("policy"));
    },
  };
  assertEquals((await scanWith(scanner, host, {})).updates.length, EXPECTED_UPDATES.length);
  changes = 9;
  const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError);
  assertEquals(error.reason, "locked");
});

Deno.test("scan() asks once more when apt failed on a state that changed meanwhile, and only then", async () => {
  const host = new AptHost();
  let changes = 1;
  const answer = () => {
    host.files.texts.set("/var/lib/dpkg/status", "");
    if (changes === 0) return succeeded(captured("policy"));
    host.files.modifiedMs.set("/var/lib/dpkg/status", changes--);
    return { ...succeeded(""), code: 100, stderr: "E: Something odd\n" };
  };
  host.answers = { policy: answer };
  assertEquals((await scanWith(scanner, host, {})).updates.length, EXPECTED_UPDATES.length);
  host.answers = { policy: () => ({ ...succeeded(""), code: 100, stderr: "E: Something odd\n" }) };
  const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError, "Something odd");
  assertEquals(error.reason, "permanent");
});

Deno.test("scan() with refresh fetches first as root, and says that others may not", async () => {
  const host = new AptHost();
  const refused = await scanWith(scanner, host, { refresh: true });
  assert(refused.warnings.includes("Cannot refresh the package lists: only root may"));
  assert(!host.asked.map(questionOf).includes("update"));
  host.machine = { ...host.machine, userId: () => 0 };
  host.asked.length = 0;
  assertEquals((await scanWith(scanner, host, { refresh: true })).warnings, EXPECTED_WARNINGS);
  assertEquals(host.asked.map(questionOf)[0], "update");
  host.answers = { update: exit100("stderr_fetch.txt") };
  const old = await scanWith(scanner, host, { refresh: true });
  assert(old.warnings[0]?.startsWith("Cannot refresh the package lists: Failed to fetch "));
  assertEquals(old.updates.length, EXPECTED_UPDATES.length);
});

const DAY_MS = 86_400_000;
const STAMP = "/own/apt/fetched";

/** The lists that the last scan read: apt's words for the place, or "the host's". */
function listsRead(host: AptHost): string {
  const [, , place = ""] = host.asked.find((argv) => argv.includes("--simulate")) ?? [];
  return place.startsWith("Dir::State::lists=") ? place : "the host's";
}

async function scanOf(host: AptHost, options: { refresh?: boolean } = {}) {
  host.asked.length = 0;
  const answer = await scanWith(scanner, host, { cacheDirectory: "/own", ...options });
  const fetched = host.asked.filter((argv) => argv.at(-1) === "update").length;
  return { ...answer, fetched, lists: listsRead(host) };
}

function hostWithLists(ageMs: number): AptHost {
  const host = new AptHost();
  host.files.texts.set("/var/lib/apt/lists", "");
  host.files.modifiedMs.set("/var/lib/apt/lists", host.clock.nowMs() - ageMs);
  host.files.texts.set("/own/apt/lists/mirror_InRelease", "");
  return host;
}

Deno.test("scan() reads the host's lists until they are a day old, then fetches its own", async () => {
  const young = await scanOf(hostWithLists(DAY_MS - 1));
  assertEquals([young.fetched, young.lists], [0, "the host's"]);
  const host = hostWithLists(DAY_MS);
  const old = await scanOf(host);
  assertEquals([old.fetched, old.lists], [1, "Dir::State::lists=/own/apt/lists/"]);
  assertEquals(host.files.modes.get("/own/apt/lists/partial"), 0o700);
  host.files.modifiedMs.set(STAMP, host.clock.nowMs() - DAY_MS + 1);
  const again = await scanOf(host);
  assertEquals([again.fetched, again.lists], [0, "Dir::State::lists=/own/apt/lists/"]);
  assertEquals(again.metadataAgeS, 86_400);
  host.files.modifiedMs.set(STAMP, host.clock.nowMs() - DAY_MS);
  assertEquals((await scanOf(host)).fetched, 1);
});

Deno.test("scan() with refresh fetches lists of its own for those who are not root", async () => {
  const host = hostWithLists(0);
  const { fetched, lists, warnings } = await scanOf(host, { refresh: true });
  assertEquals([fetched, lists], [1, "Dir::State::lists=/own/apt/lists/"]);
  assertEquals(warnings, EXPECTED_WARNINGS);
});

Deno.test("scan() goes by the host's old lists where its own cannot be fetched whole, and says so", async () => {
  const host = hostWithLists(2 * DAY_MS);
  host.files.texts.set(STAMP, "");
  host.answers = { update: exit100("stderr_fetch.txt") };
  const { fetched, lists, warnings, metadataAgeS } = await scanOf(host);
  assertEquals([fetched, lists, metadataAgeS], [1, "the host's", 2 * 86_400]);
  assert(
    warnings[0]?.startsWith("The package lists are not fresh: Cannot refresh the package lists"),
  );
  assertEquals(host.files.texts.has(STAMP), false, "half a fetch is none");
  host.files.fail("make private lists", "full");
  assertEquals((await scanOf(host)).fetched, 0);
});

Deno.test("scan() takes a fetch that an old apt calls well for what it was: one without a source", async () => {
  const host = hostWithLists(2 * DAY_MS);
  const stderr =
    "W: Failed to fetch http://127.0.0.1:9/dists/stable/InRelease  Could not connect\n" +
    "W: Some index files failed to download. They have been ignored, or old ones used instead.\n";
  host.answers = { update: () => ({ ...succeeded(""), stderr }) };
  const { fetched, lists, warnings } = await scanOf(host);
  assertEquals([fetched, lists, host.files.texts.has(STAMP)], [1, "the host's", false]);
  assert(warnings[0]?.includes("Failed to fetch http://127.0.0.1:9/"), warnings[0]);
});

Deno.test("scan() waits for whoever else fetches lists, three times, and then says so", async () => {
  const host = hostWithLists(2 * DAY_MS);
  host.answers = { update: exit100("stderr_lock.txt") };
  const scan = scanOf(host);
  await host.clock.advance(49_999);
  assertEquals(host.asked.filter((argv) => argv.at(-1) === "update").length, 3);
  await host.clock.advance(1);
  const { fetched, warnings } = await scan;
  assertEquals(fetched, 4);
  assert(warnings[0]?.includes("Could not get lock"), warnings[0]);
});

Deno.test("inBatches() cuts where one more name would not fit, and loses none", () => {
  const names = Array.from({ length: 1_000 }, (_, n) => `${"x".repeat(195)}${1_000 + n}`);
  const batches = inBatches(names);
  assertEquals(batches.flat(), names);
  assertEquals(batches.map((batch) => batch.length), [500, 500]);
  assertEquals(inBatches([]), []);
});

Deno.test("scan() ends all that it starts with its own signal, fetching too", async () => {
  const { signal } = new AbortController();
  for (const host of [hostWithLists(0), hostWithLists(DAY_MS)]) {
    await scanWith(scanner, host, { signal, cacheDirectory: "/own" });
    assert(host.options.length >= 5 && host.options.every((each) => each.signal === signal));
  }
  const refreshed = new AptHost();
  refreshed.machine = { ...refreshed.machine, userId: () => 0 };
  await scanWith(scanner, refreshed, { refresh: true, signal });
  assert(refreshed.options.every((each) => each.signal === signal));
});
