import { assert, assertEquals } from "@std/assert";
import { parseChangelogs } from "../../../src/scanners/apt/changelogs.ts";
import type { Releases } from "../../../src/scanners/apt/lists.ts";
import { parseInstalled, parsePolicy, parseShow } from "../../../src/scanners/apt/packages.ts";
import type { AptSource } from "../../../src/scanners/apt/sources.ts";
import {
  describeGaps,
  describeSideEffects,
  describeUntrusted,
  describeUpdates,
  findUndescribed,
  parsePackageFiles,
  rebootHint,
} from "../../../src/scanners/apt/updates.ts";
import { type AptState, findWaiting, parseUpgrade } from "../../../src/scanners/apt/upgrade.ts";
import { readFixture } from "../fixture.ts";
import { madeReleases, release } from "./host.ts";
import { describe, EXPECTED_UPDATES, EXPECTED_WARNINGS } from "./made_archive.ts";

const made: AptState = {
  installed: parseInstalled(readFixture("apt", "made_installed.txt")),
  decision: parseUpgrade(readFixture("apt", "made_upgrade.txt")),
  policies: parsePolicy(readFixture("apt", "made_policy.txt")),
  releases: await madeReleases(),
};
const shown = parseShow(readFixture("apt", "made_show.txt"));
const besides = { changelogs: [], security: [] };

function updatesOf(state: AptState) {
  return describeUpdates(findWaiting(state), state, { shown, ...besides });
}

Deno.test("every case of the made archive has the expected result", () => {
  assertEquals(updatesOf(made).map(describe).toSorted(), EXPECTED_UPDATES.toSorted());
  assertEquals(describeGaps(made, findWaiting(made), shown), []);
  assertEquals(describeSideEffects(made), EXPECTED_WARNINGS);
});

Deno.test("every other state than upgradable has a reason", () => {
  const reasons = updatesOf(made).filter(({ state }) => state !== "upgradable")
    .map((update) => [update.package, update.state, update.stateReason]);
  assertEquals(reasons.toSorted(), [
    ["held-tool", "held", "marked as hold"],
    ["kept-back", "kept_back", "apt-get lists it as kept back"],
    ["phased-tool", "phased", "phased 0%"],
    ["pinned-down", "pinned", "a pin: priority 500 of 2.0 is below 1001 of 1.0"],
  ]);
});

Deno.test("apt 3, which names phasing and removes nothing, is parsed as well", () => {
  const decision = parseUpgrade(readFixture("apt", "made_upgrade_apt3.txt"));
  const state = { ...made, decision };
  const expected = EXPECTED_UPDATES.map((line) =>
    line.startsWith("needs-removal") ? line.replace("upgradable", "kept_back") : line
  );
  assertEquals(updatesOf(state).map(describe).toSorted(), expected.toSorted());
  assertEquals(describeGaps(state, findWaiting(state), shown), []);
});

Deno.test("describeUpdates() adds size, source and description where they are known", () => {
  const updates = updatesOf(made);
  const find = (name: string) => updates.find((update) => update.package === name);
  assertEquals(find("phased-tool")?.sourcePackage, "phased");
  assertEquals([find("libssl3t64")?.sizeBytes, find("held-tool")?.sizeBytes], [1_010, 1_009]);
  assertEquals(find("g++-tool")?.description, "The package g++-tool");
  assertEquals([find("corp-agent")?.sizeBytes, find("corp-agent")?.sourcePackage], [
    1_010,
    "corp-agent",
  ]);
  assert(updates.every(({ severity, cves }) => severity === null && cves.length === 0));
});

Deno.test("findUndescribed() returns the updates that apt would not download", () => {
  const names = findUndescribed(findWaiting(made), made).map(({ name }) => name);
  assertEquals(names, ["held-tool", "kept-back", "phased-tool", "pinned-down"]);
});

