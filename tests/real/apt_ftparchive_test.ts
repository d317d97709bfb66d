import { assert, assertEquals } from "@std/assert";
import { aptScanner } from "../../src/scanners/apt.ts";
import { realSystem } from "../../src/system/real.ts";
import type { Update } from "../../src/update.ts";
import { describe } from "../scanners/apt/made_archive.ts";
import { whatAptRemoves, whatAptSays } from "./apt_answer.ts";
import { buildArchives, type BuiltSuite, MAKERS } from "./apt_ftparchive.ts";
import { AptRoot, type RootPackage } from "./apt_root.ts";
import { lacks } from "./lacks.ts";
import { scanWith } from "../fakes/scan_with.ts";

const system = realSystem();
const ignore = !await aptScanner().isAvailable(system) || await lacks(...MAKERS);

/** Runs a test where there is apt and what it takes to make repositories for it. */
function onBuiltApt(name: string, test: (root: AptRoot) => Promise<void>): void {
  Deno.test({ name, ignore }, async () => {
    await using root = await AptRoot.make();
    await test(root);
  });
}

const essential = { Essential: "yes" };

const INSTALLED: readonly RootPackage[] = [
  { name: "plain", version: "1.0-1" },
  { name: "current", version: "1.0-1" },
  { name: "hole", version: "1.0-1" },
  { name: "hole-behind", version: "1.0-1" },
  { name: "held", version: "1.0-1", fields: { Status: "hold ok installed" } },
  { name: "held-hole", version: "1.0-1", fields: { Status: "hold ok installed" } },
  { name: "phased-out", version: "1.0-1" },
  { name: "phased-in", version: "1.0-1" },
  { name: "bpo-pinned", version: "1.0-1" },
  { name: "bpo-followed", version: "1.5-1~bpo12+1" },
  { name: "bpo-ignored", version: "1.0-1" },
  { name: "pinned-down", version: "1.0-1" },
  { name: "init-new", version: "1.0-1", fields: essential },
  { name: "init-old", version: "1.0-1", fields: essential },
  { name: "driver", version: "1.0-1" },
  { name: "relic", version: "1.0-1" },
  { name: "vendor-tool", version: "1.0-1" },
  { name: "vendor-too", version: "1.0-1" },
];

const DEBIAN = { Origin: "Debian", Label: "Debian", Version: "12" };

const SUITES: readonly BuiltSuite[] = [
  {
    archive: "debian-security",
    suite: "bookworm-security",
    isSigned: true,
    release: { ...DEBIAN, Label: "Debian-Security", Suite: "oldstable-security" },
    packages: [
      { name: "hole", version: "1.0-1+deb12u1" },
      { name: "hole-behind", version: "1.0-1+deb12u1" },
      { name: "held-hole", version: "1.0-1+deb12u1" },
    ],
  },
  {
    archive: "debian",
    suite: "bookworm-updates",
    isSigned: true,
    release: { ...DEBIAN, Suite: "oldstable-updates" },
    packages: [
      { name: "plain", version: "1.0-2", architecture: "all" },
      { name: "current", version: "1.0-1" },
      { name: "hole-behind", version: "1.0-2" },
      { name: "held", version: "1.0-2" },
      { name: "phased-out", version: "1.0-2", fields: { "Phased-Update-Percentage": "0" } },
      { name: "phased-in", version: "1.0-2", fields: { "Phased-Update-Percentage": "100" } },
      // Where nothing else offers what is installed, a backport is as good as that.
      { name: "bpo-ignored", version: "1.0-1" },
      { name: "pinned-down", version: "1.0-2" },
      { name: "init-new", version: "1.0-2", fields: { ...essential, Conflicts: "init-old" } },
      { name: "driver", version: "1.0-2", fields: { Conflicts: "relic" } },
      { name: "vendor-too", version: "1.0-2" },
    ],
  },
  {
    archive: "debian",
    suite: "bookworm-backports",
    isSigned: true,
    release: {
      ...DEBIAN,
      Label: "Debian Backports",
      Suite: "oldstable-backports",
      NotAutomatic: "yes",
      ButAutomaticUpgrades: "yes",
    },
    packages: [
      { name: "bpo-pinned", version: "2.0-1~bpo12+1" },
      { name: "bpo-followed", version: "2.0-1~bpo12+1" },
      { name: "bpo-ignored", version: "2.0-1~bpo12+1" },
    ],
  },
  {
    archive: "vendor",
    suite: "stable",
    isSigned: false,
    release: { Origin: "Vendor", Label: "Vendor" },
    packages: [
      { name: "vendor-tool", version: "3.0" },
      { name: "vendor-too", version: "1.0-2" },
    ],
  },
];

const PINS = [
  "Package: bpo-pinned\nPin: release n=bookworm-backports\nPin-Priority: 500\n",
  "Package: pinned-down\nPin: version 1.0-1\nPin-Priority: 1001\n",
].join("\n");

