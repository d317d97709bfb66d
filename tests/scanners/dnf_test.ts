import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { parseDnf5Advisories, parseDnf5AdvisoryTable } from "../../src/scanners/dnf/dnf5.ts";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import { CommandError } from "../../src/system/process.ts";
import {
  bashOf,
  DnfHost,
  exclude,
  failed,
  hostWithoutBash,
  questionOf,
  REAL_DNF5,
  stateOf,
  summarize,
} from "./dnf/host.ts";
import { readFixture, succeeded } from "./fixture.ts";
import { settle } from "../fakes/clock.ts";
import { scanWith } from "../fakes/scan_with.ts";

Deno.test("scan() joins dnf 4's offers, replacements and advisories with the installed packages", async () => {
  const host = new DnfHost();
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.map(summarize), [
    "a-very-long-package-name-that-forces-wrapping-in-check-update 2023.01.01-1.el9 -> " +
    "2024.11.12.654321-1.20241112git0123456789abcdef.el9 upgradable null null  ",
    "bash 5.1.8-6.el9 -> 5.1.8-9.el9 upgradable null false  FEDORA-2026-1bbec06c4d",
    "blocked 1-1.el9 -> 2-1.el9 upgradable null true CVE-2026-0005 ALSA-2026:1004",
    "kernel-core 5.14.0-427.13.1.el9_4 -> 5.14.0-427.40.1.el9_4 upgradable critical true " +
    "CVE-2026-0003 RLSA-2026:1002",
    "multi 1-1.el9 -> 1-3.el9 upgradable moderate true CVE-2026-0004 RHSA-2026:1003",
    "openssl-libs 1:3.0.7-24.el9 -> 1:3.0.7-28.el9_4 upgradable important true " +
    "CVE-2026-0001,CVE-2026-0002 RHSA-2026:1001",
    "tzdata 2024a-1.el9 -> 2024b-2.el9 upgradable null false  ALBA-2026:A003",
    "newtool oldtool-1.0-1.el9 -> 2.0-1.el9 obsoletes null false  ",
  ]);
  assertEquals(warnings, []);
  assertEquals(updates[3]?.severityReason, "advisory RLSA-2026:1002");
  assertEquals(updates[2]?.severityReason, "advisory ALSA-2026:1004 has no severity");
  assertEquals(updates.map(({ reboot }) => reboot).filter((hint) => hint !== null), ["required"]);
  const { source, sizeBytes, description, sourcePackage } = updates[1] ?? {};
  assertEquals(
    [source, sizeBytes, description, sourcePackage],
    ["updates", 5_573, "The package bash", "thrown-away"],
  );
  // Dnf 4's commands run one after the other, so there are no more than needed.
  assertEquals(host.questions.toSorted(), [
    "advisories",
    "checked",
    "cves",
    "installed",
    "offered",
    "reboot",
    "repositories",
    "security",
    "version",
  ]);
  assert(host.asked.slice(2).every((argv) => argv.includes("--setopt=exit_on_lock=True")));
});

Deno.test("scan() uses dnf 5's dialect for dnf 5 under any name", async () => {
  for (const program of ["/usr/bin/dnf", "/usr/bin/dnf5"]) {
    const host = new DnfHost(5, program);
    const { updates, warnings } = await scanWith(dnfScanner(), host, {});
    assertEquals(updates.map(summarize), [
      "flac 1.3.2-8.fc29 -> 1.3.3-8.fc29 upgradable null false  FEDORA-2999:002-02",
      "glibc 2.28-9.fc29 -> 2.28-26.fc29 upgradable null false CVE-2999 FEDORA-2018-318f184000",
      "glibc-common 2.28-9.fc29 -> 2.28-26.fc29 upgradable null false  ",
      "labirinto 1.55.0-1.fc30 -> 1.56.2-6.fc30 upgradable critical true CVE-2019-6470 " +
      "FEDORA-2019-57b5902ed1,FEDORA-2019-f4eb34cf4c,FEDORA-2022-2222222222," +
      "FEDORA-2022-2222222223",
      "newtool oldtool-1.0-1.el9 -> 2.0-1.el9 obsoletes null false  ",
    ]);
    assertEquals(warnings, []);
    const offered = host.asked.find((argv) => questionOf(argv) === "offered");
    // It adds no line end and replaces some escapes, but not all.
    assert(/^[^\\]+\n$/.test(offered?.at(-1) ?? ""), offered?.at(-1));
    assert(!host.asked.flat().some((word) => word.includes("exit_on_lock")));
  }
});

