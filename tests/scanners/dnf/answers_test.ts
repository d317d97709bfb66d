import { assert, assertEquals } from "@std/assert";
import { dnfScanner } from "../../../src/scanners/dnf.ts";
import { scanWith } from "../../fakes/scan_with.ts";
import {
  bashOf,
  DnfHost,
  exclude,
  failed,
  hostWithoutBash,
  type Question,
  questionOf,
  stateOf,
  tell,
} from "./host.ts";
import { readFixture, succeeded } from "../fixture.ts";

const EXCLUDED = ["--setopt=excludepkgs=", "--setopt=*.excludepkgs="];
const UNLOCKED = { 4: ["--disableplugin=versionlock"], 5: ["--setopt=disable_excludes=*"] };

/** Locks packages in the list of dnf 4's plugin, or in that of dnf 5 itself. */
function lock(host: DnfHost, generation: 4 | 5, ...names: string[]): void {
  const { texts } = host.files;
  if (generation === 4) {
    const lines = names.map((name) => `${name}-0:1-1.*\n`);
    texts.set("/etc/dnf/plugins/versionlock.list", lines.join(""));
  } else {
    const packages = names.map((name) => `[[packages]]\nname = "${name}"\n`);
    texts.set("/etc/dnf/versionlock.toml", `version = "1.0"\n${packages.join("")}`);
  }
}

/** The flags that go before the command of the first question of that kind; `null`: it was not asked. */
function flagsOf(host: DnfHost, question: Question): string[] | null {
  const argv = host.asked.find((one) => questionOf(one) === question);
  const known = [...EXCLUDED, ...UNLOCKED[4], ...UNLOCKED[5]];
  return argv?.filter((word) => known.includes(word)) ?? null;
}

Deno.test("collectAnswers() lifts excludes and locks where there are any, as each generation of dnf can", async () => {
  const rows: [generation: 4 | 5, excludes: boolean, locks: boolean, lifted: string[] | null][] = [
    [4, false, false, null],
    [4, true, false, EXCLUDED],
    [4, false, true, UNLOCKED[4]],
    [4, true, true, [...EXCLUDED, ...UNLOCKED[4]]],
    [5, false, false, null],
    [5, true, false, EXCLUDED],
    // What lifts dnf 5's locks lifts the excludes, too.
    [5, false, true, UNLOCKED[5]],
    [5, true, true, UNLOCKED[5]],
  ];
  for (const [generation, excludes, locks, lifted] of rows) {
    const host = new DnfHost(generation);
    if (excludes) exclude(host);
    if (locks) lock(host, generation, "nothing");
    await scanWith(dnfScanner(), host, {});
    const name = `${generation} ${excludes} ${locks}`;
    assertEquals(flagsOf(host, "lifted"), lifted, name);
    // Only dnf 5 heeds locks where it lists what is offered.
    const asked = host.asked.filter((one) => questionOf(one) === "excluded");
    assertEquals(asked.length, Number(excludes) + Number(locks && generation === 5), name);
  }
});

Deno.test("collectAnswers() lifts dnf 4's locks where its own list lacks an update, and dnf 5's do not explain it", async () => {
  for (const generation of [4, 5] as const) {
    const host = new DnfHost(generation);
    host.answers = generation === 4
      ? {
        checked: {
          ...succeeded(readFixture("dnf", "check_update.txt").replace(/^bash.*\n/m, "")),
          code: 100,
        },
      }
      : { checked: succeeded("{}") };
    await scanWith(dnfScanner(), host, {});
    assertEquals(flagsOf(host, "lifted"), generation === 4 ? UNLOCKED[4] : null);
  }
});

Deno.test("collectAnswers() asks for the advisories of what is kept back as well, where there is one such update", async () => {
  const offers = readFixture("dnf5", "offered.txt");
  const one = offers.slice(0, offers.indexOf("\n") + 1);
  const rows: [
    offered: string,
    answers: string[],
    excludes: boolean,
    locks: boolean,
    string[] | null,
  ][] = [
    [offers, [], false, false, []],
    [offers, [""], true, false, []],
    [offers, [one], true, false, EXCLUDED],
    [offers, [""], false, true, []],
    [offers, [one], false, true, UNLOCKED[5]],
    [offers, [one, one], true, true, UNLOCKED[5]],
    ["", [one], true, false, EXCLUDED],
    ["", [""], true, false, null],
  ];
  for (const [offered, answers, excludes, locks, flags] of rows) {
    const host = new DnfHost(5);
    if (excludes) exclude(host);
    if (locks) lock(host, 5, "nothing");
    host.answers = {
      offered: succeeded(offered),
      checked: succeeded("{}"),
      ...(answers.length > 0 && { excluded: answers.map((text) => succeeded(text)) }),
    };
    await scanWith(dnfScanner(), host, {});
    const name = `${offered.length} ${answers.length} ${excludes} ${locks}`;
    assertEquals(flagsOf(host, "advisories"), flags, name);
    assertEquals(flagsOf(host, "cves"), flags, name);
  }
});

