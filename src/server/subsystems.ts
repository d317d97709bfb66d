/**
 * RedFlag's names of what it schedules on an agent, its subsystems: those of the package managers. A
 * command `scan_<subsystem>` scans one of them (servers after v0.1.26).
 */

/** The names, by those of Pennon's scanners. */
const PACKAGE_MANAGERS: readonly [scanner: string, subsystem: string][] = [
  ["apt", "apt"],
  ["dnf", "dnf"],
  ["winupdate", "windows"],
  ["winget", "winget"],
];

/** The subsystem that a scanner is on the server; `null`: the server knows no such one. */
export function subsystemOf(scannerName: string): string | null {
  return PACKAGE_MANAGERS.find(([scanner]) => scanner === scannerName)?.[1] ?? null;
}

/** The scanner of a subsystem; `null`: it is no package manager of Pennon's. */
export function scannerOf(subsystem: string): string | null {
  return PACKAGE_MANAGERS.find(([, name]) => name === subsystem)?.[0] ?? null;
}
