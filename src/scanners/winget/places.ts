/** Where winget is: an alias in the user's own folder, or in its package's, which has a version. */

import type { System } from "../../system/system.ts";
import { compareVersionNumbers } from "../version_numbers.ts";

/** A package's folder: `Microsoft.DesktopAppInstaller_1.22.11261.0_x64__8wekyb3d8bbwe`. */
const PACKAGE =
  /^Microsoft\.DesktopAppInstaller_(\d{1,9}(?:\.\d{1,9}){1,3})_(x64|arm64|x86)__8wekyb3d8bbwe$/i;

/** `uname -m`'s word for a processor, and the package's. */
const PACKAGE_ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: "x64", aarch64: "arm64" };

/** The profiles of accounts as which nobody installs packages. */
const SYSTEM_PROFILE = /\\config\\systemprofile\\?$/i;
const SERVICE_PROFILES = /\\ServiceProfiles\\/i;

/** Who asks: the packages of a user are that user's own business. */
export interface WingetAccount {
  /** For people: `SYSTEM`, `the user "anna"`. */
  readonly description: string;
  /** Whether it is a service's, which sees only what was installed for the whole machine. */
  readonly isService: boolean;
}

/** The account that this process runs as, by its profile's folder. */
export function wingetAccount(system: System): WingetAccount {
  const profile = system.readEnvironment("USERPROFILE") ?? "";
  if (SYSTEM_PROFILE.test(profile)) return { description: "SYSTEM", isService: true };
  const name = profile.split("\\").filter((part) => part !== "").at(-1) ?? "unknown";
  return SERVICE_PROFILES.test(profile)
    ? { description: name, isService: true }
    : { description: `the user "${name}"`, isService: false };
}

/**
 * Paths of `winget.exe`, the best first; empty where there is none to be seen. Never throws.
 *
 * The alias of a user is not looked at, only at its name: Windows lets nobody read it. The
 * packages' folder is shut to most users, and open to SYSTEM, which has no alias.
 */
export async function wingetPlaces(system: System): Promise<string[]> {
  const own = system.readEnvironment("LOCALAPPDATA");
  const programs = system.readEnvironment("ProgramW6432") ??
    system.readEnvironment("ProgramFiles") ?? "C:\\Program Files";
  const aliases = own === undefined ? null : `${own}\\Microsoft\\WindowsApps`;
  const folder = `${programs}\\WindowsApps`;
  const [names, packages] = await Promise.all([
    aliases === null ? [] : namesIn(system, aliases),
    namesIn(system, folder),
  ]);
  const isThere = names.some((name) => name.toLowerCase() === "winget.exe");
  return [
    ...(isThere ? [`${aliases}\\winget.exe`] : []),
    ...bestPackages(packages, system.architecture).map((name) => `${folder}\\${name}\\winget.exe`),
  ];
}

/** Package folders, the highest version of this host's architecture first; none else if it has one. */
export function bestPackages(names: readonly string[], architecture: string): string[] {
  const packages = names.flatMap((name) => {
    const found = PACKAGE.exec(name);
    if (!found) return [];
    const [, version = "", built = ""] = found;
    return [{ name, version: version.split(".").map(Number), built: built.toLowerCase() }];
  }).sort((a, b) => compareVersionNumbers(b.version, a.version));
  const ours = packages.filter(({ built }) => built === PACKAGE_ARCHITECTURES[architecture]);
  // A program for x64 runs on a host for arm64 too, and then winget is not of the same kind.
  return (ours.length > 0 ? ours : packages).map(({ name }) => name);
}

async function namesIn({ files }: System, folder: string): Promise<string[]> {
  try {
    return await files.list("look for winget", folder);
  } catch {
    return [];
  }
}
