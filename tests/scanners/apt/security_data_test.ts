import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { aptScanner } from "../../../src/scanners/apt.ts";
import { parseChangelogs } from "../../../src/scanners/apt/changelogs.ts";
import {
  compareDebianVersions,
  parseInstalled,
  parsePolicy,
} from "../../../src/scanners/apt/packages.ts";
import {
  fixedCves,
  type KnownCve,
  parseHistory,
  parseProResult,
  readSecurityData,
  type SecurityData,
} from "../../../src/scanners/apt/security_data.ts";
import { describeUpdates } from "../../../src/scanners/apt/updates.ts";
import { findWaiting } from "../../../src/scanners/apt/upgrade.ts";
import { FakeFiles } from "../../fakes/files.ts";
import { readFixture } from "../fixture.ts";
import { AptHost } from "./host.ts";

const HISTORY = "/var/lib/debsecan/history";
const STATUS = "/var/lib/dpkg/status";
const RESULTS = "/var/lib/ubuntu-advantage/vulnerability-data";
const history = readFixture("apt", "debsecan_history.txt");
const result = readFixture("apt", "pro_cves.json");

/** When debsecan wrote the captured history. */
const WRITTEN_MS = 1_795_992_377_000;

function hostWith(texts: Readonly<Record<string, string>>, changedMs = WRITTEN_MS - 1) {
  const files = new FakeFiles();
  for (const [path, text] of Object.entries(texts)) files.texts.set(path, text);
  files.texts.set(STATUS, "");
  files.modifiedMs.set(STATUS, changedMs);
  return { files };
}

const places = {
  hostDirectory: "",
  dpkgDirectory: "/var/lib/dpkg",
  listsFetchedMs: WRITTEN_MS + 1,
};

Deno.test("parseHistory() reads the CVEs that the archive has a fix for", () => {
  const read = parseHistory(history);
  assert(read);
  assertEquals(read.writtenMs, WRITTEN_MS);
  const listed = [...read.cves].map(([name, cves]) => [name, ...cves.map(({ cve }) => cve)]);
  // CVE-2026-1002 has no fix, and TEMP-0000001-ABCDEF is no CVE.
  assertEquals(listed, [
    ["curl", "CVE-2026-1001"],
    ["libcurl3-gnutls", "CVE-2026-1001"],
    ["libcurl3-nss", "CVE-2026-1001"],
    ["libcurl4", "CVE-2026-1001"],
    ["libperl5.36", "CVE-2026-1003"],
    ["perl", "CVE-2026-1003"],
    ["perl-base", "CVE-2026-1003"],
    ["perl-modules-5.36", "CVE-2026-1003"],
  ]);
});

Deno.test("a package may have several CVEs, and each is reported", async () => {
  const lines = ["CVE-2026-1001,curl,F", "CVE-2026-1002,curl,F", "CVE-2026-1003,curl,F"];
  const system = hostWith({ [HISTORY]: `VERSION 1\n1795992377\n${lines.join("\n")}\n` });
  const [found] = await readSecurityData(system, places);
  const cves = found?.cves.get("curl")?.map(({ cve }) => cve);
  assertEquals(cves, ["CVE-2026-1001", "CVE-2026-1002", "CVE-2026-1003"]);
});

Deno.test("a history of another format, without a time or cut off is not used", () => {
  const lines = "CVE-2026-1001,curl,F\n";
  for (
    const text of [
      "",
      `VERSION 0\n${lines}`,
      `VERSION 2\n1795992377\n${lines}`,
      `VERSION 1\nyesterday\n${lines}`,
      `VERSION 1\n\n${lines}`,
      `VERSION 1\n-1795992377\n${lines}`,
      `VERSION 1\n179599237712\n${lines}`,
      "VERSION 1\n17959923",
    ]
  ) assertEquals(parseHistory(text), null, text);
  assertEquals(parseHistory("VERSION 1\n1\nCVE-2026-1001,curl,F")?.cves.size, 0);
});