Deno.test("describeUpdates() has null for everything unknown", () => {
  const nothing = { shown: { packages: [], unparsed: 0 }, ...besides };
  const rows = readFixture("apt", "made_installed.txt").replaceAll(/\t[^\t]*$/gm, "\t");
  const state = { ...made, installed: parseInstalled(rows) };
  const update = describeUpdates(findWaiting(state), state, nothing)
    .find(({ state }) => state === "held");
  assert(update);
  assertEquals([update.description, update.sizeBytes], [null, null]);
  assertEquals(JSON.parse(JSON.stringify(update)).description, null, "it is a field of the answer");
});

Deno.test("describeUpdates() names the origins that are known, and the host where none is", async () => {
  const sources = async (isKnown: (source: AptSource) => boolean) => {
    const state = { ...made, releases: await madeReleases(isKnown) };
    return updatesOf(state).filter((update) => update.package === "libssl3t64")
      .map(({ source }) => source);
  };
  const both = "Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security";
  assertEquals(await sources(() => true), [both, both]);
  const one = "Ubuntu:24.04/noble-updates, localhost";
  assertEquals(await sources(({ name }) => !/security/.test(name)), [one, one]);
  assertEquals(await sources(() => false), ["localhost", "localhost"]);
});

Deno.test("security is not known where no source marks its security updates", async () => {
  const releases = await madeReleases(({ name }) => !/security/.test(name));
  const updates = updatesOf({ ...made, releases });
  assertEquals([...new Set(updates.map(({ security }) => security))], [null]);
});

const REFUSED = { why: "Unmet dependencies", isTimeout: false };

Deno.test("findWaiting() without a decision has every candidate, and none is upgradable", () => {
  const state = { ...made, decision: REFUSED };
  const waiting = findWaiting(state);
  // The same version rebuilt shows in a decision alone.
  assertEquals(waiting.length, EXPECTED_UPDATES.length - 1);
  assert(waiting.every((update) => update.state !== "upgradable"));
  const states = waiting.filter(({ state }) => state !== "kept_back").map(({ state }) => state);
  assertEquals(states.toSorted(), ["held", "phased", "pinned"]);
  assertEquals(describeGaps(state, waiting, shown), [
    "Cannot compute an upgrade with apt-get: Unmet dependencies",
  ]);
});

Deno.test("findWaiting() after a timeout has updates with a doubt, and none is kept back", () => {
  const decision = { why: "apt-get did not finish within 60 s", isTimeout: true };
  const waiting = findWaiting({ ...made, decision });
  const find = (name: string) => waiting.find((update) => update.name === name);
  assertEquals([find("corp-agent")?.state, find("corp-agent")?.stateReason], [
    "upgradable",
    "doubt: apt-get did not finish within 60 s",
  ]);
  assertEquals([find("held-tool")?.state, find("phased-tool")?.state], ["held", "phased"]);
});

Deno.test("a package that apt would remove is removed_by_upgrade, and an unmentioned one is doubtful", () => {
  const text = readFixture("apt", "made_upgrade.txt").replace("   old-thing (1.0)\n", "");
  const removing = text
    .replace("   needs-removal (1.0 => 2.0)\n", "")
    .replace("will be REMOVED:\n", "will be REMOVED:\n   needs-removal (1.0)\n")
    .replace("15 upgraded", "14 upgraded");
  const removed = { ...made, decision: parseUpgrade(removing) };
  const find = (state: AptState) => findWaiting(state).find(({ name }) => name === "needs-removal");
  assertEquals(find(removed)?.state, "removed_by_upgrade");
  assertEquals(describeGaps(removed, findWaiting(removed), shown), []);
  const forgotten = {
    ...made,
    decision: parseUpgrade(removing.replace("   needs-removal (1.0)\n", "")),
  };
  assertEquals(find(forgotten)?.stateReason, "doubt: apt-get does not mention it");
  const gaps = describeGaps(forgotten, findWaiting(forgotten), shown);
  assert(gaps.includes("apt-get does not mention needs-removal"), gaps.join("\n"));
});

