import { assertEquals } from "@std/assert";
import type { AdvisoryDetails, AdvisoryRow } from "../../../src/scanners/dnf/dialect.ts";
import { buildUpdates, type DnfState, rebootHint } from "../../../src/scanners/dnf/updates.ts";
import type { ReconciledOffer } from "../../../src/scanners/dnf/reconcile.ts";
import type { OfferedRpm } from "../../../src/scanners/dnf/rpm.ts";
import type { UpdateState } from "../../../src/update.ts";
import { rpm } from "./host.ts";

function installed(nevra: string) {
  return { ...rpm(nevra), sourcePackage: "source" };
}

function offered(nevra: string, repository = "updates"): OfferedRpm {
  return { ...rpm(nevra), repository, sizeBytes: 1, sourcePackage: null, summary: null };
}

function advisory(id: string, nevra: string, changes: Partial<AdvisoryRow> = {}): AdvisoryRow {
  const row = { id, isSecurity: true, severity: null, ownWord: null, package: rpm(nevra) };
  return { ...row, ...changes };
}

function details(id: string, changes: Partial<AdvisoryDetails>): AdvisoryDetails {
  return { id, severity: null, ownWord: null, listed: [], mentioned: [], ...changes };
}

const NOTHING: DnfState = {
  installed: [],
  offers: [],
  obsoletes: [],
  replacingSecurity: new Map(),
  blockedReplacing: [],
  advisories: [],
  details: [],
  marksSecurity: new Map(),
};

/** Offers that dnf would install, without a doubt. */
function installable(...offers: OfferedRpm[]): ReconciledOffer[] {
  return offers.map((offer) => ({ installable: offer, blocked: null, doubt: null }));
}

function blocked(offer: OfferedRpm, state: UpdateState = "held", reason = "version lock") {
  return { installable: null, blocked: { offer, state, reason }, doubt: null };
}

Deno.test("buildUpdates() compares with the newest installed version of the same architecture", () => {
  const updates = buildUpdates({
    ...NOTHING,
    installed: [
      installed("kernel-5.14.0-362.el9.x86_64"),
      installed("kernel-5.14.0-427.el9.x86_64"),
      installed("kernel-5.14.0-70.el9.x86_64"),
      installed("glibc-2-1.x86_64"),
      installed("glibc-1-1.i686"),
      installed("moved-1-1.noarch"),
    ],
    offers: installable(
      offered("kernel-5.14.0-500.el9.x86_64"),
      offered("glibc-3-1.x86_64"),
      offered("glibc-3-1.i686"),
      offered("moved-2-1.x86_64"),
      offered("gone-2-1.x86_64"),
    ),
  });
  assertEquals(
    updates.map(({ currentVersion, state, reboot }) => [currentVersion, state, reboot]),
    [
      ["5.14.0-427.el9", "upgradable", "required"],
      ["2-1", "upgradable", "required"],
      ["1-1", "upgradable", "required"],
      ["1-1", "upgradable", null],
      [null, "unknown_current", null],
    ],
  );
});

Deno.test("buildUpdates() has all advisories of a package, the highest severity and its source", () => {
  const [update] = buildUpdates({
    ...NOTHING,
    installed: [installed("a-1-1.x86_64")],
    offers: installable(offered("a-5-1.x86_64")),
    advisories: [
      advisory("A-1", "a-2-1.x86_64", { severity: "low" }),
      advisory("A-2", "a-3-1.x86_64", { severity: "important" }),
      advisory("A-3", "a-5-1.x86_64", { isSecurity: false }),
      advisory("A-4", "a-6-1.x86_64", { severity: "critical" }), // Not offered here.
      advisory("A-5", "a-5-1.i686", { severity: "critical" }),
      advisory("A-6", "b-5-1.x86_64", { severity: "critical" }), // Not installed.
    ],
    details: [
      details("A-1", { listed: ["CVE-2026-0001"], mentioned: ["CVE-2000-0001"] }),
      details("A-2", { mentioned: ["CVE-2026-0002", "CVE-2026-0001"], severity: "critical" }),
      details("A-3", { mentioned: ["CVE-2000-0002"] }),
      details("A-4", { listed: ["CVE-2000-0003"] }),
    ],
  });
  assertEquals(
    [update?.severity, update?.severityReason, update?.security],
    ["important", "advisory A-2", true],
  );
  assertEquals(update?.advisories, ["A-1", "A-2", "A-3"]);
  assertEquals(update?.cves, ["CVE-2026-0001", "CVE-2026-0002"]);
});