Deno.test("scan() parses the answers of a real dnf 5.4.6, as JSON and as tables", async () => {
  const host = new DnfHost(5);
  host.answers = REAL_DNF5;
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.map(summarize), [
    "bash 5.1.8-6.el9 -> 5.1.8-9.el9 upgradable null false  FEDORA-2026-1bbec06c4d",
    "c++-tool_x 1.0~rc1-1.el9 -> 1.0-1.el9 upgradable null null  ",
    "described 1-1.el9 -> 2-1.el9 upgradable null true CVE-2026-0005 RHSA-2026:1005",
    "kernel-core 5.14.0-427.13.1.el9_4 -> 5.14.0-427.40.1.el9_4 upgradable critical true " +
    "CVE-2026-0003 RLSA-2026:1002",
    "lib 1-1.el9 -> 2-1.el9 upgradable low true  RHSA-2026:1006",
    "multi 1-1.el9 -> 1-3.el9 upgradable important true CVE-2026-0004,CVE-2026-0006 " +
    "RHSA-2026:1003,RHSA-2026:1004",
    "openssl-libs 1:3.0.7-24.el9 -> 1:3.0.7-28.el9_4 upgradable important true " +
    "CVE-2026-0001,CVE-2026-0002 RHSA-2026:1001",
    "tzdata 2024a-1.el9 -> 2024b-2.el9 upgradable null false  ",
    "newtool oldtool-1.0-1.el9 -> 2.0-1.el9 obsoletes null false  ",
  ]);
  assertEquals(warnings, []);
  assert(updates.every(({ sizeBytes, state }) => state === "obsoletes" || (sizeBytes ?? 0) > 0));
  const tables = new DnfHost(5);
  tables.answers = {
    ...REAL_DNF5,
    version: succeeded("dnf5 version 5.2.10.0\n"),
    checked: { ...succeeded(readFixture("dnf5", "real_check_upgrade.txt")), code: 100 },
    replaced: succeeded(readFixture("dnf5", "real_obsoletes.txt")),
  };
  assertEquals((await scanWith(dnfScanner(), tables, {})).updates, updates);
  const list = parseDnf5Advisories(readFixture("dnf5", "real_advisory_list.json"));
  const table = parseDnf5AdvisoryTable(readFixture("dnf5", "real_advisory_list.txt"));
  assertEquals(new Set(table.packages), new Set(list?.packages));
  assertEquals([table.packages.length, table.unparsed], [7, 0]);
});

Deno.test("scan() accepts an empty list of a real dnf 5.4.6 that has repositories", async () => {
  const none = succeeded("{}\n");
  const host = new DnfHost(5);
  host.answers = { ...REAL_DNF5, offered: succeeded(""), checked: none, replaced: none };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals([updates, warnings], [[], []]);
  assert(host.questions.includes("repositories"));
});

Deno.test("scan() parses the tables and the progress of old versions of dnf 5", async () => {
  const host = new DnfHost(5);
  const table = (name: string) =>
    succeeded(readFixture("dnf5", "progress.txt") + readFixture("dnf5", name));
  host.answers = {
    version: succeeded("dnf5 version 5.2.3.0\n"),
    offered: table("offered.txt"),
    advisories: table("advisory_list.txt"),
    checked: { ...table("check_upgrade.txt"), code: 100 },
    replaced: table("real_obsoletes.txt"),
  };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.map(({ package: name, severity }) => `${name} ${severity}`), [
    "flac null",
    "glibc null",
    "glibc-common null",
    "labirinto critical",
    "newtool null",
  ]);
  assertEquals(warnings, ["Cannot read the advisories' CVEs: this needs dnf 5.2.9 or later"]);
  const withJson = host.asked.filter((argv) => argv.includes("--json")).map(questionOf);
  assertEquals(withJson, ["repositories"]);
  assert(host.asked.filter((argv) => questionOf(argv) === "offered")[0]?.includes("-q"));
});

const FAILURES: readonly [string, DnfHost["answers"], ScanErrorReason][] = [
  ["dnf is yum", { version: succeeded("3.4.3\n") }, "not_available"],
  ["dnf's version is not understood", { version: succeeded("") }, "not_available"],
  ["rpm fails", { installed: failed("error: cannot open Packages database in x\n") }, "permanent"],
  ["rpm knows of no package", { installed: succeeded("") }, "not_available"],
  ["the answer is too long", { offered: { ...succeeded(""), truncated: true } }, "permanent"],
  ["no mirror answers", { offered: failed("dnf/stderr_unreachable.txt") }, "transient"],
];

