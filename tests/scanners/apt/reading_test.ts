import { assert, assertEquals, assertRejects } from "@std/assert";
import { aptScanner } from "../../../src/scanners/apt.ts";
import { ScanError } from "../../../src/scanners/scanner.ts";
import type { RunResult } from "../../../src/system/process.ts";
import { scanWith } from "../../fakes/scan_with.ts";
import { succeeded } from "../fixture.ts";
import { ArchiveHost, DAY_MS } from "./archive_host.ts";
import { AptHost, captured, MADE_SOURCES, type Question, questionOf } from "./host.ts";
import { EXPECTED_UPDATES, EXPECTED_WARNINGS } from "./made_archive.ts";

const scanner = aptScanner();
const STATUS = "/var/lib/dpkg/status";

/** Packages are installed while this is asked. */
function changing(host: AptHost, answer: () => RunResult): () => RunResult {
  return () => {
    host.files.texts.set(STATUS, "");
    host.files.modifiedMs.set(STATUS, (host.files.modifiedMs.get(STATUS) ?? 0) + 1);
    return answer();
  };
}

function failing(stderr: string): () => RunResult {
  return () => ({ ...succeeded("", stderr), code: 100 });
}

Deno.test("scan() retries only where apt may have read a half-changed state", async () => {
  const odd = failing("E: Something odd\n");
  const locked = failing("E: Could not get lock /var/lib/dpkg/lock\n");
  const oops = () => {
    throw new TypeError("oops");
  };
  const asked = async (answer: () => RunResult, isChanging: boolean) => {
    const host = new AptHost();
    host.answers = { policy: isChanging ? changing(host, answer) : answer };
    const error = await assertRejects(() => scanWith(scanner, host, {}));
    assert(answer === oops ? error instanceof TypeError : error instanceof ScanError);
    return host.count("policy");
  };
  assertEquals([await asked(odd, false), await asked(odd, true)], [1, 2]);
  assertEquals([await asked(locked, false), await asked(locked, true)], [1, 1]);
  assertEquals([await asked(oops, false), await asked(oops, true)], [1, 1]);
});

const REPLACED = failing("E: Unable to parse package file /var/lib/apt/lists/x_Packages (1)\n");

for (const question of ["show", "untrusted"] as const) {
  Deno.test(`scan() fails where new lists or a programming error prevent an answer to "${question}"`, async () => {
    const host = new AptHost();
    let isFirst = true;
    host.answers = {
      [question]: () => {
        if (!isFirst) return succeeded(captured(question));
        isFirst = false;
        return REPLACED();
      },
    };
    const { updates, warnings } = await scanWith(scanner, host, {});
    assertEquals([updates.length, warnings], [EXPECTED_UPDATES.length, EXPECTED_WARNINGS]);
    assertEquals(host.count(question), 2);
    host.answers = {
      [question]: () => {
        throw new TypeError("oops");
      },
    };
    await assertRejects(() => scanWith(scanner, host, {}), TypeError, "oops");
  });
}

/** A host whose answer to one question is waited for. */
function waitingFor(question: Question, host = new AptHost()) {
  let give = (_: RunResult) => {};
  const run = host.runCommand;
  host.runCommand = (argv, options) =>
    questionOf(argv) === question
      ? new Promise((resolve) => {
        host.asked.push([...argv]);
        give = resolve;
      })
      : run(argv, options);
  return { host, give: (result: RunResult) => give(result) };
}

Deno.test("scan() runs commands one after the other where apt has to build its cache first", async () => {
  const { host, give } = waitingFor("policy");
  const scan = scanWith(scanner, host, {});
  await host.clock.advance(1);
  assertEquals([host.count("policy"), host.count("upgrade")], [1, 0]);
  give(succeeded(captured("policy")));
  assertEquals((await scan).updates.length, EXPECTED_UPDATES.length);
});

Deno.test("scan() that fails leaves no command running", async () => {
  const { host, give } = waitingFor("upgrade");
  host.files.texts.set("/var/cache/apt/pkgcache.bin", "");
  host.files.modifiedMs.set("/var/cache/apt/pkgcache.bin", host.clock.nowMs());
  host.answers = { policy: failing("E: Something odd\n") };
  let hasEnded = false;
  const scan = assertRejects(() => scanWith(scanner, host, {}), ScanError, "Something odd")
    .finally(() => hasEnded = true);
  await host.clock.advance(1);
  assertEquals([host.count("policy"), hasEnded], [1, false]);
  give(succeeded(captured("upgrade")));
  await scan;
});

Deno.test("scan() asks for unsigned sources only where there may be one, and has a note about it", async () => {
  const host = new AptHost();
  for (const { prefix } of MADE_SOURCES) {
    host.files.texts.set(`/var/lib/apt/lists/${prefix}Release.gpg`, "");
  }
  assertEquals((await scanWith(scanner, host, {})).warnings, EXPECTED_WARNINGS);
  assertEquals(host.count("untrusted"), 0);
  const [corp] = MADE_SOURCES.filter(({ name }) => name.includes("/corp "));
  host.files.texts.delete(`/var/lib/apt/lists/${corp?.prefix}Release.gpg`);
  const files = captured("policy").match(/\S+\/corp stable.*$/m) ?? [];
  host.answers = { untrusted: () => succeeded(`${files[0]}\n`) };
  const { warnings, result } = await scanWith(scanner, host, {});
  assertEquals([host.count("untrusted"), result], [1, "ok"]);
  assertEquals(warnings.filter((text) => text.includes("authenticate")), [
    "apt cannot authenticate corp-agent: not offered by a signed source",
  ]);
});