Deno.test("buildUpdates() omits advisories of installed versions, also beside an older kernel", () => {
  const state: DnfState = {
    ...NOTHING,
    installed: [installed("kernel-core-5-1.x86_64"), installed("kernel-core-5-2.x86_64")],
    offers: installable(offered("kernel-core-5-3.x86_64")),
    advisories: [
      // dnf lists it while kernel 5-1 is running.
      advisory("A-2", "kernel-core-5-2.x86_64", { severity: "critical" }),
      advisory("A-3", "kernel-core-5-3.x86_64", { isSecurity: false }),
    ],
    details: [details("A-2", { listed: ["CVE-2026-0002"] })],
  };
  const [update] = buildUpdates(state);
  assertEquals([update?.severity, update?.security, update?.cves, update?.advisories], [
    null,
    false,
    [],
    ["A-3"],
  ]);
  const [other] = buildUpdates({ ...state, advisories: state.advisories?.slice(0, 1) ?? [] });
  assertEquals([other?.severity, other?.security, other?.advisories], [null, null, []]);
});

Deno.test("buildUpdates() quotes the advisory's own word for the severity", () => {
  const [update] = buildUpdates({
    ...NOTHING,
    offers: installable(offered("a-2-1.noarch")),
    advisories: [advisory("A", "a-2-1.noarch", { severity: "moderate", ownWord: "medium" })],
  });
  assertEquals([update?.severity, update?.severityReason], [
    "moderate",
    'advisory A says "medium"',
  ]);
});

Deno.test("buildUpdates() explains a missing severity", () => {
  const rows: [AdvisoryRow[], boolean | null, string][] = [
    [[], null, "no advisory"],
    [[advisory("A", "a-2-1.noarch", { isSecurity: false })], false, "no security advisory"],
    [[advisory("A", "a-2-1.noarch")], true, "advisory A has no severity"],
    [[advisory("A", "a-2-1.noarch", { ownWord: "High" })], true, 'advisory A says "High"'],
  ];
  for (const [advisories, security, reason] of rows) {
    const [update] = buildUpdates({
      ...NOTHING,
      offers: installable(offered("a-2-1.noarch")),
      advisories,
    });
    assertEquals(
      [update?.severity, update?.security, update?.severityReason],
      [null, security, reason],
    );
  }
});

Deno.test("buildUpdates() uses the severity of the details if the list has none", () => {
  for (
    const [changes, expected] of [
      [{ severity: "low" }, ["low", "advisory A"]],
      [{ ownWord: "High" }, [null, 'advisory A says "High"']],
      [{}, [null, "advisory A has no severity"]],
    ] as const
  ) {
    const [update] = buildUpdates({
      ...NOTHING,
      offers: installable(offered("a-2-1.noarch")),
      advisories: [advisory("A", "a-2-1.noarch")],
      details: [details("A", changes)],
    });
    assertEquals([update?.severity, update?.severityReason], [...expected]);
  }
  const [fix] = buildUpdates({
    ...NOTHING,
    offers: installable(offered("a-2-1.noarch")),
    advisories: [advisory("A", "a-2-1.noarch", { isSecurity: false })],
    details: [details("A", { severity: "critical" })],
  });
  assertEquals(fix?.severity, null, "how bad a bug is says nothing of a hole");
});

Deno.test("buildUpdates() depends on whether the repository marks security updates", () => {
  const bugfix = advisory("A", "a-2-1.noarch", { isSecurity: false });
  const rows: [boolean | null, AdvisoryRow[] | null, boolean | null][] = [
    [true, [], false],
    [true, [bugfix], false],
    [true, null, null],
    // An advisory of another repository does not count for this one.
    [false, [bugfix], null],
    [false, [advisory("A", "a-2-1.noarch")], true],
    [null, [], null],
    [null, [bugfix], false],
  ];
  for (const [isMarking, advisories, expected] of rows) {
    const [update] = buildUpdates({
      ...NOTHING,
      offers: installable(offered("a-2-1.noarch", "r")),
      advisories,
      marksSecurity: new Map([["r", isMarking]]),
    });
    assertEquals(update?.security, expected);
  }
});

