/** How dnf 5 is asked (Fedora 41 and later), by what each of its versions can answer. */

import { type DnfVersion, isAtLeast } from "./dnf_version.ts";
import type { DnfDialect } from "./dnf_dialect.ts";
import { readCheckUpdate } from "./dnf_check_update.ts";
import {
  parseDnf5Advisories,
  parseDnf5AdvisoryDetails,
  parseDnf5AdvisoryTable,
} from "./dnf5_advisories.ts";
import { findJson } from "./dnf5_json.ts";
import { parseDnf5CheckUpgrade } from "./dnf5_check_upgrade.ts";
import { OFFERED_FORMAT } from "./rpm_packages.ts";

/** From these on: progress goes to stderr; advisories, descriptions and lists are told in JSON. */
const PROGRESS_ON_STDERR: DnfVersion = [5, 2, 6];
const ADVISORIES_IN_JSON: DnfVersion = [5, 2, 4];
const INFO_IN_JSON: DnfVersion = [5, 2, 9];
const PACKAGES_IN_JSON: DnfVersion = [5, 4];

/** The dialect of a version of dnf 5. */
export function dnf5Dialect(version: DnfVersion): DnfDialect {
  const quiet = isAtLeast(version, PROGRESS_ON_STDERR) ? [] : ["-q"];
  const upgrades = ["repoquery", "--upgrades", "--latest-limit=1"];
  return {
    settings: [],
    // Quiet it says nothing of the repositories that it left out.
    offered: [...quiet, ...upgrades, "--queryformat", `${OFFERED_FORMAT}\n`],
    // Version locks are excludes of their own.
    withExcluded: ["--setopt=disable_excludes=*"],
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
      command: ["-q", "repo", "list", "--json"],
      codes: [0],
      read: (stdout) => {
        const list = findJson(stdout);
        return Array.isArray(list) ? list.length : undefined;
      },
    },
    systemCache: "/var/cache/libdnf5",
    userCache: ".cache/libdnf5",
  };
}