Deno.test("scan() fetches changelogs only on request and with a directory for them", async () => {
  const log = "libssl3t64 (3.0.13-0ubuntu3.5) noble; urgency=high\n\n  * CVE-2026-0001\n";
  const scan = async (options: { changelogs?: boolean; cacheDirectory?: string }) => {
    const host = new AptHost();
    host.answers = {
      show: () => succeeded(""),
      changelog: () => succeeded(log),
    };
    const { updates } = await scanWith(scanner, host, options);
    const found = updates.filter(({ cves }) => cves.length > 0);
    return [host.count("changelog"), found.map(({ cveSources }) => cveSources)];
  };
  const cacheDirectory = "/own";
  assertEquals(await scan({ cacheDirectory }), [0, []]);
  assertEquals(await scan({ cacheDirectory, changelogs: false }), [0, []]);
  assertEquals(await scan({ changelogs: true }), [0, []]);
  const [asked, sources] = await scan({ cacheDirectory, changelogs: true });
  assertEquals([asked, sources], [1, [["apt-get changelog"], ["apt-get changelog"]]]);
});

Deno.test("scan() reports the CVEs in another package's changelog on this host", async () => {
  const host = new AptHost();
  const rows = ["a\t1", "b\t2"].map((row) => `${row}\tamd64\tinstall\tinstalled\tsrc\t\n`);
  const policy = (name: string, installed: string) =>
    `${name}:\n  Installed: ${installed}\n  Candidate: 2\n  Version table:\n     2 500\n`;
  host.answers = {
    installed: () => succeeded(rows.join("")),
    policy: () => succeeded(policy("a", "1") + policy("b", "2")),
    upgrade: () => succeeded(""),
    show: () => succeeded(""),
    changelogs: () => succeeded("src (2) x; urgency=low\n\n  * CVE-2026-0001\n"),
  };
  const read = async (changelogs: boolean) => {
    const { updates } = await scanWith(scanner, host, { cacheDirectory: "/own", changelogs });
    return updates.map(({ cves, cveSources }) => [cves, cveSources]);
  };
  const expected = [[["CVE-2026-0001"], ["a changelog on this host"]]];
  assertEquals([await read(false), await read(true)], [expected, expected]);
  assertEquals(host.count("untrusted"), 2, "one update that waits is enough to ask");
  assert(host.asked.some((argv) => argv.includes("/usr/share/doc/b/changelog.Debian.gz")));
  host.answers = { ...host.answers, changelogs: failing("gzip: no\n") };
  assertEquals(await read(false), [[[], undefined]]);
});

Deno.test("scan() reports the age of the oldest lists that updates can come from", async () => {
  const host = new ArchiveHost("alpha", "beta", "code");
  host.sourceOnly.add("code");
  for (const name of ["apt-get", "dpkg-query"]) host.files.texts.set(`/usr/bin/${name}`, "");
  for (const [name, days] of [["alpha", 1], ["beta", 3], ["code", 9]] as const) {
    host.publish(name, days * DAY_MS);
  }
  host.fetchAsHost(DAY_MS);
  host.answers = {
    installed: () => succeeded("a\t1\tamd64\tinstall\tinstalled\ta\t\n"),
    policy: () => succeeded("a:\n  Installed: 1\n  Candidate: 1\n  Version table:\n"),
    upgrade: () => succeeded("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"),
  };
  const ageOf = async (options: { cacheDirectory?: string }) =>
    (await scanner.scan(host, options)).metadataAgeS;
  assertEquals(await ageOf({}), 3 * 86_400);
  assertEquals(await ageOf({ cacheDirectory: "/own" }), 0, "its own, of all that is asked");
  host.drop("alpha");
  assertEquals(await ageOf({}), 3 * 86_400, "one is enough to tell");
  host.drop("beta");
  assertEquals(await ageOf({}), null, "only source code");
});

Deno.test("scan() reports gaps and notes of both the lists and the answers", async () => {
  const host = new AptHost();
  host.answers = {
    sources: () =>
      succeeded(`${captured("sources")}'http://x' damaged\n`, "W: An odd thing of sources\n"),
    policy: () => succeeded(`${captured("policy")}junk\n`, "W: An odd thing of versions\n"),
  };
  const { gaps, notes } = await scanner.scan(host, {});
  assertEquals(gaps, [
    "Package sources that were not understood: 1",
    "Lines of apt's answers that were not understood: 1",
  ]);
  assertEquals(notes, [
    "An odd thing of sources",
    ...EXPECTED_WARNINGS,
    "An odd thing of versions",
  ]);
});
