/** Which scanners there are, and which of them this host can use: the one place that looks at its OS. */

import type { Os, System } from "../system/system.ts";
import { aptScanner } from "./apt.ts";
import { dnfScanner } from "./dnf.ts";
import type { Scanner } from "./scanner.ts";
import { wingetScanner } from "./winget.ts";
import { winupdateScanner } from "./winupdate.ts";
import type { PackageType } from "../update.ts";

/** Every scanner that Pennon has: a further one is a file beside this, and a line here. */
const SCANNERS: readonly [scanner: Scanner, os: Os, packageType: PackageType][] = [
  [aptScanner(), "linux", "apt"],
  [dnfScanner(), "linux", "dnf"],
  [winupdateScanner(), "windows", "windows_update"],
  [wingetScanner(), "windows", "winget"],
];

/** Their names, on whatever system. */
export const SCANNER_NAMES: readonly string[] = SCANNERS.map(([{ name }]) => name);

/** What the server calls the packages of a scanner; throws at a name that is none. */
export function packageTypeOf(name: string): PackageType {
  const [, , packageType] = SCANNERS.find(([scanner]) => scanner.name === name) ?? [];
  if (packageType === undefined) throw new RangeError(`Cannot name packages of "${name}"`);
  return packageType;
}

/**
 * Of the scanners named in `enabled`, those whose package manager is on this host, in its order. It is
 * asked for each scan: a look at a few files, and what is installed may have changed.
 */
export async function availableScanners(
  system: System,
  enabled: readonly string[],
): Promise<readonly Scanner[]> {
  const own = SCANNERS.filter(([, os]) => os === system.os).map(([scanner]) => scanner);
  const scanners = enabled.flatMap((name) => own.filter((scanner) => scanner.name === name));
  const isThere = await Promise.all(scanners.map((scanner) => scanner.isAvailable(system)));
  return scanners.filter((_, index) => isThere[index]);
}
