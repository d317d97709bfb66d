import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../../src/scanners/dnf.ts";
import { DnfCommands } from "../../../src/scanners/dnf/commands.ts";
import { dnf4Dialect } from "../../../src/scanners/dnf/dnf4.ts";
import { dnf5Dialect } from "../../../src/scanners/dnf/dnf5.ts";
import {
  askOptional,
  type DnfContext,
  findReplacingSecurity,
  listAvailable,
  readReboot,
} from "../../../src/scanners/dnf/questions.ts";
import { scanWith } from "../../fakes/scan_with.ts";
import {
  DnfHost,
  exclude,
  failed,
  lock,
  type Question,
  questionOf,
  rpm,
  stateOf,
  summarize,
} from "./host.ts";
import { readFixture, succeeded } from "../fixture.ts";

const EXCLUDED = ["--setopt=excludepkgs=", "--setopt=*.excludepkgs="];
const UNLOCKED = { 4: ["--disableplugin=versionlock"], 5: ["--setopt=disable_excludes=*"] };

/** The options before the command of the first question of that kind; `null`: it was not asked. */
function flagsOf(host: DnfHost, question: Question): string[] | null {
  const argv = host.asked.find((one) => questionOf(one) === question);
  const known = [...EXCLUDED, ...UNLOCKED[4], ...UNLOCKED[5]];
  return argv?.filter((word) => known.includes(word)) ?? null;
}

Deno.test("collectAnswers() lifts existing excludes and locks with the options of each generation", async () => {
  const rows: [generation: 4 | 5, excludes: boolean, locks: boolean, lifted: string[] | null][] = [
    [4, false, false, null],
    [4, true, false, EXCLUDED],
    [4, false, true, UNLOCKED[4]],
    [4, true, true, [...EXCLUDED, ...UNLOCKED[4]]],
    [5, false, false, null],
    [5, true, false, EXCLUDED],
    // The option that lifts dnf 5's locks lifts the excludes as well.
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
    // Only dnf 5 applies locks to the list of offers.
    const asked = host.asked.filter((one) => questionOf(one) === "excluded");
    assertEquals(asked.length, Number(excludes) + Number(locks && generation === 5), name);
  }
});

