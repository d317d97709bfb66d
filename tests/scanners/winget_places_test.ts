import { assertEquals } from "@std/assert";
import { bestPackages, wingetAccount, wingetPlaces } from "../../src/scanners/winget_places.ts";
import { ALIAS, PACKAGES, WingetHost } from "./winget_host.ts";

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
});

Deno.test("wingetAccount() tells services from people", () => {
  const host = new WingetHost();
  assertEquals(wingetAccount(host), { description: 'the user "anna"', isService: false });
  host.becomeSystem();
  assertEquals(wingetAccount(host), { description: "SYSTEM", isService: true });
  host.environment.set("USERPROFILE", "C:\\Windows\\ServiceProfiles\\LocalService");
  assertEquals(wingetAccount(host), { description: "LocalService", isService: true });
  host.environment.set("USERPROFILE", "C:\\Users\\systemprofile");
  assertEquals(wingetAccount(host).isService, false);
  host.environment.delete("USERPROFILE");
  assertEquals(wingetAccount(host).isService, false);
});
