import { assertEquals } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { hasDnf4Plugins } from "./dnf_hosts.ts";
import { type DnfRoot, GENERATION, onDnf } from "./dnf_root.ts";
import type { Advisory, RpmPackage } from "./rpm_maker.ts";
import { scanWith } from "../fakes/scan_with.ts";

const hasPlugins = await hasDnf4Plugins();

/** A test on version locks; ignored where dnf 4 lacks its plugin. */
function onLocks(name: string, test: (root: DnfRoot) => Promise<void>): void {
  onDnf(name, test, { ignore: GENERATION === 4 && !hasPlugins });
}

const of = (evr: string, ...names: string[]): RpmPackage[] => names.map((name) => ({ name, evr }));

const TOOL: Advisory = {
  id: "XA-2026:1",
  type: "security",
  severity: "Critical",
  references: [{ type: "cve", id: "CVE-2026-0001" }],
  packages: of("2-1", "tool"),
};

async function scan(root: DnfRoot) {
  const report = await scanWith(dnfScanner(root.options), root.host.system, {});
  const told = report.updates.map((one) =>
    `${one.package} ${one.availableVersion} ${one.source} ${one.state} ${one.severity} ` +
    `${one.security} ${one.advisories} (${one.stateReason ?? ""})`
  );
  return { ...report, told: told.toSorted() };
}

for (const lines of [[], ["priority=10"]]) {
  onLocks(`a locked package is held, with its advisory ${lines.join("")}`, async (root) => {
    await root.install(of("1-1", "tool", "lib"));
    await root.offer("updates", of("2-1", "tool", "lib"), [TOOL]);
    await root.know("updates", `file://${root.path}/rpms-updates`, ...lines);
    await root.lock("tool", "1-1");
    await root.dnf("makecache");
    const { told, result, warnings } = await scan(root);
    assertEquals(told, [
      "lib 2-1 updates upgradable null false  ()",
      "tool 2-1 updates held critical true XA-2026:1 (version lock)",
    ]);
    assertEquals([result, warnings], ["ok", []]);
  });
}

onLocks("what would replace a locked package is held too", async (root) => {
  await root.install(of("1-1", "oldtool", "lib"));
  const newtool = { name: "newtool", evr: "2-1", lines: ["Obsoletes: oldtool"] };
  const packages = [{ name: "newtool", evr: "2-1" }];
  await root.offer("updates", [newtool, ...of("2-1", "lib")], [{ ...TOOL, packages }]);
  await root.lock("oldtool", "1-1");
  await root.dnf("makecache");
  const { told, warnings } = await scan(root);
  assertEquals(told.filter((one) => one.startsWith("lib")), [
    "lib 2-1 updates upgradable null false  ()",
  ]);
  // Dnf 5 goes on replacing what is locked, and says so.
  const state = root.host.generation === 4 ? "held" : "obsoletes";
  const reason = root.host.generation === 4 ? "version lock" : "";
  assertEquals(told.filter((one) => one.startsWith("newtool")), [
    `newtool 2-1 updates ${state} critical true  (${reason})`,
  ]);
  assertEquals(warnings, []);
});

onDnf(
  "a fix that is excluded in one repository is held beside an older update of another",
  async (root) => {
    await root.install(of("1-1", "tool", "lib"));
    const fix = { ...TOOL, packages: of("3-1", "tool") };
    await root.offer("first", of("3-1", "tool"), [fix]);
    await root.offer("other", of("2-1", "tool", "lib"));
    await root.know("first", `file://${root.path}/rpms-first`, "excludepkgs=tool");
    await root.dnf("makecache");
    const { told, result, warnings } = await scan(root);
    assertEquals(told, [
      "lib 2-1 other upgradable null null  ()",
      "tool 3-1 first held critical true XA-2026:1 " +
      "(excludepkgs=tool; 2-1 of other can be installed)",
    ]);
    assertEquals([result, warnings], ["ok", []]);
  },
);

onDnf("an excluded package that would replace another is held", async (root) => {
  await root.install(of("1-1", "oldtool"));
  const newtool = { name: "newtool", evr: "2-1", lines: ["Obsoletes: oldtool"] };
  await root.offer("updates", [newtool]);
  await root.configure("excludepkgs=newtool");
  await root.dnf("makecache");
  const { told, warnings } = await scan(root);
  assertEquals(told, ["newtool 2-1 updates held null null  (excludepkgs=newtool)"]);
  assertEquals(warnings, []);
});

onDnf("a replacing package closes a hole where dnf's own filter says so", async (root) => {
  await root.install(of("1-1", "oldtool", "oldlib"));
  const replacing = (name: string, old: string) => ({
    name,
    evr: "2-1",
    lines: [`Obsoletes: ${old}`],
  });
  const packages = [replacing("newtool", "oldtool"), replacing("newlib", "oldlib")];
  await root.offer("updates", packages, [{ ...TOOL, packages: of("2-1", "newtool") }]);
  await root.dnf("makecache");
  const { told, warnings } = await scan(root);
  assertEquals(told, [
    "newlib 2-1 updates obsoletes null false  ()",
    "newtool 2-1 updates obsoletes critical true  ()",
  ]);
  assertEquals(warnings, []);
  const security = root.host.generation === 4
    ? ["check-update", "--security"]
    : ["repoquery", "--security", "newtool"];
  const { stdout } = await root.dnf("-q", "-C", ...security);
  assertEquals([stdout.includes("newtool"), stdout.includes("newlib")], [true, false]);
});