/** In the words of `describe`. */
const EXPECTED: readonly string[] = [
  "bpo-followed amd64 1.5-1~bpo12+1 -> 2.0-1~bpo12+1 upgradable security=null Debian Backports:12/oldstable-backports",
  "bpo-pinned amd64 1.0-1 -> 2.0-1~bpo12+1 upgradable security=null Debian Backports:12/oldstable-backports",
  "driver amd64 1.0-1 -> 1.0-2 upgradable security=false Debian:12/oldstable-updates",
  "held amd64 1.0-1 -> 1.0-2 held security=false Debian:12/oldstable-updates",
  "held-hole amd64 1.0-1 -> 1.0-1+deb12u1 held security=true Debian-Security:12/oldstable-security",
  "hole amd64 1.0-1 -> 1.0-1+deb12u1 upgradable security=true Debian-Security:12/oldstable-security",
  "hole-behind amd64 1.0-1 -> 1.0-2 upgradable security=true Debian:12/oldstable-updates",
  "init-new amd64 1.0-1 -> 1.0-2 kept_back security=false Debian:12/oldstable-updates",
  "phased-in amd64 1.0-1 -> 1.0-2 upgradable security=false Debian:12/oldstable-updates",
  "phased-out amd64 1.0-1 -> 1.0-2 phased security=false Debian:12/oldstable-updates",
  "pinned-down amd64 1.0-1 -> 1.0-2 pinned security=false Debian:12/oldstable-updates",
  "plain all 1.0-1 -> 1.0-2 upgradable security=false Debian:12/oldstable-updates",
  "vendor-too amd64 1.0-1 -> 1.0-2 upgradable security=false Debian:12/oldstable-updates, Vendor:stable",
  "vendor-tool amd64 1.0-1 -> 3.0 upgradable security=null Vendor:stable",
];

async function fill(root: AptRoot): Promise<Map<string, number>> {
  await root.install(INSTALLED);
  await root.write("etc/apt/preferences.d/pins", PINS);
  return await buildArchives(root, SUITES);
}

const UNAUTHENTICATED = "WARNING: The following packages cannot be authenticated!";

/** In the words of `whatAptSays`. */
function say({ package: name, currentVersion, availableVersion, state }: Update): string {
  return `${name} ${currentVersion} -> ${availableVersion} ${state}`;
}

onBuiltApt("answers as apt does of built repositories, package by package", async (root) => {
  const sizes = await fill(root);
  const { updates, warnings } = await scanWith(aptScanner(root.options), system, {});
  const names = INSTALLED.map(({ name }) => name);
  // Of what a pin keeps away apt says nothing: it is no candidate.
  const candidates = updates.filter(({ state }) => state !== "pinned");
  assertEquals(candidates.map(say).toSorted(), await whatAptSays(root, names));
  const expected = EXPECTED.map((line) => line.replace(" amd64 ", ` ${root.architecture} `));
  assertEquals(updates.map(describe).toSorted(), expected);
  const { stdout: simulation } = await root.apt("get", "-s", "dist-upgrade");
  assertEquals(whatAptRemoves(simulation), ["relic"]);
  assertEquals(warnings, [
    "apt-get dist-upgrade would remove relic",
    "apt cannot authenticate vendor-tool: not offered by a signed source",
  ]);
  const refusal = await root.apt("get", "-y", "--download-only", "install", "vendor-tool");
  assert(refusal.stdout.includes(`${UNAUTHENTICATED}\n  vendor-tool\n`), refusal.stdout);
  const vouched = await root.apt("get", "-y", "--download-only", "install", "vendor-too");
  assert(!vouched.stdout.includes(UNAUTHENTICATED), vouched.stdout);
  for (const { package: name, availableVersion, sizeBytes } of updates) {
    assertEquals(sizeBytes, sizes.get(`${name} ${availableVersion}`) ?? "no such file", name);
  }
});

/** What a host may say in its apt.conf.d; each has "-q" or what it implies mean another thing. */
const HOST_SETTINGS = ["", 'APT::Get::Assume-Yes "true";', 'quiet "1";', 'quiet "2";'];

onBuiltApt(
  "an essential package that would go is told of, whatever the host says",
  async (root) => {
    await root.install(INSTALLED.filter(({ name }) => /^init-/.test(name)));
    const packages = [
      { name: "init-new", version: "1.0-2", fields: { ...essential, Conflicts: "init-old" } },
    ];
    await buildArchives(root, [
      { archive: "debian", suite: "bookworm", isSigned: true, release: DEBIAN, packages },
    ]);
    const allowed = 'APT::Get::Allow-Solver-Remove-Essential "true";';
    for (const setting of HOST_SETTINGS) {
      await root.write("etc/apt/apt.conf.d/host", `${allowed}\n${setting}\n`);
      const { stderr } = await root.apt("get", "-s", "-qq", "dist-upgrade");
      assert(/Essential packages were removed and -y was used/.test(stderr), stderr);
      const { updates, warnings } = await scanWith(aptScanner(root.options), system, {});
      assertEquals(updates.map(say), ["init-new 1.0-1 -> 1.0-2 upgradable"], setting);
      assertEquals(warnings, ["apt-get dist-upgrade would remove init-old"], setting);
    }
  },
);
