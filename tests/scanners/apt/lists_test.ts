import { assertEquals, assertRejects } from "@std/assert";
import {
  isCurrentCache,
  listFiles,
  listsFetchedMs,
  stateStamp,
} from "../../../src/scanners/apt/lists.ts";
import { FakeSystem } from "../../fakes/system.ts";

const PLACES = { aptStateDirectory: "/apt", aptCacheDirectory: "/cache", dpkgDirectory: "/dpkg" };
const PURPOSE = "look at the package lists";

function systemWith(...names: string[]): FakeSystem {
  const system = new FakeSystem();
  for (const name of names) system.files.texts.set(`/apt/lists/${name}`, "");
  return system;
}

Deno.test("listsFetchedMs() is the later of the folder's time and the stamp's, never of a try's", async () => {
  const system = systemWith();
  assertEquals(await listsFetchedMs(system, PLACES), null);
  const put = (path: string, modifiedMs: number) => {
    system.files.texts.set(path, "");
    system.files.modifiedMs.set(path, modifiedMs);
  };
  put("/apt/lists/partial", 9_000);
  put("/apt/lists", 1_000);
  assertEquals(await listsFetchedMs(system, PLACES), 1_000);
  put("/apt/periodic/update-success-stamp", 2_000);
  assertEquals(await listsFetchedMs(system, PLACES), 2_000);
  put("/apt/lists", 3_000);
  assertEquals(await listsFetchedMs(system, PLACES), 3_000);
});

Deno.test("isCurrentCache() of a cache that is no older than what it was made of", async () => {
  const system = systemWith("a_Packages");
  const isCurrent = () => isCurrentCache(system, PLACES, "/cache/pkgcache.bin");
  system.files.texts.set("/dpkg/status", "");
  system.files.modifiedMs.set("/apt/lists", 5);
  system.files.modifiedMs.set("/dpkg/status", 7);
  assertEquals(await isCurrent(), false);
  system.files.texts.set("/cache/pkgcache.bin", "");
  for (const [modifiedMs, expected] of [[4, false], [6, false], [7, true]] as const) {
    system.files.modifiedMs.set("/cache/pkgcache.bin", modifiedMs);
    assertEquals(await isCurrent(), expected, `${modifiedMs}`);
  }
});

Deno.test("isCurrentCache() without a cache is false, and with one that was made of nothing true", async () => {
  const system = new FakeSystem();
  const isCurrent = () => isCurrentCache(system, PLACES, "/cache/pkgcache.bin");
  assertEquals(await isCurrent(), false);
  system.files.texts.set("/cache/pkgcache.bin", "");
  assertEquals(await isCurrent(), true);
});

Deno.test("listFiles() names what begins so, and nothing where the folder cannot be read", async () => {
  const system = systemWith("a_InRelease", "a_main_Packages.lz4", "b_InRelease", "lock");
  assertEquals((await listFiles(system, "/apt/lists", ["a_"])).toSorted(), [
    "/apt/lists/a_InRelease",
    "/apt/lists/a_main_Packages.lz4",
  ]);
  assertEquals((await listFiles(system, "/apt/lists", ["a_", "b_"])).length, 3);
  assertEquals(await listFiles(system, "/apt/lists", []), []);
  system.files.fail(PURPOSE, "denied");
  assertEquals(await listFiles(system, "/apt/lists", ["a_"]), []);
});

Deno.test("stateStamp() changes with the lists and with what is installed", async () => {
  const system = systemWith();
  const stamps = [await stateStamp(system, PLACES)];
  for (const path of ["/apt/lists", "/dpkg/status"]) {
    system.files.texts.set(path, "");
    for (const modifiedMs of [1, 2]) {
      system.files.modifiedMs.set(path, modifiedMs);
      stamps.push(await stateStamp(system, PLACES));
    }
  }
  assertEquals(new Set(stamps).size, 5, stamps.join(", "));
});

Deno.test("lists that may not be looked at have no time, and no mistake of ours is hidden", async () => {
  const system = systemWith("a_Packages");
  system.files.fail(PURPOSE, "denied");
  assertEquals(await listsFetchedMs(system, PLACES), null);
  const broken = () => Promise.reject(new TypeError("oops"));
  system.files.list = broken;
  system.files.inspect = broken;
  await assertRejects(() => listFiles(system, "/apt/lists", [""]), TypeError, "oops");
  await assertRejects(() => listsFetchedMs(system, PLACES), TypeError, "oops");
});