Deno.test("collectAnswers() lifts dnf 4's locks if its own list lacks an update; dnf 5's locks cannot explain that", async () => {
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

Deno.test("collectAnswers() lists the advisories of hidden updates if there are any", async () => {
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

Deno.test("collectAnswers() describes advisories only if there is one", async () => {
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

Deno.test("collectAnswers() distinguishes dnf 5's locks from excludes by the names in the list of locks", async () => {
  const host = new DnfHost(5);
  lock(host, 5, "other", "fl*");
  host.answers = { offered: succeeded(""), checked: succeeded("{}") };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "flac"), ["held", "version lock"]);
  assertEquals(stateOf(updates, "glibc"), ["held", "excluded by dnf's configuration"]);
  assertEquals(warnings, []);
});

Deno.test("collectAnswers() attributes a blocked replacing package to dnf 4's locks", async () => {
  const host = new DnfHost();
  lock(host, 4, "oldtool");
  const table = readFixture("dnf", "check_update.txt");
  const [above = ""] = table.split("Obsoleting");
  host.answers = { checked: { ...succeeded(above), code: 100 } };
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "newtool"), ["held", "version lock"]);
});

Deno.test("collectAnswers() names the exclude in each form of a package's name that dnf accepts", async () => {
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

Deno.test("collectAnswers() continues if dnf cannot list excluded updates", async () => {
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

Deno.test("collectAnswers() looks for a better priority if dnf cannot list locked updates", async () => {
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

Deno.test("collectAnswers() counts the unparsed lines of every answer", async () => {
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

Deno.test("collectAnswers() lists excluded updates if the settings cannot be read", async () => {
  const host = new DnfHost();
  host.files.fail("read dnf's configuration", "denied");
  const all = readFixture("dnf", "offered.txt");
  host.answers = { offered: succeeded(""), checked: succeeded(""), excluded: succeeded(all) };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  // The eighth package would replace another.
  assertEquals([updates.length, updates.every(({ state }) => state === "held")], [8, true]);
  assertEquals(warnings, []);
});

Deno.test("collectAnswers() names the cheapest of equal repositories, as dnf does", async () => {
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

Deno.test("collectAnswers() reports excluded updates as held", async () => {
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
    updates.filter(({ state }) => state === "held").map(summarize),
    ["bash 5.1.8-6.el9 -> 5.1.8-9.el9 held null false  FEDORA-2026-1bbec06c4d"],
  );
  assertEquals(updates.find(({ state }) => state === "held")?.stateReason, "excludepkgs=bash");
  assertEquals(updates.length, 8);
});

Deno.test("collectAnswers() reports what else dnf omitted from the list of updates", async () => {
  const host = new DnfHost();
  const stderr = "Warning: failed loading '/etc/yum.repos.d/bad.repo', skipping.\n";
  host.answers = { offered: succeeded(readFixture("dnf", "offered.txt"), stderr) };
  const { result, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals([result, warnings], ["degraded", [
    'A repository\'s file could not be read: "/etc/yum.repos.d/bad.repo"',
  ]]);
});

Deno.test("collectAnswers() queries dnf without suspect plugins and reports the updates they hide as held", async () => {
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

Deno.test("collectAnswers() asks no further question if every plugin is harmless", async () => {
  const host = new DnfHost(4);
  host.plugins = "builddep, subscription-manager, versionlock";
  await scanWith(dnfScanner(), host, {});
  assertEquals(host.questions.filter((question) => question === "excluded").length, 0);
  assertEquals(host.questions.filter((question) => question === "repositories").length, 1);
});

Deno.test("collectAnswers() reports a gap if dnf lacks repositories without its plugins", async () => {
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
    host.answers = { repositories: [host.answerRepositories(), host.answerRepositories(left)] };
    host.asked.length = 0;
    host.restart();
    const { updates, result, warnings } = await scanWith(dnfScanner(), host, {});
    assertEquals([updates.length > 0, result, warnings], [true, "degraded", [
      "Cannot determine what dnf's plugins (filter) keep back: without them, repositories are missing: updates",
    ]]);
    assertEquals(host.questions.includes("excluded"), false);
  }
  // The question may fail.
  host.answers = { repositories: [host.answerRepositories(), failed("Error: x\n")] };
  host.restart();
  assertEquals((await scanWith(dnfScanner(), host, {})).warnings, [
    "Cannot list the repositories without plugins: x",
  ]);
});

function asking(host: DnfHost, generation: 4 | 5 = 4): DnfContext {
  return {
    commands: new DnfCommands(host, undefined),
    dialect: generation === 4 ? dnf4Dialect : dnf5Dialect([5, 4, 6]),
    program: ["/usr/bin/dnf", "--setting"],
    gaps: [],
  };
}

/** A row of `repoquery`. */
function row(name: string, version = "1", architecture = "noarch"): string {
  return `${name}\t0\t${version}\t1\t${architecture}\tr\n`;
}

/** A host with security advisories of these severities about these rows. */
function hostWith(rows: Record<"any" | "critical" | "important" | "moderate" | "low", string>) {
  const host = new DnfHost();
  const asked: string[] = [];
  host.runCommand = (argv) => {
    const filter = argv.find((word) => /^--(?:security|sec-|advisory-)/.test(word)) ?? "";
    asked.push(filter);
    const severity = filter.split("=")[1]?.toLowerCase() ?? "any";
    return Promise.resolve(
      succeeded(Object.entries(rows).find(([one]) => one === severity)?.[1] ?? ""),
    );
  };
  return { host, asked };
}

const NONE = { any: "", critical: "", important: "", moderate: "", low: "" };

Deno.test("findReplacingSecurity() asks for severities in descending order until each package has one", async () => {
  const replacing = ["a-1-1.noarch", "b-1-1.noarch", "c-1-1.noarch"].map(rpm);
  const { host, asked } = hostWith({
    ...NONE,
    any: row("a") + row("b"),
    critical: row("a"),
    important: row("a") + row("b"),
  });
  assertEquals(
    await findReplacingSecurity(asking(host), replacing, []),
    new Map([["a.noarch", { severity: "critical" }], ["b.noarch", { severity: "important" }]]),
  );
  assertEquals(asked, ["--security", "--sec-severity=Critical", "--sec-severity=Important"]);
});

Deno.test("findReplacingSecurity() returns packages without a severity", async () => {
  const { host, asked } = hostWith({ ...NONE, any: row("a") + row("b"), low: row("b") });
  const run = asking(host, 5);
  assertEquals(
    await findReplacingSecurity(run, ["a-1-1.noarch", "b-1-1.noarch"].map(rpm), []),
    new Map([["a.noarch", { severity: null }], ["b.noarch", { severity: "low" as const }]]),
  );
  const words = ["critical", "important", "moderate", "low"];
  assertEquals(asked, ["--security", ...words.map((word) => `--advisory-severities=${word}`)]);
});

Deno.test("findReplacingSecurity() compares versions and architectures", async () => {
  const any = row("a", "2") + row("a", "1", "x86_64") + row("b");
  const { host } = hostWith({ ...NONE, any });
  const replacing = ["a-1-1.noarch", "b-1-1.noarch"].map(rpm);
  const found = await findReplacingSecurity(asking(host), replacing, []);
  assertEquals([...found?.keys() ?? []], ["b.noarch"]);
});

Deno.test("findReplacingSecurity() is null if dnf fails, and asks nothing without packages", async () => {
  const host = new DnfHost();
  host.answers = { security: failed("Error: x\n") };
  const run = asking(host);
  assertEquals(await findReplacingSecurity(run, [], []), new Map());
  assertEquals([host.asked, run.gaps], [[], []]);
  assertEquals(await findReplacingSecurity(run, [rpm("a-1-1.noarch")], ["--lifted"]), null);
  assertEquals(run.gaps, ["Cannot read advisories of replacing packages: x"]);
  assertEquals(host.asked[0]?.slice(0, 6), [
    "/usr/bin/dnf",
    "--setting",
    "-C",
    "-q",
    "--lifted",
    "repoquery",
  ]);
  // Earlier gaps do not matter.
  const later = asking(new DnfHost());
  later.gaps.push("an older gap");
  assertEquals(await findReplacingSecurity(later, [rpm("a-1-1.noarch")], []), new Map());
});

Deno.test("listAvailable() asks about many names in several commands of limited length", async () => {
  const host = new DnfHost();
  const name = (index: number) => `${index}`.padEnd(999, "x");
  /** How many names each command has; each name has 1,000 characters with its separator. */
  const batches = async (names: readonly string[]) => {
    host.asked.length = 0;
    host.answers = { available: [succeeded(row("a")), succeeded(row("b"))] };
    await listAvailable(asking(host), names);
    const asked = host.asked.map((argv) => argv.slice(argv.indexOf("--qf") + 2));
    assertEquals(asked.flat(), names);
    return asked.map((batch) => batch.length);
  };
  const hundred = Array.from({ length: 100 }, (_, index) => name(index));
  assertEquals(await batches([]), []);
  assertEquals(await batches(["a", "b"]), [2]);
  assertEquals(await batches(hundred), [100]);
  assertEquals(await batches([...hundred, "y"]), [100, 1]);
  // A command has at most 100,000 characters of names with their separators.
  assertEquals(await batches([...hundred.slice(0, 99), name(99).slice(1)]), [100]);
  assertEquals(await batches([...hundred.slice(0, 99), `${name(99)}y`]), [99, 1]);
  assertEquals(await batches([...hundred, ...hundred]), [100, 100]);
  const two = new DnfHost();
  two.answers = { available: [succeeded(row("a")), succeeded(row("b"))] };
  const found = await listAvailable(asking(two), [...hundred, ...hundred]);
  assertEquals(found.map((one) => one.name), ["a", "b"]);
});

Deno.test("listAvailable() asks dnf 4 and dnf 5 for the same row with the options of each", async () => {
  for (const generation of [4, 5] as const) {
    const host = new DnfHost(generation);
    await listAvailable(asking(host, generation), ["a"]);
    const [argv = []] = host.asked;
    assertEquals(argv.slice(3, 6), ["-q", "repoquery", "--available"]);
    assertEquals(argv[6], generation === 4 ? "--qf" : "--queryformat");
    assertEquals(argv[7]?.endsWith("\t%{repoid}\n"), generation === 5);
    assertEquals(argv.slice(8), ["a"]);
  }
});

Deno.test("readReboot() is null without a gap if dnf fails or the answer is invalid", async () => {
  for (const reboot of [failed("No such command\n"), failed("", 2), succeeded("junk\n")]) {
    const host = new DnfHost();
    host.answers = { reboot };
    const run = asking(host);
    assertEquals([await readReboot(run), run.gaps], [null, []]);
  }
});

Deno.test("askOptional() propagates programming errors", async () => {
  const question = { command: [], codes: [0], read: () => undefined };
  const run = asking(new DnfHost());
  assertEquals(await askOptional(run, "ask", question), undefined);
  assertEquals(run.gaps, ["Cannot ask: the answer is not understood"]);
  const broken = {
    ...question,
    read: () => {
      throw new TypeError("oops");
    },
  };
  await assertRejects(() => askOptional(run, "ask", broken), TypeError, "oops");
  assert(run.gaps.length === 1);
});
