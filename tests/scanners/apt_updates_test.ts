import { assert, assertEquals } from "@std/assert";
import { parseInstalled } from "../../src/scanners/apt_installed.ts";
import { parsePolicy } from "../../src/scanners/apt_policy.ts";
import { parseReleases } from "../../src/scanners/apt_releases.ts";
import { parseShow } from "../../src/scanners/apt_show.ts";
import { parseSimulation } from "../../src/scanners/apt_simulation.ts";
import {
  type AptState,
  describeUpdates,
  findWaiting,
  tellEffects,
  tellGaps,
} from "../../src/scanners/apt_updates.ts";
import { readFixture } from "./fixture.ts";
import { describe, EXPECTED_UPDATES, EXPECTED_WARNINGS } from "./made_archive.ts";

function stateOf(name: string): AptState {
  return {
    installed: parseInstalled(readFixture("apt", `${name}_installed.txt`)),
    simulation: parseSimulation(readFixture("apt", `${name}_simulation.txt`)),
    policies: parsePolicy(readFixture("apt", `${name}_policy.txt`)),
    releases: parseReleases(readFixture("apt", `${name}_releases.txt`)),
  };
}

const made = stateOf("made");
const shown = parseShow(readFixture("apt", "made_show.txt"));

Deno.test("every case of the made archive comes out as it was worked out by hand", () => {
  const updates = describeUpdates(findWaiting(made), made, { shown, changelogs: new Map() });
  assertEquals(updates.map(describe).toSorted(), EXPECTED_UPDATES.toSorted());
  assertEquals([tellGaps(made, shown), tellEffects(made)], [[], EXPECTED_WARNINGS]);
});

Deno.test("describeUpdates() adds size, source and purpose where they are known", () => {
  const updates = describeUpdates(findWaiting(made), made, { shown, changelogs: new Map() });
  const find = (name: string) => updates.find((update) => update.package === name);
  assertEquals(find("libssl3t64")?.sourcePackage, "openssl");
  assertEquals(find("libssl3t64")?.sizeBytes, 1_010);
  assertEquals(find("g++-tool")?.description, "The package g++-tool");
  assertEquals([find("corp-agent")?.sizeBytes, find("corp-agent")?.sourcePackage], [
    null,
    "corp-agent",
  ]);
  assert(updates.every(({ severity, cves }) => severity === null && cves.length === 0));
});

Deno.test("describeUpdates() has null for all that is not known of an update", () => {
  const nothing = { packages: [], unparsed: 0 };
  const details = { shown: nothing, changelogs: new Map() };
  const [update] = describeUpdates(findWaiting(made), made, details);
  assert(update);
  assertEquals([update.description, update.sizeBytes], [null, null]);
  assertEquals(JSON.parse(JSON.stringify(update)).description, null, "it is a field of the answer");
});

Deno.test("describeUpdates() names the origins that are known, and null where none is", () => {
  const sources = (isKnown: (file: string) => boolean) => {
    const files = new Map([...made.releases.files].filter(([file]) => isKnown(file)));
    // A simulation would tell the origins itself.
    const state = { ...made, simulation: null, releases: { files, unparsed: 0 } };
    const updates = describeUpdates(findWaiting(state), state, { shown, changelogs: new Map() });
    return updates.filter((update) => update.package === "libssl3t64").map(({ source }) => source);
  };
  const both = "Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security";
  assertEquals(sources(() => true), [both, both]);
  const one = "Ubuntu:24.04/noble-updates";
  assertEquals(sources((file) => !/security/.test(file)), [one, one]);
  assertEquals(sources(() => false), [null, null]);
});

Deno.test("security is not known where no package file is marked as security's", () => {
  const files = new Map([...made.releases.files].filter(([file]) => !/security/.test(file)));
  const state = { ...made, releases: { files, unparsed: 0 } };
  const updates = describeUpdates(findWaiting(state), state, { shown, changelogs: new Map() });
  assertEquals([...new Set(updates.map(({ security }) => security))], [null]);
});

Deno.test("without a simulation nothing can be upgraded, and nothing is hidden", () => {
  const state = { ...made, simulation: null };
  const waiting = findWaiting(state);
  // The same version built anew shows in a simulation alone.
  assertEquals(waiting.length, EXPECTED_UPDATES.length - 1);
  assert(waiting.every((update) => update.state !== "upgradable"));
  assertEquals(tellGaps(state, shown), []);
});

Deno.test("a Debian host's updates come with their origins and security", () => {
  const debian = stateOf("debian12");
  const details = parseShow(readFixture("apt", "debian12_show.txt"));
  const updates = describeUpdates(findWaiting(debian), debian, {
    shown: details,
    changelogs: new Map(),
  });
  assertEquals(updates.length, debian.simulation?.changes.length);
  for (const { package: name, security, source } of updates) {
    if (source?.includes("Debian-Security")) assertEquals(security, true, name);
  }
  assert(updates.some(({ security }) => security === false));
});

Deno.test("tellGaps() tells of lines and packages that were not understood", () => {
  const state = {
    ...made,
    simulation: parseSimulation("Inst junk\n"),
    policies: parsePolicy("junk\n"),
  };
  const gaps = tellGaps(state, shown);
  assertEquals(gaps.length, 2);
  assert(gaps[0]?.startsWith("apt-cache policy does not tell of bash, bpo-tool, "));
  assertEquals(gaps[1], "Lines of apt's answers that were not understood: 2");
});

Deno.test("an update closes a hole by a version of security's after the current one, up to the available one", () => {
  const [security = ""] = [...made.releases.files.keys()].filter((file) => /security/.test(file));
  const waiting = findWaiting(made).filter(({ name }) => name === "kept-back"); // 1.0 -> 2.0
  const isSecurity = (version: string, file = security) => {
    const policy = made.policies.packages.get("kept-back")!;
    const versions = [...policy.versions, { version, files: [file], isPhased: false }];
    const packages = new Map(made.policies.packages).set("kept-back", { ...policy, versions });
    const state = { ...made, policies: { ...made.policies, packages } };
    return describeUpdates(waiting, state, { shown, changelogs: new Map() })
      .map((update) => update.security);
  };
  const rows: [version: string, isSecurity: boolean][] = [
    ["0.9", false],
    ["1.0", false], // It is in place.
    ["1.0+1", true],
    ["2.0", true],
    ["2.0+1", false],
  ];
  for (const [version, expected] of rows) assertEquals(isSecurity(version), [expected], version);
  assertEquals(isSecurity("1.5", "/var/lib/dpkg/status"), [false]);
});
