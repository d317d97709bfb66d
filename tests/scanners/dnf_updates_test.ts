import { assertEquals } from "@std/assert";
import type { AdvisoryDetails, AdvisoryRow } from "../../src/scanners/dnf_advisories.ts";
import { type DnfState, joinUpdates } from "../../src/scanners/dnf_updates.ts";
import { type OfferedRpm, parseNevra, type RpmPackage } from "../../src/scanners/rpm_packages.ts";

function rpm(nevra: string): RpmPackage {
  const package_ = parseNevra(nevra);
  if (!package_) throw new Error(nevra);
  return package_;
}

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
  offered: [],
  passedOver: [],
  withExcluded: [],
  obsoletes: [],
  advisories: [],
  details: [],
};

Deno.test("joinUpdates() compares with the newest of several versions, of the same architecture", () => {
  const updates = joinUpdates({
    ...NOTHING,
    installed: [
      installed("kernel-5.14.0-362.el9.x86_64"),
      installed("kernel-5.14.0-427.el9.x86_64"),
      installed("kernel-5.14.0-70.el9.x86_64"),
      installed("glibc-2-1.x86_64"),
      installed("glibc-1-1.i686"),
      installed("moved-1-1.noarch"),
    ],
    offered: [
      offered("kernel-5.14.0-500.el9.x86_64"),
      offered("glibc-3-1.x86_64"),
      offered("glibc-3-1.i686"),
      offered("moved-2-1.x86_64"),
      offered("gone-2-1.x86_64"),
    ],
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

Deno.test("joinUpdates() has all advisories of a package, the worst severity, and why", () => {
  const [update] = joinUpdates({
    ...NOTHING,
    installed: [installed("a-1-1.x86_64")],
    offered: [offered("a-5-1.x86_64")],
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

Deno.test("joinUpdates() leaves out advisories of what is installed, beside an older kernel too", () => {
  const state: DnfState = {
    ...NOTHING,
    installed: [installed("kernel-core-5-1.x86_64"), installed("kernel-core-5-2.x86_64")],
    offered: [offered("kernel-core-5-3.x86_64")],
    advisories: [
      // dnf tells of it as long as 5-1 is the one that runs.
      advisory("A-2", "kernel-core-5-2.x86_64", { severity: "critical" }),
      advisory("A-3", "kernel-core-5-3.x86_64", { isSecurity: false }),
    ],
    details: [details("A-2", { listed: ["CVE-2026-0002"] })],
  };
  const [update] = joinUpdates(state);
  assertEquals([update?.severity, update?.security, update?.cves, update?.advisories], [
    null,
    false,
    [],
    ["A-3"],
  ]);
  // It shows all the same that this repository has advisories.
  const [other] = joinUpdates({ ...state, advisories: state.advisories.slice(0, 1) });
  assertEquals([other?.severity, other?.security, other?.advisories], [null, false, []]);
});

Deno.test("joinUpdates() tells the advisory's own word beside ours", () => {
  const [update] = joinUpdates({
    ...NOTHING,
    offered: [offered("a-2-1.noarch")],
    advisories: [advisory("A", "a-2-1.noarch", { severity: "moderate", ownWord: "medium" })],
  });
  assertEquals([update?.severity, update?.severityReason], [
    "moderate",
    'advisory A says "medium"',
  ]);
});

Deno.test("joinUpdates() says why there is no severity", () => {
  const rows: [AdvisoryRow[], boolean | null, string][] = [
    [[], null, "no advisory"],
    [[advisory("A", "a-2-1.noarch", { isSecurity: false })], false, "no security advisory"],
    [[advisory("A", "a-2-1.noarch")], true, "advisory A does not tell"],
    [[advisory("A", "a-2-1.noarch", { ownWord: "High" })], true, 'advisory A says "High"'],
  ];
  for (const [advisories, security, reason] of rows) {
    const [update] = joinUpdates({ ...NOTHING, offered: [offered("a-2-1.noarch")], advisories });
    assertEquals(
      [update?.severity, update?.security, update?.severityReason],
      [null, security, reason],
    );
  }
});

Deno.test("joinUpdates() asks the advisory itself where the list knows no severity", () => {
  for (
    const [changes, expected] of [
      [{ severity: "low" }, ["low", "advisory A"]],
      [{ ownWord: "High" }, [null, 'advisory A says "High"']],
      [{}, [null, "advisory A does not tell"]],
    ] as const
  ) {
    const [update] = joinUpdates({
      ...NOTHING,
      offered: [offered("a-2-1.noarch")],
      advisories: [advisory("A", "a-2-1.noarch")],
      details: [details("A", changes)],
    });
    assertEquals([update?.severity, update?.severityReason], [...expected]);
  }
  const [fix] = joinUpdates({
    ...NOTHING,
    offered: [offered("a-2-1.noarch")],
    advisories: [advisory("A", "a-2-1.noarch", { isSecurity: false })],
    details: [details("A", { severity: "critical" })],
  });
  assertEquals(fix?.severity, null, "how bad a bug is says nothing of a hole");
});

Deno.test("joinUpdates() tells a package once: offered, or else held, or else replacing", () => {
  const replacing = (nevra: string) => ({
    package: rpm(nevra),
    repository: "r",
    replaces: [rpm("old-1:1-1.noarch"), rpm("older-2-1.noarch")],
  });
  const updates = joinUpdates({
    ...NOTHING,
    installed: [installed("a-1-1.noarch"), installed("b-1-1.noarch")],
    offered: [offered("a-2-1.noarch")],
    passedOver: [offered("c-2-1.noarch", "other")],
    withExcluded: [
      offered("a-3-1.noarch"),
      offered("b-2-1.noarch"),
      offered("b-2-1.noarch", "twin"),
      offered("c-2-1.noarch", "other"),
    ],
    obsoletes: [
      replacing("a-2-1.noarch"),
      replacing("new-1-1.noarch"),
      { ...replacing("new-1-1.noarch"), repository: "twin" },
      { ...replacing("new-1-1.noarch"), replaces: [rpm("oldest-1-1.noarch")] },
    ],
  });
  assertEquals(
    updates.map((one) => `${one.package} ${one.state} ${one.currentVersion} ${one.source}`),
    [
      "a upgradable 1-1 updates",
      "b held 1-1 updates",
      "new obsoletes old-1:1-1, older-2-1, oldest-1-1 r",
    ],
  );
  assertEquals(updates[2]?.description, "Replaces old, older, oldest");
});
