/** A made-up distribution that holds every case in which an update may be, or not be, waiting. */

import type { AptRoot, RootPackage, RootSuite } from "./apt_root.ts";

const UBUNTU = { Origin: "Ubuntu", Label: "Ubuntu", Version: "24.04", Codename: "noble" };

/** Versions with every sign that a version may have. */
const AWKWARD_VERSIONS = ["1:9.0+dfsg-1", "2:1.0+dfsg~rc1-1~deb12u2+b3"] as const;

/** Names end in what they show. */
export async function fillArchive(root: AptRoot): Promise<void> {
  await root.install(installed(root));
  await root.write("etc/apt/preferences.d/pins", PINS);
  await root.offer([...distribution(root), ...others()]);
}

const PINS = [
  "Package: pinned-down\nPin: version 1.0\nPin-Priority: 1001\n",
  "Package: downgrade\nPin: version 1.5\nPin-Priority: 1001\n",
].join("\n");

function installed({ foreignArchitecture }: AptRoot): RootPackage[] {
  const same = { "Multi-Arch": "same" };
  return [
    { name: "bash", version: "5.2-1" },
    { name: "held-tool", version: "1.0", fields: { Status: "hold ok installed" } },
    { name: "phased-tool", version: "1.0" },
    { name: "kept-back", version: "1.0" },
    { name: "libssl3t64", version: "3.0.13-0ubuntu3.4", fields: same },
    {
      name: "libssl3t64",
      version: "3.0.13-0ubuntu3.4",
      architecture: foreignArchitecture,
      fields: same,
    },
    { name: "foreign-only", version: "1.0", architecture: foreignArchitecture },
    { name: "g++-tool", version: AWKWARD_VERSIONS[0] },
    { name: "meta-image", version: "6.8-87", architecture: "all" },
    { name: "now-arch-all", version: "1.0" },
    { name: "needs-removal", version: "1.0" },
    { name: "old-thing", version: "1.0" },
    { name: "corp-agent", version: "9.9" },
    { name: "ppa-tool", version: "1.0", architecture: "all" },
    { name: "security-misc", version: "1.0", architecture: "all" },
    { name: "superseded", version: "1.0" },
    { name: "esm-lib", version: "1.0-1" },
    { name: "bpo-tool", version: "2.0~bpo1" },
    { name: "not-from-bpo", version: "2.0" },
    { name: "debian-lib", version: "1.0-1" },
    { name: "pinned-down", version: "1.0" },
    { name: "downgrade", version: "2.0" },
    { name: "rebuilt", version: "1.0" },
    { name: "local-only", version: "1.0-local" },
    { name: "removed-rc", version: "1.0", fields: { Status: "deinstall ok config-files" } },
  ];
}

function distribution({ foreignArchitecture }: AptRoot): RootSuite[] {
  const same = { "Multi-Arch": "same", "Source": "openssl (3.0.13-0ubuntu3.5)" };
  const openssl = { name: "libssl3t64", version: "3.0.13-0ubuntu3.5", fields: same };
  const libssl = [openssl, { ...openssl, architecture: foreignArchitecture }];
  const updates: RootPackage[] = [
    ...libssl,
    { name: "held-tool", version: "2.0" },
    {
      name: "phased-tool",
      version: "2.0-0ubuntu1",
      fields: { "Phased-Update-Percentage": "0", "Source": "phased" },
    },
    { name: "kept-back", version: "2.0", fields: { Depends: "nowhere-to-be-found" } },
    { name: "foreign-only", version: "1.1", architecture: foreignArchitecture },
    { name: "g++-tool", version: AWKWARD_VERSIONS[1] },
    {
      name: "meta-image",
      version: "6.8-88",
      architecture: "all",
      fields: { Depends: "image-6.8-88" },
    },
    { name: "image-6.8-88", version: "6.8-88.89" },
    { name: "now-arch-all", version: "2.0", architecture: "all" },
    { name: "needs-removal", version: "2.0", fields: { Conflicts: "old-thing" } },
    { name: "superseded", version: "1.3" },
    { name: "pinned-down", version: "2.0" },
    { name: "downgrade", version: "1.5" },
    { name: "removed-rc", version: "2.0" },
  ];
  return [
    { archive: "ubuntu", suite: "noble-updates", release: UBUNTU, packages: updates },
    {
      archive: "ubuntu",
      suite: "noble-security",
      release: UBUNTU,
      packages: [...libssl, { name: "superseded", version: "1.2" }],
    },
    {
      archive: "ubuntu",
      suite: "noble-backports",
      release: { ...UBUNTU, NotAutomatic: "yes", ButAutomaticUpgrades: "yes" },
      packages: [
        { name: "bpo-tool", version: "2.0~bpo1" },
        { name: "bpo-tool", version: "3.0~bpo24.04.1" },
      ],
    },
    {
      archive: "ubuntu",
      suite: "noble-experimental",
      release: { ...UBUNTU, NotAutomatic: "yes" },
      packages: [{ name: "not-from-bpo", version: "9.0" }],
    },
  ];
}

function others(): RootSuite[] {
  return [
    {
      archive: "debian-security",
      suite: "bookworm-security",
      release: {
        Origin: "Debian",
        Label: "Debian-Security",
        Suite: "oldstable-security",
        Version: "12",
      },
      packages: [{ name: "debian-lib", version: "1.0-1+deb12u1", architecture: "all" }],
    },
    {
      archive: "esm",
      suite: "noble-apps-security",
      release: { ...UBUNTU, Origin: "UbuntuESMApps", Label: "UbuntuESMApps" },
      packages: [{ name: "esm-lib", version: "1.0-1ubuntu0.1~esm2" }],
    },
    {
      archive: "corp",
      suite: "stable",
      release: { Version: "24.04" },
      packages: [{ name: "corp-agent", version: "10.2" }],
    },
    {
      archive: "ppa",
      suite: "noble",
      release: {
        ...UBUNTU,
        Origin: "LP-PPA-some-team",
        Label: "Some Team (stable, nightly [x]) PPA",
      },
      packages: [
        { name: "ppa-tool", version: "2.0-1~ppa1", architecture: "all" },
        { name: "security-misc", version: "2.0-1~ppa1", architecture: "all" },
      ],
    },
    {
      archive: "noname",
      suite: "stable",
      release: { Suite: "", Codename: "" },
      packages: [{ name: "rebuilt", version: "1.0", fields: { "Installed-Size": "999" } }],
    },
  ];
}