for (const [name, answers, reason] of FAILURES) {
  Deno.test(`scan() fails instead of returning an empty list: ${name}`, async () => {
    const host = new DnfHost();
    host.answers = answers;
    const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
    assertEquals(error.reason, reason);
    assertEquals(error.sources.length > 0, "offered" in answers);
  });
}

Deno.test("scan() fails as transient after a timeout, and as permanent without permission", async () => {
  for (
    const [reason, expected] of [["timeout", "transient"], ["denied", "permanent"], [
      "not_found",
      "not_available",
    ]] as const
  ) {
    const host = new DnfHost();
    const answer = host.runCommand;
    host.runCommand = (argv, options) => {
      if (questionOf(argv) !== "offered") return answer(argv, options);
      return Promise.reject(new CommandError("Cannot run", { reason }));
    };
    const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
    assertEquals(error.reason, expected);
  }
});

Deno.test("scan() returns a list without advisories, with a gap", async () => {
  const broken = [failed("dnf/stderr_gpg.txt"), failed("x", 2)];
  for (const answer of broken) {
    const host = new DnfHost();
    host.answers = { advisories: answer, checked: answer };
    const { updates, warnings } = await scanWith(dnfScanner(), host, {});
    assertEquals([updates.length, updates.some(({ security }) => security !== null)], [7, false]);
    assertEquals(
      warnings.map((warning) => warning.split(":")[0]),
      ["Cannot read advisories", "Cannot check updates and list replaced packages"],
    );
  }
});

Deno.test("scan() refuses an answer of dnf 5 that is not JSON", async () => {
  const host = new DnfHost(5);
  host.answers = {
    advisories: succeeded("[\n  {"),
    checked: succeeded(""),
    replaced: succeeded(""),
  };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.length, 4);
  assertEquals(warnings, [
    "Cannot read advisories: the answer is not understood",
    "Cannot check updates and list replaced packages: the answer is not understood",
    "Cannot list replaced packages: the answer is not understood",
  ]);
});

Deno.test("scan() returns the offers with a gap if dnf's own list is empty", async () => {
  const host = new DnfHost();
  host.answers = { checked: { ...succeeded(""), code: 100 } };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.length, 7);
  assertEquals(warnings, [
    "Cannot check updates and list replaced packages: the answer is not understood",
  ]);
});

Deno.test("scan() refuses an empty list that dnf does not confirm", async () => {
  for (const generation of [4, 5] as const) {
    const host = new DnfHost(generation);
    const noRepositories = failed('Error: There are no enabled repositories in "/x".\n');
    host.answers = { offered: succeeded(""), checked: noRepositories };
    const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
    assertEquals(error.reason, "permanent");
    assert(error.message.includes("There are no enabled repositories"), error.message);
  }
});

Deno.test("scan() accepts an empty list if there is a repository", async () => {
  for (const generation of [4, 5] as const) {
    const host = new DnfHost(generation);
    const none = succeeded(generation === 4 ? "" : "{}\n");
    host.answers = { offered: succeeded(""), checked: none, replaced: none };
    const { result, updates } = await scanWith(dnfScanner(), host, {});
    assertEquals([result, updates], ["ok", []]);
    host.repositories = [];
    const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
    assertEquals(error.message, "Cannot scan with dnf: there are no enabled repositories");
    host.answers = { ...host.answers, repositories: failed("what?\n", 2) };
    const unknown = await scanWith(dnfScanner(), host, {});
    assertEquals([unknown.result, unknown.warnings.length], ["degraded", 1]);
  }
});

Deno.test("scan() distinguishes a dnf 5 that waits for a lock from one that hangs", async () => {
  for (
    const [stderr, reason] of [["Waiting for a lock on the system repository; x\n", "locked"], [
      "Updating and loading repositories:\n",
      "transient",
    ]]
  ) {
    const host = new DnfHost(5);
    const answer = host.runCommand;
    host.runCommand = (argv, options) => {
      if (questionOf(argv) !== "offered") return answer(argv, options);
      const known = { reason: "timeout", stderr: stderr ?? "" } as const;
      return Promise.reject(new CommandError("Cannot run", known));
    };
    const error = await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
    assertEquals(error.reason, reason);
  }
});

Deno.test("scan() counts unparsed lines, but not messages of plugins", async () => {
  const host = new DnfHost();
  const chatter = "Updating Subscription Management repositories.\n" +
    "Updates                 1.1 MB/s | 2.9 kB     00:00    \n\n";
  // A plugin's sentence is not a row.
  const lock =
    "This system has release set to 9.4 and it receives updates only for this release.\n";
  const checked = succeeded(lock + readFixture("dnf", "check_update.txt"));
  host.answers = {
    offered: succeeded(chatter + lock + readFixture("dnf", "offered.txt")),
    checked: { ...checked, code: 100 },
    advisories: succeeded(lock + readFixture("dnf", "advisories.txt")),
  };
  assertEquals((await scanWith(dnfScanner(), host, {})).warnings, []);
  host.answers = { offered: succeeded("bash\t0\t1\t2\tx86_64\n"), checked: succeeded("") };
  assertEquals((await scanWith(dnfScanner(), host, {})).warnings, [
    "Lines of dnf's answers that were not understood: 1",
  ]);
});

