import { assert, assertEquals, assertMatch } from "@std/assert";
import { scanAsCsv } from "../../src/cli/scan_command.ts";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { runScan } from "../../src/scanners/run_scans.ts";
import type { ScanOptions } from "../../src/scanners/scanner.ts";
import { hasControls } from "../../src/strip_controls.ts";
import { run } from "./apt_root.ts";
import { type DnfRoot, onDnf } from "./dnf_root.ts";
import { must, type RpmPackage } from "./rpm_maker.ts";

const of = (evr: string, ...names: string[]): RpmPackage[] => names.map((name) => ({ name, evr }));

async function scan(root: DnfRoot, options: ScanOptions = {}) {
  return await runScan(root.host.system, dnfScanner(root.options), options);
}

function results({ sources }: Awaited<ReturnType<typeof scan>>): string[] {
  return sources.map(({ name, result }) => `${name} ${result}`).toSorted();
}

/** An update that a repository with advisories has, and one of a repository without. */
async function fill(root: DnfRoot): Promise<void> {
  await root.install(of("1-1", "foo", "bar"));
  const packages = of("2-1", "foo");
  const advisory = { id: "My Corp 2026 1", type: "security", severity: "Low", packages };
  await root.offer("telling", packages, [advisory]);
  await root.offer("silent", of("2-1", "bar"));
  await must(root.host.dnf(["makecache"]));
}

const onlyRoot = Deno.uid() === 0;

onDnf("lists that are dated in the future are of unknown age, and are not ok", async (root) => {
  await root.install([{ name: "tool", evr: "1-1" }]);
  await root.offer("updates", [{ name: "tool", evr: "2-1" }]);
  await root.dnf("makecache");
  await root.age(-24 * 1_000);
  const scanner = dnfScanner(root.options);
  const { sources, result, updates } = await runScan(root.host.system, scanner, {});
  assertEquals([result, updates.length, sources.map((one) => [one.result, one.metadataAgeS])], [
    "degraded",
    1,
    [["old", null]],
  ]);
});

onDnf(
  "tells of every enabled repository how old its lists are and whether it marks security",
  async (root) => {
    await fill(root);
    await root.know("off", "http://127.0.0.1:9/x", "enabled=0");
    await root.know("silent", `file://${root.path}/rpms-silent`, "metadata_expire=-1");
    const report = await scan(root);
    assertEquals([report.result, results(report)], ["ok", ["silent ok", "telling ok"]]);
    const [telling] = report.sources.filter(({ name }) => name === "telling");
    const [silent] = report.sources.filter(({ name }) => name === "silent");
    assertEquals([telling?.marksSecurity, silent?.marksSecurity], [true, false]);
    const leftMs = (telling?.expiresAtMs ?? 0) - Date.now();
    assert(leftMs > 47 * 3_600_000 && leftMs <= 48 * 3_600_000, `${leftMs}`);
    assertEquals(silent?.expiresAtMs, null);
    assert((telling?.metadataAgeS ?? Infinity) < 600, `${telling?.metadataAgeS}`);
    assertMatch(telling?.url ?? "", /^file:\/\/\/.*rpms-telling$/);
    const told = report.updates.map((one) => `${one.package} ${one.security} ${one.advisories}`);
    assertEquals(told, ["foo true My Corp 2026 1", "bar null "]);
  },
);

onDnf("a new repository that was never fetched is named, and hides nothing", async (root) => {
  await fill(root);
  for (const lines of [[], ["skip_if_unavailable=1"]]) {
    await root.know("new", "http://127.0.0.1:9/x", ...lines);
    const report = await scan(root);
    if (!onlyRoot) return console.log("skipped: a user's lists are fetched");
    assertEquals([report.result, report.updates.length], ["degraded", 2]);
    assertEquals(report.warnings, ["new: its package lists were never fetched"]);
    assertEquals(results(report), ["new missing", "silent ok", "telling ok"]);
  }
});

const SECRET = "S3cretXy9Zq7Wv5T";

