import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { dnfScanner } from "../../../src/scanners/dnf.ts";
import {
  type DnfAnswers,
  type DnfRules,
  findMissing,
  newestOffers,
  reconcile,
} from "../../../src/scanners/dnf/reconcile.ts";
import { formatEvr, type OfferedRpm, type RpmPackage } from "../../../src/scanners/dnf/rpm.ts";
import { scanWith } from "../../fakes/scan_with.ts";
import { succeeded } from "../fixture.ts";
import { bashOf, hostWithoutBash, questionOf, rpm } from "./host.ts";

function noarch(nevra: string): RpmPackage {
  return rpm(`${nevra}.noarch`);
}

function offer(text: string): OfferedRpm {
  const [nevra = "", repository = ""] = text.split(" ");
  return { ...noarch(nevra), repository, sizeBytes: 7, sourcePackage: "source", summary: "A tool" };
}

const listed = (text: string) => ({
  package: offer(text),
  repository: text.split(" ")[1] ?? "",
});

/** Dnf's own list of rows like "foo-1-1 repository", and of packages that replace "old". */
function list(rows: readonly string[], replacing: readonly string[] = []) {
  const obsoletes = replacing.map((row) => ({ ...listed(row), replaces: [noarch("old-1-1")] }));
  return { upgrades: rows.map(listed), obsoletes, unparsed: 0 };
}

const NO_RULES: DnfRules = {
  priorityOf: () => 99,
  excludeOf: () => null,
  isLocked: () => undefined,
  hasIncludes: false,
  plugins: null,
  mayHaveLocks: true,
};

const NO_ANSWERS: DnfAnswers = {
  offered: [],
  withoutExcludes: [],
  withoutLocks: [],
  withoutPlugins: [],
  checked: undefined,
  lifted: undefined,
  available: [],
  rules: NO_RULES,
};

type Lists = "offered" | "withoutExcludes" | "withoutLocks" | "withoutPlugins";

interface Overrides extends Partial<Omit<DnfAnswers, Lists>> {
  readonly withoutPlugins?: readonly string[];
  readonly offered?: readonly string[];
  readonly withoutExcludes?: readonly string[];
  readonly withoutLocks?: readonly string[];
}

function summarizeAll(overrides: Overrides) {
  const { offered = [], withoutExcludes = [], withoutLocks = [], withoutPlugins = [], ...rest } =
    overrides;
  const { offers, blockedReplacing, doubtful } = reconcile({
    ...NO_ANSWERS,
    ...rest,
    offered: offered.map(offer),
    withoutExcludes: withoutExcludes.map(offer),
    withoutLocks: withoutLocks.map(offer),
    withoutPlugins: withoutPlugins.map(offer),
  });
  const summarize = (one: OfferedRpm) => `${one.name}-${formatEvr(one)} ${one.repository}`;
  return {
    offers: offers.flatMap(({ installable, blocked, doubt }) => [
      ...installable ? [`${summarize(installable)}${doubt === null ? "" : " doubtful"}`] : [],
      ...blocked ? [`${summarize(blocked.offer)} ${blocked.state}: ${blocked.reason}`] : [],
    ]),
    blockedReplacing: blockedReplacing.map((one) => `${one.package.name}: ${one.reason}`),
    doubtful,
  };
}

const NOT_LISTED = "doubt: dnf's own list of updates does not have it, and no setting explains why";

Deno.test("reconcile() returns each package once, from the repository that dnf would use", () => {
  assertEquals(summarizeAll({ checked: list([]) }).offers, []);
  const { offers, doubtful } = summarizeAll({
    offered: ["a-2-1 one", "a-2-1 two", "b-2-1 one"],
    checked: list(["b-2-1 one", "a-2-1 two", "a-2-1 one"]),
  });
  assertEquals([offers, doubtful], [["a-2-1 two", "b-2-1 one"], []]);
  // One of the lists omits an epoch of 0.
  assertEquals(
    summarizeAll({ offered: ["a-0:2-1 one"], checked: list(["a-2-1 one"]) }).doubtful,
    [],
  );
});

