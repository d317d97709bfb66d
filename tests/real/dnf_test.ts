import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import type { Update } from "../../src/update.ts";
import { type DnfRoot, onDnf } from "./dnf_root.ts";
import { fillRoot } from "./dnf_world.ts";
import { scanWith } from "../fakes/scan_with.ts";

async function scan(root: DnfRoot, refresh = false) {
  return await scanWith(dnfScanner(root.options), root.host.system, { refresh });
}

function told(updates: readonly Update[]): string[] {
  return updates.map((update) =>
    `${update.package}.${update.architecture} ${update.currentVersion} -> ` +
    `${update.availableVersion} ${update.source} ${update.state} ${update.severity} ` +
    `${update.security} ${update.cves} ${update.advisories}`
  ).toSorted();
}

/** What dnf prints, as words, of the lines that begin with a word and match `pattern`. */
async function answer(root: DnfRoot, pattern: RegExp, ...args: string[]): Promise<string[][]> {
  const { stdout } = await root.dnf("-q", "-C", ...args);
  return stdout.split("\n").filter((line) => pattern.test(line)).map((line) =>
    line.trim().split(/\s+/)
  );
}

onDnf("lists what dnf would upgrade, with severity, CVEs and advisories", async (root) => {
  await fillRoot(root);
  const { updates, warnings, metadataAgeS } = await scan(root);
  const arch = root.architecture;
  assertEquals(told(updates), [
    `bash.${arch} 5.1.8-6.el9 -> 5.1.8-9.el9 updates upgradable null false  ` +
    "FEDORA-2026-1bbec06c4d",
    `c++-tool_x.${arch} 1.0~rc1-1.el9 -> 1.0-1.el9 vendor upgradable null null  `,
    `described.${arch} 1-1.el9 -> 2-1.el9 updates upgradable null true CVE-2026-0005 ` +
    "RHSA-2026:1005",
    `kernel-core.${arch} 5.14.0-427.13.1.el9_4 -> 5.14.0-427.40.1.el9_4 updates upgradable ` +
    "critical true CVE-2026-0003 RLSA-2026:1002",
    `lib.${arch} 1-1.el9 -> 2-1.el9 updates upgradable low true  RHSA-2026:1006`,
    `multi.${arch} 1-1.el9 -> 1-3.el9 updates upgradable important true ` +
    "CVE-2026-0004,CVE-2026-0006 RHSA-2026:1003,RHSA-2026:1004",
    "newtool.noarch oldtool-1.0-1.el9 -> 2.0-1.el9 updates obsoletes null false  ",
    `openssl-libs.${arch} 1:3.0.7-24.el9 -> 1:3.0.7-28.el9_4 updates upgradable important true ` +
    "CVE-2026-0001,CVE-2026-0002 RHSA-2026:1001",
    "tzdata.noarch 2024a-1.el9 -> 2024b-2.el9 updates upgradable null false  ",
  ]);
  assertEquals(warnings, []);
  const sized = updates.filter(({ state }) => state !== "obsoletes");
  assert(sized.every(({ sizeBytes }) => (sizeBytes ?? 0) > 0));
  assertEquals(
    updates.filter(({ reboot }) => reboot === "required").map((update) => update.package),
    ["kernel-core"],
  );
  const bash = updates.find((update) => update.package === "bash");
  assertEquals([bash?.description, bash?.sourcePackage], ["The package bash", "thrown-away"]);
  assert(metadataAgeS !== null && metadataAgeS < 600, `${metadataAgeS}`);
});

onDnf("the list is check-update's own, package by package", async (root) => {
  await fillRoot(root);
  const { updates } = await scan(root);
  const rows = await answer(root, /^\S+\.\S+ /, "check-update");
  // Of dnf 5, what is replaced is asked for by itself.
  if (root.host.generation === 5) {
    rows.push(...await answer(root, /^\S+\.\S+ /, "list", "--obsoletes"));
  }
  assertEquals(
    updates.map((one) => `${one.package}.${one.architecture} ${one.availableVersion} ${one.source}`)
      .toSorted(),
    rows.map((row) => row.join(" ")).toSorted(),
  );
});

