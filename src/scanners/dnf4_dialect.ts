/** How dnf 4 is asked: Red Hat Enterprise Linux 8 to 10 and their kin, Fedora up to 40. */

import { parseDnf4Advisories, parseDnf4AdvisoryDetails } from "./dnf4_advisories.ts";
import type { DnfDialect } from "./dnf_dialect.ts";
import { readCheckUpdate } from "./dnf_check_update.ts";
import { OFFERED_FORMAT } from "./rpm_packages.ts";

// Without --latest-limit it lists every version that is newer.
const UPGRADES = ["repoquery", "--upgrades", "--latest-limit=1"];

export const dnf4Dialect: DnfDialect = {
  // Every command takes a lock, to read too, and would wait for it without an end.
  settings: ["--setopt=exit_on_lock=True", "--color=never"],
  // Without -q: only then does dnf tell which repositories it left out.
  offered: [...UPGRADES, "--qf", OFFERED_FORMAT],
  withExcluded: ["--disableplugin=versionlock", "--disableexcludes=all"],
  advisories: {
    command: ["-q", "updateinfo", "list", "--available"],
    codes: [0],
    read: parseDnf4Advisories,
  },
  details: {
    command: ["-q", "updateinfo", "info", "--available"],
    codes: [0],
    read: parseDnf4AdvisoryDetails,
  },
  updates: { command: ["-q", "check-update"], codes: [0, 100], read: readCheckUpdate },
  replacing: null,
  repositories: null,
  systemCache: "/var/cache/dnf",
  userCache: null,
};