Deno.test("reconcile() reports a version lock if dnf's own list has the update without locks", () => {
  const { offers, doubtful } = summarizeAll({
    offered: ["a-3-1 one", "b-3-1 one"],
    // A lock may allow an older update.
    checked: list(["b-2-1 one"]),
    lifted: list(["a-3-1 one", "b-3-1 one"]),
  });
  assertEquals(offers, [
    "a-3-1 one held: version lock",
    "b-2-1 one",
    "b-3-1 one held: version lock",
  ]);
  assertEquals(doubtful, []);
});

Deno.test("reconcile() reports pinned only if a repository of better priority has the package", () => {
  const priorities = new Map([["best", 10], ["other", 99], ["same", 99]]);
  const rules = { ...NO_RULES, priorityOf: (id: string) => priorities.get(id) };
  const available = ["a-1-1 best", "b-1-1 same", "c-1-1 unknown", "d-1-1 best"].map(offer);
  const { offers, doubtful } = summarizeAll({
    offered: ["a-2-1 other", "b-2-1 other", "c-2-1 other", "d-2-1 unknown"],
    checked: list([]),
    available,
    rules,
  });
  assertEquals(offers, [
    "a-2-1 other pinned: repository best has priority 10, other has 99",
    `b-2-1 other upgradable: ${NOT_LISTED}`,
    `c-2-1 other upgradable: ${NOT_LISTED}`,
    `d-2-1 unknown upgradable: ${NOT_LISTED}`,
  ]);
  assertEquals(doubtful, ["b.noarch", "c.noarch", "d.noarch"]);
});

Deno.test("reconcile() returns a newer excluded version beside an older installable one", () => {
  const rules = { ...NO_RULES, excludeOf: (one: RpmPackage) => one.name === "a" ? "x=a" : null };
  const { offers, doubtful } = summarizeAll({
    offered: ["a-2-1 other"],
    withoutExcludes: ["a-3-1 first", "b-2-1 first"],
    checked: list(["a-2-1 other"]),
    rules,
  });
  assertEquals(offers, [
    "a-2-1 other",
    "a-3-1 first held: x=a",
    "b-2-1 first held: excluded by dnf's configuration",
  ]);
  assertEquals(doubtful, []);
});

Deno.test("reconcile() omits packages outside `includepkgs`, which dnf 5 lifts with its locks", () => {
  const rules = { ...NO_RULES, isLocked: (name: string) => name === "a", hasIncludes: true };
  const overrides = { withoutLocks: ["a-2-1 r", "b-2-1 r"], checked: list([]) };
  assertEquals(summarizeAll({ ...overrides, rules }).offers, ["a-2-1 r held: version lock"]);
  const { offers } = summarizeAll({ ...overrides, rules: { ...rules, hasIncludes: false } });
  assertEquals(offers, [
    "a-2-1 r held: version lock",
    "b-2-1 r held: excluded by dnf's configuration",
  ]);
});

Deno.test("reconcile() returns what only dnf's own list has, with a doubt", () => {
  const { offers, doubtful } = summarizeAll({ checked: list(["a-2-1 prefer"]) });
  assertEquals([offers, doubtful], [["a-2-1 prefer doubtful"], ["a.noarch"]]);
  const [only] = reconcile({ ...NO_ANSWERS, checked: list(["a-2-1 prefer"]) }).offers;
  // Nothing else is known about it.
  const unknown = { sizeBytes: null, sourcePackage: null, summary: null };
  assertEquals(only?.installable, { ...noarch("a-2-1"), repository: "prefer", ...unknown });
});

Deno.test("reconcile() returns every offer if dnf's own list is missing", () => {
  const offered = ["a-2-1 one", "a-2-1 two", "a-3-1 three", "b-2-1 one"];
  const { offers, doubtful } = summarizeAll({
    offered,
    withoutExcludes: ["b-3-1 one", "c-1-1 one"],
  });
  assertEquals(offers, [
    "a-3-1 three",
    "b-2-1 one",
    "b-3-1 one held: excluded by dnf's configuration",
    "c-1-1 one held: excluded by dnf's configuration",
  ]);
  assertEquals(doubtful, []);
});