Deno.test("security is true for a fix on the way, false where the distributor marks fixes, else null", () => {
  const known = new Map([
    ["debian", release({})],
    ["security", release({ label: "Debian-Security", suite: "stable-security" })],
    ["chrome", release({ origin: "Google LLC", label: "Google", codename: "stable" })],
    ["bpo", release({ label: "Debian Backports", suite: "stable-backports" })],
  ]);
  const releases: Releases = { of: (file) => known.get(file), enabled: [...known.values()] };
  const securityOf = (...versions: [string, string][]) => {
    const [[newest = ""] = []] = versions;
    const table = versions.map(([version, file]) => `     ${version} 500\n        500 ${file}\n`);
    const policies = parsePolicy(
      `tool:\n  Installed: 1\n  Candidate: ${newest}\n  Version table:\n${table.join("")}`,
    );
    const installed = parseInstalled("tool\t1\tamd64\tinstall\tinstalled\ttool\t\n");
    const [update] = updatesOf({ installed, policies, releases, decision: REFUSED });
    return update?.security;
  };
  assertEquals(securityOf(["2", "debian"]), false);
  assertEquals(securityOf(["2", "security"]), true);
  assertEquals(securityOf(["3", "debian"], ["2", "security"]), true);
  // Both ends of the way: what is in place closes nothing more, what is offered does.
  assertEquals(securityOf(["3", "debian"], ["0.9", "security"]), false);
  assertEquals(securityOf(["3", "debian"], ["1", "security"]), false);
  assertEquals(securityOf(["3", "debian"], ["1+1", "security"]), true);
  assertEquals(securityOf(["3", "debian"], ["3", "security"]), true);
  // A pinned newer version is not on the way.
  const beyond = parsePolicy(
    "tool:\n  Installed: 1\n  Candidate: 2\n  Version table:\n     3 -1\n        500 security\n" +
      "     2 500\n        500 debian\n",
  );
  const installed = parseInstalled("tool\t1\tamd64\tinstall\tinstalled\ttool\t\n");
  const [keptBack] = updatesOf({ installed, policies: beyond, releases, decision: REFUSED });
  assertEquals([keptBack?.availableVersion, keptBack?.security], ["2", false]);
  assertEquals(securityOf(["2", "chrome"]), null);
  assertEquals(securityOf(["2", "bpo"]), null);
  assertEquals(securityOf(["2", "nobody knows"]), null);
});

Deno.test("describeGaps() counts unparsed lines and names missing packages", () => {
  const state = { ...made, policies: parsePolicy("junk\n") };
  const gaps = describeGaps(state, [], shown);
  assertEquals(gaps.length, 2);
  assert(gaps[0]?.startsWith("apt-cache policy does not list bash, bpo-tool, "));
  assertEquals(gaps[1], "Lines of apt's answers that were not understood: 1");
});

/** A host with some packages, each installed in version 1, and what apt says of them. */
function stateOf(
  tables: Readonly<Record<string, readonly string[]>>,
  upgrade: string,
  more: Partial<AptState> = {},
): AptState {
  const row = (name: string) => `${name}\t1\tamd64\tinstall\tinstalled\t${name}-src\ta tool\n`;
  const policies = Object.entries(tables).map(([name, [candidate = "", ...table]]) =>
    `${name}:\n  Installed: 1\n  Candidate: ${candidate}\n  Version table:\n${table.join("")}`
  );
  return {
    installed: parseInstalled(["missing", ...Object.keys(tables)].map(row).join("")),
    policies: parsePolicy(policies.join("")),
    decision: parseUpgrade(upgrade),
    releases: { of: () => undefined, enabled: [] },
    ...more,
  };
}

const offer = (version: string, priority = 500, what = "") =>
  `     ${version} ${priority}${what}\n        500 http://x s/main amd64 Packages\n`;

function listed(heading: string, rows: string): string {
  return `The following ${heading}:\n${rows}`;
}