for (const setting of ["baseurl", "mirrorlist", "metalink"]) {
  onDnf(`no secret of a ${setting} is told, and the dead repository is named`, async (root) => {
    await fill(root);
    const url = `http://deploy:${SECRET}@127.0.0.1:9/private?key=${SECRET}`;
    for (const lines of [[], ["skip_if_unavailable=1"]]) {
      await root.knowBy("dead", `${setting}=${url}`, ...lines);
      for (const refresh of [true, false]) {
        const report = await scan(root, { refresh });
        assertEquals(report.result, "degraded");
        assert(
          report.warnings.some((warning) => warning.startsWith("dead: ")),
          `${report.warnings}`,
        );
        const said = JSON.stringify(report);
        assert(!said.includes(SECRET.slice(0, 6)), said);
        const source = report.sources.find(({ name }) => name === "dead");
        assertEquals(source?.url, "http://(hidden)@127.0.0.1:9/private?(hidden)");
      }
    }
    await must(["/bin/rm", "-rf", `${root.path}/rpms-telling`, `${root.path}/rpms-silent`]);
    await root.forgetLists();
    const failed = await scan(root, { refresh: true });
    assertEquals(failed.result, "failed");
    assert(!JSON.stringify(failed).includes(SECRET.slice(0, 6)), JSON.stringify(failed));
  });
}

onDnf("old lists of root's are left alone, and lists of the agent's own are read", async (root) => {
  await fill(root);
  await root.age(80);
  await root.offer("telling", of("3-1", "foo"));
  const stamps = () =>
    run(["/usr/bin/find", root.cache, "-name", "*.xml*", "-printf", "%p %T@ %s\n"]);
  const before = await stamps();
  const own = `${root.path}/agent`;
  await must(["/bin/mkdir", "-p", root.host.ownLists(own)]);
  const report = await scan(root, { cacheDirectory: own });
  assertEquals([report.result, report.warnings], ["ok", []]);
  assertEquals(report.updates.map((one) => `${one.package} ${one.availableVersion}`).toSorted(), [
    "bar 2-1",
    "foo 3-1",
  ]);
  assert((report.metadataAgeS ?? Infinity) < 600);
  assertEquals(await stamps(), before);
  // One that fails hides nothing of the other, and is not asked at every scan.
  await root.know("silent", "http://127.0.0.1:9/x");
  const failing = await scan(root, { cacheDirectory: own });
  assertEquals(results(failing), ["silent failed", "telling ok"]);
  assertEquals(failing.updates.map((one) => one.package), ["foo"]);
  const asked: string[] = [];
  const { system } = root.host;
  const watched: typeof system = {
    ...system,
    runCommand: (argv, options) => {
      if (argv.includes("makecache")) asked.push(argv.join(" "));
      return system.runCommand(argv, options);
    },
  };
  const scanner = dnfScanner(root.options);
  const again = await runScan(watched, scanner, { cacheDirectory: own });
  assertEquals(again.warnings, failing.warnings);
  assertEquals(asked.map((argv) => argv.includes("--disablerepo=silent")), [true]);
  assertEquals(await stamps(), before);
}, { ignore: !onlyRoot });

// Of XML's characters: with others in it dnf itself does not read a package at all.
onDnf("a repository's text runs nothing in a spreadsheet, and moves no cursor", async (root) => {
  await root.install(of("1-1", "foo", "bar"));
  const summary = (text: string) => [`Summary: ${text}`];
  await root.offer("hostile", [
    { name: "foo", evr: "2-1", lines: summary("=cmd|' /C calc'!A0") },
    { name: "bar", evr: "2-1", lines: summary("\u009b31mred \u202etxt.exe\u2066") },
  ], [{
    id: "=cmd()",
    type: "security",
    severity: "\u202eCritical",
    title: "@SUM(1)",
    packages: of("2-1", "foo"),
  }]);
  await must(root.host.dnf(["makecache"]));
  const report = await scan(root);
  assertEquals(report.updates.length, 2);
  assert(!hasControls(JSON.stringify(report)), JSON.stringify(report));
  const cells = scanAsCsv([report]).split(/[\r\n,]/).map((cell) => cell.replace(/^"/, ""));
  assertEquals(cells.filter((cell) => /^[=+@\t]/.test(cell)), []);
});

onDnf("tells whether the host asks for a restart, by dnf's own word", async (root) => {
  await fill(root);
  const { reboot } = await scan(root);
  if (reboot === null && root.host.generation === 4) {
    return console.log("skipped: no dnf-plugins-core here");
  }
  assertEquals(reboot?.isRequired, false);
  await root.install(of("1-1", "glibc"));
  const { reboot: after } = await scan(root);
  if (root.host.generation === 5) return;
  assertEquals(after, {
    isRequired: true,
    reason: "dnf needs-restarting: updated since the host was started: glibc",
  });
});
