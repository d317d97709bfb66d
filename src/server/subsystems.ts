/**
 * The names that a RedFlag server has for scanners (its subsystems), for the registration, the check-in
 * and the commands `scan_<subsystem>` of RedFlag 0.2.
 */

/** The server's names of the package managers, by those of Pennon's scanners. */
const PACKAGE_MANAGERS: ReadonlyMap<string, string> = new Map([
  ["apt", "apt"],
  ["dnf", "dnf"],
  ["winupdate", "windows"],
  ["winget", "winget"],
]);

/** The server's name of a scanner: `winupdate` is `windows` there, all others have one name in both. */
export function subsystemOf(scannerName: string): string {
  return PACKAGE_MANAGERS.get(scannerName) ?? scannerName;
}

/** The scanner of a subsystem; `null`: it is no package manager of Pennon's. */
export function scannerOf(subsystem: string): string | null {
  const entry = PACKAGE_MANAGERS.entries().find(([, name]) => name === subsystem);
  return entry?.[0] ?? null;
}