function waitingOf(state: AptState): string[] {
  return findWaiting(state).map(({ name, availableVersion, state, stateReason }) =>
    `${name} ${availableVersion} ${state}: ${stateReason}`
  );
}

Deno.test("findWaiting() omits packages without a policy, and those without a candidate", () => {
  const state = stateOf({ removed: ["(none)"], current: ["1", offer("1")] }, "");
  assertEquals(waitingOf(state), []);
});

Deno.test("findWaiting() has the state phased by apt's list, or by the policy of the package", () => {
  const deferred = "upgrades have been deferred due to phasing";
  const kept = "packages have been kept back";
  const phased = ["2", offer("2", 500, " (phased 10%)"), offer("1")];
  const plain = ["2", offer("2"), offer("1")];
  const row = "   tool (1 => 2)\n";
  const read = (table: readonly string[], heading: string) =>
    waitingOf(stateOf({ tool: table }, listed(heading, row)));
  assertEquals(read(phased, deferred), ["tool 2 phased: phased 10%"]);
  assertEquals(read(plain, deferred), ["tool 2 phased: deferred due to phasing"]);
  assertEquals(read(phased, kept), ["tool 2 phased: phased 10%"]);
  assertEquals(read(plain, kept), ["tool 2 kept_back: apt-get lists it as kept back"]);
  assertEquals(read(["2"], kept), ["tool 2 kept_back: apt-get lists it as kept back"]);
  const earlier = ["2", offer("2"), offer("1.5", 500, " (phased 10%)")];
  assertEquals(read(earlier, kept), ["tool 2 kept_back: apt-get lists it as kept back"]);
});

Deno.test("findWaiting() adds a pinned newer version to an update's reason, once", () => {
  const table = ["2", offer("3", -5), offer("2"), offer("1")];
  const pinned = "3 is pinned away: a pin: priority -5 of 3 is below 500 of 2";
  const read = (heading: string, row: string) =>
    waitingOf(stateOf({ tool: table }, listed(heading, row)));
  const upgraded = "packages will be upgraded";
  assertEquals(read(upgraded, "   tool (1 => 2)\n"), [`tool 2 upgradable: ${pinned}`]);
  assertEquals(read("packages have been kept back", "   tool (1 => 2)\n"), [
    `tool 2 kept_back: apt-get lists it as kept back; ${pinned}`,
  ]);
  for (const version of ["3", "4"]) {
    assertEquals(read(upgraded, `   tool (1 => ${version})\n`), [
      `tool ${version} upgradable: null`,
    ]);
  }
});

Deno.test("describeUpdates() has null for a package that only apt's decision mentions", () => {
  const state = stateOf({}, listed("packages will be upgraded", "   other:i386 (1 => 2)\n"));
  const updates = describeUpdates(findWaiting(state), state, {
    shown: { packages: [], unparsed: 0 },
    changelogs: [{ origin: "a changelog", changelogs: parseChangelogs("other (2) x;\n") }],
    security: [],
  });
  assertEquals(updates, [{
    package: "other",
    currentVersion: "1",
    availableVersion: "2",
    architecture: null,
    source: null,
    state: "upgradable",
    stateReason: null,
    severity: null,
    severityReason: "apt does not tell",
    security: null,
    cves: [],
    advisories: [],
    sizeBytes: null,
    description: null,
    sourcePackage: null,
    reboot: null,
  }]);
});