Deno.test("reconcile() returns blocked replacing packages with the reason", () => {
  const overrides = {
    checked: list([], ["new-1-1 r"]),
    lifted: list([], ["new-1-1 r", "kept-1-1 r"]),
  };
  const blocked = (rules: Partial<DnfRules>) =>
    summarizeAll({ ...overrides, rules: { ...NO_RULES, ...rules } }).blockedReplacing;
  assertEquals(blocked({}), ["kept: version lock"]);
  assertEquals(blocked({ excludeOf: () => "x=kept" }), ["kept: x=kept"]);
  assertEquals(blocked({ isLocked: () => false }), ["kept: kept back by dnf"]);
  assertEquals(blocked({ isLocked: () => false, hasIncludes: true }), []);
  // A lock names the new or the replaced package.
  for (const locked of ["kept", "old"]) {
    assertEquals(blocked({ isLocked: (name) => name === locked }), ["kept: version lock"], locked);
  }
  assertEquals(summarizeAll({ lifted: overrides.lifted }).blockedReplacing, []);
});

Deno.test("reconcile() reports updates that suspect plugins hide as held", () => {
  const overrides = {
    offered: ["a-2-1 r", "b-2-1 r"],
    withoutExcludes: ["a-2-1 r", "b-2-1 r", "excluded-2-1 r"],
    withoutPlugins: ["a-3-1 r", "b-2-1 r", "excluded-2-1 r", "hidden-2-1 r"],
    checked: list(["a-2-1 r"]),
    lifted: list(["a-3-1 r", "b-2-1 r"], ["new-1-1 r"]),
  };
  const reconcileWith = (rules: Partial<DnfRules>) =>
    summarizeAll({ ...overrides, rules: { ...NO_RULES, ...rules } });
  assertEquals(
    reconcileWith({ plugins: "filter", mayHaveLocks: false, excludeOf: () => "x=excluded" }).offers,
    [
      "a-2-1 r",
      "a-3-1 r held: kept back by dnf's plugin filter",
      "b-2-1 r held: kept back by dnf's plugin filter",
      "excluded-2-1 r held: x=excluded",
      "hidden-2-1 r held: kept back by dnf's plugin filter",
    ],
  );
  // Disabling the plugins for dnf's own list lifts the locks as well.
  const { offers, blockedReplacing, doubtful } = reconcileWith({
    plugins: "filter",
    mayHaveLocks: true,
  });
  assertEquals(offers[2], "b-2-1 r held: version lock, or kept back by dnf's plugin filter");
  assertEquals(offers[4], "hidden-2-1 r held: kept back by dnf's plugin filter");
  assertEquals(blockedReplacing, ["new: version lock, or kept back by dnf's plugin filter"]);
  assertEquals(doubtful, []);
});

Deno.test("reconcile() has no size of a version that is not offered", () => {
  const checked = list(["a-2-1 prefer"]);
  const parts = {
    offered: [offer("a-3-1 other")],
    withoutExcludes: [],
    withoutLocks: [],
    withoutPlugins: [],
    available: [],
  };
  const { offers: [first] } = reconcile({ ...parts, checked, lifted: undefined, rules: NO_RULES });
  assertEquals(first?.installable, { ...offer("a-2-1 prefer"), sizeBytes: null });
});

Deno.test("reconcile() returns every package of dnf's answers", () => {
  const row = fc.tuple(
    fc.constantFrom(..."abcd"),
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom("r", "s"),
  ).map(([name, version, repository]) => `${name}-${version}-1 ${repository}`);
  const rows = fc.array(row, { maxLength: 8 });
  const priorities = fc.record({ r: fc.constantFrom(1, 99), s: fc.constantFrom(1, 99) });
  fc.assert(
    fc.property(rows, rows, rows, rows, rows, rows, priorities, (a, b, c, d, e, f, known) => {
      const rules: DnfRules = { ...NO_RULES, priorityOf: (id) => id === "r" ? known.r : known.s };
      const found = reconcile({
        offered: a.map(offer),
        withoutExcludes: b.map(offer),
        withoutLocks: [],
        withoutPlugins: f.map(offer),
        checked: list(c),
        lifted: list(d),
        available: e.map(offer),
        rules: { ...rules, plugins: "filter" },
      });
      const names = found.offers.map(({ installable, blocked }) =>
        (installable ?? blocked?.offer)?.name
      );
      const expected = new Set([...a, ...b, ...c, ...f].map((text) => text[0]));
      assertEquals(new Set(names), expected);
      assertEquals(names.length, expected.size);
      // A package that dnf would install is installable.
      for (const { package: { name } } of list(c).upgrades) {
        const one = found.offers.find(({ installable }) => installable?.name === name);
        assertEquals(one?.installable?.name, name);
      }
    }),
  );
});