Deno.test("buildUpdates() combines the details of an advisory in several repositories", () => {
  const [update] = buildUpdates({
    ...NOTHING,
    offers: installable(offered("a-2-1.noarch")),
    advisories: [advisory("A 1", "a-2-1.noarch"), advisory("A 1", "a-2-1.noarch")],
    details: [
      details("A 1", { listed: ["CVE-2026-0001"], severity: "critical" }),
      details("A 1", { listed: ["CVE-2026-0002"], severity: "low" }),
    ],
  });
  assertEquals([update?.cves, update?.severity], [["CVE-2026-0001", "CVE-2026-0002"], "critical"]);
});

Deno.test("buildUpdates() prefers the version that fixes a vulnerability", () => {
  const offers = [{
    ...blocked(offered("a-3-1.noarch", "first")),
    installable: offered("a-2-1.noarch", "other"),
  }];
  const summarize = (advisories: AdvisoryRow[]) => {
    const state = { ...NOTHING, installed: [installed("a-1-1.noarch")], offers, advisories };
    return buildUpdates(state).map((one) =>
      `${one.availableVersion} ${one.source} ${one.state} ${one.security}: ${one.stateReason}`
    );
  };
  const holds = "3-1 first held true: version lock; 2-1 of other can be installed";
  const reason = "newer 3-1 of first is kept back: version lock";
  const [older, newer] = [advisory("A-2", "a-2-1.noarch"), advisory("A-3", "a-3-1.noarch")];
  assertEquals(summarize([newer]), [holds]);
  assertEquals(summarize([older, newer]), [holds]);
  assertEquals(summarize([older]), [`2-1 other upgradable true: ${reason}`]);
  assertEquals(summarize([]), [`2-1 other upgradable null: ${reason}`]);
});

Deno.test("buildUpdates() has the reason of a blocked update, and doubts", () => {
  const doubt = { installable: offered("c-2-1.noarch"), blocked: null, doubt: "doubt: x" };
  const updates = buildUpdates({
    ...NOTHING,
    installed: ["a", "b", "c"].map((name) => installed(`${name}-1-1.noarch`)),
    offers: [
      blocked(offered("a-2-1.noarch")),
      blocked(offered("b-2-1.noarch"), "pinned", "a priority"),
      doubt,
    ],
  });
  assertEquals(updates.map(({ state, stateReason }) => [state, stateReason]), [
    ["held", "version lock"],
    ["pinned", "a priority"],
    ["upgradable", "doubt: x"],
  ]);
});

Deno.test("buildUpdates() lists a package once: as an update, or else as replacing", () => {
  const replacing = (nevra: string) => ({
    package: rpm(nevra),
    repository: "r",
    replaces: [rpm("old-1:1-1.noarch"), rpm("older-2-1.noarch")],
  });
  const updates = buildUpdates({
    ...NOTHING,
    installed: [installed("a-1-1.noarch"), installed("b-1-1.noarch")],
    offers: [...installable(offered("a-2-1.noarch")), blocked(offered("b-2-1.noarch"))],
    obsoletes: [
      replacing("a-2-1.noarch"),
      replacing("new-1-1.noarch"),
      { ...replacing("new-1-1.noarch"), repository: "twin" },
      { ...replacing("new-1-1.noarch"), replaces: [rpm("oldest-1-1.noarch")] },
    ],
    blockedReplacing: [{ ...replacing("kept-1-1.noarch"), reason: "excludepkgs=kept" }],
  });
  assertEquals(
    updates.map((one) => `${one.package} ${one.state} ${one.currentVersion} ${one.source}`),
    [
      "a upgradable 1-1 updates",
      "b held 1-1 updates",
      "new obsoletes old-1:1-1, older-2-1, oldest-1-1 r",
      "kept held old-1:1-1, older-2-1 r",
    ],
  );
  assertEquals(updates[2]?.description, "Replaces old, older, oldest");
  assertEquals(updates[3]?.stateReason, "excludepkgs=kept");
});