Deno.test("describeUpdates() uses CVEs and urgency of the first changelog that has the version", () => {
  const state = stateOf({ tool: ["2", offer("2"), offer("1")] }, "");
  const log = (version: string, words: string) => ({
    origin: `the log of ${version}: ${words}`,
    changelogs: parseChangelogs(`tool-src (${version}) x; urgency=high\n\n  * ${words}\n`),
  });
  const read = (...changelogs: ReturnType<typeof log>[]) => {
    const nothing = { shown: { packages: [], unparsed: 0 }, security: [] };
    const [update] = describeUpdates(findWaiting(state), state, { ...nothing, changelogs });
    return [update?.cves, update?.cveSources, update?.advisories, update?.severityReason];
  };
  const high = "apt does not tell; the changelog says urgency high";
  const [other, harmless] = [log("1.5", "CVE-2026-0009"), log("2", "a typo")];
  const closing = log("2", "CVE-2026-0002 DSA-6000-1");
  assertEquals(read(), [[], undefined, [], "apt does not tell"]);
  assertEquals(read(other), [[], undefined, [], "apt does not tell"]);
  assertEquals(read(harmless, closing), [[], undefined, [], high]);
  assertEquals(read(other, closing), [["CVE-2026-0002"], [closing.origin], ["DSA-6000-1"], high]);
});

Deno.test("describeUpdates() prefers the new version's description to the installed one's", () => {
  const state = stateOf({ tool: ["2", offer("2"), offer("1")] }, "");
  const read = (text: string) => {
    const [update] = describeUpdates(findWaiting(state), state, {
      shown: parseShow(text),
      ...besides,
    });
    return [update?.description, update?.sourcePackage, update?.architecture, update?.sizeBytes];
  };
  assertEquals(read(""), ["a tool", "tool-src", "amd64", null]);
  const stanza = "Package: tool\nVersion: 2\nArchitecture: all\nSource: new-src\nSize: 7\n";
  assertEquals(read(`${stanza}Description-en: a new tool\n`), ["a new tool", "new-src", "all", 7]);
  assertEquals(read(stanza), ["a tool", "new-src", "all", 7]);
});

Deno.test("describeUpdates() names the host of a source without a name, and no installed package", () => {
  const sourceOf = (...files: readonly string[]) => {
    const lines = files.map((file) => `        500 ${file}\n`).join("");
    const state = stateOf({ tool: ["2", `     2 500\n${lines}`] }, "");
    return updatesOf(state).map(({ source }) => source);
  };
  const packages = "s/main amd64 Packages";
  const rows: readonly [file: string, source: string][] = [
    [`http://deb.example/debian ${packages}`, "deb.example"],
    [`https://me:pw@deb.example:8080/debian ${packages}`, "deb.example:8080"],
    [`mirror+http://deb.example ${packages}`, "deb.example"],
    [`file:/srv/http://deb.example/debian ${packages}`, "localhost"],
  ];
  for (const [file, source] of rows) {
    assertEquals(sourceOf(file), [source]);
    assertEquals(sourceOf(file, "/var/lib/dpkg/status", file), [source], "each once");
  }
  assertEquals(sourceOf("/var/lib/dpkg/status"), [null]);
});

Deno.test("describeSideEffects() is empty where an upgrade only upgrades, or is refused", () => {
  assertEquals(describeSideEffects(stateOf({}, "")), []);
  assertEquals(describeSideEffects(stateOf({}, "", { decision: REFUSED })), []);
});

Deno.test("describeGaps() counts the unparsed lines of every command", () => {
  const totals = "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n";
  const incomplete = {
    ...stateOf({}, totals),
    installed: parseInstalled("tool\t1\tamd64\tinstall\tinstalled\ttool\t\n"),
  };
  const whole = { ...incomplete, policies: parsePolicy("tool:\n  Installed: 1\n  Candidate: 1\n") };
  const nothing = parseShow("");
  const lines = (count: number) => [`Lines of apt's answers that were not understood: ${count}`];
  assertEquals(describeGaps(whole, [], nothing), []);
  assertEquals(describeGaps(incomplete, [], nothing), ["apt-cache policy does not list tool"]);
  const odd = parseUpgrade(`${listed("packages will be upgraded", "   junk\n")}${totals}`);
  assertEquals(describeGaps({ ...whole, decision: odd }, [], nothing), lines(1));
  assertEquals(describeGaps(whole, [], parseShow("junk\n")), lines(1));
  const policies = { ...whole.policies, unparsed: 2 };
  const installed = { ...whole.installed, unparsed: 3 };
  const all = { ...whole, policies, installed };
  assertEquals(describeGaps({ ...all, decision: odd }, [], parseShow("junk\n")), lines(7));
  assertEquals(describeGaps({ ...all, decision: REFUSED }, [], nothing), [
    "Cannot compute an upgrade with apt-get: Unmet dependencies",
    ...lines(5),
  ]);
});

