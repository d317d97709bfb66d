import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  changelogFacts,
  changelogPaths,
  fetchChangelogs,
  parseChangelogs,
  sourceVersion,
} from "../../../src/scanners/apt/changelogs.ts";
import { AptCommands } from "../../../src/scanners/apt/commands.ts";
import { parseInstalled } from "../../../src/scanners/apt/packages.ts";
import type { WaitingUpdate } from "../../../src/scanners/apt/upgrade.ts";
import { CommandError, type RunResult } from "../../../src/system/process.ts";
import type { Update } from "../../../src/update.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { readFixture, succeeded } from "../fixture.ts";

const KRB5 = parseChangelogs(readFixture("apt", "changelog_krb5.txt"));

function facts(currentVersion: string, availableVersion: string, source = "krb5") {
  const { cves, urgency } = changelogFacts(KRB5, source, { currentVersion, availableVersion });
  return [cves, urgency];
}

Deno.test("parseChangelogs() of nothing, junk or a text without headings is empty", () => {
  for (const text of ["", "junk\n", "\n\n\n", "  * CVE-2026-1234\n", "krb5 (1.0) half a heading"]) {
    assertEquals(parseChangelogs(text).size, 0, text);
  }
});

Deno.test("parseChangelogs() reads versions, urgencies and fixed CVEs", () => {
  assertEquals(KRB5.get("krb5")?.map(({ version, urgency, cves }) => [version, urgency, cves]), [
    ["1.20.1-2+deb12u5", "high", ["CVE-2026-40355", "CVE-2026-40356"]],
    ["1.20.1-2+deb12u4", "medium", ["CVE-2025-3576"]],
    ["1.20.1-2+deb12u3", "medium", ["CVE-2024-26462", "CVE-2025-24528"]],
  ]);
});

Deno.test("parseChangelogs() separates the texts of several sources, and reads advisories", () => {
  const text = "aa (1:2-1) x-security; urgency=HIGH\n\n  * DSA-6001-1, USN-7000-2: CVE-2026-1\n" +
    "  * CVE-2026-0001.\n\nbb (1) x; urgency=low, binary-only=yes\n\n  * CVE-2026-0002\n";
  const found = parseChangelogs(text);
  assertEquals(found.get("aa"), [{
    version: "1:2-1",
    urgency: "high",
    cves: ["CVE-2026-0001"],
    advisories: ["DSA-6001-1", "USN-7000-2"],
  }]);
  assertEquals(found.get("bb")?.[0]?.cves, ["CVE-2026-0002"]);
});

Deno.test("parseChangelogs() assumes low urgency where an entry states none", () => {
  const urgencyOf = (metadata: string) =>
    parseChangelogs(`aa (1) x;${metadata}\n`).get("aa")?.map(({ urgency }) => urgency);
  for (const urgency of ["low", "medium", "high", "emergency", "critical"]) {
    assertEquals(urgencyOf(` urgency=${urgency}`), [urgency]);
  }
  for (const metadata of ["", " urgency=", " urgency=odd", " binary-only=yes"]) {
    assertEquals(urgencyOf(metadata), ["low"], metadata);
  }
});

Deno.test("parseChangelogs() reads CVEs from indented lines only, and headings from the others", () => {
  const text = "aa (2) x; urgency=low\n\n  * CVE-2026-0002\n  bb (1) x; urgency=low\n" +
    "CVE-2026-0009 is\nin the margin: CVE-2026-0008\n\n -- a <a@b>  Mon\n";
  const found = parseChangelogs(text);
  assertEquals([...found.keys()], ["aa"]);
  assertEquals(found.get("aa")?.[0]?.cves, ["CVE-2026-0002"]);
});

Deno.test("changelogFacts() covers the versions between the two, including the newer one", () => {
  const [, u4, u3] = ["1.20.1-2+deb12u5", "1.20.1-2+deb12u4", "1.20.1-2+deb12u3"];
  assertEquals(facts(u3, u4), [["CVE-2025-3576"], "medium"]);
  assertEquals(facts(u3, "1.20.1-2+deb12u5"), [
    ["CVE-2026-40355", "CVE-2026-40356", "CVE-2025-3576"],
    "high",
  ]);
  assertEquals(facts(`${u3}+b1`, `${u4}+b2`), [["CVE-2025-3576"], "medium"], "rebuilt");
  assertEquals(["1-1+b12", "1+b1-1", "1+b"].map(sourceVersion), ["1-1", "1+b1-1", "1+b"]);
});

Deno.test("changelogFacts() is empty where the changelog lacks the waiting version", () => {
  assertEquals(facts("1.20.1-2+deb12u3", "1.20.1-2+deb12u6"), [[], null]);
  assertEquals(facts("1.20.1-2+deb12u3", "1.20.1-2+deb12u5", "openssl"), [[], null]);
});