Deno.test("parseProResult() reads CVEs with the version that fixes each", () => {
  assertEquals(parseProResult(result), [
    ["curl", {
      cve: "CVE-2026-1001",
      installedVersion: "8.5.0-2ubuntu10.6",
      fixedVersion: "8.5.0-2ubuntu10.7",
    }],
    ["curl", {
      cve: "CVE-2026-1003",
      installedVersion: "8.5.0-2ubuntu10.6",
      fixedVersion: "8.5.0-2ubuntu10.8+esm1",
    }],
    ["libcurl4t64", {
      cve: "CVE-2026-1001",
      installedVersion: "8.5.0-2ubuntu10.6",
      fixedVersion: "8.5.0-2ubuntu10.7",
    }],
  ]);
  for (const text of ["", "[]", "{", '{"packages": {"curl": {}}}', `${result}x`]) {
    assertEquals(parseProResult(text), [], text);
  }
  for (
    const word of ["CVE-2026-1003; x", "no CVE-2026-1003", "CVE-2026-1003\n", "TEMP-2026-1003"]
  ) {
    const quoted = JSON.stringify(word).slice(1, -1);
    assertEquals(parseProResult(result.replaceAll("CVE-2026-1003", quoted)).length, 2, word);
  }
});

Deno.test("debsecan's history is used only if no package changed since, and the lists are newer", async () => {
  const origins = async (changedMs: number, listsFetchedMs: number | null) => {
    const system = hostWith({ [HISTORY]: history }, changedMs);
    const found = await readSecurityData(system, { ...places, listsFetchedMs });
    return found.map(({ origin }) => origin);
  };
  assertEquals(await origins(WRITTEN_MS, WRITTEN_MS), ["debsecan"]);
  assertEquals(await origins(WRITTEN_MS + 1, WRITTEN_MS), []);
  assertEquals(await origins(WRITTEN_MS, WRITTEN_MS - 1), []);
  assertEquals(await origins(WRITTEN_MS, null), []);
});

Deno.test("readSecurityData() skips what is missing, empty, too large or not a file", async () => {
  const read = (texts: Readonly<Record<string, string>>) =>
    readSecurityData(hostWith(texts), places);
  assertEquals(await read({}), []);
  assertEquals(await read({ [HISTORY]: "VERSION 1\n1795992377\n" }), []);
  assertEquals(await read({ [HISTORY]: history + "#".repeat(8_388_608) }), []);
  const path = `${RESULTS}/noble/cves/vulnerability-result.json`;
  assertEquals(await read({ [path]: result + " ".repeat(8_388_608) }), []);
  assertEquals(await read({ [path]: '{"packages": {}}' }), []);
  const system = hostWith({ [HISTORY]: history });
  system.files.kinds.set(HISTORY, "fifo");
  assertEquals(await readSecurityData(system, places), []);
  const found = await read({ [HISTORY]: history, [path]: result });
  assertEquals(found.map(({ origin }) => origin), ["debsecan", "Ubuntu Pro's security data"]);
  const elsewhere = { ...places, hostDirectory: "/srv/root" };
  assertEquals(await readSecurityData(hostWith({ [HISTORY]: history }), elsewhere), []);
});

Deno.test("readSecurityData() passes programming errors on", async () => {
  const system = hostWith({ [HISTORY]: history });
  system.files.readText = () => Promise.reject(new TypeError("a mistake"));
  await assertRejects(() => readSecurityData(system, places), TypeError, "a mistake");
});

Deno.test("the results of a few series are read, and not thousands", async () => {
  const texts = Object.fromEntries(
    Array.from({ length: 9 }, (_, index) => [
      `${RESULTS}/series${index}/cves/vulnerability-result.json`,
      result.replaceAll('"curl"', `"curl${index}"`),
    ]),
  );
  const [found] = await readSecurityData(hostWith(texts), places);
  const names = [...found?.cves.keys() ?? []].filter((name) => name.startsWith("curl"));
  assertEquals(names, ["curl0", "curl1", "curl2", "curl3"]);
});

const version = fc.integer({ min: 1, max: 6 }).map((major) => `${major}.0-1`);