Deno.test("collectAnswers() asks what advisories say only where there is one", async () => {
  const one = { name: "A-1", type: "security", severity: "low", nevra: "flac-1.3.3-8.fc29.x86_64" };
  const rows: [DnfHost["answers"]["advisories"], number][] = [
    [succeeded("[]\n"), 0],
    [failed("Error: x\n"), 0],
    [succeeded(JSON.stringify([one])), 1],
  ];
  for (const [advisories, count] of rows) {
    const host = new DnfHost(5);
    host.answers = { advisories: advisories ?? [] };
    await scanWith(dnfScanner(), host, {});
    assertEquals(host.questions.filter((question) => question === "cves").length, count);
  }
});

Deno.test("collectAnswers() tells by dnf 5's locks what they hold, and what is excluded", async () => {
  const host = new DnfHost(5);
  lock(host, 5, "other", "fl*");
  host.answers = { offered: succeeded(""), checked: succeeded("{}") };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "flac"), ["held", "version lock"]);
  assertEquals(stateOf(updates, "glibc"), ["held", "excluded by dnf's configuration"]);
  assertEquals(warnings, []);
});

Deno.test("collectAnswers() takes a lock of dnf 4's for what keeps a replacing package back", async () => {
  const host = new DnfHost();
  lock(host, 4, "oldtool");
  const table = readFixture("dnf", "check_update.txt");
  const [above = ""] = table.split("Obsoleting");
  host.answers = { checked: { ...succeeded(above), code: 100 } };
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "newtool"), ["held", "version lock"]);
});

Deno.test("collectAnswers() names the exclude in each form in which dnf takes a package's name", async () => {
  const forms = [
    "bash",
    "bash.x86_64",
    "bash-5.1.8-9.el9",
    "bash-5.1.8-9.el9.x86_64",
    "*-9.el9.x86_64",
  ];
  for (const form of forms) {
    const host = new DnfHost();
    exclude(host, `[main]\nexcludepkgs=${form}\n`);
    const without = (text: string) => succeeded(text.replace(/^bash.*\n/m, ""));
    host.answers = {
      offered: without(readFixture("dnf", "offered.txt")),
      checked: without(readFixture("dnf", "check_update.txt")),
    };
    const { updates } = await scanWith(dnfScanner(), host, {});
    assertEquals(stateOf(updates, "bash"), ["held", `excludepkgs=${form}`]);
  }
});

Deno.test("collectAnswers() goes on without excluded updates that dnf cannot list", async () => {
  const host = new DnfHost();
  exclude(host);
  host.answers = { excluded: failed("Error: x\n"), lifted: failed("Error: y\n") };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.length, 8);
  assertEquals(warnings, [
    "Cannot list excluded updates: x",
    "Cannot check updates that are kept back: y",
  ]);
});

Deno.test("collectAnswers() looks for a better priority where dnf cannot say what is locked", async () => {
  const host = new DnfHost();
  host.files.texts.set("/etc/yum.repos.d/vendor.repo", "[vendor]\npriority = 50\n[updates]\n");
  const table = readFixture("dnf", "check_update.txt").replace(/^bash.*\n/m, "");
  host.answers = {
    checked: { ...succeeded(table), code: 100 },
    lifted: failed("Error: x\n"),
    available: succeeded("bash\t0\t5.1.8\t6.el9\tx86_64\tvendor\n"),
  };
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "bash"), [
    "pinned",
    "repository vendor has priority 50, updates has 99",
  ]);
});

Deno.test("collectAnswers() names five of the packages about which dnf's answers contradict each other", async () => {
  const host = new DnfHost();
  host.answers = { checked: succeeded("z.noarch 1-1 r\n"), lifted: succeeded("z.noarch 1-1 r\n") };
  const { warnings } = await scanWith(dnfScanner(), host, {});
  const [doubt = ""] = warnings;
  assertEquals(doubt.match(/\.(?:x86_64|noarch)/g)?.length, 5);
  assert(doubt.endsWith(" and 3 more"), doubt);
});