Deno.test("buildUpdates() has the known security of replacing packages", () => {
  const obsoletes = [{
    package: rpm("new-1-1.noarch"),
    repository: "r",
    replaces: [rpm("old-1-1.noarch")],
  }];
  const summarize = (changes: Partial<DnfState>) => {
    const marksSecurity = new Map([["r", true]]);
    const [update] = buildUpdates({ ...NOTHING, obsoletes, marksSecurity, ...changes });
    return [update?.security, update?.severity];
  };
  const known = (severity: "critical" | null) => ({
    replacingSecurity: new Map([["new.noarch", { severity }]]),
  });
  assertEquals(summarize(known("critical")), [true, "critical"]);
  assertEquals(summarize(known(null)), [true, null]);
  assertEquals(summarize({}), [false, null]);
  assertEquals(summarize({ marksSecurity: new Map([["r", false]]) }), [null, null]);
  assertEquals(summarize({ replacingSecurity: null }), [null, null]);
});

Deno.test("buildUpdates() has no reason for a state that needs none", () => {
  const obsoletes = [{
    package: rpm("new-1-1.noarch"),
    repository: "r",
    replaces: [rpm("old-1-1.noarch")],
  }];
  const updates = buildUpdates({
    ...NOTHING,
    offers: installable(offered("a-2-1.noarch")),
    obsoletes,
  });
  assertEquals(updates.map((update) => [update.package, "stateReason" in update]), [
    ["a", false],
    ["new", false],
  ]);
});

Deno.test("buildUpdates() has the source package of the offer, or else of the installed version", () => {
  const sourceOf = (sourcePackage: string | null, name: string) => {
    const offer = { ...offered(`${name}-2-1.noarch`), sourcePackage };
    const state = {
      ...NOTHING,
      installed: [installed("a-1-1.noarch")],
      offers: installable(offer),
    };
    return buildUpdates(state)[0]?.sourcePackage;
  };
  assertEquals(sourceOf("new-source", "a"), "new-source");
  assertEquals(sourceOf(null, "a"), "source");
  assertEquals(sourceOf(null, "b"), null);
});

Deno.test("buildUpdates() prefers a blocked version if any of its advisories is about security", () => {
  const [update] = buildUpdates({
    ...NOTHING,
    installed: [installed("a-1-1.noarch")],
    offers: [{ ...blocked(offered("a-3-1.noarch")), installable: offered("a-2-1.noarch") }],
    advisories: [
      advisory("A-1", "a-3-1.noarch", { isSecurity: false }),
      advisory("A-2", "a-3-1.noarch"),
    ],
  });
  assertEquals([update?.availableVersion, update?.state], ["3-1", "held"]);
});

Deno.test("buildUpdates() has the source of a severity, also for replacing packages", () => {
  const obsoletes = [{
    package: rpm("new-1-1.noarch"),
    repository: "r",
    replaces: [rpm("old-1-1.noarch")],
  }];
  const reasonOf = (known: [string, { severity: "critical" | null }][]) =>
    buildUpdates({ ...NOTHING, obsoletes, replacingSecurity: new Map(known) })[0]?.severityReason;
  assertEquals(reasonOf([]), "dnf lists no advisory of a package that replaces another");
  assertEquals(
    reasonOf([["new.noarch", { severity: null }]]),
    "a security advisory without a severity",
  );
  assertEquals(
    reasonOf([["new.noarch", { severity: "critical" }]]),
    "a security advisory; dnf does not name it for a package that replaces another",
  );
  // The list's own word counts if the details have none.
  const [update] = buildUpdates({
    ...NOTHING,
    offers: installable(offered("a-2-1.noarch")),
    advisories: [advisory("A", "a-2-1.noarch", { ownWord: "High" })],
    details: [details("A", {})],
  });
  assertEquals(update?.severityReason, 'advisory A says "High"');
});

Deno.test("rebootHint() recognises distributors' kernels", () => {
  const names = [
    "kernel",
    "kernel-core",
    "kernel-rt",
    "glibc",
    "kernel-uek-core",
    "kernel6.12",
    "kernel-rt-64k-core",
    "kernel-automotive-core",
    "xen-hypervisor",
  ];
  for (const name of names) assertEquals(rebootHint(name), "required", name);
  const others = ["kernel-tools", "kernel-headers", "bash", "kernel6.12-headers", "kmod-kernel-lt"];
  for (const name of others) {
    assertEquals(rebootHint(name), null, name);
  }
});
