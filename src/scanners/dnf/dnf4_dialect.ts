/** How dnf 4 is asked: Red Hat Enterprise Linux 8 to 10 and their kin, Fedora up to 40. */

import { parseDnf4Advisories, parseDnf4AdvisoryDetails } from "./dnf4_advisories.ts";
import type { DnfDialect } from "./dialect.ts";
import { readCheckUpdate } from "./check_update.ts";
import { readRebootWords } from "./reboot.ts";
import { parseDnf4Repositories } from "./repositories.ts";
import { OFFERED_FORMAT } from "./rpm_packages.ts";

// Without --latest-limit it lists every version that is newer.
const UPGRADES = ["repoquery", "--upgrades", "--latest-limit=1"];

export const dnf4Dialect: DnfDialect = {
  settings: [
    // Every command takes a lock, to read too, and would wait for it without an end.
    "--setopt=exit_on_lock=True",
    // One repository without lists must not hide what the others have; the sources name it.
    "--setopt=*.skip_if_unavailable=1",
    "--color=never",
  ],
  userSettings: [],
  privateLists: (directory) => [`--setopt=cachedir=${directory}`, "--setopt=*.countme=0"],
  fetch: ["makecache"],
  // Without -q: only then does dnf tell which repositories it left out.
  offered: [...UPGRADES, "--qf", OFFERED_FORMAT],
  withExcluded: ["--setopt=excludepkgs=", "--setopt=*.excludepkgs="],
  withLocked: ["--disableplugin=versionlock"],
  locksActOn: "updates",
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
  repositories: {
    // Only with -v does it say where its lists are, and only with --all name those that it skips.
    command: ["-v", "repolist", "--all"],
    codes: [0],
    environment: { TZ: "UTC" },
    read: (stdout, _code, stderr) => parseDnf4Repositories(stdout, stderr),
  },
  securityFilter: (severity) =>
    severity === undefined ? ["--security"] : [`--sec-severity=${severity}`],
  lineEnd: "",
  reboot: {
    command: ["-q", "needs-restarting", "-r"],
    // 1 is "a restart is required", and every error as well.
    codes: [0, 1],
    read: (stdout) => readRebootWords(stdout),
  },
  systemCache: "/var/cache/dnf",
  userCache: null,
};