function row(name: string, version: string, source: string): string {
  return `${name}\t${version}\tamd64\tinstall\tinstalled\t${source}\ta tool\n`;
}

function waiting(name: string, currentVersion: string): WaitingUpdate {
  return {
    name,
    currentVersion,
    availableVersion: "9",
    state: "upgradable",
    stateReason: null,
    isDoubtful: false,
  };
}

Deno.test("changelogPaths() returns one file per source, of the package that is furthest ahead", () => {
  const rows = [
    row("libkrb5-3", "1.20-1", "krb5"),
    row("krb5-user", "1.20-2", "krb5"),
    row("krb5-locales", "1.20-3", "krb5"),
    row("curl", "8-1", "curl"),
    row("libcurl4", "8-1+b1", "curl"),
  ];
  const wanted = [
    waiting("libkrb5-3", "1.20-1"),
    waiting("krb5-user", "1.20-2"),
    waiting("curl", "8-1"),
    waiting("gone", "0"),
  ];
  for (const text of [rows.join(""), rows.toReversed().join("")]) {
    assertEquals(changelogPaths(wanted, parseInstalled(text)), [
      "/usr/share/doc/krb5-locales/changelog.Debian.gz",
    ]);
  }
  assertEquals(changelogPaths([], parseInstalled(rows.join(""))), []);
});

Deno.test("changelogPaths() returns forty at most", () => {
  const numbers = Array.from({ length: 41 }, (_, n) => n);
  const installed = parseInstalled(
    numbers.map((n) => row(`a${n}`, "1", `s${n}`) + row(`b${n}`, "2", `s${n}`)).join(""),
  );
  const paths = changelogPaths(numbers.map((n) => waiting(`a${n}`, "1")), installed);
  assertEquals([paths.length, paths.at(-1)], [40, "/usr/share/doc/b39/changelog.Debian.gz"]);
});

Deno.test("parseChangelogs() returns only parts of the text, whatever it is", () => {
  const line = fc.constantFrom(
    "a (1) x; urgency=low",
    "b (2-1) x y; urgency=emergency",
    "  * CVE-2026-12345",
    " -- someone <a@b>  Mon",
    "",
    "(1) ; urgency=",
    "\u0000\u001b[31m",
  );
  fc.assert(fc.property(fc.array(fc.oneof(line, fc.string())), (lines) => {
    for (const [source, entries] of parseChangelogs(lines.join("\n"))) {
      for (const { version, cves } of entries) {
        assertEquals([/^[a-z0-9][a-z0-9+.-]+$/.test(source), /[\s()]/.test(version)], [
          true,
          false,
        ]);
        assertEquals(cves.every((cve) => /^CVE-\d{4}-\d{4,10}$/.test(cve)), true);
      }
    }
  }));
});

const DAY_MS = 24 * 3_600_000;

function update(name: string, more: Partial<Update> = {}): Update {
  return {
    package: name,
    currentVersion: "1-1",
    availableVersion: "1-3+b1",
    architecture: "amd64",
    source: null,
    state: "upgradable",
    severity: null,
    severityReason: "",
    security: true,
    cves: [],
    advisories: [],
    sizeBytes: null,
    description: null,
    sourcePackage: name,
    reboot: null,
    ...more,
  };
}

function changelog(source: string): string {
  return `${source} (1-3) s; urgency=high\n\n  * CVE-2026-0003\n\n${source} (1-2) s; urgency=low\n\n` +
    `  * CVE-2026-0002\n\n${source} (1-1) s; urgency=low\n\n  * CVE-2026-0001\n\n`;
}

function setUp(answer: (packages: readonly string[]) => RunResult | Promise<RunResult>) {
  const system = new FakeSystem();
  const asked: string[][] = [];
  const limitsMs: number[] = [];
  system.runCommand = async (argv, options) => {
    assertEquals(options.environment?.["PAGER"], "cat");
    const packages = argv.slice(argv.indexOf("changelog") + 1);
    asked.push([...packages]);
    limitsMs.push(options.timeoutMs);
    return await answer(packages);
  };
  const fetch = async (...updates: Update[]) => {
    const found = await fetchChangelogs(system, new AptCommands(system, {}, {}), {
      directory: { path: "/own" },
      updates,
    });
    return Object.fromEntries(
      [...found].map(([source, entries]) => [source, entries.flatMap(({ cves }) => cves)]),
    );
  };
  const cached = () => JSON.parse(system.files.texts.get(CACHE) ?? "{}").changelogs ?? {};
  return { system, asked, limitsMs, fetch, cached };
}

