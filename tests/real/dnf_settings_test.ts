import { assertEquals } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { realSystem } from "../../src/system/real.ts";
import { type DnfRoot, onDnf, type RpmPackage } from "./dnf_root.ts";

async function scan(root: DnfRoot) {
  const { updates, warnings } = await dnfScanner(root.options).scan(realSystem(), {});
  const told = updates.map((one) =>
    `${one.package} ${one.currentVersion} -> ${one.availableVersion} ${one.source} ${one.state}`
  );
  return { updates, told: told.toSorted(), warnings };
}

const of = (evr: string, ...names: string[]): RpmPackage[] => names.map((name) => ({ name, evr }));

for (const setting of ["excludepkgs =\n  foo*", "exclude=baz,\n\tfoo", "includepkgs = bar*"]) {
  onDnf(`tells as held what ${JSON.stringify(setting)} keeps from dnf`, async (root) => {
    await root.install(of("1-1", "foo", "bar"));
    await root.offer("updates", of("2-1", "foo", "bar"));
    await root.configure(setting);
    await root.dnf("makecache");
    const { told, warnings } = await scan(root);
    assertEquals(told, ["bar 1-1 -> 2-1 updates upgradable", "foo 1-1 -> 2-1 updates held"]);
    assertEquals(warnings, []);
  });
}

onDnf("takes Amazon's medium for moderate, and tells the word", async (root) => {
  await root.install(of("1-1", "foo"));
  const packages = of("2-1", "foo");
  const advisory = { id: "ALAS2023-2026-1", type: "security", severity: "medium", packages };
  await root.offer("updates", packages, [advisory]);
  await root.dnf("makecache");
  const [update] = (await scan(root)).updates;
  assertEquals([update?.severity, update?.severityReason], [
    "moderate",
    'advisory ALAS2023-2026-1 says "medium"',
  ]);
});
