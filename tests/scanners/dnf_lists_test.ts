import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { keptLists, newestListMs, toldAgeMs } from "../../src/scanners/dnf_lists.ts";
import { checkJunk } from "./dnf_parser_laws.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("toldAgeMs() reads dnf 4's words", () => {
  const rows: [string, number | null][] = [
    ["", null],
    ["junk", null],
    ["Last metadata expiration check: soon", null],
    ["Last metadata expiration check: 0:42:20 ago on Mon 05 Jan 2026 11:52:38 AM CET.", 2_540],
    ["x\nLast metadata expiration check: 1 day, 2:03:04 ago on x.", 93_784],
    ["Last metadata expiration check: 12 days, 0:00:00 ago on x.", 1_036_800],
  ];
  for (const [stderr, ageS] of rows) {
    assertEquals(toldAgeMs({ stderr }), ageS === null ? null : ageS * 1_000, stderr);
  }
  fc.assert(fc.property(fc.nat(1_000_000), (seconds) => {
    const [days, rest] = [Math.floor(seconds / 86_400), seconds % 86_400];
    const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
    const time = `${Math.floor(rest / 3_600)}:${two(rest % 3_600 / 60)}:${two(rest % 60)}`;
    const age = days === 0 ? time : `${days} day${days === 1 ? "" : "s"}, ${time}`;
    const stderr = `Last metadata expiration check: ${age} ago on x.`;
    assertEquals(toldAgeMs({ stderr }), seconds * 1_000);
  }));
  checkJunk(
    "Last metadata expiration check: 1 day, 2:03:04 ago on x.",
    (stderr) => toldAgeMs({ stderr }),
  );
});

Deno.test("newestListMs() goes by the newest list of packages, not by an index", async () => {
  const { files } = new FakeSystem();
  assertEquals(await newestListMs({ files }, "/cache"), null);
  const put = (path: string, modifiedMs: number) => {
    files.texts.set(path, "");
    files.modifiedMs.set(path, modifiedMs);
  };
  put("/cache/a-1234", 0);
  put("/cache/b-1234", 0);
  put("/cache/a-1234/repodata/repomd.xml", 9_000);
  put("/cache/a-1234/repodata/77-primary.xml.zst", 5_000);
  put("/cache/b-1234/repodata/88-primary.xml.gz", 7_000);
  put("/cache/a.solv", 8_000);
  assertEquals(await newestListMs({ files }, "/cache"), 7_000);
  files.fail("look at dnf's package lists", "denied");
  assertEquals(await newestListMs({ files }, "/cache"), null);
});

Deno.test("keptLists() tells of each repository when its lists were fetched", async () => {
  const { files } = new FakeSystem();
  const put = (folder: string, modifiedMs: number) => {
    files.texts.set(`/cache/${folder}`, "");
    files.texts.set(`/cache/${folder}/repodata/7-primary.xml.zst`, "");
    files.modifiedMs.set(`/cache/${folder}/repodata/7-primary.xml.zst`, modifiedMs);
  };
  put("base-0123456789abcdef", 5_000);
  put("base-os-0123456789abcdef", 6_000);
  // It was moved, and the lists of where it was are still there.
  put("base-fedcba9876543210", 7_000);
  put("other-0123456789abcdef", 8_000);
  put("base-other", 9_000);
  files.texts.set("/cache/empty-0123456789abcdef", "");
  assertEquals(await keptLists({ files }, "/cache", ["base", "base-os", "empty", "gone"]), [
    { repository: "base", fetchedMs: 7_000 },
    { repository: "base-os", fetchedMs: 6_000 },
  ]);
  files.fail("look at dnf's package lists", "denied");
  assertEquals(await keptLists({ files }, "/cache", ["base"]), []);
});