Deno.test("collectAnswers() counts what it does not understand in every answer", async () => {
  const host = new DnfHost();
  exclude(host);
  const bad = "bash\t0\t5.1\n";
  host.answers = {
    installed: succeeded(readFixture("dnf", "installed.txt") + bad),
    offered: succeeded(readFixture("dnf", "offered.txt") + bad),
    excluded: succeeded(bad),
    advisories: succeeded("X Kritisch a-1-1.noarch\n"),
    checked: { ...succeeded(readFixture("dnf", "check_update.txt") + "a.noarch 1 r\n"), code: 100 },
    lifted: succeeded("a.noarch 1 r\n"),
  };
  assertEquals((await scanWith(dnfScanner(), host, {})).warnings, [
    "Lines of dnf's answers that were not understood: 6",
  ]);
});

Deno.test("collectAnswers() doubts an update that dnf's own list lacks and no rule explains", async () => {
  const host = hostWithoutBash();
  const doubtful = await scanWith(dnfScanner(), host, {});
  const doubt = "doubt: dnf's own list of updates does not have it, and no setting explains why";
  assertEquals(bashOf(doubtful), [["upgradable", doubt, "FEDORA-2026-1bbec06c4d"]]);
  assertEquals([doubtful.result, doubtful.warnings], ["degraded", [
    "Two of dnf's answers contradict each other about the updates of bash.x86_64",
  ]]);
  // A priority somewhere else explains nothing.
  host.files.texts.set("/etc/yum.repos.d/vendor.repo", "[vendor]\npriority = 50\n[updates]\n");
  assertEquals((await scanWith(dnfScanner(), host, {})).warnings.length, 1);
});

Deno.test("collectAnswers() tells as pinned what a repository of a better priority has too", async () => {
  const host = hostWithoutBash();
  host.files.texts.set("/etc/yum.repos.d/vendor.repo", "[vendor]\npriority = 50\n[updates]\n");
  const available = "bash\t0\t5.1.8\t6.el9\tx86_64\tvendor\n";
  host.answers = { ...host.answers, available: succeeded(available) };
  const report = await scanWith(dnfScanner(), host, {});
  const reason = "repository vendor has priority 50, updates has 99";
  assertEquals(bashOf(report), [["pinned", reason, "FEDORA-2026-1bbec06c4d"]]);
  assertEquals([report.result, report.warnings], ["ok", []]);
  const asked = host.asked.find((argv) => questionOf(argv) === "available");
  assertEquals(asked?.at(-1), "bash");
});

Deno.test("collectAnswers() tells as held what dnf's own list has once version locks are lifted", async () => {
  const host = hostWithoutBash();
  host.answers = { checked: host.answers.checked ?? succeeded("") };
  const report = await scanWith(dnfScanner(), host, {});
  assertEquals(bashOf(report), [["held", "version lock", "FEDORA-2026-1bbec06c4d"]]);
  assertEquals([report.result, report.warnings], ["ok", []]);
});

Deno.test("collectAnswers() asks dnf for excluded updates where its settings cannot be read", async () => {
  const host = new DnfHost();
  host.files.fail("read dnf's configuration", "denied");
  const all = readFixture("dnf", "offered.txt");
  host.answers = { offered: succeeded(""), checked: succeeded(""), excluded: succeeded(all) };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  // The eighth would replace another package.
  assertEquals([updates.length, updates.every(({ state }) => state === "held")], [8, true]);
  assertEquals(warnings, []);
});

Deno.test("collectAnswers() asks for no advisories where there is no update", async () => {
  const host = new DnfHost();
  host.answers = { offered: succeeded(""), checked: succeeded("") };
  assertEquals((await scanWith(dnfScanner(), host, {})).updates, []);
  const asked = ["checked", "installed", "offered", "reboot", "repositories", "version"];
  assertEquals(host.questions.toSorted(), asked);
});

Deno.test("collectAnswers() names of repositories that are alike the cheapest, as dnf takes it", async () => {
  const host = new DnfHost(5);
  host.files.texts.set("/etc/yum.repos.d/dear.repo", "[dear]\ncost=2000\n[twin]\n");
  const rows = (name: string, more: object = {}) =>
    ["dear", "twin"].map((repository) => ({
      name,
      arch: "noarch",
      evr: "2-1",
      repository,
      ...more,
    }));
  const obsoletes = [{ name: "old", arch: "noarch", evr: "1-1" }];
  const offer = (id: string) => `new\t0\t2\t1\tnoarch\t${id}\t7\tnew-2-1.src.rpm\tNew\n`;
  host.answers = {
    installed: succeeded("new\t0\t1\t1\tnoarch\tnew-1-1.src.rpm\n"),
    offered: succeeded(offer("dear") + offer("twin")),
    advisories: succeeded("[]\n"),
    checked: succeeded(JSON.stringify({ upgrades: rows("new") })),
    replaced: succeeded(
      JSON.stringify({ obsoleting_packages: [...rows("newer", { obsoletes }), "junk"] }),
    ),
  };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.map((one) => `${one.package} ${one.source}`), ["new twin", "newer twin"]);
  assertEquals(warnings, ["Lines of dnf's answers that were not understood: 1"]);
});