Deno.test("parsePackageFiles() reads one file per line, with blanks in its name", () => {
  assertEquals([...parsePackageFiles("")], []);
  const file = "http://corp.example/apt stable/main amd64 Packages";
  assertEquals([...parsePackageFiles(`${file}\n\n${file}\n`)], [file]);
});

Deno.test("describeUntrusted() names unsigned updates, unless another source offers them signed", () => {
  const policies = parsePolicy(readFixture("apt", "made_policy.txt"));
  const waiting = ["corp-agent", "libssl3t64"].map((name) => {
    const { installed, candidate } = policies.packages.get(name)!;
    return {
      name,
      currentVersion: installed!,
      availableVersion: candidate!,
      state: "upgradable" as const,
      stateReason: null,
      isDoubtful: false,
    };
  });
  const files = (name: string) =>
    policies.packages.get(name)?.versions.flatMap(({ files }) => files.map(({ name }) => name)) ??
      [];
  const [corp = "", ...none] = files("corp-agent").filter((file) => !file.startsWith("/"));
  assertEquals(none, []);
  const [updates = "", security = ""] = files("libssl3t64");
  const describe = (...untrusted: string[]) =>
    describeUntrusted(waiting, policies, new Set(untrusted));
  const why = ": not offered by a signed source";
  assertEquals(describe(), []);
  const removed = waiting.map((update) => ({ ...update, availableVersion: "99" }));
  assertEquals(
    describeUntrusted(removed, policies, new Set([corp])),
    [],
    "no longer offered",
  );
  assertEquals(describe(corp), [`apt cannot authenticate corp-agent${why}`]);
  assertEquals(describe(security), [], "the updates' own file is signed");
  assert(describe(security, updates)[0]?.includes("libssl3t64"));
});

Deno.test("rebootHint() recognizes kernels of all distributors, and what runs until the next boot", () => {
  const maybe = [
    "linux-image-6.1.0-18-amd64",
    "linux-image-amd64",
    "linux-image-rpi-v8",
    "linux-generic-hwe-22.04",
    "linux-virtual",
    "linux-oem-24.04a",
    "linux-realtime",
    "linux-nvidia-64k-hwe-24.04",
    "linux-rpi-v8",
    "xen-hypervisor-4.17-amd64",
    "proxmox-kernel-6.8",
    "proxmox-kernel-6.8.12-4-pve-signed",
    "pve-kernel-5.15",
    "raspberrypi-kernel",
    "raspberrypi-bootloader",
    "rpi-eeprom",
    "libc6",
    "systemd",
    "dbus-daemon",
    "intel-microcode",
  ];
  const unknown = [
    "linux-headers-amd64",
    "proxmox-kernel-helper-headers",
    "raspberrypi-kernel-headers",
    "linux-image-6.1.0-18-amd64-dbg",
    "linux-tools-generic",
    "linux-realtime-tools",
    "linux-oemtools",
    "xen-hypervisor-",
    "linux-libc-dev",
    "libc6-dev",
    "pve-manager",
    "pve-kernel-",
    "linux-image-",
    "user-mode-linux-image-6.1",
    "corp-linux-generic",
    "kernel-of-pve-kernel-5.15",
    "old-rpi-eeprom",
    "rpi-eeprom-images",
    "raspi-firmware-nonfree",
    "python3-dbus",
    "python3-systemd",
    "systemd-timesyncd",
    "my-intel-microcode",
    "amd64-microcode-early",
    "curl",
  ];
  for (const name of maybe) assertEquals(rebootHint(name), "maybe", name);
  for (const name of unknown) assertEquals(rebootHint(name), null, name);
});