Deno.test("fixedCves() returns CVEs of the installed version whose fix is on the way, and no others", () => {
  const known = fc.record<KnownCve>({
    cve: fc.constantFrom("CVE-2026-1001", "CVE-2026-1002"),
    installedVersion: fc.option(version),
    fixedVersion: fc.option(version),
  });
  const update = fc.record({
    name: fc.constantFrom("curl", "curl:i386"),
    currentVersion: version,
    availableVersion: version,
    newestVersion: version,
  });
  fc.assert(fc.property(fc.array(known), update, (cves, update) => {
    const data: SecurityData = { origin: "", cves: new Map([["curl", cves]]) };
    const closed = fixedCves(data, update);
    assertEquals(new Set(closed).size, closed.length);
    for (const { cve } of cves) {
      const isClosed = cves.some((one) =>
        one.cve === cve &&
        (one.installedVersion ?? update.currentVersion) === update.currentVersion &&
        isBetween(one.fixedVersion ?? update.newestVersion, update)
      );
      assertEquals(closed.includes(cve), isClosed);
    }
    assertEquals(fixedCves(data, { ...update, name: "curl-dev" }), []);
  }));
});

function isBetween(
  fixed: string,
  { currentVersion, availableVersion }: { currentVersion: string; availableVersion: string },
): boolean {
  return compareDebianVersions(fixed, currentVersion) > 0 &&
    compareDebianVersions(fixed, availableVersion) <= 0;
}

/** The one update of a host whose archive has these versions of curl, the candidate first. */
function updateOf(
  security: readonly SecurityData[],
  { versions = ["2-1"], changelog = "" }: { versions?: string[]; changelog?: string } = {},
) {
  const table = versions.map((version) => `     ${version} 500\n        500 /lists/debian\n`).join(
    "",
  );
  const policies = parsePolicy(
    `curl:\n  Installed: 1-1\n  Candidate: ${versions[0]}\n  Version table:\n${table}`,
  );
  const installed = parseInstalled("curl\t1-1\tamd64\tinstall\tinstalled\tcurl\t\n");
  const releases = { of: () => undefined, enabled: [] };
  const decision = { why: "it was not asked", isTimeout: false };
  const state = { installed, policies, releases, decision };
  const [update] = describeUpdates(findWaiting(state), state, {
    shown: { packages: [], unparsed: 0 },
    changelogs: [{ origin: "a changelog", changelogs: parseChangelogs(changelog) }],
    security,
  });
  return update;
}

function dataOf(origin: string, ...cves: string[]): SecurityData {
  const known = cves.map((cve) => ({ cve, installedVersion: null, fixedVersion: null }));
  return { origin, cves: new Map([["curl", known]]) };
}

Deno.test("an update has the CVEs of all origins, each once, and names the origins", () => {
  const changelog = "curl (2-1) stable; urgency=high\n\n  * Fix CVE-2026-1001\n\n";
  const security = [
    dataOf("debsecan", "CVE-2026-1001", "CVE-2026-1003"),
    dataOf("Ubuntu Pro's security data"),
  ];
  const update = updateOf(security, { changelog });
  assertEquals(update?.cves, ["CVE-2026-1001", "CVE-2026-1003"]);
  assertEquals(update?.cveSources, ["a changelog", "debsecan"]);
  const bare = updateOf([]);
  assertEquals([bare?.cves, bare?.cveSources], [[], undefined]);
});

Deno.test("a fix that is newer than the candidate does not count", () => {
  const security = [dataOf("debsecan", "CVE-2026-1001")];
  assertEquals(updateOf(security, { versions: ["2-1", "1-1"] })?.cves, ["CVE-2026-1001"]);
  assertEquals(updateOf(security, { versions: ["2-1", "3-1"] })?.cves, []);
});

Deno.test("scan() reports the CVEs that debsecan found before the lists were fetched", async () => {
  const scan = async (changedMs: number) => {
    const host = new AptHost();
    const nowS = Math.floor(host.clock.nowMs() / 1_000);
    host.files.texts.set(HISTORY, `VERSION 1\n${nowS - 60}\nCVE-2026-1001,corp-agent,F\n`);
    host.files.texts.set(STATUS, "");
    host.files.modifiedMs.set(STATUS, changedMs);
    const { updates } = await aptScanner().scan(host, {});
    const update = updates.find((one) => one.package === "corp-agent");
    return [update?.cves, update?.cveSources];
  };
  assertEquals(await scan(0), [["CVE-2026-1001"], ["debsecan"]]);
  assertEquals(await scan(Date.UTC(2100, 0)), [[], undefined]);
});
