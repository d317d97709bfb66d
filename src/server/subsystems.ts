/**
 * The names that a RedFlag server has for scanners (its subsystems), for the registration, the check-in
 * and the commands `scan_<subsystem>` of RedFlag 0.2.
 */

/** The server's name by ours, of each scanner that has another name there. */
const SERVER_NAMES: ReadonlyMap<string, string> = new Map([["winupdate", "windows"]]);

/** The server's name of a scanner: `winupdate` is `windows` there, all others have one name in both. */
export function subsystemOf(scannerName: string): string {
  return SERVER_NAMES.get(scannerName) ?? scannerName;
}