const CACHE = "/own/changelogs.json";

const well = (packages: readonly string[]) =>
  succeeded(packages.map((name) => changelog(name.split(":")[0]!)).join(""));

Deno.test("fetchChangelogs() fetches each source once, and caches entries newer than the installed version", async () => {
  const { system, asked, fetch } = setUp(well);
  const pair = [update("aa"), update("liba", { sourcePackage: "aa" }), update("bb")];
  const expected = {
    aa: ["CVE-2026-0003", "CVE-2026-0002"],
    bb: ["CVE-2026-0003", "CVE-2026-0002"],
  };
  assertEquals(await fetch(...pair), expected);
  assertEquals(asked, [["aa:amd64=1-3+b1", "bb:amd64=1-3+b1"]]);
  await system.clock.advance(9 * DAY_MS);
  assertEquals(await fetch(...pair), expected);
  assertEquals(asked.length, 1, "it is cached as long as the version waits");
  assertEquals(Object.keys(await fetch(update("cc"))), ["cc"]);
  assert(!system.files.texts.get("/own/changelogs.json")?.includes('"aa 1-3"'));
});

Deno.test("fetchChangelogs() skips vendors, and updates that already have CVEs", async () => {
  const { asked, fetch } = setUp(well);
  await fetch(
    update("vendor", { security: null }),
    update("known", { cves: ["CVE-2026-0009"] }),
    update("odd", { currentVersion: null }),
    update("sourceless", { sourcePackage: null }),
  );
  assertEquals(asked, []);
});

Deno.test("fetchChangelogs() fetches security updates first, forty at a time", async () => {
  const { asked, fetch } = setUp(well);
  const many = Array.from({ length: 50 }, (_, n) => update(`p${n}`, { security: n >= 45 }));
  await fetch(...many);
  assertEquals([asked[0]?.length, asked[0]?.slice(0, 2)], [40, [
    "p45:amd64=1-3+b1",
    "p46:amd64=1-3+b1",
  ]]);
  await fetch(...many);
  assertEquals(asked.map(({ length }) => length), [40, 10]);
});

Deno.test("fetchChangelogs() retries without an unavailable changelog, and asks for that one tomorrow", async () => {
  const { system, asked, fetch } = setUp((packages) => {
    const stderr = "E: Failed to fetch http://x  Changelog unavailable for bb=1-3+b1 (404)\n";
    return packages.some((name) => name.startsWith("bb:"))
      ? { ...succeeded("", stderr), code: 100 }
      : well(packages);
  });
  assertEquals(Object.keys(await fetch(update("aa"), update("bb"))), ["aa"]);
  assertEquals(asked.map((packages) => packages.length), [2, 1]);
  await fetch(update("aa"), update("bb"));
  assertEquals(asked.length, 2);
  await system.clock.advance(DAY_MS - 1);
  await fetch(update("aa"), update("bb"));
  assertEquals(asked.length, 2);
  await system.clock.advance(1);
  await fetch(update("aa"), update("bb"));
  assertEquals(asked.at(-1), ["bb:amd64=1-3+b1"]);
});

Deno.test("fetchChangelogs() returns nothing while the servers are out of reach, and waits a day", async () => {
  for (
    const answer of [
      () => ({ ...succeeded("", "E: no network\n"), code: 100 }),
      () => {
        throw new CommandError("no end", { reason: "timeout" });
      },
    ]
  ) {
    const { system, asked, fetch } = setUp(answer);
    const many = Array.from({ length: 50 }, (_, n) => update(`p${n}`));
    assertEquals(await fetch(...many), {});
    await fetch(...many);
    assertEquals(asked.length, 1);
    await system.clock.advance(DAY_MS);
    await fetch(...many);
    assertEquals(asked.length, 2);
  }
});

Deno.test("fetchChangelogs() ignores a damaged cache, and works without a disk", async () => {
  const { system, asked, fetch } = setUp(well);
  system.files.texts.set("/own/changelogs.json", '{"version":1,"changelogs":{"aa 1-3":{}}}');
  assertEquals(Object.keys(await fetch(update("aa"))), ["aa"]);
  system.files.fail("cache changelogs", "full");
  assertEquals(Object.keys(await fetch(update("aa"))), ["aa"]);
  assertEquals(asked.length, 2);
});

