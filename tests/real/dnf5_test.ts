import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import type { System } from "../../src/system/system.ts";
import { type DnfRoot, GENERATION, onDnf } from "./dnf_root.ts";
import { fillRoot } from "./dnf_world.ts";
import { scanWith } from "../fakes/scan_with.ts";

/** A test on what dnf 5 alone has. */
function onDnf5(name: string, test: (root: DnfRoot) => Promise<void>): void {
  onDnf(name, test, { ignore: GENERATION !== 5 }); // `deno task test:dnf5` runs it.
}

async function scan(root: DnfRoot, system: System = root.host.system) {
  return await scanWith(dnfScanner(root.options), system, {});
}

onDnf5("tells as held what is locked to its version, with the advisories", async (root) => {
  await fillRoot(root);
  const { code, stderr } = await root.dnf("versionlock", "add", "multi");
  assertEquals(code, 0, stderr);
  const { updates, warnings } = await scan(root);
  const held = updates.filter(({ state }) => state === "held");
  assertEquals(
    held.map((one) => `${one.package} ${one.availableVersion} ${one.severity} ${one.cves}`),
    ["multi 1-3.el9 important CVE-2026-0004,CVE-2026-0006"],
  );
  assertEquals([updates.length, warnings], [9, []]);
});

onDnf5("heeds what config-manager sets over a repository's file", async (root) => {
  await fillRoot(root);
  const set = ["config-manager", "setopt", "--create-missing-dir"];
  for (const setting of ["updates.excludepkgs=bash", "vendor.enabled=0"]) {
    const { code, stderr } = await root.dnf(...set, setting);
    assertEquals(code, 0, stderr);
  }
  const { updates, warnings } = await scan(root);
  assertEquals(updates.filter(({ state }) => state === "held").map((one) => one.package), ["bash"]);
  assertEquals(updates.some(({ source }) => source === "vendor"), false);
  assertEquals([updates.length, warnings], [8, []]);
});

onDnf5("names the repository's file with which dnf does nothing at all", async (root) => {
  await fillRoot(root);
  await Deno.writeTextFile(`${root.host.repositories}/bad.repo`, "no section\n");
  const error = await assertRejects(() => scan(root), ScanError);
  assertEquals(error.reason, "permanent");
  assertMatch(error.message, /configuration file "[^"]*\/bad\.repo"; Missing section header/);
});

/** The system whose dnf says that it is an older one, and is asked as that is. */
function asVersion(system: System, version: string): System {
  return {
    ...system,
    runCommand: async (argv, options) => {
      const result = await system.runCommand(argv, options);
      return argv.includes("--version")
        ? { ...result, stdout: `dnf5 version ${version}\n` }
        : result;
    },
  };
}

onDnf5("tells the same where it is asked for tables, as an older dnf 5 is", async (root) => {
  await fillRoot(root);
  const { updates } = await scan(root);
  assertEquals((await scan(root, asVersion(root.host.system, "5.2.10.0"))).updates, updates);
  const oldest = await scan(root, asVersion(root.host.system, "5.2.3.0"));
  const withoutCves = updates.map((update) => ({ ...update, cves: [] }));
  assertEquals(oldest.updates.map((update) => ({ ...update, cves: [] })), withoutCves);
  assertEquals(oldest.warnings, [
    "Cannot read the advisories' CVEs: this needs dnf 5.2.9 or later",
  ]);
});