onDnf("advisories, severities and CVEs are updateinfo's own, package by package", async (root) => {
  await fillRoot(root);
  const { updates } = await scan(root);
  const keyOf = (nevra: string) => nevra.replace(/-[^-]+-[^-]+\.([^.]+)$/, ".$1");
  const collect = root.host.generation === 4
    ? async (...flags: string[]) =>
      (await answer(root, /^\S+ +\S+ +\S+$/, "updateinfo", "list", "--updates", ...flags))
        .map(([id = "", kind = "", nevra = ""]) => ({ id, kind, key: keyOf(nevra) }))
    : async (...flags: string[]) =>
      (await answer(root, / \d{4}-\d\d-\d\d /, "advisory", "list", ...flags))
        .map((row) => ({
          id: row[0] ?? "",
          // Two more are the day and the time; without a severity there are five words.
          kind: row[1] === "security" ? `${row[2]}/Sec.` : `${row[1]}`,
          key: keyOf(row.at(-3) ?? ""),
        }));
  const [advisories, cves] = [await collect(), await collect("--with-cve")];
  assert(advisories.length > 6 && cves.length > 4);
  for (const update of updates) {
    const key = `${update.package}.${update.architecture}`;
    const own = advisories.filter((row) => row.key === key);
    assertEquals(update.advisories.toSorted(), own.map(({ id }) => id).toSorted(), key);
    assertEquals(update.security === true, own.some(({ kind }) => kind.endsWith("/Sec.")), key);
    const kinds = new Set(own.map(({ kind }) => kind.toLowerCase().replace("/sec.", "")));
    const worst = ["critical", "important", "moderate", "low"].find((word) => kinds.has(word));
    assertEquals(update.severity, worst ?? null, key);
    const listed = cves.filter((row) => row.key === key && row.id.startsWith("CVE-"));
    const expected = key.startsWith("described.") ? ["CVE-2026-0005"] : listed.map(({ id }) => id);
    assertEquals(update.cves.toSorted(), expected.toSorted(), key);
  }
});

onDnf("a repository that is down is a failure, and a host without lists too", async (root) => {
  await root.install([{ name: "bash", evr: "5.1.8-6.el9" }]);
  await root.know("dead", "http://127.0.0.1:9/x");
  const error = await assertRejects(() => scan(root), ScanError);
  assertEquals(error.reason, "transient");
  if (Deno.uid() === 0) assert(error.message.includes('run "dnf makecache"'), error.message);
  const refreshed = await assertRejects(() => scan(root, true), ScanError);
  assertEquals(refreshed.reason, "transient");
  assertMatch(refreshed.message, /: (?:The repository )?dead: Curl error \(7\): Could/);
});

onDnf(
  "a repository that is down is named with the cause, and the others are read",
  async (root) => {
    await fillRoot(root);
    await root.know("dead", "http://127.0.0.1:9/x");
    // With such a file dnf 5 does nothing at all (dnf5_test.ts).
    const file = `${root.host.repositories}/bad.repo`;
    if (root.host.generation === 4) await Deno.writeTextFile(file, "no section\n");
    const { updates, warnings, result } = await scan(root, true);
    assertEquals([updates.length, result], [9, "degraded"]);
    const [gap, dead] = root.host.generation === 4 ? warnings : [null, ...warnings];
    if (gap !== null) assertEquals(gap, `A repository's file could not be read: "${file}"`);
    assertMatch(dead ?? "", /^dead: cannot be fetched: Curl error \(7\): Could/);
  },
);

onDnf("lists that cannot be fetched anew are used as they are, and called old", async (root) => {
  await fillRoot(root);
  await root.age(50);
  await Deno.rename(`${root.path}/rpms-updates`, `${root.path}/elsewhere`);
  const { updates, warnings, metadataAgeS, sources } = await scan(root, true);
  assertEquals(updates.length, 9);
  assert(metadataAgeS !== null && metadataAgeS >= 50 * 3_600, `${metadataAgeS}`);
  assertEquals(warnings.length, 1);
  assertMatch(
    warnings[0] ?? "",
    /^updates: cannot be fetched: Curl error \(37\): Could.*; .* 2 days old$/,
  );
  const vendor = sources.find(({ name }) => name === "vendor");
  assertEquals([vendor?.result, (vendor?.metadataAgeS ?? Infinity) < 600], ["ok", true]);
});

onDnf(
  "old lists are left alone, and said to be old, until a refresh is asked for",
  async (root) => {
    await fillRoot(root);
    await root.age(50);
    const { warnings, sources } = await scan(root);
    const why = "its package lists are 2 days old, over its limit of 2 days";
    assertEquals(warnings.toSorted(), [`updates: ${why}`, `vendor: ${why}`]);
    assertEquals(sources.map(({ result }) => result), ["old", "old"]);
    const { warnings: after, metadataAgeS } = await scan(root, true);
    assertEquals(after, []);
    assert(metadataAgeS !== null && metadataAgeS < 600);
  },
  { ignore: Deno.uid() !== 0 },
);

onDnf("a host without repositories has no empty list", async (root) => {
  await root.install([{ name: "bash", evr: "5.1.8-6.el9" }]);
  const error = await assertRejects(() => scan(root), ScanError);
  assertEquals(error.reason, "permanent");
  assert(error.message.includes("there are no enabled repositories"), error.message);
});

onDnf("a host without packages of rpm's is none of dnf's", async (root) => {
  const error = await assertRejects(() => scan(root), ScanError);
  assertEquals(error.reason, "not_available");
});
