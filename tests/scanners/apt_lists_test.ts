import { assertEquals, assertRejects } from "@std/assert";
import {
  haveLists,
  listsFetchedMs,
  mayBeUnsigned,
  stateStamp,
} from "../../src/scanners/apt_lists.ts";
import { FakeSystem } from "../fakes/system.ts";

const PLACES = { aptStateDirectory: "/apt", dpkgDirectory: "/dpkg" };
const PURPOSE = "look at the package lists";

function systemWith(...names: string[]): FakeSystem {
  const system = new FakeSystem();
  for (const name of names) system.files.texts.set(`/apt/lists/${name}`, "");
  return system;
}

Deno.test("haveLists() knows a list and a release by their names, packed or not", async () => {
  const rows: [name: string, isList: boolean][] = [
    ["a_InRelease", true],
    ["a_Release", true],
    ["a_Packages", true],
    ["a_Packages.lz4", true],
    ["a_Packages.lz4.new", false],
    ["a_Packages_old", false],
    ["Packages", false],
    ["lock", false],
    ["a_Release.gpg", false],
  ];
  for (const [name, isList] of rows) {
    assertEquals(await haveLists(systemWith(name), PLACES), isList, name);
  }
  assertEquals(await haveLists(systemWith(), PLACES), false);
});

Deno.test("mayBeUnsigned() of a release without its signature, and of a list without a release", async () => {
  const rows: [names: string[], isUnsigned: boolean][] = [
    [[], false],
    [["a_InRelease", "a_Packages"], false],
    [["a_Release", "a_Release.gpg", "a_Packages"], false],
    [["a_Release", "a_Packages"], true],
    [["a_Release", "b_Release.gpg"], true],
    [["a_InRelease", "b_Packages"], true],
    [["a_InRelease", "b_lock"], false],
  ];
  for (const [names, isUnsigned] of rows) {
    assertEquals(await mayBeUnsigned(systemWith(...names), PLACES), isUnsigned, names.join(" "));
  }
});

Deno.test("listsFetchedMs() is the latest of all that tells of a fetch", async () => {
  const system = systemWith();
  assertEquals(await listsFetchedMs(system, PLACES), null);
  const paths = ["/apt/lists", "/apt/lists/partial", "/apt/periodic/update-success-stamp"];
  for (const [index, path] of paths.entries()) {
    system.files.texts.set(path, "");
    system.files.modifiedMs.set(path, 1_000 * (index + 1));
    assertEquals(await listsFetchedMs(system, PLACES), 1_000 * (index + 1), path);
  }
  system.files.modifiedMs.set("/apt/lists", 9_000);
  assertEquals(await listsFetchedMs(system, PLACES), 9_000);
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

Deno.test("lists that may not be looked at are none, and no mistake of ours is hidden", async () => {
  const system = systemWith("a_Packages");
  system.files.fail(PURPOSE, "denied");
  assertEquals(await haveLists(system, PLACES), false);
  assertEquals(await mayBeUnsigned(system, PLACES), false);
  assertEquals(await listsFetchedMs(system, PLACES), null);
  const broken = () => Promise.reject(new TypeError("oops"));
  system.files.list = broken;
  system.files.inspect = broken;
  await assertRejects(() => haveLists(system, PLACES), TypeError, "oops");
  await assertRejects(() => listsFetchedMs(system, PLACES), TypeError, "oops");
});
