/** All scanners, and those of this host: the only scanner file that reads the operating system. */

import type { Os, System } from "../system/system.ts";
import type { PackageType } from "../update.ts";
import { aptScanner } from "./apt.ts";
import { dnfScanner } from "./dnf.ts";
import type { Scanner } from "./scanner.ts";
import { wingetScanner } from "./winget.ts";
import { winupdateScanner } from "./winupdate.ts";

/** Every scanner of Pennon: a new one is a file in this directory and a line here. */
const SCANNERS: readonly [scanner: Scanner, os: Os, packageType: PackageType][] = [
  [aptScanner(), "linux", "apt"],
  [dnfScanner(), "linux", "dnf"],
  [winupdateScanner(), "windows", "windows_update"],
  [wingetScanner(), "windows", "winget"],
];

/** The names of all scanners, on every system. */
export const SCANNER_NAMES: readonly string[] = SCANNERS.map(([{ name }]) => name);

/** The package type in the server's protocol; throws `RangeError` for an unknown scanner. */
export function packageTypeOf(name: string): PackageType {
  const [, , packageType] = SCANNERS.find(([scanner]) => scanner.name === name) ?? [];
  if (packageType === undefined) throw new RangeError(`Cannot name packages of "${name}"`);
  return packageType;
}

/**
 * The scanners of `enabled` whose package manager is on this host, in that order. Called for each scan:
 * it reads a few files, and installed programs can change.
 */
export async function availableScanners(
  system: System,
  enabled: readonly string[],
): Promise<readonly Scanner[]> {
  const own = SCANNERS.filter(([, os]) => os === system.os).map(([scanner]) => scanner);
  const scanners = enabled.flatMap((name) => own.filter((scanner) => scanner.name === name));
  const isAvailable = await Promise.all(scanners.map((scanner) => scanner.isAvailable(system)));
  return scanners.filter((_, index) => isAvailable[index]);
}
