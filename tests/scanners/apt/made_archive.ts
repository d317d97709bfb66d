/** What is waiting on the host of `tests/real/apt_archive.ts`, worked out by hand. */

import type { Update } from "../../../src/update.ts";

/** Package with its architecture, versions, state, whether it is a security update, and its source. */
export const EXPECTED_UPDATES: readonly string[] = [
  "bpo-tool amd64 2.0~bpo1 -> 3.0~bpo24.04.1 upgradable security=null Ubuntu:24.04/noble-backports",
  "corp-agent amd64 9.9 -> 10.2 upgradable security=null 24.04/stable",
  "debian-lib all 1.0-1 -> 1.0-1+deb12u1 upgradable security=true Debian-Security:12/oldstable-security",
  "esm-lib amd64 1.0-1 -> 1.0-1ubuntu0.1~esm2 upgradable security=true UbuntuESMApps:24.04/noble-apps-security",
  "foreign-only i386 1.0 -> 1.1 upgradable security=false Ubuntu:24.04/noble-updates",
  "g++-tool amd64 1:9.0+dfsg-1 -> 2:1.0+dfsg~rc1-1~deb12u2+b3 upgradable security=false Ubuntu:24.04/noble-updates",
  "held-tool amd64 1.0 -> 2.0 held security=false Ubuntu:24.04/noble-updates",
  "kept-back amd64 1.0 -> 2.0 kept_back security=false Ubuntu:24.04/noble-updates",
  "libssl3t64 amd64 3.0.13-0ubuntu3.4 -> 3.0.13-0ubuntu3.5 upgradable security=true Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security",
  "libssl3t64 i386 3.0.13-0ubuntu3.4 -> 3.0.13-0ubuntu3.5 upgradable security=true Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security",
  "meta-image all 6.8-87 -> 6.8-88 upgradable security=false Ubuntu:24.04/noble-updates",
  "needs-removal amd64 1.0 -> 2.0 upgradable security=false Ubuntu:24.04/noble-updates",
  "now-arch-all all 1.0 -> 2.0 upgradable security=false Ubuntu:24.04/noble-updates",
  "phased-tool amd64 1.0 -> 2.0-0ubuntu1 phased security=false Ubuntu:24.04/noble-updates",
  "pinned-down amd64 1.0 -> 2.0 pinned security=false Ubuntu:24.04/noble-updates",
  "ppa-tool all 1.0 -> 2.0-1~ppa1 upgradable security=null Some Team (stable, nightly [x]) PPA:24.04/noble",
  "rebuilt amd64 1.0 -> 1.0 upgradable security=null localhost",
  "security-misc all 1.0 -> 2.0-1~ppa1 upgradable security=null Some Team (stable, nightly [x]) PPA:24.04/noble",
  "superseded amd64 1.0 -> 1.3 upgradable security=true Ubuntu:24.04/noble-updates",
];

/** What else an upgrade would do, as the scanner warns. */
export const EXPECTED_WARNINGS: readonly string[] = [
  "apt-get dist-upgrade would remove old-thing",
  "apt-get dist-upgrade would downgrade downgrade",
];

/** An update in the words of `EXPECTED_UPDATES`. */
export function describe(update: Update): string {
  const { architecture, currentVersion, availableVersion, state, security, source } = update;
  return `${update.package} ${architecture} ${currentVersion} -> ${availableVersion} ${state} ` +
    `security=${security} ${source}`;
}
