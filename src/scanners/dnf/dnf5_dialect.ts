/** How dnf 5 is asked (Fedora 41 and later), by what each of its versions can answer. */

import { type DnfVersion, isAtLeast } from "./version.ts";
import type { DnfDialect } from "./dialect.ts";
import { readCheckUpdate } from "./check_update.ts";
import {
  parseDnf5Advisories,
  parseDnf5AdvisoryDetails,
  parseDnf5AdvisoryTable,
} from "./dnf5_advisories.ts";
import { parseDnf5CheckUpgrade } from "./dnf5_check_upgrade.ts";
import { readRebootJson, readRebootWords } from "./reboot.ts";
import { parseDnf5Repositories } from "./repositories.ts";
import { OFFERED_FORMAT } from "./rpm_packages.ts";

/** From these on: progress goes to stderr; advisories, descriptions and lists are told in JSON. */
const PROGRESS_ON_STDERR: DnfVersion = [5, 2, 6];
const ADVISORIES_IN_JSON: DnfVersion = [5, 2, 4];
const INFO_IN_JSON: DnfVersion = [5, 2, 9];
const PACKAGES_IN_JSON: DnfVersion = [5, 4];
const RESTARTS_IN_JSON: DnfVersion = [5, 4, 1];

/** The dialect of a version of dnf 5. */
export function dnf5Dialect(version: DnfVersion): DnfDialect {
  const quiet = isAtLeast(version, PROGRESS_ON_STDERR) ? [] : ["-q"];
  const upgrades = ["repoquery", "--upgrades", "--latest-limit=1"];
  return {
    // One repository without lists must not hide what the others have; the sources name it.
    settings: ["--setopt=*.skip_if_unavailable=1"],
    // Else it takes root's lists over, however old, and has them look as if they were fetched now.
    userSettings: ["--setopt=system_cachedir=/nonexistent"],
    privateLists: (directory) => [
      `--setopt=system_cachedir=${directory}`,
      "--setopt=*.countme=0",
    ],
    fetch: ["makecache"],
    // Quiet it says nothing of the repositories that it left out.
    offered: [...quiet, ...upgrades, "--queryformat", `${OFFERED_FORMAT}\n`],
    withExcluded: ["--setopt=excludepkgs=", "--setopt=*.excludepkgs="],
    // Nothing lifts the locks alone: this lifts them, the excludes and `includepkgs`.
    withLocked: ["--setopt=disable_excludes=*"],
    locksActOn: "everything",
    advisories: isAtLeast(version, ADVISORIES_IN_JSON)
      ? { command: ["-q", "advisory", "list", "--json"], codes: [0], read: parseDnf5Advisories }
      : { command: ["-q", "advisory", "list"], codes: [0], read: parseDnf5AdvisoryTable },
    details: isAtLeast(version, INFO_IN_JSON)
      ? {
        command: ["-q", "advisory", "info", "--json"],
        codes: [0],
        read: parseDnf5AdvisoryDetails,
      }
      : null,
    // In JSON it ends with 0 even if there are updates.
    updates: isAtLeast(version, PACKAGES_IN_JSON)
      ? { command: ["-q", "check-upgrade", "--json"], codes: [0, 100], read: parseDnf5CheckUpgrade }
      : { command: ["-q", "check-upgrade"], codes: [0, 100], read: readCheckUpdate },
    // Above, only an update that replaces another package as well is told as replacing one.
    replacing: isAtLeast(version, PACKAGES_IN_JSON)
      ? {
        command: ["-q", "list", "--obsoletes", "--json"],
        codes: [0],
        read: parseDnf5CheckUpgrade,
      }
      : { command: ["-q", "list", "--obsoletes"], codes: [0], read: readCheckUpdate },
    repositories: {
      command: ["-q", "repo", "info", "--json"],
      codes: [0],
      read: (stdout) => parseDnf5Repositories(stdout),
    },
    securityFilter: (severity) =>
      severity === undefined ? ["--security"] : [`--advisory-severities=${severity.toLowerCase()}`],
    lineEnd: "\n",
    reboot: isAtLeast(version, RESTARTS_IN_JSON)
      ? { command: ["-q", "needs-restarting", "--json"], codes: [0, 1], read: readRebootJson }
      : { command: ["-q", "needs-restarting"], codes: [0, 1], read: readRebootWords },
    systemCache: "/var/cache/libdnf5",
    userCache: ".cache/libdnf5",
  };
}