Deno.test("fetchChangelogs() requests the package with the oldest current version, by apt's name", async () => {
  const shared = { sourcePackage: "aa", architecture: "all" };
  const newer = update("new", { ...shared, currentVersion: "1-2" });
  const older = update("old", { ...shared, currentVersion: "1-1" });
  const ask = async (...updates: Update[]) => {
    const { asked, fetch } = setUp(well);
    await fetch(...updates);
    return asked[0];
  };
  assertEquals(await ask(newer, older), ["old=1-3+b1"]);
  assertEquals(await ask(older, newer), ["old=1-3+b1"]);
  assertEquals(await ask(older, update("twin", shared)), ["old=1-3+b1"], "the first of equals");
  assertEquals(await ask(update("x", { architecture: null })), ["x=1-3+b1"]);
  assertEquals(await ask(update("x", { architecture: "i386" })), ["x:i386=1-3+b1"]);
});

Deno.test("fetchChangelogs() makes three attempts at most, within a minute in all", async () => {
  const refusing = ([first = ""]: readonly string[]) => ({
    ...succeeded("", `E: Changelog unavailable for ${first} (404)\n`),
    code: 100,
  });
  const names = ["aa", "bb", "cc", "dd", "ee"].map((name) =>
    update(name, { architecture: "i386" })
  );
  const often = setUp(refusing);
  assertEquals(await often.fetch(...names), {});
  assertEquals(often.asked.map(({ length }) => length), [5, 4, 3]);
  assertEquals(often.limitsMs, [60_000, 60_000, 60_000]);
  for (const [tookMs, times] of [[59_000, 2], [59_001, 1]] as const) {
    const slow = setUp(async (packages) => {
      await slow.system.clock.advance(tookMs);
      return refusing(packages);
    });
    assertEquals(await slow.fetch(...names), {});
    assertEquals(slow.limitsMs, [60_000, 1_000].slice(0, times));
  }
  const alone = setUp(refusing);
  assertEquals(await alone.fetch(update("aa")), {});
  assertEquals(alone.asked.length, 1, "there are no others");
});

Deno.test("fetchChangelogs() returns nothing where apt does not name the missing changelog", async () => {
  const { asked, fetch } = setUp(() => ({
    ...succeeded("", "E: Changelog unavailable for other=1 (404)\n"),
    code: 100,
  }));
  assertEquals(await fetch(update("aa")), {});
  assertEquals(asked.length, 1);
});

Deno.test("fetchChangelogs() caches a hundred versions per source, and two hundred names of each", async () => {
  const names = Array.from({ length: 201 }, (_, n) => n);
  const lines = names.map((n) => `  * CVE-2026-${10_000 + n} DSA-${1_000 + n}-1\n`).join("");
  const versions = names.slice(0, 101).map((n) => `aa (9-${200 - n}) s; urgency=low\n\n${lines}\n`);
  const { fetch, cached, system } = setUp(() => succeeded(versions.join("")));
  const found = await fetch(update("aa"));
  assertEquals(found["aa"]?.length, 100 * 200);
  assertEquals([found["aa"]?.[0], found["aa"]?.[199]], ["CVE-2026-10000", "CVE-2026-10199"]);
  const { entries } = cached()["aa 1-3"];
  assertEquals([entries.length, entries[0].version, entries[99].version], [100, "9-200", "9-101"]);
  assertEquals([entries[0].advisories.length, entries[0].advisories[0]], [200, "DSA-1000-1"]);
  assertEquals(system.files.modes.get(CACHE), 0o600, "it lists open CVEs");
});

Deno.test("fetchChangelogs() caches five hundred sources, the most wanted ones", async () => {
  const { fetch, cached } = setUp(() => ({ ...succeeded("", "E: no network\n"), code: 100 }));
  await fetch(...Array.from({ length: 501 }, (_, n) => update(`p${n}`, { security: n > 0 })));
  const keys = Object.keys(cached());
  assertEquals([keys.length, keys[0], keys.includes("p0 1-3")], [500, "p1 1-3", false]);
});

Deno.test("fetchChangelogs() writes the cache before it returns, and only if something changed", async () => {
  const { system, fetch } = setUp(well);
  let writes = 0;
  let unfinished = 0;
  const write = system.files.writeText.bind(system.files);
  system.files.writeText = async (...args) => {
    writes += 1;
    unfinished += 1;
    await new Promise((resolve) => setTimeout(resolve));
    await write(...args);
    unfinished -= 1;
  };
  await fetch(update("aa"));
  await fetch(update("aa"));
  assertEquals([writes, unfinished], [1, 0]);
});

Deno.test("fetchChangelogs() passes programming errors on", async () => {
  const oops = () => Promise.reject(new TypeError("oops"));
  for (const method of ["readText", "writeText"] as const) {
    const { system, fetch } = setUp(well);
    system.files[method] = oops;
    await assertRejects(() => fetch(update("aa")), TypeError, "oops");
  }
  await assertRejects(() => setUp(oops).fetch(update("aa")), TypeError, "oops");
});
