import { assertEquals } from "@std/assert";
import { bestPackages, wingetAccount, wingetPlaces } from "../../../src/scanners/winget/places.ts";
import { ALIAS, PACKAGES, WingetHost } from "./host.ts";

function packaged(version: string, architecture: string): string {
  return `Microsoft.DesktopAppInstaller_${version}_${architecture}__8wekyb3d8bbwe`;
}

Deno.test("bestPackages() answers nothing for nothing and for junk", () => {
  const junk = [
    "",
    "Deleted",
    "Microsoft.DesktopAppInstaller_8wekyb3d8bbwe",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_neutral_~_8wekyb3d8bbwe",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_neutral_split.scale-100_8wekyb3d8bbwe",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_x64__aaaaaaaaaaaaa",
    "Evil_Microsoft.DesktopAppInstaller_1.22.11261.0_x64__8wekyb3d8bbwe",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_x64__8wekyb3d8bbwe.evil",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_x64__8wekyb3d8bbwe\\evil",
    "Microsoft.DesktopAppInstaller_1.1234567890_x64__8wekyb3d8bbwe",
  ];
  assertEquals(bestPackages([], "x86_64"), []);
  assertEquals(bestPackages(junk, "x86_64"), []);
});

Deno.test("bestPackages() takes the numerically highest version of the host's architecture", () => {
  const names = [
    packaged("1.9.25200.0", "x64"),
    packaged("1.22.11261.0", "x64"),
    packaged("1.22.9999.0", "x64"),
    packaged("1.29.1.0", "arm64"),
    packaged("1.22.11261.0", "x86"),
  ];
  assertEquals(bestPackages(names, "x86_64"), [
    packaged("1.22.11261.0", "x64"),
    packaged("1.22.9999.0", "x64"),
    packaged("1.9.25200.0", "x64"),
  ]);
  assertEquals(bestPackages(names, "aarch64"), [packaged("1.29.1.0", "arm64")]);
});

Deno.test("bestPackages() takes another architecture's where the host has no other", () => {
  const names = [packaged("1.21.0.0", "arm64"), packaged("1.22.0.0", "arm64")];
  assertEquals(bestPackages(names, "x86_64"), names.toReversed());
});

Deno.test("bestPackages() knows a folder in any case, and versions of two to four numbers", () => {
  const shouted = packaged("1.22.0.0", "X64").toUpperCase();
  const names = [shouted, packaged("1.23", "arm64"), packaged("1.22.0.0.1", "x64")];
  assertEquals(bestPackages(names, "x86_64"), [shouted]);
  const short = [packaged("1.22", "x64"), packaged("1.22.0.1", "x64"), packaged("2", "x64")];
  assertEquals(bestPackages(short, "x86_64"), [
    packaged("1.22.0.1", "x64"),
    packaged("1.22", "x64"),
  ]);
});

Deno.test("wingetPlaces() of a user is the alias, which nobody looks into", async () => {
  const host = new WingetHost();
  host.files.inspect = () => Promise.reject(new Error("looked at"));
  assertEquals(await wingetPlaces(host), [ALIAS]);
});

Deno.test("wingetPlaces() of SYSTEM is in the package's folder", async () => {
  const host = new WingetHost();
  host.becomeSystem();
  assertEquals(await wingetPlaces(host), []);
  host.addPackage("1.9.25200.0");
  const newest = host.addPackage("1.22.11261.0");
  assertEquals((await wingetPlaces(host))[0], newest);
  host.environment.set("ProgramW6432", "D:\\Programs");
  assertEquals(await wingetPlaces(host), []);
});

Deno.test("wingetPlaces() is empty where no folder may be read, or no variable tells of one", async () => {
  const host = new WingetHost();
  host.files.list = () => Promise.reject(new Error("denied"));
  assertEquals(await wingetPlaces(host), []);
  const bare = new WingetHost();
  bare.environment.clear();
  const path = bare.addPackage("1.22.11261.0");
  assertEquals(await wingetPlaces(bare), [path]);
  assertEquals(path.startsWith(PACKAGES), true);
  const looked: string[] = [];
  bare.files.list = (_, folder) => {
    looked.push(folder);
    return Promise.resolve([]);
  };
  await wingetPlaces(bare);
  assertEquals(looked, [PACKAGES], "without LOCALAPPDATA there is no folder of aliases");
});

Deno.test("wingetPlaces() finds the alias in any case, and packages where programs are", async () => {
  const host = new WingetHost();
  host.files.texts.clear();
  host.files.texts.set(ALIAS.replace("winget.exe", "WinGet.EXE"), "");
  assertEquals(await wingetPlaces(host), [ALIAS]);
  host.files.texts.clear();
  const path = host.addPackage("1.22.11261.0").replace("C:\\Program Files", "E:\\Programs");
  host.files.texts.set(path, "");
  host.environment.set("ProgramFiles", "E:\\Programs");
  assertEquals(await wingetPlaces(host), [path]);
  // A 32-bit process is told of another folder in that variable.
  host.environment.set("ProgramW6432", "E:\\Programs");
  host.environment.set("ProgramFiles", "E:\\Programs (x86)");
  assertEquals(await wingetPlaces(host), [path]);
});

Deno.test("wingetAccount() tells services from people", () => {
  const host = new WingetHost();
  const rows: readonly [profile: string, description: string, isService: boolean][] = [
    ["C:\\Users\\anna", 'the user "anna"', false],
    ["C:\\Users\\anna\\", 'the user "anna"', false],
    ["", 'the user "unknown"', false],
    ["C:\\Windows\\system32\\config\\systemprofile", "SYSTEM", true],
    ["c:\\WINDOWS\\System32\\Config\\SystemProfile\\", "SYSTEM", true],
    ["C:\\Windows\\ServiceProfiles\\LocalService", "LocalService", true],
    ["c:\\windows\\serviceprofiles\\NetworkService\\", "NetworkService", true],
    ["C:\\Users\\systemprofile", 'the user "systemprofile"', false],
    ["D:\\config\\systemprofiles", 'the user "systemprofiles"', false],
  ];
  for (const [profile, description, isService] of rows) {
    host.environment.set("USERPROFILE", profile);
    assertEquals(wingetAccount(host), { description, isService }, profile);
  }
  host.environment.delete("USERPROFILE");
  assertEquals(wingetAccount(host), { description: 'the user "unknown"', isService: false });
});