Deno.test("collectAnswers() tells excluded updates as held, and asks for them where some are", async () => {
  const host = new DnfHost();
  host.files.texts.set("/etc/dnf/dnf.conf", "[main]\nexcludepkgs = bash\n");
  const all = readFixture("dnf", "offered.txt");
  const withoutBash = (text: string) => succeeded(text.replace(/^bash.*\n/m, ""));
  host.answers = {
    offered: withoutBash(all),
    checked: withoutBash(readFixture("dnf", "check_update.txt")),
  };
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(
    updates.filter(({ state }) => state === "held").map(tell),
    ["bash 5.1.8-6.el9 -> 5.1.8-9.el9 held null false  FEDORA-2026-1bbec06c4d"],
  );
  assertEquals(updates.find(({ state }) => state === "held")?.stateReason, "excludepkgs=bash");
  assertEquals(updates.length, 8);
});

Deno.test("collectAnswers() tells what dnf left out of the list of updates besides repositories", async () => {
  const host = new DnfHost();
  const stderr = "Warning: failed loading '/etc/yum.repos.d/bad.repo', skipping.\n";
  host.answers = { offered: succeeded(readFixture("dnf", "offered.txt"), stderr) };
  const { result, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals([result, warnings], ["degraded", [
    'A repository\'s file could not be read: "/etc/yum.repos.d/bad.repo"',
  ]]);
});

Deno.test("collectAnswers() asks once more without plugins that may keep updates back, and holds what it then finds", async () => {
  const host = new DnfHost(4);
  host.plugins = "builddep, filter, versionlock";
  const offered = readFixture("dnf", "offered.txt");
  host.answers = {
    offered: succeeded(offered.replace(/^bash\t.*\n/m, "")),
    checked: {
      ...succeeded(readFixture("dnf", "check_update.txt").replace(/^bash.*\n/m, "")),
      code: 100,
    },
  };
  const { updates, result } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "bash"), ["held", "kept back by dnf's plugin filter"]);
  assertEquals(result, "ok");
  const flags = ["--disableplugin=*", "--enableplugin=builddep"];
  for (const question of ["excluded", "lifted", "advisories"] as const) {
    const argv = host.asked.find((one) => questionOf(one) === question) ?? [];
    assertEquals(flags.every((flag) => argv.includes(flag)), true, question);
  }
  assertEquals(host.questions.filter((question) => question === "repositories").length, 2);
});

Deno.test("collectAnswers() asks nothing more where every plugin is known to be harmless", async () => {
  const host = new DnfHost(4);
  host.plugins = "builddep, subscription-manager, versionlock";
  await scanWith(dnfScanner(), host, {});
  assertEquals(host.questions.filter((question) => question === "excluded").length, 0);
  assertEquals(host.questions.filter((question) => question === "repositories").length, 1);
});

Deno.test("collectAnswers() says so where dnf lacks repositories without its plugins, and leaves out nothing", async () => {
  const host = new DnfHost(4);
  host.plugins = "filter";
  const [first, ...rest] = host.repositories;
  assert(first);
  const changes = [
    rest,
    [{ ...first, ageMs: null }, ...rest],
    [{ ...first, url: "https://other.example/" }, ...rest],
  ];
  for (const left of changes) {
    host.answers = { repositories: [host.tellRepositories(), host.tellRepositories(left)] };
    host.asked.length = 0;
    host.forget();
    const { updates, result, warnings } = await scanWith(dnfScanner(), host, {});
    assertEquals([updates.length > 0, result, warnings], [true, "degraded", [
      "Cannot determine what dnf's plugins (filter) keep back: without them, repositories are missing: updates",
    ]]);
    assertEquals(host.questions.includes("excluded"), false);
  }
  // The question itself may fail.
  host.answers = { repositories: [host.tellRepositories(), failed("Error: x\n")] };
  host.forget();
  assertEquals((await scanWith(dnfScanner(), host, {})).warnings, [
    "Cannot list the repositories without plugins: x",
  ]);
});
