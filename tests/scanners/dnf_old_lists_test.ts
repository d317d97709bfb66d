import { assertEquals } from "@std/assert";
import { tellOldLists } from "../../src/scanners/dnf_old_lists.ts";
import { parseDnfSettings } from "../../src/scanners/dnf_settings.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = 1_000 * 24 * HOUR_MS;

/** The warning on repositories whose lists are that many hours old. */
function tell(ages: Record<string, number>, settings = ""): string[] {
  const kept = Object.entries(ages).map(([repository, hours]) => ({
    repository,
    fetchedMs: NOW_MS - hours * HOUR_MS,
  }));
  return tellOldLists(kept, parseDnfSettings([settings]), NOW_MS);
}

Deno.test("tellOldLists() names those that were past their time when another was fetched", () => {
  assertEquals(tell({}), []);
  // All of them are old: that is told by the age itself.
  assertEquals(tell({ a: 960, b: 960 }), []);
  assertEquals(tell({ a: 10, b: 58 }), []);
  assertEquals(tell({ a: 10, b: 59, dead: 960 }), [
    "Repositories whose package lists are old: dead (40 days), b (2 days); " +
    'run "dnf makecache" to see why',
  ]);
  const seven = Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`r${index}`, 100]));
  assertEquals(tell({ a: 0, ...seven }), [
    "Repositories whose package lists are old: r0 (4 days), r1 (4 days), r2 (4 days), " +
    'r3 (4 days), r4 (4 days) and 2 more; run "dnf makecache" to see why',
  ]);
});

Deno.test("tellOldLists() goes by how long dnf keeps a repository's lists", () => {
  const rows: [string, number, boolean][] = [
    ["[b]\nmetadata_expire=7d\n", 168, false],
    ["[b]\nmetadata_expire=7d\n", 169, true],
    ["[b]\nmetadata_expire=21600\n", 6, false],
    ["[b]\nmetadata_expire=21600\n", 7, true],
    ["[b]\nmetadata_expire = 1.5H\n", 2, true],
    ["[b]\nmetadata_expire=90m\n", 1, false],
    ["[b]\nmetadata_expire=90m\n", 2, true],
    ["[b]\nmetadata_expire=7200s\n", 2, false],
    ["[b]\nmetadata_expire=7199s\n", 2, true],
    ["[b]\nmetadata_expire=2h\n", 2, false],
    ["[b]\nmetadata_expire=1h\n", 2, true],
    ["[b]\nmetadata_expire=never\n", 9_000, false],
    ["[b]\nmetadata_expire=-1\n", 9_000, false],
    ["[b]\nmetadata_expire=soon\n", 48, false],
    ["[b]\nmetadata_expire=soon\n", 49, true],
    ["[main]\nmetadata_expire=7d\n", 168, false],
    ["[main]\nmetadata_expire=7d\n[b]\nmetadata_expire=1h\n", 168, true],
  ];
  for (const [settings, hours, expected] of rows) {
    assertEquals(tell({ a: 0, b: hours }, settings).length === 1, expected, `${settings}${hours}`);
  }
});