Deno.test("reconcile() uses the facts of the repository in dnf's own list", () => {
  const offered = ["one", "two"].map((repository, index) => ({
    ...offer(`a-2-1 ${repository}`),
    sizeBytes: index,
  }));
  for (const [repository, sizeBytes] of [["one", 0], ["two", 1], ["other", 0]] as const) {
    const checked = list([`a-2-1 ${repository}`]);
    const [first] = reconcile({ ...NO_ANSWERS, offered, checked }).offers;
    assertEquals([first?.installable?.repository, first?.installable?.sizeBytes], [
      repository,
      sizeBytes,
    ]);
  }
});

Deno.test("reconcile() pins only by packages of a compatible architecture", () => {
  const pinned = (own: string, other: string) => {
    const one = { ...offer("a-2-1 r"), architecture: own };
    const available = [{ ...offer("a-1-1 best"), architecture: other }];
    const rules = { ...NO_RULES, priorityOf: (id: string) => id === "best" ? 1 : 99 };
    const answers = { ...NO_ANSWERS, offered: [one], checked: list([]), available, rules };
    return reconcile(answers).offers[0]?.blocked?.state === "pinned";
  };
  const rows: [own: string, other: string, boolean][] = [
    ["x86_64", "x86_64", true],
    ["x86_64", "i686", false],
    ["x86_64", "noarch", true],
    ["noarch", "x86_64", true],
  ];
  for (const [own, other, expected] of rows) {
    assertEquals(pinned(own, other), expected, `${own} ${other}`);
  }
});

Deno.test("reconcile() has no offer of a package that is neither installable nor blocked", () => {
  // It is outside `includepkgs`, which dnf 5 lifts only with the locks.
  const rules = { ...NO_RULES, isLocked: () => false, hasIncludes: true };
  const withoutLocks = [offer("a-2-1 r")];
  for (const checked of [undefined, list([])]) {
    assertEquals(reconcile({ ...NO_ANSWERS, withoutLocks, checked, rules }).offers, []);
  }
});

Deno.test("findMissing() returns the versions that dnf's own list lacks", () => {
  const offers = ["a-2-1 one", "a-3-1 one", "b-2-1 one", "c-2-1 one"].map(offer);
  const missing = findMissing(offers, list(["a-2-1 one", "b-2-1 two"]));
  assertEquals(missing.map(({ name, version }) => `${name}-${version}`), ["a-3", "c-2"]);
  assertEquals(findMissing(offers, undefined), []);
});

Deno.test("newestOffers() returns the first of equal versions", () => {
  const offers = newestOffers(["a-2-1 one", "a-2-1 two", "a-1-1 three"].map(offer));
  assertEquals(offers.map(({ version, repository }) => `${version} ${repository}`), ["2 one"]);
});

Deno.test("reconcile() reports a doubt if dnf's own list lacks an update and no rule explains it", async () => {
  const host = hostWithoutBash();
  const doubtful = await scanWith(dnfScanner(), host, {});
  const doubt = "doubt: dnf's own list of updates does not have it, and no setting explains why";
  assertEquals(bashOf(doubtful), [["upgradable", doubt, "FEDORA-2026-1bbec06c4d"]]);
  assertEquals([doubtful.result, doubtful.warnings], ["degraded", [
    "Two of dnf's answers contradict each other about the updates of bash.x86_64",
  ]]);
  // A priority of another repository explains nothing.
  host.files.texts.set("/etc/yum.repos.d/vendor.repo", "[vendor]\npriority = 50\n[updates]\n");
  assertEquals((await scanWith(dnfScanner(), host, {})).warnings.length, 1);
});

Deno.test("reconcile() reports an update as pinned if a repository of better priority has the package", async () => {
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

Deno.test("reconcile() reports an update as held if dnf's own list has it without version locks", async () => {
  const host = hostWithoutBash();
  host.answers = { checked: host.answers.checked ?? succeeded("") };
  const report = await scanWith(dnfScanner(), host, {});
  assertEquals(bashOf(report), [["held", "version lock", "FEDORA-2026-1bbec06c4d"]]);
  assertEquals([report.result, report.warnings], ["ok", []]);
});
