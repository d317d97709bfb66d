import { assertEquals, assertThrows } from "@std/assert";
import { availableScanners, packageTypeOf, SCANNER_NAMES } from "../../src/scanners/registry.ts";
import { FakeSystem } from "../fakes/system.ts";

function host(...paths: string[]): FakeSystem {
  const system = new FakeSystem();
  for (const path of paths) system.files.texts.set(path, "");
  return system;
}

const APT = ["/usr/bin/apt-get", "/usr/bin/dpkg-query"];
const DNF = ["/usr/bin/dnf", "/usr/bin/rpm", "/var/lib/rpm/rpmdb.sqlite"];
const ALL = ["dnf", "apt", "winupdate", "winget"];

async function namesOn(system: FakeSystem, enabled = ALL): Promise<string[]> {
  return (await availableScanners(system, enabled)).map(({ name }) => name);
}

Deno.test("availableScanners() returns the available scanners in the order of the argument", async () => {
  assertEquals(await namesOn(host()), []);
  assertEquals(await namesOn(host(...APT)), ["apt"]);
  assertEquals(await namesOn(host(...APT, ...DNF)), ["dnf", "apt"]);
  assertEquals(await namesOn(host(...APT, ...DNF), ["apt", "nonsense"]), ["apt"]);
});

Deno.test("availableScanners() ignores a dnf without packages of rpm", async () => {
  assertEquals(await namesOn(host("/usr/bin/dnf", "/usr/bin/rpm")), []);
  const database = "/usr/lib/sysimage/rpm/rpmdb.sqlite";
  assertEquals(await namesOn(host("/usr/bin/dnf5", "/usr/bin/rpm", database)), ["dnf"]);
  assertEquals(await namesOn(host("/usr/bin/microdnf", "/usr/bin/rpm", database)), []);
});

Deno.test("availableScanners() returns no Linux scanner on another system", async () => {
  const system = host(...APT, ...DNF);
  system.os = "macos";
  assertEquals(await namesOn(system), []);
});

Deno.test("SCANNER_NAMES has each scanner once", () => {
  assertEquals(SCANNER_NAMES.toSorted(), ALL.toSorted());
});

Deno.test("packageTypeOf() returns the server's package type, and rejects an unknown scanner", () => {
  assertEquals(SCANNER_NAMES.map(packageTypeOf), ["apt", "dnf", "windows_update", "winget"]);
  assertThrows(() => packageTypeOf("zypper"), RangeError);
});