Deno.test("scan() reports that dnf does not update an image-based host", async () => {
  const host = hostWithoutBash();
  host.files.texts.set("/run/ostree-booted", "");
  const { result, warnings, updates } = await scanWith(dnfScanner(), host, {});
  const states = new Set(updates.map(({ state }) => state));
  assertEquals(states, new Set(["image_based"]));
  assertEquals(updates.at(-1)?.stateReason, "/run/ostree-booted exists");
  // A doubt remains.
  assertEquals([result, warnings.length], ["degraded", 2]);
  assert(bashOf({ updates })[0]?.[1]?.includes("; doubt: "));
  const sound = new DnfHost();
  sound.files.texts.set("/run/ostree-booted", "");
  assertEquals((await scanWith(dnfScanner(), sound, {})).result, "ok");
});

Deno.test("scan() reports whether the host requires a restart, if dnf can say", async () => {
  const host = new DnfHost();
  const answers = [
    [failed("", 1, readFixture("dnf", "needs_restarting.txt")), true],
    [succeeded("Reboot should not be necessary.\n"), false],
    [failed("No such command: needs-restarting. Please use /usr/bin/dnf --help\n"), undefined],
    [failed("", 1), undefined],
  ] as const;
  for (const [reboot, expected] of answers) {
    host.answers = { reboot };
    const report = await scanWith(dnfScanner(), host, {});
    assertEquals([report.reboot?.isRequired, report.warnings], [expected, []]);
  }
});

Deno.test("scan() has longer time limits with more installed packages", async () => {
  const host = new DnfHost();
  await scanWith(dnfScanner(), host, {});
  const limitOf = () => host.options[host.questions.lastIndexOf("offered")]?.timeoutMs ?? 0;
  const before = limitOf();
  const many = Array.from({ length: 2_000 }, (_, n) => `p${n}\t0\t1\t1\tnoarch\t(none)\n`);
  host.answers = { installed: succeeded(many.join("")) };
  await scanWith(dnfScanner(), host, {});
  assert(before >= 120_000 && limitOf() === 220_000, `${before} ${limitOf()}`);
});

Deno.test("scan() passes its signal to every command of dnf 4 and dnf 5", async () => {
  const { signal } = new AbortController();
  for (const generation of [4, 5] as const) {
    for (const refresh of [false, true]) {
      const host = new DnfHost(generation);
      host.becomeRoot();
      await scanWith(dnfScanner(), host, { signal, refresh });
      assert(host.options.length >= 5 && host.options.every((each) => each.signal === signal));
    }
  }
});

Deno.test("scan() waits for its other commands if it cannot list the installed packages", async () => {
  const host = new DnfHost();
  const answer = host.runCommand;
  let asking = 0;
  host.runCommand = async (argv, options) => {
    if (questionOf(argv) === "installed") {
      throw new CommandError("Cannot run", { reason: "denied" });
    }
    asking += 1;
    for (let turn = 0; turn < 10; turn++) await settle();
    asking -= 1;
    return answer(argv, options);
  };
  await assertRejects(() => scanWith(dnfScanner(), host, {}), ScanError);
  assertEquals(asking, 0);
});

Deno.test("scan() reports held updates as held on an image-based host", async () => {
  const host = new DnfHost();
  exclude(host, "[main]\nexcludepkgs=bash\n");
  host.files.texts.set("/run/ostree-booted", "");
  host.answers = {
    offered: succeeded(readFixture("dnf", "offered.txt").replace(/^bash.*\n/m, "")),
  };
  host.answers.checked = {
    ...succeeded(readFixture("dnf", "check_update.txt").replace(/^bash.*\n/m, "")),
    code: 100,
  };
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "bash"), ["held", "excludepkgs=bash"]);
  assertEquals(stateOf(updates, "tzdata"), ["image_based", "/run/ostree-booted exists"]);
});

Deno.test("scan() assumes a package-based host if it cannot look for an image", async () => {
  const host = new DnfHost();
  host.files.fail("look for an image", "denied");
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.some(({ state }) => state === "image_based"), false);
  const inspect = host.files.inspect.bind(host.files);
  host.files.inspect = (purpose, path) =>
    purpose === "look for an image"
      ? Promise.reject(new TypeError("oops"))
      : inspect(purpose, path);
  await assertRejects(() => scanWith(dnfScanner(), host, {}), TypeError, "oops");
});

Deno.test("scan() runs the default dnf if it cannot look for others", async () => {
  const host = new DnfHost();
  host.files.fail("look for dnf", "denied");
  assertEquals((await scanWith(dnfScanner(), host, {})).updates.length, 8);
});

Deno.test("scan() places a test's arguments before all others", async () => {
  const host = new DnfHost();
  const options = { dnfArguments: ["--installroot=/x"], rpmArguments: ["--root=/x"] };
  await scanWith(dnfScanner(options), host, {});
  for (const [, first, ...rest] of host.asked) {
    if (first === "--version") continue;
    assertEquals(first, rest.includes("-qa") ? "--root=/x" : "--installroot=/x");
  }
});

/** Whether a scan found the advisories in that directory. */
async function marksSecurity(host: DnfHost, cache: string, options = {}): Promise<boolean | null> {
  host.repositories = [{ id: "updates" }];
  const directory = `${cache}/updates-0123456789abcdef`;
  for (const name of [...host.files.texts.keys()]) {
    if (name.includes("-0123456789abcdef")) host.files.texts.delete(name);
  }
  host.files.texts.set(directory, "");
  host.files.texts.set(`${directory}/repodata/1-primary.xml.gz`, "");
  host.files.texts.set(`${directory}/repodata/2-updateinfo.xml.gz`, "");
  const { sources } = await scanWith(dnfScanner(options), host, {});
  return sources[0]?.marksSecurity ?? null;
}

Deno.test("scan() looks for advisories in the current user's cache directory", async () => {
  const root = () => {
    const host = new DnfHost(5);
    host.becomeRoot();
    return host;
  };
  assertEquals(await marksSecurity(root(), "/var/cache/libdnf5"), true);
  assertEquals(await marksSecurity(root(), "/srv/test", { cacheDirectory: "/srv/test" }), true);
  const setting = "[main]\nsystem_cachedir=/srv/system\ncachedir=/srv/user\n";
  const set = root();
  exclude(set, setting);
  assertEquals(await marksSecurity(set, "/srv/system"), true);
  const user = new DnfHost(5);
  assertEquals(await marksSecurity(user, `${user.machine.homeDirectory()}/.cache/libdnf5`), true);
  exclude(user, setting);
  assertEquals(await marksSecurity(user, "/srv/user"), true);
  // A user's dnf 5 does not see root's lists; root's does.
  const isKept = (host: DnfHost) =>
    host.asked.some((argv) => argv.includes("--setopt=system_cachedir=/nonexistent"));
  assertEquals([isKept(set), isKept(user)], [false, true]);
});

Deno.test("scan() does not guess a user's cache directory", async () => {
  const homeless = new DnfHost(5);
  homeless.machine = { ...homeless.machine, homeDirectory: () => null };
  const looked: string[] = [];
  const list = homeless.files.list.bind(homeless.files);
  homeless.files.list = (purpose, path) => {
    looked.push(path);
    return list(purpose, path);
  };
  assertEquals(await marksSecurity(homeless, "/.cache/libdnf5"), null);
  assert(looked.every((path) => path.startsWith("/etc/") || path.startsWith("/usr/")), `${looked}`);
  // Dnf 4 reports the directory itself: the setting is root's.
  const host = new DnfHost(4);
  exclude(host, "[main]\ncachedir=/srv/user\n");
  const { stdout } = host.answerRepositories([{ id: "updates" }]);
  host.answers = { repositories: succeeded(stdout.replace(/^cachedir.*\n/m, "")) };
  assertEquals(await marksSecurity(host, "/srv/user"), null);
});

Deno.test("scan() lists the updates of a host with one package", async () => {
  const host = new DnfHost();
  host.answers = {
    installed: succeeded("bash\t0\t5.1.8\t6.el9\tx86_64\tbash-5.1.8-6.el9.src.rpm\n"),
  };
  assertEquals((await scanWith(dnfScanner(), host, {})).updates.length, 8);
});

Deno.test("scan() lists no advisories if there is no update", async () => {
  const host = new DnfHost();
  host.answers = { offered: succeeded(""), checked: succeeded("") };
  assertEquals((await scanWith(dnfScanner(), host, {})).updates, []);
  const asked = ["checked", "installed", "offered", "reboot", "repositories", "version"];
  assertEquals(host.questions.toSorted(), asked);
});
